"""Training data, whatever it is: labelled videos, which are embedded first, or a file of labelled vectors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vidclf_cli.dataset import Dataset, open_dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.labelled import LabelledVideos, read_labelled, video_id
from vidclf_cli.local_spaces import ALL_LOCAL, local_spaces
from vidclf_cli.pipeline.gather import Gathering
from vidclf_cli.pipeline.options import RunOptions
from vidclf_cli.records import Result, Status
from vidclf_train.card import Provenance
from vidclf_train.watcher import Watcher

DATASET_SUFFIXES = (".h5", ".hdf5")
_MOST_NAMED = 100


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How the data is to be understood.

    Attributes:
        embeddings: Ids or aliases of spaces, `local` for all local ones; empty for `local`, or for all that
            a file of vectors holds.
        multi: A video may have several labels, even if none has.
        group_column: The CSV's column that says which source a video comes from.
        root: What the paths of a CSV are relative to; None is the CSV's own folder.
    """

    embeddings: tuple[str, ...] = ()
    multi: bool = False
    group_column: str | None = None
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Data that can be trained on.

    Attributes:
        dataset: The rows, with the spaces that were chosen.
        provenance: Where they come from; names no place on this machine.
        failures: Videos that could not be read.
    """

    dataset: Dataset
    provenance: Provenance
    failures: tuple[Result, ...] = ()


@contextmanager
def open_source(data: Path, options: SourceOptions, run: RunOptions, watcher: Watcher) -> Iterator[Source]:
    """Read labels and make vectors, or open the file that holds both.

    Args:
        data: A CSV, a folder with one sub-folder per label, or a packed dataset file.
        options: How it is to be understood.
        run: How videos are read and embedded.
        watcher: Is told of what is left out, and how far the embedding is.

    Raises:
        UsageError: The data cannot be used; the message says which part of it, and what to do.
        CacheError: The cache cannot be used.
    """
    if data.suffix.lower() in DATASET_SUFFIXES and not data.is_dir():
        _refuse_options_of_videos(data, options, run)
        with open_dataset(data) as dataset:
            chosen = _choose_spaces(dataset, options.embeddings)
            is_grouped = len(set(dataset.groups)) < len(dataset)
            yield Source(chosen, Provenance(data.name, is_grouped))
        return
    labelled = read_labelled(
        data,
        multi=options.multi,
        root=options.root,
        group_column=options.group_column,
        exclude=run.exclude,
    )
    # The folder is searched by now: the run itself has nothing left to leave out.
    yield _embed(data, labelled, options, replace(run, exclude=()), watcher)


def _embed(
    data: Path, labelled: LabelledVideos, options: SourceOptions, run: RunOptions, watcher: Watcher
) -> Source:
    failures: list[Result] = []
    with Gathering(labelled, options.embeddings or (ALL_LOCAL,), run) as job:
        with watcher.embedding(job):
            for note in labelled.notes:
                watcher.note(note)
            failures += (result for result in job.results() if result.status is Status.FAILED)
        for failure in failures[:_MOST_NAMED]:
            watcher.note(f"{failure.video.id} failed: {failure.reason}")
        if len(failures) > _MOST_NAMED:
            watcher.note(f"{len(failures) - _MOST_NAMED} more failed.")
        if failures and len(failures) == len(job.library.videos):
            raise UsageError(
                f"None of the {len(failures)} videos could be read; the first: {failures[0].reason}.",
                "`vidclf classify` lists the reason of each.",
            )
        dataset = job.dataset()
        for note in job.notes:
            watcher.note(note)
        notes = [*labelled.notes, *job.notes]
    notes += (f"{failure.video.id} failed: {failure.reason}" for failure in failures[:_MOST_NAMED])
    provenance = Provenance(
        # `.` has no name of its own.
        name=data.name or Path(os.path.realpath(data)).name,
        is_grouped=any(each.group != video_id(each.path, labelled.root) for each in labelled.videos),
        failed_count=len(failures),
        notes=tuple(_without_places(notes, data, labelled)),
    )
    return Source(dataset, provenance, tuple(failures))


def _without_places(notes: Sequence[str], data: Path, labelled: LabelledVideos) -> Iterator[str]:
    """Take the folders of this machine out of sentences that travel with the classifier."""
    videos = (*labelled.videos, *labelled.missing)
    root = labelled.root
    folders = {str(each.path.parent) for each in videos if root is None or not each.path.is_relative_to(root)}
    # The longest first: one folder's name may begin another's.
    places = sorted({*folders, str(root), str(data.parent)} - {".", "None"}, key=len, reverse=True)
    for note in notes:
        short = note
        for place in places:
            short = short.replace(f"{place}{os.sep}", "")
        yield short


def _refuse_options_of_videos(data: Path, options: SourceOptions, run: RunOptions) -> None:
    given = {
        "--multi": options.multi,
        "--group-column": options.group_column is not None,
        "--root": options.root is not None,
        "--exclude": bool(run.exclude),
    }
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise UsageError(
            f"{data} holds vectors with their labels and sources: {wrong[0]} has no meaning for it.",
            "Leave it away.",
        )


def _choose_spaces(dataset: Dataset, embeddings: Sequence[str]) -> Dataset:
    """Return the dataset with the spaces that are meant, in the order in which they were named."""
    if not embeddings:
        return dataset
    ids = {alias: space.id for alias, space in local_spaces().items()}
    wanted: list[str] = []
    for name in embeddings:
        wanted += ids.values() if name == ALL_LOCAL else [ids.get(name, name)]
    return dataset.of_spaces(list(dict.fromkeys(wanted)))

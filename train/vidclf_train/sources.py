"""Training data, whatever it is: labelled videos, which are embedded first, or vectors with labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vidclf_cli import __version__
from vidclf_cli.dataset import Dataset, open_dataset
from vidclf_cli.embedders.registry import spaces_named
from vidclf_cli.errors import UsageError
from vidclf_cli.evaluation import is_packed
from vidclf_cli.label_table import read_label_table
from vidclf_cli.labelled import LabelledVideos, read_labelled, video_id
from vidclf_cli.local_spaces import ALL_LOCAL
from vidclf_cli.pipeline.gather import Gathering
from vidclf_cli.pipeline.options import RunOptions
from vidclf_cli.records import Result, Status
from vidclf_train.card import Provenance
from vidclf_train.dataset import read_individual
from vidclf_train.vector_file import SUFFIXES
from vidclf_train.watcher import Watcher

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
        data: A CSV or a folder with one sub-folder per label, of videos or of HDF5 files with the vectors of
            one video each; or a packed dataset file.
        options: How it is to be understood.
        run: How videos are read and embedded.
        watcher: Is told of what is left out, and how far the embedding is.

    Raises:
        UsageError: The data cannot be used; the message says which part of it, and what to do.
        CacheError: The cache cannot be used.
    """
    if is_packed(data):
        _refuse(data, {"--multi": options.multi, "--group-column": options.group_column}, run, options)
        with open_dataset(data) as dataset:
            chosen = dataset.of_spaces(_ids(options.embeddings) or list(dataset.vectors))
            _introduce(chosen, watcher)
            yield Source(chosen, Provenance(data.name, _is_grouped(chosen)))
        return
    if _is_individual(data):
        _refuse(data, {}, run, options)
        yield _read_files(data, options, watcher)
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
        name=_name(data),
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


def _is_individual(data: Path) -> bool:
    """Tell whether a table or a folder names files of vectors instead of videos, by the first it names."""
    if data.is_dir():
        return any(path.suffix.lower() in SUFFIXES for path in data.glob("*/*"))
    if not data.is_file():
        return False  # The reader of videos says what is wrong with it.
    return Path(read_label_table(data)[0].path.strip()).suffix.lower() in SUFFIXES


def _read_files(data: Path, options: SourceOptions, watcher: Watcher) -> Source:
    dataset, notes = read_individual(
        data,
        spaces=_ids(options.embeddings),
        multi=options.multi,
        group_column=options.group_column,
    )
    _introduce(dataset, watcher)
    for note in notes:
        watcher.note(note)
    root = os.path.realpath(data if data.is_dir() else data.parent)
    short = (note.replace(f"{root}{os.sep}", "") for note in notes)
    return Source(dataset, Provenance(_name(data), _is_grouped(dataset), notes=tuple(short)))


def _introduce(dataset: Dataset, watcher: Watcher) -> None:
    spaces = ", ".join(dataset.vectors)
    watcher.note(f"vidclf {__version__}: {len(dataset.labels)} labels, {len(dataset):,} rows; {spaces}")


def _is_grouped(dataset: Dataset) -> bool:
    return len(set(dataset.groups)) < len(dataset)


def _name(data: Path) -> str:
    """Return the name without the place; `.` has none of its own."""
    return data.name or Path(os.path.realpath(data)).name


def _refuse(data: Path, others: Mapping[str, object], run: RunOptions, options: SourceOptions) -> None:
    """Refuse options that have no meaning where there are vectors already."""
    given = {"--root": options.root, "--exclude": run.exclude, **others}
    if wrong := [name for name, value in given.items() if value]:
        raise UsageError(f"{data} holds vectors: {wrong[0]} has no meaning for it.", "Leave it away.")


def _ids(embeddings: Sequence[str]) -> list[str]:
    """Return the ids of spaces, each once; one that nothing here fills is taken for an id."""
    wanted: list[str] = []
    for name in embeddings:
        wanted += [space.id for space in spaces_named(name)] or [name]
    return list(dict.fromkeys(wanted))

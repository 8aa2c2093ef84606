"""Labelled vectors from one HDF5 file per video, as the cache and the paper keep them; rows of use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.classifier_card import label_problem
from vidclf_cli.dataset import Dataset, empty_rows
from vidclf_cli.errors import UsageError
from vidclf_cli.label_table import LABEL_SEPARATOR
from vidclf_cli.labelled import LabelledVideo, LabelledVideos, label_of, read_labelled, video_id
from vidclf_cli.media.suffixes import SuffixKind, kind_of_suffix, suffix_of
from vidclf_cli.scoring import Task
from vidclf_cli.wording import some
from vidclf_train.vector_file import SUFFIXES, Vector, VectorFile, open_vector_file

_NAMED = 3
_SHAPE = "Name a CSV with the columns `path` and `label`, or a folder with one sub-folder per label."


def usable_rows(dataset: Dataset) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Leave out the rows that have nothing in any space.

    Args:
        dataset: In memory or in a file; a file is read through once, block by block.

    Returns:
        Ascending row numbers, and what a person should know about those that were left out.
    """
    empty = empty_rows(dataset)
    rows = np.setdiff1d(np.arange(len(dataset)), empty, assume_unique=True)
    if not empty.size:
        return rows, ()
    names = some_names([dataset.ids[number] for number in empty])
    return rows, (
        f"{empty.size} of {len(dataset)} rows have nothing in any space and are left out: {names}.",
    )


@dataclass(frozen=True, slots=True)
class IndividualFiles:
    """Files of vectors that have been looked through; read with `load`.

    Attributes:
        labelled: The files and their labels.
        dimensions: Space id to the length of its vectors.
        samplings: Space id to the one sampling that is read; other spaces have one each in every file.
        notes: What a person should know: what was left out, what is missing where.
    """

    labelled: LabelledVideos
    dimensions: Mapping[str, int]
    samplings: Mapping[str, str]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.labelled.videos)

    def load(self, begin: int = 0, end: int | None = None) -> Dataset:
        """Read the vectors of some of the files, in their order.

        Raises:
            UsageError: A file is damaged, has changed, or holds numbers that are not finite.
        """
        videos = self.labelled.videos[begin:end]
        vectors = {
            space: np.zeros((len(videos), size), np.float32) for space, size in self.dimensions.items()
        }
        for row, video in enumerate(videos):
            with open_vector_file(video.path) as file:
                for space, vector in _chosen(file, self.samplings).items():
                    if space in vectors and vector.dimension:
                        vectors[space][row] = file.read(vector, self.dimensions[space])
        return Dataset(
            labels=self.labelled.labels,
            task=self.labelled.task,
            ids=[video_id(video.path, self.labelled.root) for video in videos],
            targets=_targets(videos, self.labelled.labels, self.labelled.task),
            groups=[video.group for video in videos],
            vectors=vectors,
        )


def read_individual(
    data: Path,
    *,
    spaces: Sequence[str] = (),
    samplings: Mapping[str, str] | None = None,
    multi: bool = False,
    group_column: str | None = None,
) -> tuple[Dataset, tuple[str, ...]]:
    """Read files of vectors into memory; arguments and errors as of `find_individual`.

    Returns:
        The vectors, and what a person should know about them.
    """
    files = find_individual(data, spaces=spaces, samplings=samplings, multi=multi, group_column=group_column)
    return files.load(), files.notes


def find_individual(
    data: Path,
    *,
    spaces: Sequence[str] = (),
    samplings: Mapping[str, str] | None = None,
    multi: bool = False,
    group_column: str | None = None,
) -> IndividualFiles:
    """Look through files of vectors, without reading the vectors yet.

    Each file holds `embedded_features/<space id>/<sampling>`, as those of the cache do (docs/formats.md). A
    space that a file does not have becomes a row of zeros there.

    Args:
        data: A CSV (`path,label[,group]`, several labels joined by `|`), or a folder with one sub-folder of
            files per label.
        spaces: Ids of those to read; empty for all that any file has.
        samplings: Space id to the sampling to read, where files hold several of one space.
        multi: A video may have several labels, even if none has.
        group_column: The CSV's column that says which source a video comes from.

    Raises:
        UsageError: The labels cannot be used; a file is damaged, or no such file; a space has several
            samplings in one file and none was named, or vectors of different lengths.
    """
    if data.is_dir():
        if group_column is not None:
            raise UsageError(f"{data} is a folder: it has no columns.", _SHAPE)
        labelled = _labelled_folder(data, multi=multi)
    else:
        labelled = read_labelled(data, multi=multi, group_column=group_column)
    samplings = dict(samplings or {})
    dimensions, notes = _look_through(labelled, samplings)
    for space in (*spaces, *samplings):
        if space not in dimensions:
            raise UsageError(
                f"No file of {data} has a vector of {space!r}.", f"They have {', '.join(dimensions)}."
            )
    wanted = {space: dimensions[space] for space in (spaces or sorted(dimensions))}
    notes = {space: notes[space] for space in wanted}
    return IndividualFiles(
        labelled, wanted, samplings, (*labelled.notes, *(note for some in notes.values() for note in some))
    )


def _look_through(
    labelled: LabelledVideos, samplings: Mapping[str, str]
) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Return the dimension of every space that any file has, and what to know about each."""
    dimensions: dict[str, int] = {}
    first_files: dict[str, Path] = {}
    lacking: dict[str, list[str]] = defaultdict(list)
    used: dict[str, Counter[str]] = defaultdict(Counter)
    files = []
    for video in labelled.videos:
        with open_vector_file(video.path) as file:
            found = {space: each for space, each in _chosen(file, samplings).items() if each.dimension}
        files.append((video, found.keys()))
        for space, vector in found.items():
            used[space][vector.sampling] += 1
            if dimensions.setdefault(space, vector.dimension) != vector.dimension:
                raise UsageError(
                    f"{video.path} has {vector.dimension} numbers in {space!r}, "
                    f"and {first_files[space]} has {dimensions[space]}.",
                    "They come from different models: embed one of them again, or leave it out.",
                )
            first_files.setdefault(space, video.path)
    if not dimensions:
        raise UsageError(f"None of the {len(files)} files holds a vector.", "Embed the videos first.")
    for video, there in files:
        for space in dimensions.keys() - there:
            lacking[space].append(video_id(video.path, labelled.root))
    return dimensions, {space: _notes(space, lacking[space], used[space], len(files)) for space in dimensions}


def _notes(space: str, lacking: Sequence[str], used: Counter[str], count: int) -> list[str]:
    notes = []
    if lacking:
        notes.append(f"{len(lacking)} of {count} files have nothing in {space}: {some_names(lacking)}.")
    if len(used) > 1:
        kinds = ", ".join(f"{name} ({number})" for name, number in sorted(used.items()))
        notes.append(f"The vectors of {space} come from different samplings: {kinds}.")
    return notes


def _chosen(file: VectorFile, samplings: Mapping[str, str]) -> dict[str, Vector]:
    """Return one vector per space of a file.

    Raises:
        UsageError: There are several of one space, and nobody said which.
    """
    by_space: dict[str, list[Vector]] = defaultdict(list)
    for vector in file.vectors:
        if samplings.get(vector.space, vector.sampling) == vector.sampling:
            by_space[vector.space].append(vector)
    for space, several in by_space.items():
        if len(several) > 1:
            names = sorted(each.sampling for each in several)
            raise UsageError(
                f"{file.path} has vectors of {space!r} by several samplings: {', '.join(names)}.",
                f"Name one of them, e.g. `--sampling {space}={names[0]}`.",
            )
    return {space: several[0] for space, several in by_space.items()}


def _labelled_folder(folder: Path, *, multi: bool) -> LabelledVideos:
    """Read a folder with one sub-folder of HDF5 files per label."""
    videos: list[LabelledVideo] = []
    names: list[str] = []
    for inner in sorted(each for each in folder.iterdir() if each.is_dir()):
        files = sorted(each for each in inner.rglob("*") if each.is_file())
        chosen = [each for each in files if each.suffix.lower() in SUFFIXES]
        names += (video_id(each, folder) for each in files if each.suffix.lower() not in SUFFIXES)
        label = label_of(inner.name)
        problem = "holds `|`, which stands between several labels" if LABEL_SEPARATOR in label else ""
        if chosen and (problem := problem or label_problem(label)):
            raise UsageError(f"The folder {inner} cannot be a label: its name {problem}.", "Rename it.")
        videos += (LabelledVideo(path, (label,), video_id(path, folder)) for path in chosen)
    shown = [name for name in names if kind_of_suffix(suffix_of(name)) is SuffixKind.VIDEO]
    if shown and videos:
        raise UsageError(
            f"{folder} holds both HDF5 files, such as {videos[0].group}, and videos, such as {shown[0]}.",
            "Keep files of vectors and videos in folders of their own.",
        )
    labels = tuple(sorted({video.labels[0] for video in videos}))
    if len(labels) < 2:
        raise UsageError(
            f"{folder} has HDF5 files of {len(labels)} label(s), and at least two are needed.", _SHAPE
        )
    task: Task = "multi" if multi else "single"
    notes = (f"Other files passed over ({len(names)}): {some(names)}.",) if names else ()
    return LabelledVideos(tuple(videos), notes, labels, task, folder)


def _targets(
    videos: Sequence[LabelledVideo], labels: Sequence[str], task: Task
) -> NDArray[np.int32] | NDArray[np.uint8]:
    numbers = {label: number for number, label in enumerate(labels)}
    if task == "single":
        return np.array([numbers[video.labels[0]] for video in videos], np.int32)
    marks = np.zeros((len(videos), len(labels)), np.uint8)
    for row, video in enumerate(videos):
        marks[row, [numbers[label] for label in video.labels]] = 1
    return marks


def some_names(names: Sequence[str]) -> str:
    """Name the first three, and say how many more there are."""
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"

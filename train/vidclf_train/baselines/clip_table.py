"""Which labelled videos can be read, and on which side of the split each is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import UsageError
from vidclf_cli.labelled import LabelledVideo, LabelledVideos, why_missing
from vidclf_cli.scoring import Task
from vidclf_cli.sources import JoinedSources
from vidclf_train.baselines.frame_store import Reading
from vidclf_train.split import grouped_split

SPLITS = ("training", "validation", "test")
SHARES = (8, 1, 1)


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips with their labels: contents of a frame store, and label numbers of shape (clips,)."""

    contents: tuple[str, ...]
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.contents)


@dataclass(frozen=True, slots=True)
class ClipTable:
    """Every labelled video, whatever became of it.

    Attributes:
        labels: Of the videos that could be read, in the order of the network's outputs.
        videos: As labelled; those that are not there come last.
        readings: How reading each of them ended.
        groups: The source of each; videos of equal content have one source.
        splits: One of `SPLITS` per video, empty for one that could not be read.
    """

    labels: tuple[str, ...]
    videos: tuple[LabelledVideo, ...]
    readings: tuple[Reading, ...]
    groups: tuple[str, ...]
    splits: tuple[str, ...]

    @property
    def failed_count(self) -> int:
        """Videos that could not be read."""
        return sum(bool(reading.failure) for reading in self.readings)

    @property
    def split_counts(self) -> dict[str, int]:
        """How many videos each side has."""
        return {name: self.splits.count(name) for name in SPLITS}

    @property
    def description(self) -> str:
        """For people."""
        sizes = ", ".join(f"{count} {name}" for name, count in self.split_counts.items())
        failed = f"; {self.failed_count} could not be read" if self.failed_count else ""
        return f"{len(self.videos)} videos of {len(self.labels)} labels: {sizes}{failed}"

    @property
    def digest(self) -> str:
        """Equal for equal contents, labels and sides, wherever the files lie."""
        rows = [
            [reading.content, video.labels[0], split]
            for video, reading, split in zip(self.videos, self.readings, self.splits, strict=True)
            if split
        ]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]

    def rows(self, split: str) -> list[int]:
        """Return the numbers of the videos of a side."""
        return [row for row, name in enumerate(self.splits) if name == split]

    def clips(self, split: str) -> Clips:
        """Return the videos of a side."""
        rows = self.rows(split)
        numbers = {label: number for number, label in enumerate(self.labels)}
        targets = np.array([numbers[self.videos[row].labels[0]] for row in rows], np.int64)
        return Clips(tuple(self.readings[row].content for row in rows), targets)

    def truth(self, split: str) -> tuple[NDArray[np.int64], Task, list[str]]:
        """Return what predictions of a side are measured against: targets, task, and groups."""
        return self.clips(split).targets, "single", [self.groups[row] for row in self.rows(split)]


def split_clips(labelled: LabelledVideos, readings: Sequence[Reading], seed: int) -> ClipTable:
    """Split the videos that could be read, 8:1:1, whole sources on one side.

    Args:
        labelled: The videos.
        readings: One for each of `labelled.videos`.
        seed: The same seed gives the same split.

    Raises:
        UsageError: Too few could be read, they are of too few sources, or two files of one content have
            different labels.
    """
    absent = [Reading("", failure=str(why_missing(video.path))) for video in labelled.missing]
    videos = (*labelled.videos, *labelled.missing)
    everything = (*readings, *absent)
    readable = [row for row, reading in enumerate(everything) if not reading.failure]
    labels = tuple(sorted({videos[row].labels[0] for row in readable}))
    if len(labels) < 2:
        failures = (
            f" The first that could not: {video.path} ({reading.failure})."
            for video, reading in zip(videos, everything, strict=True)
            if reading.failure
        )
        raise UsageError(
            f"{len(readable)} of {len(videos)} videos could be read, of {len(labels)} "
            f"label{'s' if len(labels) != 1 else ''}.{next(failures, '')}",
            "Give videos of two labels at least.",
        )
    _check_copies(videos, everything)
    targets = np.array([labels.index(videos[row].labels[0]) for row in readable], np.int32)
    groups = _joined([video.group for video in videos], everything)
    parts = grouped_split([groups[row] for row in readable], targets, SHARES, seed)
    splits = [""] * len(videos)
    for name, part in zip(SPLITS, parts, strict=True):
        if not part.size:
            sources = len({groups[row] for row in readable})
            raise UsageError(
                f"{len(readable)} videos of {sources} sources leave nothing for {name}.",
                "Videos of one source stay together, and a label's only source is for training: label more "
                "sources.",
            )
        for index in part.tolist():
            splits[readable[index]] = name
    return ClipTable(labels, videos, everything, tuple(groups), tuple(splits))


def _joined(groups: list[str], readings: Sequence[Reading]) -> list[str]:
    """Give sources that share a content one name: a copy must not stand on the other side."""
    first: dict[str, str] = {}
    sources = JoinedSources()
    for group, reading in zip(groups, readings, strict=True):
        if reading.content:
            sources.unite(first.setdefault(reading.content, group), group)
    return [sources.find(group) for group in groups]


def _check_copies(videos: Sequence[LabelledVideo], readings: Sequence[Reading]) -> None:
    first: dict[str, LabelledVideo] = {}
    for video, reading in zip(videos, readings, strict=True):
        other = first.setdefault(reading.content, video) if reading.content else video
        if other.labels != video.labels:
            raise UsageError(
                f"{other.path} and {video.path} are copies of one video, labelled {other.labels[0]!r} and "
                f"{video.labels[0]!r}.",
                "Correct one label or delete one copy.",
            )

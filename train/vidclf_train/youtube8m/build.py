"""From shards of YouTube-8M to one packed dataset: a balanced subset of classes, and all their other videos.

The shards are read twice: once to see which videos there are, once to write them. So memory holds a few
hundred bytes per video of the classes, and never their vectors.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import DatasetWriter, Split, write_dataset
from vidclf_cli.errors import UsageError
from vidclf_train.youtube8m.examples import AUDIO_DIMENSION, VISUAL_DIMENSION, Video
from vidclf_train.youtube8m.members import Classes, Tally, read_members
from vidclf_train.youtube8m.sampling import assign_splits, draw

VISUAL_SPACE = "youtube8m/inception@2018/visual"
AUDIO_SPACE = "youtube8m/vggish@2018/audio"
_DIMENSIONS = {VISUAL_SPACE: VISUAL_DIMENSION, AUDIO_SPACE: AUDIO_DIMENSION}
_BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """How many videos a class has, and what they are for."""

    name: str
    found: int
    sampled: int
    train: int
    validation: int
    test: int
    rest: int


@dataclass(frozen=True, slots=True)
class Built:
    """What a build gave.

    Attributes:
        classes: In the order that was asked for, those without a video included.
        tally: What was met on the way.
    """

    classes: tuple[ClassCounts, ...]
    tally: Tally


def build(
    shards: Callable[[], Iterable[Path]],
    classes: Classes,
    path: Path,
    *,
    per_class: int,
    seed: int,
    say: Callable[[str], None],
) -> Built:
    """Write the dataset.

    Args:
        shards: Called once per pass over the files.
        classes: Which videos are wanted.
        path: The packed file; it appears only when whole.
        per_class: At most so many videos of a class are sampled and split 8:1:1; 0 takes all.
        seed: Decides which ones.
        say: Takes one line about each trouble.

    Raises:
        UsageError: Fewer than two classes have a video, or a shard changed between the passes.
        OutputError: The file cannot be written.
    """
    tally = Tally(say)
    numbers, draws = array("B"), array("Q")
    for video, number in read_members(shards(), classes, tally):
        numbers.append(number)
        draws.append(draw(video.id, seed))
    class_numbers = np.array(numbers, np.uint8)
    splits = assign_splits(class_numbers, np.array(draws, np.uint64), per_class)
    counts = _count(classes, class_numbers, splits)
    labels = [each.name for each in counts if each.found]
    if len(labels) < 2:
        raise UsageError(_nothing_to_learn(labels, tally), "Get more shards, or ask for other classes.")
    kept = {classes.names.index(label): target for target, label in enumerate(labels)}
    again = read_members(shards(), classes, Tally(_say_nothing))
    with write_dataset(path, _DIMENSIONS, "single", labels, has_splits=True) as writer:
        row_count = 0
        while block := list(islice(again, _BLOCK_ROWS)):
            rows = slice(row_count, row_count + len(block))
            found = [(number, draw(video.id, seed)) for video, number in block]
            if found != list(zip(numbers[rows], draws[rows], strict=True)):
                break
            _append(writer, block, kept, splits[rows])
            row_count += len(block)
        if row_count != len(splits):
            raise UsageError("The shards changed while they were read.", "Run it again when they are whole.")
    return Built(counts, tally)


def _append(
    writer: DatasetWriter, block: list[tuple[Video, int]], kept: dict[int, int], splits: NDArray[np.uint8]
) -> None:
    ids = [video.id for video, _ in block]
    writer.append(
        {
            VISUAL_SPACE: np.stack([video.visual for video, _ in block]),
            AUDIO_SPACE: np.stack([video.audio for video, _ in block]),
        },
        targets=np.array([kept[number] for _, number in block], np.int32),
        ids=ids,
        groups=ids,
        splits=splits,
    )


def _count(
    classes: Classes, numbers: NDArray[np.uint8], splits: NDArray[np.uint8]
) -> tuple[ClassCounts, ...]:
    rows = []
    for number, name in enumerate(classes.names):
        sizes = np.bincount(splits[numbers == number], minlength=len(Split))
        train, validation, test, rest = (int(sizes[split]) for split in Split)
        found = train + validation + test + rest
        rows.append(ClassCounts(name, found, found - rest, train, validation, test, rest))
    return tuple(rows)


def _nothing_to_learn(labels: list[str], tally: Tally) -> str:
    read = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.items()) or "none"
    return f"{f'Only {labels[0]!r}' if labels else 'No class'} has a video in these shards (read: {read})."


def _say_nothing(_line: str) -> None:
    """The second pass meets the same trouble as the first."""

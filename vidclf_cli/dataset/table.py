"""Labelled vectors as they travel: in memory, or with vectors that stay in a file until they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import UsageError
from vidclf_cli.scoring import Task

_BLOCK_BYTES = 16 << 20


class Split(IntEnum):
    """What a row is for, where the maker of the data says so."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    REST = 3
    """Not among the balanced subset; with `TEST` it is the large test set."""


class Rows(Protocol):
    """A table of vectors of which parts can be read: an array, or a dataset in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, dimension)."""

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> NDArray[np.float32]:
        """Return some rows: a slice, or ascending row numbers without duplicates."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled vectors.

    Attributes:
        labels: At least two, in the order of the targets' numbers.
        task: One label per row, or any number of them.
        ids: What each row is called, in messages and lists of mistakes.
        targets: Label numbers, shape (rows,), for `single`; zeros and ones (rows, labels) for `multi`.
        groups: The source of each row; rows of one source stay on one side of a split.
        vectors: Space id to its rows; a row of zeros says that the video has nothing there.
        splits: A `Split` per row, or None where the maker of the data did not say.
    """

    labels: tuple[str, ...]
    task: Task
    ids: Sequence[str]
    targets: NDArray[np.int32] | NDArray[np.uint8]
    groups: Sequence[str]
    vectors: Mapping[str, Rows]
    splits: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)

    @property
    def byte_count(self) -> int:
        """How much memory all vectors take as float32."""
        return sum(4 * math.prod(rows.shape) for rows in self.vectors.values())

    def load(self, rows: slice | NDArray[np.int64] | None = None) -> Dataset:
        """Return these rows (all by default; ascending) with vectors that are arrays in memory.

        Raises:
            UsageError: The file is damaged, or a vector has numbers that are not finite.
        """
        chosen: slice | NDArray[np.int64] = slice(None) if rows is None else rows
        numbers = np.arange(len(self))[chosen]
        return Dataset(
            labels=self.labels,
            task=self.task,
            ids=[self.ids[number] for number in numbers],
            targets=self.targets[numbers],
            groups=[self.groups[number] for number in numbers],
            vectors={space: np.asarray(table[chosen], np.float32) for space, table in self.vectors.items()},
            splits=None if self.splits is None else self.splits[numbers],
        )

    def of_spaces(self, spaces: Sequence[str]) -> Dataset:
        """Return the same rows with the vectors of these spaces only, in this order.

        Raises:
            UsageError: One of them is not there.
        """
        for space in spaces:
            if space not in self.vectors:
                raise UsageError(
                    f"There are no vectors of {space!r} in the data.",
                    f"It holds {', '.join(self.vectors)}.",
                )
        chosen = {space: self.vectors[space] for space in spaces}
        return Dataset(self.labels, self.task, self.ids, self.targets, self.groups, chosen, self.splits)


def empty_rows(dataset: Dataset) -> NDArray[np.int64]:
    """Return the numbers of the rows that have nothing in any space: all zeros. Reads block by block.

    Raises:
        UsageError: The file is damaged, or a vector has numbers that are not finite.
    """
    row_bytes = dataset.byte_count // max(1, len(dataset))
    step = max(1, _BLOCK_BYTES // max(1, row_bytes))
    is_empty = np.ones(len(dataset), bool)
    for begin in range(0, len(dataset), step):
        rows = slice(begin, begin + step)
        for space, table in dataset.vectors.items():
            values = np.asarray(table[rows])
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if bad.size:
                raise UsageError(
                    f"The vector of {dataset.ids[begin + int(bad[0])]} in {space!r} holds numbers that are "
                    "not finite.",
                    "Leave such rows out, or embed them again.",
                )
            is_empty[rows] &= ~values.any(axis=1)
    return np.flatnonzero(is_empty)

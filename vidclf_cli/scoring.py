"""What decides between labels: a classifier file, or labels given as words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Task = Literal["single", "multi"]
"""One label per video, or any number of them."""

Vectors = Mapping[str, NDArray[np.float32]]
"""Space id to an array of shape (rows, dimension); a row of zeros says that the video has nothing there."""


class Scorer(Protocol):
    """Turns batches of vectors into probabilities, and says from when on they are to be believed."""

    @property
    def name(self) -> str:
        """Name @ first 12 of a SHA-256, for the `model` column."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `probabilities`."""

    @property
    def task(self) -> Task:
        """Whether the probabilities of a row exclude each other (`single`) or not (`multi`)."""

    @property
    def spaces(self) -> tuple[str, ...]:
        """Ids of the spaces that are read."""

    @property
    def required_spaces(self) -> tuple[str, ...]:
        """Those of `spaces` without which nothing can be said."""

    @property
    def min_confidence(self) -> float:
        """Below it the answer is unknown, where the user says nothing else."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Labels whose own bar differs from `min_confidence`."""

    def probabilities(self, vectors: Vectors) -> NDArray[np.float32]:
        """Score a batch.

        Args:
            vectors: Arrays of the same number of rows; a space that is absent counts as rows of zeros.

        Returns:
            Calibrated probabilities, shape (rows, labels).
        """


def has_evidence(scorer: Scorer, vectors: Vectors) -> NDArray[np.bool_]:
    """Tell for each row whether the scorer has anything to go by.

    Returns:
        Shape (rows,): True where some space is not all zeros, and every required one.
    """
    row_count = count_rows(vectors)
    present = {space: vectors[space].any(axis=1) for space in scorer.spaces if space in vectors}
    nothing = np.zeros(row_count, bool)
    some = np.logical_or.reduce([nothing, *present.values()])
    needed = [present.get(space, nothing) for space in scorer.required_spaces]
    result: NDArray[np.bool_] = np.logical_and.reduce([some, *needed])
    return result


def count_rows(vectors: Vectors) -> int:
    """Return the number of rows that all arrays have.

    Raises:
        ValueError: They differ, or there is no array at all.
    """
    counts = {len(rows) for rows in vectors.values()}
    if len(counts) != 1:
        raise ValueError(f"arrays of one batch need the same number of rows, not {sorted(counts)}")
    return counts.pop()

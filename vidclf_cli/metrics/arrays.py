"""The arrays that every measure takes: checked once, in the same way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
Targets = NDArray[np.integer[Any]]
Bars = float | ArrayLike
"""From which probability on a label is given: one number, or one per label."""


def checked(probabilities: ArrayLike, targets: ArrayLike) -> tuple[Floats, Targets]:
    """Return both as arrays that fit each other.

    Raises:
        ValueError: They do not, have no rows, or hold something else than they should.
    """
    scores = np.asarray(probabilities)
    truth = np.asarray(targets)
    if scores.ndim != 2 or not scores.shape[0] or not scores.shape[1]:
        raise ValueError(f"probabilities need the shape (rows, labels), not {scores.shape}")
    if scores.dtype.kind != "f":
        scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("probabilities hold numbers that are not finite")
    if truth.dtype.kind not in "iub":
        raise ValueError(f"targets must be whole numbers, not {truth.dtype}")
    if truth.ndim == 1 and truth.shape == scores.shape[:1]:
        least, most = 0, scores.shape[1] - 1
    elif truth.shape == scores.shape:
        least, most = 0, 1
    else:
        raise ValueError(f"targets of the shape {truth.shape} do not fit probabilities of {scores.shape}")
    if truth.min() < least or truth.max() > most:
        raise ValueError(f"targets go from {truth.min()} to {truth.max()}, and may from {least} to {most}")
    return scores, truth.astype(np.int8 if truth.dtype.kind == "b" else truth.dtype, copy=False)


def of_one_label(probabilities: ArrayLike, targets: ArrayLike) -> tuple[Floats, Targets]:
    """Return both checked, where each row has one label.

    Raises:
        ValueError: As `checked`, or rows have any number of labels.
    """
    scores, truth = checked(probabilities, targets)
    if truth.ndim != 1:
        raise ValueError("this measure is for one label per row")
    return scores, truth


def marks(targets: Targets, label_count: int) -> NDArray[np.bool_]:
    """Return which labels each row has, shape (rows, labels)."""
    if targets.ndim == 2:
        return targets.astype(bool)
    return np.asarray(targets[:, None] == np.arange(label_count), bool)


def given_labels(probabilities: Floats, targets: Targets, bars: Bars) -> NDArray[np.bool_]:
    """Return which labels are given to each row, shape (rows, labels).

    Where each row has one label it is the most probable one (the first of equals), whatever the bars. Bars
    are compared in the probabilities' own precision, as `Decision` does: 0.7 reaches a bar of 0.7.
    """
    if targets.ndim == 2:
        return np.asarray(probabilities >= np.asarray(bars, probabilities.dtype), bool)
    return marks(probabilities.argmax(axis=1), probabilities.shape[1])


def json_list(values: Floats) -> list[float | None]:
    """Return numbers as JSON can hold them: None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in values.tolist()]

"""Whether a confidence of 0.8 is right in 8 of 10 cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidclf_cli.metrics.arrays import checked, json_list

BIN_COUNT = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """The bins of a reliability diagram; the k-th is ((k - 1) / bins, k / bins].

    Attributes:
        counts: Decisions per bin, shape (bins,).
        confidence: Their mean confidence; NaN where there are none.
        accuracy: The share of them that is right; NaN where there are none.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """The expected calibration error: the bins' gaps, weighted by their counts."""
        gaps = np.abs(np.nan_to_num(self.confidence) - np.nan_to_num(self.accuracy))
        return float((gaps * self.counts).sum() / self.counts.sum())

    def to_dict(self) -> dict[str, list[Any]]:
        """Return what JSON can hold: lists, None for empty bins."""
        return {
            "counts": self.counts.tolist(),
            "confidence": json_list(self.confidence),
            "accuracy": json_list(self.accuracy),
        }


def reliability(probabilities: ArrayLike, targets: ArrayLike, *, bin_count: int = BIN_COUNT) -> Reliability:
    """Sort decisions into bins of equal width by their confidence.

    Where each row has one label, a decision is a row's most probable label; else it is each label of
    each row, and right means that the row has it.
    """
    scores, truth = checked(probabilities, targets)
    if truth.ndim == 1:
        confidence, correct = scores.max(axis=1), scores.argmax(axis=1) == truth
    else:
        confidence, correct = scores.ravel(), truth.ravel() != 0
    bins = np.clip(np.ceil(confidence.astype(np.float64) * bin_count).astype(np.int64) - 1, 0, bin_count - 1)
    counts = np.bincount(bins, minlength=bin_count)
    with np.errstate(invalid="ignore"):
        return Reliability(
            counts=counts,
            confidence=np.bincount(bins, confidence, bin_count) / counts,
            accuracy=np.bincount(bins, correct, bin_count) / counts,
        )


def calibration_error(probabilities: ArrayLike, targets: ArrayLike, *, bin_count: int = BIN_COUNT) -> float:
    """Return the expected calibration error, 0 to 1 (Guo et al. 2017, equation 3, with 15 bins).

    Where rows have any number of labels it is taken over all labels of all rows.
    """
    return reliability(probabilities, targets, bin_count=bin_count).error

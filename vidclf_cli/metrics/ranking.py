"""Measures of the order: average precision per label, and over everything that is said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidclf_cli.metrics.arrays import Floats, Targets, checked, marks
from vidclf_cli.metrics.bootstrap import Resampling

TOP = 20
"""Labels per row that count for GAP, as in the YouTube-8M challenge."""

_MOST_STEPS = 512
"""For intervals only: precision is looked at after so many shares of the positives, at most."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Entries by falling confidence; entries of equal confidence are one step.

    Attributes:
        order: Numbers of the entries, best first, shape (entries,).
        ends: Where each step ends in that order (inclusive), shape (steps,).
        hits: How many of the entries up to there are right, shape (steps,).
        total: Right ones in all, those that are no entries too.
    """

    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    hits: NDArray[np.int64]
    total: int

    @classmethod
    def of(cls, confidence: Floats, correct: NDArray[np.bool_], total: int | None = None) -> Ranked:
        """Sort entries, both arrays of shape (entries,)."""
        order = np.argsort(-confidence, kind="stable")
        falling = confidence[order]
        ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
        hits = np.cumsum(correct[order], dtype=np.int64)[ends]
        return cls(order, ends, hits, int(hits[-1]) if total is None else total)

    @property
    def average_precision(self) -> float:
        """The sum over the steps of precision times the recall that the step adds; NaN without positives."""
        if not self.total:
            return float("nan")
        gains = np.diff(self.hits, prepend=0)
        return float((gains * (self.hits / (self.ends + 1))).sum() / self.total)

    def samples(
        self, resampling: Resampling, entry_units: NDArray[np.int64], correct: NDArray[np.bool_],
        totals: NDArray[np.float64],
    ) -> NDArray[np.float64]:  # fmt: skip
        """Return the average precision of every sample, shape (samples,); NaN for those without positives.

        Steps are put together where there are more than 512 with positives. What that changes is taken
        off, so that the figure of all rows stays what it is.

        Args:
            resampling: The samples.
            entry_units: The unit of each entry.
            correct: Whether each entry is right.
            totals: Right ones in all of every sample, shape (samples,).
        """
        if not self.total:
            return np.full(len(totals), np.nan)
        gains = np.diff(self.hits, prepend=0)
        # A step without positives belongs to the next one with some: precision is read behind that one.
        before = self.hits - gains
        steps = before * min(_MOST_STEPS, self.total) // self.total
        cells = np.empty(len(self.order), np.int64)
        cells[self.order] = np.repeat(steps, np.diff(self.ends, prepend=-1))
        count = int(cells.max()) + 1
        seen = resampling.sums_of(entry_units, cells, count)
        hits = resampling.sums_of(entry_units[correct], cells[correct], count)
        merged = _from_steps(
            np.bincount(cells, minlength=count)[None].astype(np.float64),
            np.bincount(cells[correct], minlength=count)[None].astype(np.float64),
            np.array([self.total], np.float64),
        )[0]
        drawn = _from_steps(seen, hits, totals)
        return drawn + (self.average_precision - float(merged))


def average_precision(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Return the average precision of one ranking (Manning et al. 2008, chapter 8; ties are one step).

    Args:
        confidence: Shape (rows,).
        correct: Whether each row is a positive, shape (rows,).

    Returns:
        0 to 1; NaN without positives.
    """
    return Ranked.of(np.asarray(confidence), np.asarray(correct, bool)).average_precision


def mean_average_precision(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the mean over labels of the average precision; labels that no row has are left out."""
    scores, truth = checked(probabilities, targets)
    has = marks(truth, scores.shape[1])
    values = [
        average_precision(scores[:, label], has[:, label])
        for label in range(scores.shape[1])
        if has[:, label].any()
    ]
    return float(np.mean(values)) if values else float("nan")


def global_average_precision(probabilities: ArrayLike, targets: ArrayLike, *, top: int = TOP) -> float:
    """Return GAP@20: the average precision of the `top` labels of all rows in one ranking.

    GAP = sum over i of p(i) * (r(i) - r(i - 1)), with precision p and recall r after the i-th entry and
    recall counted against all labels of all rows (YouTube-8M video understanding challenge 2017; the same as
    `calculate_gap` of google/youtube-8m, which puts entries of equal confidence in random order: here they
    are one step, so that no order matters).

    Returns:
        0 to 1; NaN where no row has a label.
    """
    scores, truth = checked(probabilities, targets)
    _, confidence, correct = top_entries(scores, truth, top)
    total = truth.size if truth.ndim == 1 else int(np.count_nonzero(truth))
    return Ranked.of(confidence, correct, total).average_precision


def top_entries(
    probabilities: Floats, targets: Targets, top: int = TOP
) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]:
    """Return row, confidence and rightness of each row's most probable labels, each of shape (entries,)."""
    row_count, label_count = probabilities.shape
    kept = min(top, label_count)
    has = marks(targets, label_count)
    rows = np.repeat(np.arange(row_count), kept)
    if kept == label_count:
        return rows, probabilities.ravel(), has.ravel()
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :kept].ravel()
    return rows, probabilities[rows, best], has[rows, best]


def _from_steps(
    seen: NDArray[np.float64], hits: NDArray[np.float64], totals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return average precision from counts per step, shape (samples, steps)."""
    found = np.cumsum(hits, axis=1)
    looked_at = np.maximum(np.cumsum(seen, axis=1), 1)
    value = (hits * (found / looked_at)).sum(axis=1) / np.maximum(totals, 1)
    return np.asarray(np.where(totals > 0, value, np.nan), np.float64)

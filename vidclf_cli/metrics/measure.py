"""All measures of one set of rows together, the headline figures with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidclf_cli.metrics.arrays import Bars, Floats, Targets, checked, given_labels
from vidclf_cli.metrics.bootstrap import (
    RESAMPLE_COUNT,
    Estimate,
    Groups,
    Resampling,
    number_groups,
    share_estimate,
)
from vidclf_cli.metrics.calibration import Reliability, reliability
from vidclf_cli.metrics.decisions import LabelTable, Tallies, per_label, tallies
from vidclf_cli.metrics.ranking import Ranked, top_entries
from vidclf_cli.scoring import Task


@dataclass(frozen=True, slots=True)
class Answered:
    """What is answered where the rest stays unknown.

    Attributes:
        count: Rows that get a label.
        unknown_count: Rows that get none.
        precision: The share of the labels given that is right, with its interval; NaN where none is given.
    """

    count: int
    unknown_count: int
    precision: Estimate

    @classmethod
    def of(
        cls,
        rows: NDArray[np.int64],
        right: NDArray[np.bool_],
        row_count: int,
        groups: Groups | None = None,
    ) -> Answered:
        """Count what `given_rows` found in so many rows, of which each is of a group."""
        count = len(np.unique(rows))
        sources = number_groups(row_count, groups)[0][rows]
        return cls(count, row_count - count, share_estimate(right, sources))

    @property
    def accuracy(self) -> float:
        """The share of the labels given that is right; NaN where none is given."""
        return self.precision.value

    @property
    def coverage(self) -> float:
        """The share of rows that get a label."""
        return self.count / (self.count + self.unknown_count)

    def to_dict(self) -> dict[str, float | None]:
        """Return what JSON can hold."""
        precision = self.precision.to_dict()
        return {
            "count": self.count,
            "unknown_count": self.unknown_count,
            "coverage": self.coverage,
            "accuracy": precision["value"],
            "accuracy_low": precision["low"],
            "accuracy_high": precision["high"],
        }


@dataclass(frozen=True, slots=True)
class Metrics:
    """How good a classifier is on some rows.

    Attributes:
        task: Whether each row has one label, or any number.
        row_count: Rows that were measured.
        group_count: Sources they are of; the intervals draw these.
        figures: Name to figure with interval. For `single`: `accuracy`, `balanced_accuracy`, `macro_f1`,
            of the most probable label; for `multi`: `mean_average_precision`, `global_average_precision`
            (GAP@20), and `micro_f1`, `macro_f1` at the bars. What is not defined (no row has a label) is NaN.
        calibration_error: 0 to 1.
        answered: What is answered at the bars.
        reliability: The bins behind `calibration_error`.
        labels: The figures of each label.
    """

    task: Task
    row_count: int
    group_count: int
    figures: dict[str, Estimate]
    calibration_error: float
    answered: Answered
    reliability: Reliability
    labels: LabelTable

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; what is not defined is None."""
        return {
            "task": self.task,
            "row_count": self.row_count,
            "group_count": self.group_count,
            **{name: figure.to_dict() for name, figure in self.figures.items()},
            "calibration_error": self.calibration_error,
            "answered": self.answered.to_dict(),
            "reliability": self.reliability.to_dict(),
            "per_label": self.labels.to_dict(),
        }


def measure(
    probabilities: ArrayLike,
    targets: ArrayLike,
    task: Task,
    groups: Groups | None = None,
    *,
    bars: Bars | None = None,
    has_evidence: NDArray[np.bool_] | None = None,
    resample_count: int = RESAMPLE_COUNT,
    seed: int = 0,
) -> Metrics:
    """Hold probabilities against the truth.

    Args:
        probabilities: Shape (rows, labels).
        targets: As in a `Dataset`.
        task: Must be that of the targets.
        groups: The source of each row; None: every row is its own.
        bars: From which probability on a label is given, one number or one per label; None: 0 for
            `single` (all is answered), 0.5 for `multi`.
        has_evidence: Rows about which anything can be said, shape (rows,); others are unknown.
        resample_count: Samples behind each interval.
        seed: Of the intervals' random numbers.

    Raises:
        ValueError: The arrays do not fit each other or the task, have no rows, or hold NaN.
    """
    scores, truth = checked(probabilities, targets)
    if (truth.ndim == 1) != (task == "single"):
        raise ValueError(f"targets of the shape {truth.shape} are not those of the task {task!r}")
    if bars is None:
        bars = 0.0 if task == "single" else 0.5
    resampling = Resampling(len(scores), groups, resample_count=resample_count, seed=seed)
    figures = (
        _single_figures(scores, truth, resampling)
        if task == "single"
        else _multi_figures(scores, truth, np.asarray(bars), resampling)
    )
    bins = reliability(scores, truth)
    return Metrics(
        task=task,
        row_count=len(scores),
        group_count=resampling.group_count,
        figures=figures,
        calibration_error=bins.error,
        answered=answered(scores, truth, bars, groups, has_evidence=has_evidence),
        reliability=bins,
        labels=per_label(scores, truth, bars),
    )


def answered(
    probabilities: ArrayLike,
    targets: ArrayLike,
    bars: Bars,
    groups: Groups | None = None,
    *,
    has_evidence: NDArray[np.bool_] | None = None,
) -> Answered:
    """Return what is answered at some bars, and how much of it is right; arguments as for `measure`."""
    rows, right = given_rows(probabilities, targets, bars, has_evidence)
    return Answered.of(rows, right, len(np.asarray(targets)), groups)


def given_rows(
    probabilities: ArrayLike, targets: ArrayLike, bars: Bars, has_evidence: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the number of the row of every label that is given, and whether it is right; shape (given,)."""
    scores, truth = checked(probabilities, targets)
    given = given_labels(scores, truth, bars)
    if truth.ndim == 1:
        # As in `Decision`: the most probable label is held against its own bar.
        given &= scores >= np.asarray(bars, scores.dtype)
    if has_evidence is not None:
        given &= has_evidence[:, None]
    rows, labels = np.nonzero(given)
    right = truth[rows] == labels if truth.ndim == 1 else truth[rows, labels] != 0
    return rows, np.asarray(right, bool)


def _single_figures(scores: Floats, truth: Targets, resampling: Resampling) -> dict[str, Estimate]:
    count = scores.shape[1]
    best = scores.argmax(axis=1).astype(np.int64)
    right = best == truth
    support, given = (resampling.sums(numbers.astype(np.int64), count) for numbers in (truth, best))
    correct = resampling.sums_of(resampling.units[right], best[right], count)
    samples, all_rows = Tallies(support, given, correct), tallies(scores, truth)
    return {
        name: resampling.interval_of_share(float(getattr(all_rows, name)), getattr(samples, name))
        for name in ("accuracy", "balanced_accuracy", "macro_f1")
    }


def _multi_figures(
    scores: Floats, truth: Targets, bars: NDArray[np.generic], resampling: Resampling
) -> dict[str, Estimate]:
    has, given = truth != 0, given_labels(scores, truth, bars)
    support, given_counts, correct = (_sums(each, resampling) for each in (has, given, has & given))
    samples, all_rows = Tallies(support, given_counts, correct), tallies(scores, truth, bars)
    return {
        "mean_average_precision": _mean_average_precision(scores, has, support, resampling),
        "global_average_precision": _global_average_precision(scores, truth, support, resampling),
        "micro_f1": resampling.interval_of_share(float(all_rows.micro_f1), samples.micro_f1),
        "macro_f1": resampling.interval_of_share(float(all_rows.macro_f1), samples.macro_f1),
    }


def _sums(flags: NDArray[np.bool_], resampling: Resampling) -> NDArray[np.float64]:
    """Return how often each label's flag is set in every sample, shape (samples, labels)."""
    rows, labels = np.nonzero(flags)
    return resampling.sums_of(resampling.units[rows], labels.astype(np.int64), flags.shape[1])


def _mean_average_precision(
    scores: Floats, has: NDArray[np.bool_], support: NDArray[np.float64], resampling: Resampling
) -> Estimate:
    labels = np.flatnonzero(has.any(axis=0))
    if not labels.size:
        return Estimate(math.nan, math.nan, math.nan)
    value = 0.0
    sums, counts = np.zeros(len(support)), np.zeros(len(support))
    for label in labels:
        ranked = Ranked.of(scores[:, label], has[:, label])
        drawn = ranked.samples(resampling, resampling.units, has[:, label], support[:, label])
        value += ranked.average_precision / labels.size
        sums += np.nan_to_num(drawn)
        counts += np.isfinite(drawn)
    with np.errstate(invalid="ignore"):
        return resampling.interval_of_share(value, sums / counts)


def _global_average_precision(
    scores: Floats, truth: Targets, support: NDArray[np.float64], resampling: Resampling
) -> Estimate:
    rows, confidence, correct = top_entries(scores, truth)
    ranked = Ranked.of(confidence, correct, int(np.count_nonzero(truth)))
    drawn = ranked.samples(resampling, resampling.units[rows], correct, support.sum(axis=1))
    return resampling.interval_of_share(ranked.average_precision, drawn)

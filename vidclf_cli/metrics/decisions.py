"""Measures of what is given: accuracy, precision, recall, F1, confusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidclf_cli.metrics.arrays import (
    Bars,
    Floats,
    Targets,
    checked,
    given_labels,
    json_list,
    marks,
    of_one_label,
)
from vidclf_cli.metrics.ranking import average_precision


@dataclass(frozen=True, slots=True)
class Tallies:
    """What accuracy, recall and F1 are made of; arrays of shape (..., labels).

    Attributes:
        support: How many rows have each label.
        given: To how many it is given.
        correct: To how many of those rightly.
    """

    support: NDArray[np.float64]
    given: NDArray[np.float64]
    correct: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The share of rows that are right, where each has one label; shape (...)."""
        return _ratio(self.correct.sum(-1), self.support.sum(-1))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Per label; NaN where no row has it."""
        return _ratio(self.correct, self.support)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Per label; NaN where it is given to no row."""
        return _ratio(self.correct, self.given)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Per label, 2 correct / (support + given); NaN where no row has it."""
        return np.where(self.support > 0, _ratio(2 * self.correct, self.support + self.given), np.nan)

    @property
    def balanced_accuracy(self) -> NDArray[np.float64]:
        """The mean recall of the labels that some row has; shape (...)."""
        return _mean_known(self.recall)

    @property
    def macro_f1(self) -> NDArray[np.float64]:
        """The mean F1 of the labels that some row has; shape (...)."""
        return _mean_known(self.f1)

    @property
    def micro_f1(self) -> NDArray[np.float64]:
        """F1 of all labels counted together; shape (...); 0 where nothing is there and nothing given."""
        both = self.support.sum(-1) + self.given.sum(-1)
        return np.nan_to_num(_ratio(2 * self.correct.sum(-1), both))


@dataclass(frozen=True, slots=True)
class LabelTable:
    """One entry per label, arrays of shape (labels,).

    Attributes:
        count: Rows that have it.
        given: Rows it is given to: as the most probable label, or at its bar where rows have any number.
        precision: NaN where it is given to no row.
        recall: NaN where no row has it.
        f1: NaN where no row has it.
        average_precision: NaN where no row has it.
        mean_confidence: Of the rows it is given to: above `precision` it promises too much; NaN for none.
    """

    count: NDArray[np.int64]
    given: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    average_precision: NDArray[np.float64]
    mean_confidence: NDArray[np.float64]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return what JSON can hold: a list per column, None for NaN."""
        return {
            "count": self.count.tolist(),
            "given": self.given.tolist(),
            "precision": json_list(self.precision),
            "recall": json_list(self.recall),
            "f1": json_list(self.f1),
            "average_precision": json_list(self.average_precision),
            "mean_confidence": json_list(self.mean_confidence),
        }


def accuracy(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the share of rows whose most probable label is theirs (the first of equals counts)."""
    scores, truth = of_one_label(probabilities, targets)
    return float((scores.argmax(axis=1) == truth).mean())


def balanced_accuracy(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the mean recall of the labels that some row has (Brodersen et al. 2010)."""
    return float(tallies(*of_one_label(probabilities, targets)).balanced_accuracy)


def macro_f1(probabilities: ArrayLike, targets: ArrayLike, bars: Bars = 0.5) -> float:
    """Return the mean F1 of the labels that some row has.

    A label that no row has is left out; giving it still costs the recall of the right one.

    Args:
        probabilities: Shape (rows, labels).
        targets: As in a `Dataset`.
        bars: From when on a label is given, where rows have any number of labels.
    """
    return float(tallies(*checked(probabilities, targets), bars).macro_f1)


def micro_f1(probabilities: ArrayLike, targets: ArrayLike, bars: Bars = 0.5) -> float:
    """Return the F1 of all labels of all rows counted together; arguments as for `macro_f1`."""
    return float(tallies(*checked(probabilities, targets), bars).micro_f1)


def confusion_counts(probabilities: ArrayLike, targets: ArrayLike) -> NDArray[np.int64]:
    """Return how many rows of each label (first axis) got which label (second), shape (labels, labels)."""
    scores, truth = of_one_label(probabilities, targets)
    count = scores.shape[1]
    cells = truth.astype(np.int64) * count + scores.argmax(axis=1)
    return np.bincount(cells, minlength=count * count).reshape(count, count)


def per_label(probabilities: ArrayLike, targets: ArrayLike, bars: Bars = 0.5) -> LabelTable:
    """Return the figures of each label; arguments as for `macro_f1`."""
    scores, truth = checked(probabilities, targets)
    counted = tallies(scores, truth, bars)
    given = given_labels(scores, truth, bars)
    columns = range(scores.shape[1])
    return LabelTable(
        count=counted.support.astype(np.int64),
        given=counted.given.astype(np.int64),
        precision=counted.precision,
        recall=counted.recall,
        f1=counted.f1,
        average_precision=np.array(
            [average_precision(scores[:, label], _has(truth, label)) for label in columns]
        ),
        mean_confidence=_ratio(
            np.array([scores[given[:, label], label].sum(dtype=np.float64) for label in columns]),
            counted.given,
        ),
    )


def tallies(probabilities: Floats, targets: Targets, bars: Bars = 0.5) -> Tallies:
    """Count support, given and correct of each label, shape (labels,); the arrays are checked before."""
    count = probabilities.shape[1]
    if targets.ndim == 2:
        given = given_labels(probabilities, targets, bars)
        truth = marks(targets, count)
        parts = truth.sum(axis=0), given.sum(axis=0), (truth & given).sum(axis=0)
    else:
        best = probabilities.argmax(axis=1)
        right = best[best == targets]
        parts = (
            np.bincount(targets, minlength=count),
            np.bincount(best, minlength=count),
            np.bincount(right, minlength=count),
        )
    support, given_count, correct = (part.astype(np.float64) for part in parts)
    return Tallies(support, given_count, correct)


def _has(targets: Targets, label: int) -> NDArray[np.bool_]:
    return np.asarray(targets[:, label] != 0 if targets.ndim == 2 else targets == label, bool)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; NaN where the whole is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))


def _mean_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0).sum(-1), known.sum(-1).astype(np.float64))

"""Targets of labelled data by the label numbers of a classifier that was made from other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.scoring import Task
from vidclf_cli.wording import some


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that cannot be measured: the classifier has none of their labels.

    Attributes:
        ids: What they are called.
        labels: Each label of the data that the classifier does not have, with its number of rows.
    """

    ids: tuple[str, ...]
    labels: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Rows that can be measured.

    Attributes:
        rows: Their numbers in the data, ascending.
        targets: By the classifier's labels: numbers of shape (rows,) for `single`, zeros and ones of shape
            (rows, labels) for `multi`.
        left_out: The others.
    """

    rows: NDArray[np.int64]
    targets: NDArray[np.int32] | NDArray[np.uint8]
    left_out: LeftOut


def align(dataset: Dataset, rows: NDArray[np.int64], labels: Sequence[str], task: Task, name: str) -> Aligned:
    """Number the labels of some rows as a classifier does.

    A row is left out when it has labels, and the classifier none of them. Of rows with several labels those
    that the classifier does not have are passed over; they are counted in `left_out.labels` all the same.

    Args:
        dataset: The data.
        rows: Row numbers, ascending.
        labels: The classifier's.
        task: The classifier's; data with one label per row serves for `multi`, too.
        name: The classifier's, for messages.

    Raises:
        UsageError: No row has a label of the classifier, or one has several (or none) for `single`.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    columns = np.array([numbers.get(label, -1) for label in dataset.labels], np.int64)
    if task == "single":
        own = _one_label_each(dataset, rows, name)
        counts = np.bincount(own, minlength=len(columns))
        kept = np.asarray(columns[own] >= 0)
    else:
        marks = _marks(dataset, rows)
        counts = marks.sum(axis=0, dtype=np.int64)
        kept = np.asarray(marks[:, columns >= 0].any(axis=1) | ~marks.any(axis=1))
    strange = {
        label: int(count)
        for label, column, count in zip(dataset.labels, columns, counts, strict=True)
        if column < 0 and count
    }
    if not kept.any():
        raise no_common_label(name, labels, list(strange))
    left_out = LeftOut(tuple(dataset.ids[row] for row in rows[~kept]), strange)
    if task == "single":
        return Aligned(rows[kept], columns[own[kept]].astype(np.int32), left_out)
    targets = np.zeros((int(kept.sum()), len(labels)), np.uint8)
    targets[:, columns[columns >= 0]] = marks[np.ix_(kept, columns >= 0)]
    return Aligned(rows[kept], targets, left_out)


def _one_label_each(dataset: Dataset, rows: NDArray[np.int64], name: str) -> NDArray[np.int32]:
    """Return the rows' label numbers in the data."""
    targets = dataset.targets[rows]
    if targets.ndim == 1:
        return targets.astype(np.int32, copy=False)
    counts = targets.sum(axis=1, dtype=np.int64)
    if (counts != 1).any():
        at = int(np.flatnonzero(counts != 1)[0])
        raise UsageError(
            f"{dataset.ids[rows[at]]} has {counts[at]} labels, and {name} gives each video one.",
            "Measure it on data with one label each, or train a classifier that gives several.",
        )
    return np.asarray(targets.argmax(axis=1), np.int32)


def _marks(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return which labels of the data each row has, shape (rows, labels)."""
    targets = dataset.targets[rows]
    if targets.ndim == 2:
        return targets.astype(np.uint8, copy=False)
    marks = np.zeros((len(rows), len(dataset.labels)), np.uint8)
    marks[np.arange(len(rows)), targets] = 1
    return marks


def no_common_label(name: str, labels: Sequence[str], strange: Sequence[str]) -> UsageError:
    """Return the refusal of data that a classifier has no label of.

    Args:
        name: The classifier's.
        labels: The classifier's.
        strange: Those of the data.
    """
    return UsageError(
        f"{name} has none of the labels of the data ({some(strange)}).",
        f"It has {some(labels)}; upper and lower case differ.",
    )

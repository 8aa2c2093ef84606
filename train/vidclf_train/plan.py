"""Which rows train, which are held out, which test: decided once, before anything is fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset, Split
from vidclf_cli.errors import UsageError
from vidclf_train.dataset import some_names
from vidclf_train.recipe import Recipe
from vidclf_train.split import grouped_folds, grouped_split

Numbers = NDArray[np.int64]

MOST_CROSS_VALIDATED_ROWS = 20_000
"""With more rows one validation part tells heads apart just as well, at a fraction of the time."""

_SHARES = (8.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to train on, and rows that what was trained is held against."""

    train: Numbers
    held_out: Numbers


@dataclass(frozen=True, slots=True)
class Plan:
    """What every row is for.

    Attributes:
        folds: One for a plain validation part; in a cross-validation no row is held out twice.
        final: Rows that the heads are trained on again after a cross-validation; None: what the
            fold gave is kept.
        test: Rows that nothing is fitted or chosen on; may be empty.
        description: What was decided, one line.
    """

    folds: tuple[Fold, ...]
    final: Numbers | None
    test: Numbers
    description: str


def make_plan(dataset: Dataset, rows: Numbers, recipe: Recipe, seed: int) -> Plan:
    """Decide what the rows are for.

    What the data says (`splits`) comes first; else the recipe's shares are dealt by group. A recipe with
    folds holds every row out once, which small data needs, unless there are too many rows for that. Data that
    names rows to train on and none to validate with gives some of the former for that.

    Args:
        dataset: The data.
        rows: Those that can be used, ascending.
        recipe: Has the shares and the number of folds.
        seed: Of the split.

    Raises:
        UsageError: Fewer than two labels have rows to train on, or the data names no rows for it.
    """
    cross_validates = recipe.folds >= 2 and len(rows) <= MOST_CROSS_VALIDATED_ROWS
    train, validation, test, source = _parts(dataset, rows, recipe, seed, cross_validates)
    if _label_count(dataset, train) < 2:
        raise UsageError(
            "Rows of fewer than two labels are left to train on.", "Give every label at least three examples."
        )
    if cross_validates:
        final = np.union1d(train, validation)
        folds = _folds(dataset, final, recipe.folds, seed)
        if folds:
            tested = f", {len(test)} more test it" if len(test) else ""
            return Plan(
                folds, final, test, f"{len(folds)}-fold cross-validation over {len(final)} rows{tested}"
            )
    description = f"{len(train)} rows train, {len(validation)} validate, {len(test)} test ({source})"
    return Plan((Fold(train, validation),), None, test, description)


def _parts(
    dataset: Dataset, rows: Numbers, recipe: Recipe, seed: int, cross_validates: bool
) -> tuple[Numbers, Numbers, Numbers, str]:
    """Return training, validation and test rows, and who decided."""
    shares = recipe.split_shares
    if recipe.folds >= 2 and not cross_validates and not shares[1]:
        shares = _SHARES
    if dataset.splits is None:
        train, validation, test = _dealt(dataset, rows, shares, seed)
        groups = {dataset.groups[row] for row in rows}
        return train, validation, test, "by group" if len(groups) < len(rows) else "at random"
    purposes = dataset.splits[rows]
    train, validation = rows[purposes == Split.TRAIN], rows[purposes == Split.VALIDATION]
    test = rows[(purposes == Split.TEST) | (purposes == Split.REST)]
    if not len(train):
        raise UsageError(
            "The data says what each row is for, and no row that can be used is there to train on.",
            "Mark rows as training rows, or pack the data without splits.",
        )
    if len(validation) or cross_validates:
        return train, validation, test, "as the data says"
    train, validation, _ = _dealt(dataset, train, (shares[0], shares[1], 0), seed)
    return train, validation, test, "test as the data says, which names no rows to validate with"


def _dealt(
    dataset: Dataset, rows: Numbers, shares: tuple[float, float, float], seed: int
) -> tuple[Numbers, Numbers, Numbers]:
    groups = [dataset.groups[row] for row in rows]
    train, validation, test = grouped_split(groups, dataset.targets[rows], shares, seed)
    return rows[train], rows[validation], rows[test]


def _folds(dataset: Dataset, rows: Numbers, fold_count: int, seed: int) -> tuple[Fold, ...]:
    """Return the folds that hold something out; none when the data is too small for any."""
    groups = [dataset.groups[row] for row in rows]
    parts = grouped_folds(groups, dataset.targets[rows], fold_count, seed)
    folds = []
    for part in parts:
        train = np.setdiff1d(np.arange(len(rows)), part, assume_unique=True)
        if len(part) and len(train) >= 2:
            folds.append(Fold(rows[train], rows[part]))
    return tuple(folds)


def held_out_rows(plan: Plan) -> Numbers:
    """Return the numbers of all held-out rows, in the order of the folds."""
    return np.concatenate([np.empty(0, np.int64), *(fold.held_out for fold in plan.folds)])


def blind_spots(dataset: Dataset, plan: Plan) -> tuple[str, ...]:
    """Return what a person should know about what cannot be learnt, or is not measured as it should be."""
    held_out = held_out_rows(plan)
    final = plan.folds[0].train if plan.final is None else plan.final
    learnt = _has_rows(dataset, final)
    everywhere = _has_all_rows(dataset, final)
    measured = _has_rows(dataset, np.concatenate([held_out, plan.test]))
    notes = []
    if not len(held_out):
        notes.append("No row could be held out: confidences are as the training left them, not calibrated.")
    if not learnt.all():
        names = some_names([dataset.labels[number] for number in np.flatnonzero(~learnt)])
        notes.append(f"Labels without a row to train on are hardly ever given: {names}.")
    if everywhere.any():
        names = some_names([dataset.labels[number] for number in np.flatnonzero(everywhere)])
        notes.append(
            f"Every row to train on has these labels, so nothing tells when one is missing: {names}."
        )
    # Only data that says itself what its rows are for can do this.
    used = {dataset.groups[row] for row in np.union1d(final, held_out)}
    if both := used & {dataset.groups[row] for row in plan.test}:
        notes.append(
            f"The data has rows of {len(both)} of the sources both to learn from and to test with, so the "
            f"figures of its test rows are too good: {some_names(sorted(both))}."
        )
    if measured.any() and (learnt & ~measured).any():
        names = some_names([dataset.labels[number] for number in np.flatnonzero(learnt & ~measured)])
        notes.append(f"No held-out row has these labels, so how well they are found is not known: {names}.")
    return tuple(notes)


def _label_count(dataset: Dataset, rows: Numbers) -> int:
    return int(_has_rows(dataset, rows).sum())


def _has_rows(dataset: Dataset, rows: Numbers) -> NDArray[np.bool_]:
    """Return which labels some of these rows have, shape (labels,)."""
    targets = dataset.targets[rows]
    if targets.ndim == 1:
        return np.bincount(targets, minlength=len(dataset.labels)) > 0
    return np.asarray(targets.any(axis=0))


def _has_all_rows(dataset: Dataset, rows: Numbers) -> NDArray[np.bool_]:
    """Return which labels all of these rows have, where a row may have several; shape (labels,)."""
    targets = dataset.targets[rows]
    if targets.ndim == 1:
        return np.zeros(len(dataset.labels), bool)
    return np.asarray(targets.all(axis=0))

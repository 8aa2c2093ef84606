"""Splits that keep the rows of one source together, and every label as evenly spread as that allows.

scikit-learn's StratifiedGroupKFold is not used: it knows no targets with several labels and no unequal parts,
and it deals a label's only source to a held-out fold like any other; no training then has that label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Targets = NDArray[np.int32] | NDArray[np.uint8]

_TRAINING = 0
_PINNED = -1


def grouped_split(
    groups: Sequence[str], targets: Targets, shares: Sequence[float] = (8, 1, 1), seed: int = 0
) -> tuple[Numbers, ...]:
    """Split into training and other parts.

    Every label that any row has is in training: a label with one group is only there. Every other part gets
    at least one group, unless training would lose a label by it.

    Args:
        groups: The source of each row; rows of one source stay together.
        targets: Label numbers (rows,), or zeros and ones (rows, labels).
        shares: Relative sizes, training first; a share of 0 gives no rows.
        seed: The same seed gives the same split.

    Returns:
        Ascending row numbers, one array per share.
    """
    table = _count(groups, targets)
    parts = _deal(table, shares, seed)
    _keep_labels_in_training(table, parts)
    for part, share in enumerate(shares):
        if share > 0 and not (parts == part).any():
            _spare_a_group(table, parts, part)
    part_of_row = parts[table.group_of_row]
    return tuple(np.flatnonzero(part_of_row == part) for part in range(len(shares)))


def grouped_folds(
    groups: Sequence[str], targets: Targets, fold_count: int, seed: int = 0
) -> tuple[Numbers, ...]:
    """Split into held-out folds for cross-validation; training for a fold is every row that is not in it.

    For every fold training has every label. Therefore some rows may be in no fold: those of a label's only
    group, for one. With fewer groups than folds some folds are empty.

    Args:
        groups: The source of each row; rows of one source stay together.
        targets: Label numbers (rows,), or zeros and ones (rows, labels).
        fold_count: At least 2.
        seed: The same seed gives the same folds.

    Returns:
        Ascending row numbers, one array per fold.
    """
    table = _count(groups, targets)
    folds = _deal(table, [1.0] * fold_count, seed)
    _pin_lonely_labels(table, folds, fold_count)
    fold_of_row = folds[table.group_of_row]
    return tuple(np.flatnonzero(fold_of_row == fold) for fold in range(fold_count))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Which group has how many rows of which label; one entry per pair that occurs.

    Attributes:
        group_of_row: Group number of each row, shape (rows,).
        sizes: Rows of each group, shape (groups,).
        pair_groups: Group number of each pair, ascending.
        pair_labels: Label number of each pair.
        pair_counts: Rows of each pair.
        totals: Rows of each label, shape (labels,).
    """

    group_of_row: Numbers
    sizes: Numbers
    pair_groups: Numbers
    pair_labels: Numbers
    pair_counts: Numbers
    totals: Numbers


def _count(groups: Sequence[str], targets: Targets) -> _Counts:
    numbers: dict[str, int] = {}
    group_of_row = np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.int64)
    if targets.ndim == 2:
        label_count = targets.shape[1]
        rows, labels = np.nonzero(targets)
    else:
        label_count = int(targets.max(initial=-1)) + 1
        rows, labels = np.arange(len(targets)), targets.astype(np.int64)
    pairs, counts = np.unique(group_of_row[rows] * max(label_count, 1) + labels, return_counts=True)
    return _Counts(
        group_of_row=group_of_row,
        sizes=np.bincount(group_of_row, minlength=len(numbers)),
        pair_groups=pairs // max(label_count, 1),
        pair_labels=pairs % max(label_count, 1),
        pair_counts=counts.astype(np.int64),
        totals=np.bincount(labels, minlength=label_count),
    )


def _deal(table: _Counts, shares: Sequence[float], seed: int) -> Numbers:
    """Return a part for each group, shape (groups,)."""
    scaled = np.asarray(shares, np.float64) / sum(shares)
    random = np.random.default_rng(seed)
    if len(table.sizes) == len(table.group_of_row):
        return _deal_rows(table, scaled, random)
    return _deal_groups(table, scaled, random)


def _deal_rows(table: _Counts, shares: NDArray[np.float64], random: np.random.Generator) -> Numbers:
    """Deal rows that are groups of their own, sorted by their rarest label; a second for a million rows.

    Parts take turns as in the method of Sainte-Lague: the n-th turn of a part is at (n + 1/2) / share, so any
    stretch of rows is shared out as evenly as whole rows can be, and so is every label.
    """
    count = len(table.sizes)
    rarity = np.argsort(np.argsort(table.totals, kind="stable"), kind="stable")
    rarest = np.full(count, len(table.totals))
    np.minimum.at(rarest, table.pair_groups, rarity[table.pair_labels])
    order = random.permutation(count)
    order = order[np.argsort(rarest[order], kind="stable")]
    turns = [(np.arange(np.ceil(count * share) + 1) + 0.5) / share for share in shares if share > 0]
    owners = np.repeat(np.flatnonzero(shares > 0), [len(each) for each in turns])
    parts = np.empty(count, np.int64)
    parts[order] = owners[np.argsort(np.concatenate(turns), kind="stable")][:count]
    return parts


def _deal_groups(table: _Counts, shares: NDArray[np.float64], random: np.random.Generator) -> Numbers:
    """Deal groups one by one, those that are the largest share of some label first.

    A group goes where it adds least to the sum over parts and labels of (rows - wanted rows)^2 / wanted rows;
    the rows of all labels together count as one more label.
    """
    count, label_count = len(table.sizes), len(table.totals)
    weight = np.zeros(count)
    np.maximum.at(weight, table.pair_groups, table.pair_counts / table.totals[table.pair_labels])
    order = random.permutation(count)
    order = order[np.argsort(-weight[order], kind="stable")]
    first = np.searchsorted(table.pair_groups, np.arange(count + 1)).tolist()
    labels, counts = table.pair_labels.tolist(), table.pair_counts.tolist()
    sizes, totals = table.sizes.tolist(), [*table.totals.tolist(), len(table.group_of_row)]
    open_parts = [part for part, share in enumerate(shares) if share > 0]
    wanted = [[share * total for total in totals] for share in shares.tolist()]
    filled = [[0] * (label_count + 1) for _ in shares]
    parts = np.empty(count, np.int64)
    for group in order.tolist():
        pairs = [(labels[pair], counts[pair]) for pair in range(first[group], first[group + 1])]
        pairs.append((label_count, sizes[group]))
        best = min(
            open_parts,
            key=lambda part: sum(
                n * (2 * filled[part][label] + n) / wanted[part][label] for label, n in pairs
            ),
        )
        for label, n in pairs:
            filled[best][label] += n
        parts[group] = best
    return parts


def _keep_labels_in_training(table: _Counts, parts: Numbers) -> None:
    """Move the smallest group of every label that training lacks into training."""
    there = np.zeros(len(table.totals), bool)
    there[table.pair_labels[parts[table.pair_groups] == _TRAINING]] = True
    parts[_smallest_groups(table, ~there)] = _TRAINING


def _spare_a_group(table: _Counts, parts: Numbers, part: int) -> None:
    """Move the smallest group that training can do without to another part, if there is one."""
    in_training = parts == _TRAINING
    of_training = in_training[table.pair_groups]
    holders = np.bincount(table.pair_labels[of_training], minlength=len(table.totals))
    needed = np.zeros(len(table.sizes), bool)
    needed[table.pair_groups[of_training & (holders[table.pair_labels] < 2)]] = True
    spare = np.flatnonzero(in_training & ~needed)
    if spare.size and np.count_nonzero(in_training) > 1:
        parts[spare[np.argmin(table.sizes[spare])]] = part


def _pin_lonely_labels(table: _Counts, folds: Numbers, fold_count: int) -> None:
    """Take the smallest group of every label that is in one fold alone out of all folds."""
    spread = np.unique(table.pair_labels * fold_count + folds[table.pair_groups]) // fold_count
    lonely = np.bincount(spread, minlength=len(table.totals)) == 1
    folds[_smallest_groups(table, lonely)] = _PINNED


def _smallest_groups(table: _Counts, labels: NDArray[np.bool_]) -> Numbers:
    """Return the smallest group of each of the marked labels that occur."""
    pairs = np.flatnonzero(labels[table.pair_labels])
    pairs = pairs[np.argsort(table.sizes[table.pair_groups[pairs]], kind="stable")]
    _, first = np.unique(table.pair_labels[pairs], return_index=True)
    return table.pair_groups[pairs[first]]

"""From which confidence on a label is right often enough, told from rows that were held out.

A label is looked at on the rows that it would be given to: those whose guess it is, or every row where rows
may have several labels. It reaches a precision at a bar when, of the rows given it there, so many are right
that with a lower precision this would happen once in five times at most: when the one-sided lower end of the
interval of 80 % is no lower (Clopper and Pearson 1934). The lowest such bar is its threshold. So 0.9 takes 16
right rows and no wrong one, 0.95 takes 32; fewer than 10 never do.

The share itself, or the (wrong + 1) / (n + 1) of conformal methods, holds on the average only, and of many
bars the luckiest is taken: of labels with 70 to 330 guesses more than a third stayed below the precision that
was asked for, with this bound one in seven (tests/test_precision.py draws such labels).

Rows of one source resemble each other, so g sources count as g rows with the same share of right ones: an
effective sample size as in survey statistics (Korn and Graubard 1998), the least that there can be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import UsageError
from vidclf_cli.metrics import Answered, given_rows
from vidclf_cli.metrics.bootstrap import Groups, number_groups
from vidclf_cli.scoring import Task
from vidclf_cli.wording import counted

TARGETS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
"""Precisions that thresholds are kept for."""

NEVER = math.inf
"""The bar of a label that is never given."""

LEAST_ROWS = 10
"""Rows below which nothing is said about a label, however low the precision that is asked for."""

_MOST_LABELS = 20_000
"""With more the thresholds stay out: the description of a file has an upper size."""

_SURENESS = 0.8
_PART_COUNT = 5
_MOST_BARS = 1000
"""Bars tried per label; of more rows some are passed over, at most 1 % of those given at one step."""

_MOST_STEPS = 10_000  # Of a continued fraction; a million rows take some hundred.
_TINY = 1e-300
_CLOSE = 1e-9  # What a user types need not be the same number to the last bit.
_TUNE = "`vidclf tune` sets them from labelled data"


@dataclass(frozen=True, slots=True)
class PrecisionTable:
    """Thresholds of labels by the precision that they reach.

    Attributes:
        targets: Precisions, ascending, between 0 and 1.
        thresholds: Label to its thresholds for the first of `targets`, ascending, as many as it reaches; a
            label that reaches none is absent.
        row_count: Rows that this was told from.
        group_count: Sources that they come from.
    """

    targets: tuple[float, ...]
    thresholds: Mapping[str, tuple[float, ...]]
    row_count: int
    group_count: int

    def bars(self, labels: Sequence[str], target: float) -> tuple[float, ...] | None:
        """Return the bar of each label at the lowest precision kept that is no lower than `target`.

        Returns:
            `NEVER` for a label that does not reach it; None when no precision as high is kept.
        """
        at = next((at for at, each in enumerate(self.targets) if each >= target - _CLOSE), None)
        if at is None:
            return None
        own = (self.thresholds.get(label, ()) for label in labels)
        return tuple(bars[at] if at < len(bars) else NEVER for bars in own)

    def reached(self, labels: Sequence[str]) -> Iterator[tuple[float, tuple[float, ...]]]:
        """Yield each precision that some label reaches, with the bar of each label."""
        for target in self.targets:
            bars = self.bars(labels, target)
            if bars is not None and any(bar != NEVER for bar in bars):
                yield target, bars

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "targets": list(self.targets),
            "thresholds": {label: list(bars) for label, bars in self.thresholds.items()},
            "rows": self.row_count,
            "sources": self.group_count,
        }


def bars_for(
    table: PrecisionTable | None, labels: Sequence[str], target: float, name: str
) -> tuple[float, ...]:
    """Return the bar of each label at a precision.

    Args:
        table: The classifier's.
        labels: The classifier's.
        target: The precision.
        name: The classifier's, for messages.

    Raises:
        UsageError: The classifier holds no thresholds for it, or no label reaches it.
    """
    if table is None:
        raise UsageError(
            f"{name} holds no thresholds by precision.",
            f"{_TUNE}: vidclf tune MODEL DATA --target-precision {target:g} --out tuned.onnx. "
            "Or give --min-confidence.",
        )
    bars = table.bars(labels, target)
    if bars is None:
        raise UsageError(
            f"{name} holds thresholds for precisions up to {table.targets[-1]:g}, not for {target:g}.",
            f"{_TUNE}, if there are enough of it.",
        )
    if all(bar == NEVER for bar in bars):
        raise none_reaches(table, labels, target, name)
    return bars


def none_reaches(table: PrecisionTable, labels: Sequence[str], target: float, name: str) -> UsageError:
    """Return the refusal of a precision that no label reaches; it names the highest that one does."""
    rows = f"{counted(table.row_count, 'row')} of {counted(table.group_count, 'source')}"
    longest = max(map(len, table.thresholds.values()), default=0)
    needed = least_right(target)
    advice = (
        f"{table.targets[longest - 1]:g} is the highest that one does"
        if longest
        else f"None reaches {table.targets[0]:g} either"
    )
    return UsageError(
        f"None of the {len(labels)} labels of {name} reaches a precision of {target:g} on {rows}.",
        f"{advice}. For {target:g} a label needs {counted(needed, 'row')} that it is given to rightly, each "
        "of a source of its own, or more of them with a wrong one.",
    )


def least_right(target: float) -> int:
    """Return how many right rows, and no wrong one, a precision takes."""
    return max(LEAST_ROWS, math.ceil(math.log(1 - _SURENESS) / math.log(target) - _CLOSE))


def fit_precision(
    probabilities: NDArray[np.float32],
    targets: NDArray[np.integer[Any]],
    labels: Sequence[str],
    task: Task,
    groups: Groups,
    *,
    has_evidence: NDArray[np.bool_] | None = None,
    grid: Sequence[float] = TARGETS,
) -> PrecisionTable | None:
    """Find the thresholds of every label on held-out rows.

    Args:
        probabilities: Shape (rows, labels).
        targets: Label numbers (rows,), or zeros and ones (rows, labels).
        labels: In the order of the columns.
        task: Of one label per row, or any number.
        groups: The source of each row.
        has_evidence: Rows about which anything can be said, shape (rows,); the others are given no label.
        grid: Precisions, ascending.

    Returns:
        None when there are no rows, or too many labels for a file to describe.
    """
    if not len(probabilities) or len(labels) > _MOST_LABELS:
        return None
    sources, source_count = number_groups(len(probabilities), groups)
    usable = np.ones(len(probabilities), bool) if has_evidence is None else has_evidence
    candidates = (_multi if task == "multi" else _single)(probabilities, targets, usable)
    found = {
        labels[number]: bars
        for number, rows, right in candidates
        if (bars := _thresholds(probabilities[rows, number], right, sources[rows], tuple(grid)))
    }
    return PrecisionTable(tuple(grid), found, len(probabilities), source_count)


def cross_checked(
    probabilities: NDArray[np.float32],
    targets: NDArray[np.integer[Any]],
    labels: Sequence[str],
    task: Task,
    groups: Groups,
    target: float,
    *,
    has_evidence: NDArray[np.bool_] | None = None,
) -> Answered:
    """Return what is answered at a precision on rows that take no part in setting their thresholds.

    A fifth of the sources at a time gets labels by thresholds from the others; arguments as for
    `fit_precision`. Without a second source nothing is answered.
    """
    sources, source_count = number_groups(len(probabilities), groups)
    usable = np.ones(len(probabilities), bool) if has_evidence is None else has_evidence
    part_of = np.random.default_rng(0).permutation(source_count) % _PART_COUNT
    found_rows, found_right = [np.empty(0, np.int64)], [np.empty(0, bool)]
    for part in range(min(_PART_COUNT, source_count)):
        inside = part_of[sources] == part
        others, own = np.flatnonzero(~inside), np.flatnonzero(inside)
        table = fit_precision(
            probabilities[others],
            targets[others],
            labels,
            task,
            sources[others],
            has_evidence=usable[others],
            grid=(target,),
        )
        bars = None if table is None else table.bars(labels, target)
        if bars is not None:
            given, right = given_rows(probabilities[own], targets[own], bars, usable[own])
            found_rows.append(own[given])
            found_right.append(right)
    return Answered.of(np.concatenate(found_rows), np.concatenate(found_right), len(probabilities), sources)


_Candidates = Iterator[tuple[int, NDArray[np.int64], NDArray[np.bool_]]]
"""Number of a label, the rows that it may be given to, and which of them have it."""


def _single(
    probabilities: NDArray[np.float32], targets: NDArray[np.integer[Any]], usable: NDArray[np.bool_]
) -> _Candidates:
    guesses = np.where(usable, probabilities.argmax(axis=1), -1)
    order = np.argsort(guesses, kind="stable")
    numbers, starts = np.unique(guesses[order], return_index=True)
    for number, rows in zip(numbers, np.split(order, starts[1:]), strict=True):
        if number >= 0:
            yield int(number), rows, targets[rows] == number


def _multi(
    probabilities: NDArray[np.float32], targets: NDArray[np.integer[Any]], usable: NDArray[np.bool_]
) -> _Candidates:
    rows = np.flatnonzero(usable)
    for number in range(probabilities.shape[1]):
        yield number, rows, targets[rows, number] != 0


def _thresholds(
    confidence: NDArray[np.float32],
    right: NDArray[np.bool_],
    sources: NDArray[np.int64],
    grid: tuple[float, ...],
) -> tuple[float, ...]:
    """Return the lowest threshold for each precision of the grid, as far as they are reached.

    Args:
        confidence: Of the rows that the label may be given to, shape (n,).
        right: Which of them have it, shape (n,).
        sources: Number of the source of each, shape (n,).
        grid: Precisions, ascending.
    """
    # Behind these most are wrong, whatever the bar: few of a million rows need to be looked at.
    most = int(2 * right.sum() / grid[0])
    if most == 0:
        return ()
    if most < len(right):
        kept = confidence >= np.partition(confidence, len(confidence) - most)[len(confidence) - most]
        confidence, right, sources = confidence[kept], right[kept], sources[kept]
    order = np.argsort(-confidence, kind="stable")
    scores = confidence[order]
    ends = _ends(scores)
    shares = (np.cumsum(right[order]) / np.arange(1, len(order) + 1))[ends]
    source_counts = _distinct_so_far(sources[order])[ends]
    found: list[float] = []
    for target in grid:
        reached = ends[_reaches(shares, source_counts, target)]
        if not reached.size:
            break
        end = int(reached[-1])
        found.append(_bar(scores[end], scores[end + 1 :][:1]))
    return tuple(found)


def _ends(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return at which rows a bar may end: rows of equal confidence are given together, or not at all."""
    is_end = np.append(scores[:-1] != scores[1:], True)
    is_end[: LEAST_ROWS - 1] = False
    ends = np.flatnonzero(is_end)
    if len(ends) <= _MOST_BARS:
        return ends
    return ends[np.unique(np.geomspace(1, len(ends), _MOST_BARS).astype(np.int64)) - 1]


def _reaches(shares: NDArray[np.float64], counts: NDArray[np.int64], target: float) -> NDArray[np.bool_]:
    """Tell for which shares of right ones among so many the lower end of the interval reaches a precision."""
    found = shares > target
    right = shares[found] * counts[found]
    found[found] = _beta(right, counts[found] - right + 1, target) <= 1 - _SURENESS + _CLOSE
    return found


def _distinct_so_far(sources: NDArray[np.int64]) -> NDArray[np.int64]:
    is_first = np.zeros(len(sources), np.int64)
    is_first[np.unique(sources, return_index=True)[1]] = 1
    return np.cumsum(is_first)


def _bar(last: np.float32, following: NDArray[np.float32]) -> float:
    """Return a bar that the last row given still passes and the one that follows does not, in few digits."""
    for scale in (1e3, 1e4, 1e5, 1e6, 1e7):
        bar = math.floor(float(last) * scale) / scale
        if np.all(following < np.float32(bar)) and np.float32(bar) <= last and bar <= 1:
            return bar
    return min(float(last), 1.0)


def _beta(a: NDArray[np.float64], b: NDArray[np.float64], x: float) -> NDArray[np.float64]:
    """Return the regularised incomplete beta function I_x(a, b) where x is below a / (a + b - 1).

    For whole numbers it is the chance of at least a successes in a + b - 1 trials. Lentz's way to the
    continued fraction of DLMF 8.17.22 (Press and others, Numerical Recipes, section 6.4).
    """
    logarithm = _log_gamma(a + b) - _log_gamma(a) - _log_gamma(b)
    front = np.exp(logarithm + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = np.ones_like(a), 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for step in range(1, _MOST_STEPS):
        for part in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            d = 1 / _away_from_zero(1 + part * d)
            c = _away_from_zero(1 + part / c)
            value = value * c * d
        if not (np.abs(c * d - 1) > _CLOSE).any():
            break
    return np.asarray(front * value)


def _log_gamma(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([math.lgamma(number) for number in numbers])


def _away_from_zero(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(numbers) > _TINY, numbers, _TINY)

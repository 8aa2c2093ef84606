"""How sure a measure is: intervals by drawing the groups of rows again and again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLE_COUNT = 1000
_MOST_UNITS = 1000
"""More groups are put together at random: an interval's width then varies by 1 / sqrt(2 * 1000), 2 %."""

Groups = Sequence[str] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: The figure itself.
        low: Lower end of the 95 % interval; NaN where all rows are of one group.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Return what JSON can hold; what is not known is None."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}


class Resampling:
    """Samples of groups, drawn with replacement: as many as there are (Efron and Tibshirani 1993, chapter 6).

    Rows of one source resemble each other, so a source is drawn as a whole; intervals that draw rows
    would be too narrow. The same groups and seed give the same samples.

    Args:
        row_count: How many rows there are.
        groups: The group of each row; None: every row is its own.
        resample_count: How many samples are drawn.
        seed: Of the random numbers.

    Attributes:
        group_count: How many groups there are.
        units: The number of each row's unit, shape (rows,): its group, or several put together.
        weights: How often each sample holds each unit, shape (samples, units).
    """

    def __init__(
        self,
        row_count: int,
        groups: Groups | None = None,
        *,
        resample_count: int = RESAMPLE_COUNT,
        seed: int = 0,
    ) -> None:
        generator = np.random.default_rng(seed)
        units, unit_count = number_groups(row_count, groups)
        self.group_count = unit_count
        if unit_count > _MOST_UNITS:
            together = generator.permutation(unit_count) % _MOST_UNITS
            units, unit_count = together[units], _MOST_UNITS
        self.units: NDArray[np.int64] = units
        shares = np.full(unit_count, 1 / unit_count)
        self.weights: NDArray[np.float32] = generator.multinomial(
            unit_count, shares, size=resample_count
        ).astype(np.float32)

    @property
    def unit_count(self) -> int:
        """How many units are drawn from."""
        return int(self.weights.shape[1])

    def sums(self, cells: NDArray[np.int64], cell_count: int) -> NDArray[np.float64]:
        """Count rows per cell in every sample.

        Args:
            cells: The cell of each row, shape (rows,).
            cell_count: How many cells there are.

        Returns:
            Shape (samples, cells).
        """
        return self.sums_of(self.units, cells, cell_count)

    def sums_of(
        self, units: NDArray[np.int64], cells: NDArray[np.int64], cell_count: int
    ) -> NDArray[np.float64]:
        """Count entries of given units per cell in every sample, shape (samples, cells)."""
        size = self.unit_count * cell_count
        table = np.bincount(units * cell_count + cells, minlength=size).reshape(-1, cell_count)
        return np.asarray(self.weights @ table.astype(np.float32), np.float64)

    def interval(self, value: float, samples: NDArray[np.float64], level: float = LEVEL) -> Estimate:
        """Return the figure with the samples' percentiles; NaN among them are left out."""
        known = samples[np.isfinite(samples)]
        if self.unit_count < 2 or not known.size or not math.isfinite(value):
            return Estimate(value, math.nan, math.nan)
        low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
        return Estimate(value, float(low), float(high))

    def interval_of_share(self, value: float, samples: NDArray[np.float64], level: float = LEVEL) -> Estimate:
        """Return the same of a figure from 0 to 1, also where every row is right, or none.

        Samples of nothing but right rows are all right, and would say that more rows will be, too. There the
        open end is that of n right groups of n: (1 - level) / 2 to the power of 1 / n (Clopper and Pearson
        1934); of 6 groups 0.541.
        """
        estimate = self.interval(value, samples, level)
        if estimate.low != estimate.high or value not in (0, 1):
            return estimate
        reach = ((1 - level) / 2) ** (1 / self.group_count)
        return Estimate(value, reach, 1.0) if value == 1 else Estimate(value, 0.0, 1 - reach)


def share_estimate(flags: NDArray[np.bool_], groups: Groups) -> Estimate:
    """Return the share of flags that are set with its interval, groups drawn as in `Resampling`.

    Args:
        flags: Shape (rows,); of none the share is NaN.
        groups: The group of each row.
    """
    if not flags.size:
        return Estimate(math.nan, math.nan, math.nan)
    resampling = Resampling(len(flags), groups)
    counts = resampling.sums(flags.astype(np.int64), 2)
    return resampling.interval_of_share(float(flags.mean()), counts[:, 1] / counts.sum(axis=1))


def bootstrap_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    groups: Groups,
    *,
    resample_count: int = RESAMPLE_COUNT,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """Return a statistic of all rows with its interval, whole groups drawn with replacement.

    For differences of two models let the statistic take the difference on the same rows: that is paired.

    Args:
        statistic: Takes row numbers (ascending, with repetitions) and returns a figure; NaN where the
            sample has none.
        groups: The group of each row.
        resample_count: How many samples are drawn.
        seed: Of the random numbers.
        level: The share of samples inside of the interval.

    Raises:
        ValueError: There are no rows.
    """
    resampling = Resampling(len(groups), groups, resample_count=resample_count, seed=seed)
    rows = np.arange(len(groups))
    counts = resampling.weights.astype(np.int64)
    samples = np.array([statistic(np.repeat(rows, each[resampling.units])) for each in counts])
    return resampling.interval(statistic(rows), samples, level)


def number_groups(row_count: int, groups: Groups | None) -> tuple[NDArray[np.int64], int]:
    """Return the number of each row's group, shape (rows,), and how many groups there are.

    Args:
        row_count: How many rows there are.
        groups: The group of each row; None: every row is its own.

    Raises:
        ValueError: There are no rows, or not as many groups as rows.
    """
    if groups is None:
        groups = np.arange(row_count)
    if len(groups) != row_count or not row_count:
        raise ValueError(f"{row_count} rows cannot be of {len(groups)} groups")
    if isinstance(groups, np.ndarray) and groups.dtype.kind in "iub":
        names, numbers = np.unique(groups, return_inverse=True)
        return numbers.astype(np.int64), len(names)
    seen: dict[Any, int] = {}
    numbered = [seen.setdefault(group, len(seen)) for group in groups]
    return np.array(numbered, np.int64), len(seen)

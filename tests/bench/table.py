"""Rows of the benchmark, and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked of a figure: at least, or at most, a limit."""

    bound: Literal["at least", "at most"]
    limit: float

    def met_by(self, value: float) -> bool:
        """Return whether a figure is as asked."""
        return value >= self.limit if self.bound == "at least" else value <= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure.

    Attributes:
        name: What was measured.
        value: The figure, None when it could not be measured.
        unit: Its unit.
        target: What is asked of it, None for a figure that is only told.
        note: How it was measured, or why it was not.
    """

    name: str
    value: float | None
    unit: str
    target: Target | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `NOT met`, or nothing where nothing is asked."""
        if self.target is None:
            return ""
        if self.value is None:
            return "not measured"
        return "met" if self.target.met_by(self.value) else "NOT met"

    def as_json(self) -> dict[str, object]:
        """Return the row for a JSON document."""
        target = None if self.target is None else {"bound": self.target.bound, "limit": self.target.limit}
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": target,
            "verdict": self.verdict,
            "note": self.note,
        }


def render(rows: Sequence[Row]) -> str:
    """Return the rows as one aligned table."""
    cells = [("what", "measured", "asked", "", "how")]
    cells += [(row.name, _figure(row), _asked(row), row.verdict, row.note) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = []
    for line in cells:
        fixed = [text.ljust(width) for text, width in zip(line, widths, strict=False)]
        lines.append("  ".join([*fixed, line[4]]).rstrip())
    lines.insert(1, "-" * (sum(widths) + 12))
    return "\n".join(lines)


def _figure(row: Row) -> str:
    return "-" if row.value is None else f"{_round(row.value)} {row.unit}"


def _asked(row: Row) -> str:
    return "" if row.target is None else f"{row.target.bound} {row.target.limit:g}"


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

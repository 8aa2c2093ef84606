"""What a tuning looks like: a table for people, plain text when nobody's terminal is behind it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from vidclf_cli.cli.terminal import console, printable
from vidclf_cli.wording import counted, some

if TYPE_CHECKING:
    from rich.table import Table

    from vidclf_cli.metrics import Answered
    from vidclf_cli.tuning import Tuning

_MOST_LABELS = 100
_MOST_NAMED = 10


def print_tuning(tuning: Tuning, data: Path, stream: TextIO) -> None:
    """Print each label's threshold with what it gives and costs, and then all labels together."""
    screen = console(stream)
    rows = tuning.rows
    part = f", split {rows.split}" if rows.split else ""
    head = (
        f"{tuning.model} on {data}{part}: {counted(len(rows), 'video')} of "
        f"{counted(tuning.table.group_count, 'source')}"
    )
    screen.print(printable(head), soft_wrap=True)
    screen.print(_labels(tuning))
    if len(tuning.labels) > _MOST_LABELS:
        screen.print(f"and {len(tuning.labels) - _MOST_LABELS:,} more labels")
    screen.print(_answers(tuning))
    screen.print(
        "checked: a fifth of the sources at a time, by thresholds from the others. This is what to expect.",
        soft_wrap=True,
    )
    for line in _left_out(tuning):
        screen.print(printable(line), soft_wrap=True)


def _labels(tuning: Tuning) -> Table:
    table = _table("label", "videos", "threshold", "given", "right", "precision", "coverage")
    for each in tuning.labels[:_MOST_LABELS]:
        table.add_row(
            printable(each.label),
            f"{each.row_count:,}",
            "never given" if math.isinf(each.threshold) else f"{each.threshold:.3f}",
            f"{each.given_count:,}",
            f"{each.right_count:,}",
            _number(each.precision),
            _number(each.coverage),
        )
    return table


def _answers(tuning: Tuning) -> Table:
    table = _table("all labels", "precision", "95 % interval", "coverage")
    for name, answered in (
        ("thresholds before", tuning.before),
        (f"for {tuning.target:g}", tuning.after),
        (f"for {tuning.target:g}, checked", tuning.checked),
    ):
        table.add_row(name, _number(answered.accuracy), _interval(answered), f"{answered.coverage:.3f}")
    return table


def _left_out(tuning: Tuning) -> list[str]:
    rows = tuning.rows
    lines = []
    if rows.left_out.ids:
        lines.append(
            f"{counted(len(rows.left_out.ids), 'video')} left out, of labels that the classifier does not "
            f"have: {some(list(rows.left_out.labels), _MOST_NAMED)}."
        )
    if rows.failures:
        names = [f"{each.id} ({each.reason})" for each in rows.failures]
        lines.append(f"{counted(len(names), 'video')} could not be read: {some(names, _MOST_NAMED)}.")
    return lines + [f"Note: {note}" for note in rows.notes]


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(header_style="bold", show_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    return table


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _interval(answered: Answered) -> str:
    low, high = answered.precision.low, answered.precision.high
    return f"{low:.3f} to {high:.3f}" if math.isfinite(low) else "not known"

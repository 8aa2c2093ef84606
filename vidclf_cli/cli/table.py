"""A table for people: the most important columns, as wide as the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from vidclf_cli.cli.terminal import console, printable

if TYPE_CHECKING:
    from vidclf_cli.writers.row import Row

_COLOURS = {"ok": "green", "unknown": "yellow", "failed": "red"}
_EVIDENCE_COUNT = 3


_COLUMNS = ("video", "label", "confidence", "because")
_HEAD_BYTES = 4096


def is_table(path: Path) -> bool:
    """Tell whether a file holds what `TableWriter` prints.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        first = file.readline(_HEAD_BYTES).decode("utf-8", "replace")
    return tuple(first.replace("┃", " ").split()) == _COLUMNS


class TableWriter:
    """Collects rows and prints one table when all are there."""

    def __init__(self, stream: TextIO) -> None:
        from rich.table import Table

        self._stream = stream
        self._table = Table(header_style="bold", show_edge=False)
        video, label, confidence, because = _COLUMNS
        self._table.add_column(video, overflow="fold", ratio=3)
        self._table.add_column(label, ratio=2)
        self._table.add_column(confidence, justify="right")
        self._table.add_column(because, overflow="fold", ratio=4)

    def write(self, row: Row) -> None:
        """Add one row."""
        from rich.text import Text

        confidence = row["confidence"]
        self._table.add_row(
            # Text, not markup: a file may be named `[red]`. Control characters must not reach the terminal.
            Text(printable(_name(row)).replace("\n", "\\n")),
            Text(printable(row["label"] or row["status"]), style=_COLOURS[row["status"]]),
            "" if confidence is None else f"{confidence:.2f}",
            Text(printable(_because(row))),
        )

    def finish(self) -> None:
        """Print the table."""
        console(self._stream).print(self._table)


def _name(row: Row) -> str:
    start, end = row["segment_start_seconds"], row["segment_end_seconds"]
    return str(row["path"]) if start is None else f"  {start:g} to {end:g} s"


def _because(row: Row) -> str:
    if row["reason"]:
        return str(row["reason"])
    return ", ".join(f"{item['what']} {item['weight']:.2f}" for item in row["evidence"][:_EVIDENCE_COUNT])

"""A table for people: the most important columns, as wide as the terminal."""

from __future__ import annotations

from typing import TextIO

from vidclf_cli.cli.terminal import printable
from vidclf_cli.records import Prediction, Result, Status

_COLOURS = {Status.OK: "green", Status.UNKNOWN: "yellow", Status.FAILED: "red"}
_PLAIN_WIDTH = 120  # columns when the output is no terminal
_EVIDENCE_COUNT = 3


class TableWriter:
    """Collects results and prints one table when all are there."""

    def __init__(self, stream: TextIO) -> None:
        from rich.table import Table

        self._stream = stream
        self._table = Table(header_style="bold", show_edge=False)
        self._table.add_column("video", overflow="fold", ratio=3)
        self._table.add_column("label", ratio=2)
        self._table.add_column("confidence", justify="right")
        self._table.add_column("because", overflow="fold", ratio=4)

    def write(self, result: Result) -> None:
        """Add one row."""
        from rich.text import Text

        prediction = result.prediction
        label = "|".join(prediction.labels) if prediction and prediction.labels else result.status.value
        self._table.add_row(
            # Text, not markup: a file may be named `[red]`. Control characters must not reach the terminal.
            Text(printable(result.video.id).replace("\n", "\\n")),
            Text(label, style=_COLOURS[result.status]),
            f"{prediction.confidence:.2f}" if prediction else "",
            Text(printable(_because(result, prediction))),
        )

    def finish(self) -> None:
        """Print the table."""
        from rich.console import Console

        is_terminal = self._stream.isatty()
        console = Console(file=self._stream, width=None if is_terminal else _PLAIN_WIDTH, highlight=False)
        console.print(self._table)


def _because(result: Result, prediction: Prediction | None) -> str:
    if result.reason is not None:
        return str(result.reason)
    if prediction is None:
        return ""
    found = prediction.evidence[:_EVIDENCE_COUNT]
    return ", ".join(f"{item.what} {item.weight:.2f}" for item in found)

r"""CSV: UTF-8, `\n`, RFC 4180; lists are JSON in the cell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TextIO

from vidclf_cli.records import Result
from vidclf_cli.writers.row import COLUMNS, to_row

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class CsvWriter:
    """Streams rows as CSV.

    Args:
        stream: Opened with `newline=""`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stream.write(csv_line(COLUMNS))

    def write(self, result: Result) -> None:
        """Write one row."""
        row = to_row(result)
        self._stream.write(csv_line(row[column] for column in COLUMNS))


def csv_line(values: Iterable[Any]) -> str:
    """Return one line of CSV with its end; no cell is one that a spreadsheet would run."""
    return ",".join(_quote(_cell(value)) for value in values) + "\n"


def _quote(cell: str) -> str:
    # csv.writer leaves a carriage return bare when lines end with "\n" alone, and readers split there.
    if any(char in cell for char in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, float):
        return f"{value:.10g}"
    text = str(value)
    # A spreadsheet runs such a cell as a formula (OWASP "CSV injection"); a leading quote makes it text.
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text

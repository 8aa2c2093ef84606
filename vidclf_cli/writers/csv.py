r"""CSV: UTF-8, `\n`, RFC 4180; lists are JSON in the cell."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from vidclf_cli.writers.row import COLUMNS, LIST_COLUMNS, NUMBER_COLUMNS, Row, RowError, check_row

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_LARGEST_CELL = 1 << 30
"""Characters: a thousand alternatives with long labels are more than the 128 Ki that Python allows."""


class CsvWriter:
    """Streams rows as CSV.

    Args:
        stream: Opened with `newline=""`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stream.write(csv_line(COLUMNS))

    def write(self, row: Row) -> None:
        """Write one row."""
        self._stream.write(csv_line(row[column] for column in COLUMNS))


def csv_line(values: Iterable[Any]) -> str:
    """Return one line of CSV with its end; no cell is one that a spreadsheet would run."""
    return ",".join(_quote(_cell(value)) for value in values) + "\n"


def unguard(cell: str) -> str:
    """Return the text of a cell, without the quote that keeps a spreadsheet from running it."""
    return cell[1:] if _is_guarded(cell) else cell


def read_csv_header(path: Path) -> tuple[str, ...]:
    """Return the names of a CSV's columns, none where its beginning is no text.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        first = file.readline(1 << 16)
    try:
        return tuple(next(csv.reader([first.decode("utf-8-sig")], strict=True), ()))
    except (UnicodeDecodeError, csv.Error):
        return ()


def read_csv(path: Path) -> Iterator[Row]:
    """Yield the rows of a CSV that `CsvWriter` wrote, or that a spreadsheet saved again.

    Raises:
        RowError: A row is none of vidclf's; the text names the line.
        OSError: The file cannot be read.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            for cells in _large_cells(reader):
                if cells and reader.line_num > 1:
                    yield _row(cells)
        except UnicodeDecodeError as error:
            raise RowError(f"it is not UTF-8 ({error})") from error
        except (ValueError, csv.Error) as error:
            raise RowError(f"line {reader.line_num}: {error}") from error


def _large_cells(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    # The limit is one for the whole process, and others rely on it.
    while True:
        before = csv.field_size_limit(_LARGEST_CELL)
        try:
            cells = next(reader, None)
        finally:
            csv.field_size_limit(before)
        if cells is None:
            return
        yield cells


def _row(cells: list[str]) -> Row:
    if len(cells) != len(COLUMNS):
        raise RowError(f"{len(cells)} cells instead of {len(COLUMNS)}")
    pairs = zip(COLUMNS, cells, strict=True)
    return check_row({column: _value(column, cell) for column, cell in pairs})


def _value(column: str, cell: str) -> Any:
    if column in NUMBER_COLUMNS:
        return float(cell) if cell else None
    if column in LIST_COLUMNS:
        return json.loads(cell) if cell else []
    return unguard(cell)


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
    # What looks guarded already gets one more, so that every text comes back.
    return f"'{text}" if text.startswith(_FORMULA_STARTS) or _is_guarded(text) else text


def _is_guarded(text: str) -> bool:
    return text.startswith("'") and text.lstrip("'").startswith(_FORMULA_STARTS)

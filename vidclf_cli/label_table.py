"""A CSV of labels: which file has which labels, and which source it comes from. Checked line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from vidclf_cli.errors import UsageError
from vidclf_cli.wording import some

PATH_COLUMNS = ("path", "file", "filename", "file_name")
LABEL_COLUMNS = ("label", "labels", "category", "class")
GROUP_COLUMNS = ("group", "source", "source_url")
SEGMENT_COLUMN = "segment_start_seconds"
LABEL_SEPARATOR = "|"

_SIZE_LIMIT = 256 << 20  # Bytes.
_ROW_LIMIT = 1_000_000
_DELIMITERS = ",;\t"
_ADVICE = "docs/formats.md (Labelled data) describes what is read."
_SAVE_AGAIN = "Save it again as CSV in UTF-8."


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One line of the table.

    Attributes:
        line: Its number in the file, from 1.
        path: As written.
        labels: None of them when the cell is empty.
        group: Empty when the table does not say.
        is_segment: It is about a part of a video, as `vidclf classify --segments` writes them.
    """

    line: int
    path: str
    labels: tuple[str, ...]
    group: str
    is_segment: bool = False


@dataclass(frozen=True, slots=True)
class _Columns:
    count: int
    path: int
    label: int
    group: int | None
    segment: int | None


def read_label_table(path: Path, group_column: str | None = None) -> tuple[LabelRow, ...]:
    """Read a table of labels.

    Args:
        path: UTF-8, with or without a byte order mark; the delimiter is the one of comma, semicolon and tab
            that the header has most of. Columns that are not known are not looked at.
        group_column: Name of the column that says which source a video comes from; None takes the first of
            `GROUP_COLUMNS` that is there, if any.

    Raises:
        UsageError: It cannot be read, is no such table, or a line of it is broken.
    """
    try:
        size = path.stat().st_size
        if size > _SIZE_LIMIT:
            raise UsageError(
                f"{path} has {size >> 20} MB, and a table of labels at most {_SIZE_LIMIT >> 20} MB.", _ADVICE
            )
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _read(path, stream, group_column)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error}).", _ADVICE) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8.", _SAVE_AGAIN) from error


def _read(path: Path, stream: TextIO, group_column: str | None) -> tuple[LabelRow, ...]:
    header = stream.readline(1 << 16)
    if "\0" in header:
        raise UsageError(
            f"{path} is no text.", "Name a CSV of labels, or a folder with one folder per label."
        )
    delimiter = max(_DELIMITERS, key=header.count)
    stream.seek(0)
    lines = _NumberedRows(stream, delimiter)
    try:
        columns = _columns(path, next(lines, (1, []))[1], group_column)
        rows = tuple(islice(_rows(path, lines, columns), _ROW_LIMIT + 1))
    except csv.Error as error:
        raise UsageError(
            f"{path}: the row that begins in line {lines.begin} is broken ({error}).",
            "A quote may be open: a cell with a quote in it is in quotes, and has it twice.",
        ) from error
    if len(rows) > _ROW_LIMIT:
        raise UsageError(
            f"{path} has more than {_ROW_LIMIT:,} rows.", "Pack the vectors of sets as large as that."
        )
    if not rows:
        raise UsageError(f"{path} has a header and no rows.", _ADVICE)
    return rows


class _NumberedRows:
    """The rows of a CSV, each with the number of the line that it begins in.

    Attributes:
        begin: That line, of the row read last or, where it cannot be read, of the one being read.
    """

    def __init__(self, stream: TextIO, delimiter: str) -> None:
        # Strict: without it a quote that is never closed swallows every line behind it.
        self._reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True, strict=True)
        self.begin = 1

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Return itself."""
        return self

    def __next__(self) -> tuple[int, list[str]]:
        """Return the next row.

        Raises:
            csv.Error: It is broken.
        """
        self.begin = self._reader.line_num + 1  # `line_num` is the line that a row ended in.
        return self.begin, next(self._reader)


def _columns(path: Path, header: Sequence[str], group_column: str | None) -> _Columns:
    names = [name.strip().casefold() for name in header]
    path_at, label_at = _find(names, PATH_COLUMNS), _find(names, LABEL_COLUMNS)
    if path_at is None or label_at is None:
        missing = "path" if path_at is None else "label"
        if not any(names):
            raise UsageError(f"{path} is empty, or its first line is.", _ADVICE)
        raise UsageError(f"{path}: its first line ({some(names)}) names no column `{missing}`.", _ADVICE)
    group_at = _find(names, GROUP_COLUMNS if group_column is None else (group_column.strip().casefold(),))
    if group_column is not None and group_at is None:
        raise UsageError(
            f"{path} has no column {group_column!r}.", f"It has {', '.join(name for name in names if name)}."
        )
    for at in (path_at, label_at, group_at):
        if at is not None and names.count(names[at]) > 1:
            raise UsageError(f"{path} has two columns `{names[at]}`.", "Rename one of them.")
    return _Columns(len(names), path_at, label_at, group_at, _find(names, (SEGMENT_COLUMN,)))


def _find(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _rows(path: Path, lines: Iterator[tuple[int, list[str]]], columns: _Columns) -> Iterator[LabelRow]:
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[columns.count :]):
            # A comma in a name that nobody quoted: what stands in the label's column is not the label.
            raise UsageError(
                f"{path}: line {line} has {len(cells)} cells, and the header {columns.count}.",
                'Put a cell that holds the delimiter in quotes: "a, b.mp4".',
            )
        if "\0" in "".join(cells):
            raise UsageError(f"{path}: line {line} holds a zero byte.", _SAVE_AGAIN)
        filled = [*cells, *[""] * (columns.count - len(cells))]
        if not filled[columns.path].strip():
            raise UsageError(f"{path}: line {line} names no file.", "Fill the cell, or delete the line.")
        group = "" if columns.group is None else filled[columns.group].strip()
        is_segment = columns.segment is not None and bool(filled[columns.segment].strip())
        yield LabelRow(line, filled[columns.path], _labels(filled[columns.label]), group, is_segment)


def _labels(cell: str) -> tuple[str, ...]:
    labels = (label.strip() for label in cell.split(LABEL_SEPARATOR))
    return tuple(dict.fromkeys(label for label in labels if label))

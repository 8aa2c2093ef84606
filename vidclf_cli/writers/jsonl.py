"""JSONL: one JSON object per line, the CSV's columns, lists as lists, unknown as null."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from vidclf_cli.writers.row import Row, RowError, check_row

_LONGEST_LINE = 64 << 20


class JsonlWriter:
    """Streams rows as JSON lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: Row) -> None:
        """Write one row."""
        self._stream.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_jsonl_keys(path: Path) -> tuple[str, ...]:
    """Return the keys of a file's first line, none where that is no JSON object.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        return ()
    return tuple(found) if isinstance(found, dict) else ()


def read_jsonl(path: Path) -> Iterator[Row]:
    """Yield the rows of a file that `JsonlWriter` wrote.

    Raises:
        RowError: A row is none of vidclf's; the text names the line.
        OSError: The file cannot be read.
    """
    number = 0
    try:
        with path.open(encoding="utf-8", newline="\n") as stream:
            for number, line in enumerate(stream, start=1):  # noqa: B007 - it stands in the message
                if line.strip():
                    yield _row(line)
    except UnicodeDecodeError as error:
        raise RowError(f"it is not UTF-8 ({error})") from error
    except (ValueError, RecursionError) as error:
        raise RowError(f"line {number}: {error}") from error


def _row(line: str) -> Row:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise RowError("no JSON object")
    return check_row(found)

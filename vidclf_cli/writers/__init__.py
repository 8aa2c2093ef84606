"""Write result rows, one small streaming writer per format, and read them back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from vidclf_cli.errors import UsageError
from vidclf_cli.writers.csv import CsvWriter, read_csv
from vidclf_cli.writers.jsonl import JsonlWriter, read_jsonl
from vidclf_cli.writers.output import STDOUT, open_output, place_of
from vidclf_cli.writers.parquet import open_parquet, read_parquet
from vidclf_cli.writers.row import Row
from vidclf_cli.writers.sqlite import open_sqlite, read_sqlite
from vidclf_cli.writers.webvtt import ChaptersWriter

FORMATS = ("csv", "jsonl", "parquet", "sqlite")
CHAPTERS = "vtt"
"""The timeline of one video: no rows, so it is none of `FORMATS`."""

_BY_SUFFIX = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".sqlite": "sqlite",
    ".db": "sqlite",
    ".vtt": CHAPTERS,
}
_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "sqlite": read_sqlite,
}

_TEXT_WRITERS: Mapping[str, Callable[[TextIO], Writer]] = {
    "csv": CsvWriter,
    "jsonl": JsonlWriter,
    CHAPTERS: ChaptersWriter,
}


class Writer(Protocol):
    """Writes rows one by one: a video's own row, then those of its segments."""

    def write(self, row: Row) -> None:
        """Write one row."""


def choose_format(target: str, chosen: str | None) -> str:
    """Return the format: the one chosen, else by the suffix; CSV on standard output.

    Raises:
        UsageError: The suffix is not known and nothing was chosen.
    """
    if chosen:
        return chosen
    if target == STDOUT:
        return "csv"
    suffix = Path(target).suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise UsageError(
            f"Cannot tell the format of {target} from its name.",
            f"Name it {' or '.join(sorted(_BY_SUFFIX))}, or give --format {'|'.join((*FORMATS, CHAPTERS))}.",
        )
    return _BY_SUFFIX[suffix]


@contextmanager
def open_rows(
    target: str, format_name: str, option: str = "--out", *, force: bool = False
) -> Iterator[Writer]:
    """Open a place for rows; a file appears when the block ends well, and on any exception stays as it was.

    Args:
        target: A path; for csv, jsonl and vtt also `-`, standard output.
        format_name: One of `FORMATS`, or `CHAPTERS` of one video.
        option: What the user gave the target with, for messages.
        force: A table of a database with other columns is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    if format_name == "sqlite":
        with open_sqlite(place_of(target, option), option, force=force) as database:
            yield database
    elif format_name == "parquet":
        with open_parquet(place_of(target, option), option) as table:
            yield table
    else:
        with open_output(target, option) as stream:
            yield _TEXT_WRITERS[format_name](stream)


def read_rows(path: Path, format_name: str) -> Iterator[Row]:
    """Yield the rows of a file that `open_rows` wrote, in their order.

    Raises:
        RowError: A row is none of vidclf's.
        OSError: The file cannot be read.
    """
    return _READERS[format_name](path)

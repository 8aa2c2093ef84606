"""Write result rows, one small streaming writer per format."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TextIO

from vidclf_cli.errors import UsageError
from vidclf_cli.records import Result
from vidclf_cli.writers.csv import CsvWriter
from vidclf_cli.writers.jsonl import JsonlWriter
from vidclf_cli.writers.output import STDOUT

FORMATS = ("csv", "jsonl")
_BY_SUFFIX = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class Writer(Protocol):
    """Writes results one by one."""

    def write(self, result: Result) -> None:
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
            f"Name it {' or '.join(sorted(_BY_SUFFIX))}, or give --format {'|'.join(FORMATS)}.",
        )
    return _BY_SUFFIX[suffix]


def make_writer(format_name: str, stream: TextIO) -> Writer:
    """Return a writer of one of `FORMATS` onto a stream."""
    return CsvWriter(stream) if format_name == "csv" else JsonlWriter(stream)

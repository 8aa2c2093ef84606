"""JSONL: one JSON object per line, the CSV's columns, lists as lists, unknown as null."""

from __future__ import annotations

import json
from typing import TextIO

from vidclf_cli.records import Result
from vidclf_cli.writers.row import to_row


class JsonlWriter:
    """Streams rows as JSON lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, result: Result) -> None:
        """Write one row."""
        self._stream.write(json.dumps(to_row(result), ensure_ascii=False, separators=(",", ":")) + "\n")

"""`metadata.csv` and `metadata.jsonl` at the root: a table of titles, descriptions and tags by path."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vidclf_cli.metadata.files import decode_text, read_blocks
from vidclf_cli.metadata.text import Fields

_LOG = logging.getLogger(__name__)
LIMIT_BYTES = 32 << 20
"""About 100,000 rows of 300 characters; what comes after that is left out, with a warning."""

_VALUE_LIMIT = 2000
_PATH_COLUMNS = ("path", "file", "filename", "file_name")
_DELIMITERS = ",;\t|"
TABLE_NAMES = ("metadata.csv", "metadata.jsonl")


@dataclass(slots=True)
class Table:
    """Rows by path relative to the root, and by bare name.

    Attributes:
        rows: Path relative to the root, `/` between folders, NFC, to fields.
    """

    rows: dict[str, Fields] = field(default_factory=dict)

    def find(self, relative: str, *, name_is_unique: bool) -> Fields:
        """Look a video up by its path relative to the root, then by its name if only one video has it."""
        key = unicodedata.normalize("NFC", relative)
        if (fields := self.rows.get(key)) is not None:
            return fields
        name = key.rpartition("/")[2]
        return self.rows.get(name, Fields()) if name_is_unique else Fields()

    def add(self, row: Mapping[str, object]) -> None:
        """Add a row; one without a usable path, or with a path seen before, is left out."""
        path = next((row[column] for column in _PATH_COLUMNS if row.get(column)), None)
        key = _normal_path(path) if isinstance(path, str) else ""
        fields = Fields(
            titles=_texts(row.get("title")),
            keywords=_tags(row.get("tags")),
            passages=_texts(row.get("description")),
        )
        if key and fields and key not in self.rows:
            self.rows[key] = fields


def load_table(root: Path, names: Iterable[str] = TABLE_NAMES) -> Table:
    """Read the tables of a root into one; never fails, a root without any gives an empty table."""
    table = Table()
    for name in names:
        blocks = read_blocks(root / name, LIMIT_BYTES + 1)
        data = blocks[0] if blocks else b""
        if len(data) > LIMIT_BYTES:
            _LOG.warning("%s: only the first %d MB are used", name, LIMIT_BYTES >> 20)
        text = decode_text(data[:LIMIT_BYTES])
        for row in _json_rows(text) if name.endswith(".jsonl") else _csv_rows(text):
            table.add(row)
    return table


def _csv_rows(text: str) -> Iterator[dict[str, object]]:
    """Yield rows by lower-case column name; the delimiter is the one that the header has most of."""
    text = text.lstrip("\ufeff\r\n")
    header = text[: text.find("\n")] if "\n" in text else text
    delimiter = max(_DELIMITERS, key=header[:2000].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        columns = [column.strip().casefold() for column in next(reader, [])]
        for cells in reader:
            yield dict(zip(columns, cells, strict=False))
    except csv.Error as error:  # a cell of more than 128 KiB, usually a quote that is never closed
        _LOG.warning("metadata.csv: rows from line %d on are left out: %s", reader.line_num, error)


def _json_rows(text: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(io.StringIO(text), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            _LOG.debug("metadata.jsonl: line %d is left out: %s", number, error)
            continue
        if isinstance(row, dict):
            yield {str(key).casefold(): value for key, value in row.items()}


def _normal_path(path: str) -> str:
    """Return the key of a path as somebody wrote it; empty when it leads out of the root."""
    path = unicodedata.normalize("NFC", path.strip()[:4096].replace("\\", "/"))
    parts = [part for part in path.split("/") if part not in ("", ".")]
    outside = ".." in parts or path.startswith("/") or re.match("[A-Za-z]:", path) is not None
    return "" if outside else "/".join(parts)


def _texts(value: object) -> tuple[str, ...]:
    return (value[:_VALUE_LIMIT],) if isinstance(value, str) and value.strip() else ()


def _tags(value: object) -> tuple[str, ...]:
    """Read tags given as a list, as JSON in a cell, or separated by `|`, `;` or commas."""
    if isinstance(value, str):
        text = value[:_VALUE_LIMIT].strip()
        if text.startswith("["):
            text = re.sub(r"""^\[|\]$|["']""", "", text)
        separator = next((mark for mark in "|;," if mark in text), ",")
        return tuple(tag.strip() for tag in text.split(separator) if tag.strip())[:100]
    if isinstance(value, list):
        return tuple(tag[:_VALUE_LIMIT] for tag in value[:100] if isinstance(tag, str))
    return ()

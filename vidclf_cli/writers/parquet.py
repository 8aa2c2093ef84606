"""Parquet: the CSV's columns, lists as lists of structures; needs pyarrow (extra `parquet`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidclf_cli.errors import UsageError
from vidclf_cli.writers.output import replacing, writing
from vidclf_cli.writers.row import COLUMNS, NUMBER_COLUMNS, Row, RowError, check_row

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS = 10_000
"""Rows held in memory before they are written, about 20 MB of them."""

_BATCH_ROWS = 1000
_MAGIC = b"PAR1"


def check_installed() -> None:
    """Find out before a run whether Parquet can be written.

    Raises:
        UsageError: pyarrow is not there.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"Parquet needs pyarrow, which cannot be loaded ({error}).",
            'Install it with pip install "vidclf[parquet]", or write .csv, .jsonl or .sqlite.',
        ) from error


@contextmanager
def open_parquet(path: Path, option: str = "--out") -> Iterator[ParquetWriter]:
    """Open a Parquet file for writing; it appears when the block ends well.

    Args:
        path: The file.
        option: What the user gave it with, for messages.

    Raises:
        OutputError: It cannot be written.
    """
    with replacing(path, option) as temporary:
        writer = ParquetWriter(path, temporary, option)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


class ParquetWriter:
    """Gathers rows into row groups.

    Args:
        path: What the file will be called, for messages.
        temporary: The file that is written.
        option: What the user gave the path with, for messages.
    """

    def __init__(self, path: Path, temporary: Path, option: str) -> None:
        from pyarrow import parquet

        self._path = path
        self._option = option
        self._rows: list[Row] = []
        with writing(path, option):
            # A file of Python's: what a full disk says is then what it says to everybody else.
            self._file = temporary.open("wb")
            self._table = parquet.ParquetWriter(self._file, _schema())

    def write(self, row: Row) -> None:
        """Add one row."""
        self._rows.append(row)
        if len(self._rows) >= _GROUP_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write what is left, and the file's end."""
        self._flush()
        with writing(self._path, self._option):
            self._table.close()
            self._file.flush()

    def close(self) -> None:
        """Close the file, whole or not."""
        # After a full disk, closing tries once more to write what is left, and fails again.
        for each in (self._table, self._file):
            with contextlib.suppress(OSError, ValueError):
                each.close()

    def _flush(self) -> None:
        import pyarrow as pa

        rows, self._rows = self._rows, []
        if not rows:
            return
        schema = _schema()
        columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
        with writing(self._path, self._option):
            self._table.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=len(rows))


def read_parquet_columns(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns, none where it is no Parquet.

    Raises:
        OSError: It cannot be read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return ()
        try:
            return tuple(parquet.read_schema(file).names)
        except (pa.ArrowException, OSError):
            return ()


def read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows of a file that `ParquetWriter` wrote.

    Raises:
        RowError: A row is none of vidclf's, or the file is damaged.
        OSError: The file cannot be read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    number = 0
    try:
        with path.open("rb") as stream, parquet.ParquetFile(stream) as file:
            batches = file.iter_batches(_BATCH_ROWS, columns=list(COLUMNS))
            rows = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):  # noqa: B007 - it stands in the message
                yield check_row(row)
    except (ValueError, pa.ArrowException) as error:
        raise RowError(f"row {number}: {error}") from error


def _schema() -> pa.Schema:
    import pyarrow as pa

    score = pa.struct([("label", pa.string()), ("confidence", pa.float64())])
    evidence = pa.struct([("source", pa.string()), ("what", pa.string()), ("weight", pa.float64())])
    types: dict[str, Any] = dict.fromkeys(NUMBER_COLUMNS, pa.float64())
    types |= {"alternatives": pa.list_(score), "evidence": pa.list_(evidence)}
    types |= {"modalities": pa.list_(pa.string())}
    return pa.schema([(column, types.get(column, pa.string())) for column in COLUMNS])

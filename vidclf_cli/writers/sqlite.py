"""SQLite: the rows are the table `results`, lists are JSON text; other tables of the file are left alone.

Rows go to a database of their own beside the file. A new file is that database, renamed; in one that exists
the table's rows are replaced in one short transaction, so that readers see the old rows or the new ones, and
indexes, triggers and views that somebody made for the table stay.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.writers.output import put_in_place, temporary_beside, writing
from vidclf_cli.writers.row import COLUMNS, LIST_COLUMNS, NUMBER_COLUMNS, Row, RowError, check_row

TABLE = "results"
BUSY_SECONDS = 5.0
_BATCH_ROWS = 1000
_MAGIC = b"SQLite format 3\0"
_NAMES = ", ".join(COLUMNS)
_MARKS = ", ".join("?" * len(COLUMNS))
_DECLARED = ", ".join(
    f"{name} REAL" if name in NUMBER_COLUMNS else f"{name} TEXT NOT NULL" for name in COLUMNS
)
_MAKE_TABLE = f"CREATE TABLE {TABLE} ({_DECLARED})"
_MAKE_INDEX = f"CREATE INDEX IF NOT EXISTS {TABLE}_path ON {TABLE} (path)"
_JOURNALS = ("-journal", "-wal")


class SqliteWriter:
    """Streams rows into the table `results` of a new database.

    Args:
        temporary: The file that is written.
        path: What the rows are for, for messages.
        option: What the user gave the path with, for messages.
    """

    def __init__(self, temporary: Path, path: Path, option: str) -> None:
        self._path = path
        self._option = option
        self._rows: list[tuple[Any, ...]] = []
        with _writing(path, option):
            self._connection = sqlite3.connect(temporary, isolation_level=None)
            # Nobody else knows the file, and after a crash it is thrown away.
            self._connection.execute("PRAGMA journal_mode=OFF").fetchone()
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.execute("BEGIN")
            self._connection.execute(_MAKE_TABLE)

    def write(self, row: Row) -> None:
        """Add one row."""
        self._rows.append(tuple(_cell(column, row[column]) for column in COLUMNS))
        if len(self._rows) >= _BATCH_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write what is left, and the index."""
        self._flush()
        with _writing(self._path, self._option):
            self._connection.execute(_MAKE_INDEX)
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file, whole or not."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        with _writing(self._path, self._option):
            self._connection.executemany(f"INSERT INTO {TABLE} VALUES ({_MARKS})", rows)


@contextmanager
def open_sqlite(path: Path, option: str = "--out", *, force: bool = False) -> Iterator[SqliteWriter]:
    """Open a database for writing; the rows are in it when the block ends well.

    Args:
        path: The file, which may hold other tables.
        option: What the user gave it with, for messages.
        force: A table or view `results` with other columns is replaced, and so is a file that is no database.

    Raises:
        OutputError: It cannot be written, or another program keeps it locked; where the rows were finished
            already they are kept in a file that the message names.
    """
    with temporary_beside(path) as temporary:
        writer = SqliteWriter(temporary, path, option)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()
        if not is_database(path):
            _check_no_journal(path, option)
            put_in_place(temporary, path, option)
            return
        try:
            _replace_rows(path, temporary, force=force)
        except sqlite3.Error as error:
            kept = _keep(temporary, path)
            raise OutputError(
                f"Cannot write {path}: {error}.",
                f"The rows are in {kept}. {_advice(error, option)}",
            ) from error


def check_sqlite(path: Path, option: str = "--out", *, force: bool = False) -> None:
    """Find out before a run whether its rows can go into a file; waits up to `BUSY_SECONDS` for others.

    Args:
        path: The file, which need not be there.
        option: What the user gave it with, for messages.
        force: A table `results` with other columns may be replaced.

    Raises:
        UsageError: It is locked, damaged or cannot be written, or its table `results` has other columns.
    """
    if not is_database(path):
        _check_no_journal(path, option)
        return
    try:
        with contextlib.closing(_connect(path)) as connection:
            # What also keeps readers out: one that holds on would stop the run at its very end.
            connection.execute("BEGIN EXCLUSIVE")
            is_ours = _columns(connection) in ((), COLUMNS)
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise UsageError(f"Cannot write {path}: {error}.", _advice(error, option)) from error
    if not is_ours and not force:
        raise UsageError(
            f"The table {TABLE} of {path} has other columns than vidclf's.",
            f"Name another file with {option}, or replace the table with --force (other tables stay).",
        )


def is_database(path: Path) -> bool:
    """Tell whether there is an SQLite database.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except FileNotFoundError:
        return False


def read_sqlite(path: Path) -> Iterator[Row]:
    """Yield the rows of the table `results` in the order that they were written in; none of another's table.

    Between batches nothing is locked, so that others can use the database during a long run.

    Raises:
        RowError: A row is none of vidclf's, or the database cannot be read.
    """
    query = f"SELECT rowid, {_NAMES} FROM {TABLE} WHERE rowid > ? ORDER BY rowid LIMIT {_BATCH_ROWS}"
    last = -(1 << 63)
    try:
        with contextlib.closing(_connect(path)) as connection:
            if _columns(connection) != COLUMNS:
                return
            while batch := connection.execute(query, (last,)).fetchall():
                for last, *cells in batch:  # noqa: B007 - the next batch begins there
                    pairs = zip(COLUMNS, cells, strict=True)
                    yield check_row({column: _value(column, cell) for column, cell in pairs})
    except (ValueError, sqlite3.Error) as error:
        raise RowError(f"table {TABLE}, row {last}: {error}") from error


def _replace_rows(path: Path, temporary: Path, *, force: bool) -> None:
    with contextlib.closing(_connect(path)) as connection:
        connection.execute("ATTACH ? AS fresh", (str(temporary),))
        connection.execute("BEGIN IMMEDIATE")
        found = _columns(connection)
        if found not in ((), COLUMNS):
            if not force:
                raise sqlite3.DatabaseError(f"its table {TABLE} was given other columns meanwhile")
            _drop(connection)
            found = ()
        if not found:
            connection.execute(_MAKE_TABLE)
        connection.execute(f"DELETE FROM main.{TABLE}")
        connection.execute(
            f"INSERT INTO main.{TABLE} ({_NAMES}) SELECT {_NAMES} FROM fresh.{TABLE} ORDER BY rowid"
        )
        connection.execute(_MAKE_INDEX)
        connection.execute("COMMIT")


def _columns(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the columns of the table `results`; none where there is no such table, `?` for a view."""
    kind = _kind(connection)
    if kind not in ("", "table"):
        return ("?",)
    return tuple(name for _, name, *_ in connection.execute(f"PRAGMA main.table_info({TABLE})"))


def _kind(connection: sqlite3.Connection) -> str:
    query = "SELECT type FROM main.sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE"
    found = connection.execute(query, (TABLE,)).fetchone()
    return str(found[0]) if found else ""


def _drop(connection: sqlite3.Connection) -> None:
    connection.execute(f"DROP {_kind(connection)} main.{TABLE}")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)


def _keep(temporary: Path, path: Path) -> Path:
    """Give finished rows a name that a person finds."""
    number = 1
    while (kept := path.with_name(f"{path.stem}.new{number if number > 1 else ''}{path.suffix}")).exists():
        number += 1
    return temporary.rename(kept)


def _check_no_journal(path: Path, option: str) -> None:
    """Refuse a place where a database left its journal: SQLite would play it into the new one.

    Raises:
        UsageError: There is one.
    """
    for suffix in _JOURNALS:
        journal = path.with_name(path.name + suffix)
        if journal.exists():
            raise UsageError(
                f"{journal} belongs to a database that is not there any more.",
                f"Delete it, or name another file with {option}.",
            )


def _advice(error: sqlite3.Error, option: str) -> str:
    if "locked" in str(error):
        return "Another program uses it: close that, then run again; what was computed is cached."
    return f"Check the file, its permissions and the free space, or name another one with {option}."


@contextmanager
def _writing(path: Path, option: str) -> Iterator[None]:
    with writing(path, option):
        try:
            yield
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


def _cell(column: str, value: Any) -> Any:
    if column in LIST_COLUMNS:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value


def _value(column: str, cell: Any) -> Any:
    return json.loads(cell) if column in LIST_COLUMNS and isinstance(cell, str) else cell

"""SQLite files of the cache: opened for many processes, a damaged one set aside."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from vidclf_cli.errors import CacheError

_log = logging.getLogger(__name__)
BUSY_SECONDS = 30.0
_PAUSE_SECONDS = 0.01
SCHEMA = 1


class NewerSchemaError(CacheError):
    """The cache was written by a newer version."""


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open or make a database.

    Args:
        path: The file; its folder is made when missing. A damaged file is renamed to `*.damaged`.
        schema: `CREATE TABLE IF NOT EXISTS` statements.

    Raises:
        CacheError: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _open(path, schema)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            return _renew(path, schema, error)
    except (OSError, sqlite3.Error) as error:
        raise unusable(path, error) from error


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """Open a database that is there, and change and make nothing; None where it cannot be read so."""
    wal = path.with_name(path.name + "-wal")
    try:
        is_busy = wal.exists() and wal.stat().st_size > 0
        # Read-only alone would still make `-wal` and `-shm` beside a database in WAL mode.
        how = "mode=ro" if is_busy else "mode=ro&immutable=1"
        return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True) if path.exists() else None
    except (OSError, sqlite3.Error) as error:
        _log.debug("%s is not looked into: %s", path, error)
        return None


def renew_database(
    connection: sqlite3.Connection, path: Path, schema: str, error: sqlite3.DatabaseError
) -> sqlite3.Connection:
    """Set a database aside that turned out to be damaged while it was used, and make a new one.

    Raises:
        CacheError: It is not damaged but cannot be used (locked, full disk), or cannot be replaced.
    """
    if isinstance(error, sqlite3.OperationalError):
        raise unusable(path, error) from error
    connection.close()
    try:
        return _renew(path, schema, error)
    except (OSError, sqlite3.Error) as problem:
        raise unusable(path, problem) from problem


def unusable(path: Path, error: Exception) -> CacheError:
    """Return the error that tells the user what to do about a cache file that cannot be used."""
    if "locked" in str(error):
        advice = "Another run holds it: try again when that has finished."
    else:
        advice = "Free some space, or choose a folder that can be written with --cache-dir."
    return CacheError(f"Cannot use the cache file {path}: {error}.", advice)


def _renew(path: Path, schema: str, error: sqlite3.DatabaseError) -> sqlite3.Connection:
    _log.warning("%s is damaged (%s); it is set aside and made again", path, error)
    path.replace(path.with_name(path.name + ".damaged"))
    # The journals belong to the damaged file.
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return _open(path, schema)


def _open(path: Path, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        check_schema(connection, path)
        connection.executescript(f"{schema} PRAGMA user_version = {SCHEMA};")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers go on beside a writer.

    Where shared memory is missing (network drives) SQLite answers with another mode, and works too. Of two
    runs that open a new file at once it refuses one, without waiting as it does everywhere else.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database of a newer version.

    Raises:
        NewerSchemaError: It is one.
        sqlite3.DatabaseError: It cannot be read.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        raise NewerSchemaError(
            f"The cache file {path} was written by a newer vidclf (schema {version}, known: {SCHEMA}).",
            "Update vidclf, or choose another folder with --cache-dir.",
        )

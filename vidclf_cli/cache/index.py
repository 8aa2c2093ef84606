"""The index: which fingerprint a path had when it was last read. A hint that can be rebuilt at will."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from vidclf_cli.cache.database import open_database, renew_database
from vidclf_cli.cache.fingerprint import is_fingerprint
from vidclf_cli.records import Video

TABLES = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode TEXT, kind TEXT, fingerprint TEXT
) WITHOUT ROWID;
"""
"""The tables of the file."""

_BATCH = 64


class FingerprintIndex:
    """Fingerprints by (path, size, modification time, inode).

    Additions are written in small batches, so that two runs over one cache do not wait for each other.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_database(path, TABLES)
        self._pending: list[tuple[bytes, int, int, str, str, str]] = []

    def get(self, video: Video, kind: str) -> str | None:
        """Return the fingerprint of an unchanged file, or None.

        Args:
            video: Path, size, modification time and inode as they are now.
            kind: `blocks` or `whole`, the way of hashing.
        """
        try:
            return look_up(self._connection, video, kind)
        except sqlite3.DatabaseError as error:
            self._connection = renew_database(self._connection, self._path, TABLES, error)
            return None

    def put(self, video: Video, kind: str, fingerprint: str) -> None:
        """Remember the fingerprint of a file."""
        self._pending.append((*_key(video, kind), fingerprint))
        if len(self._pending) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is remembered; a failure is no loss, since the index is only a hint."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?)", pending)
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._connection.close()


def look_up(connection: sqlite3.Connection, video: Video, kind: str) -> str | None:
    """Return what an open index knows of an unchanged file; see `FingerprintIndex.get`.

    Raises:
        sqlite3.DatabaseError: It is damaged, or locked.
    """
    query = "SELECT fingerprint FROM files WHERE path=? AND size=? AND mtime_ns=? AND inode=? AND kind=?"
    row = connection.execute(query, _key(video, kind)).fetchone()
    return row[0] if row and isinstance(row[0], str) and is_fingerprint(row[0]) else None


def _key(video: Video, kind: str) -> tuple[bytes, int, int, str, str]:
    # The inode as text: SQLite's integers are signed, some file systems use all 64 bits.
    return os.fsencode(video.path), video.size_bytes, video.mtime_ns, str(video.inode), kind

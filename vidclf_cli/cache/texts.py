"""The text store: vectors of texts, by space and BLAKE2b of the text.

Kept apart from the videos' files: two copies of one video can have different titles, and an edited
sidecar embeds its text again and nothing else.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.cache.database import open_database, renew_database, unusable
from vidclf_cli.embedders.base import TextEmbedder
from vidclf_cli.spaces import Space

TABLES = """
CREATE TABLE IF NOT EXISTS spaces (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS texts (
    space INTEGER NOT NULL, hash BLOB NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (space, hash)
) WITHOUT ROWID;
"""
"""The tables of the file."""

_QUERY_SIZE = 500  # SQLite allows 999 parameters in its oldest builds


class TextStore:
    """Vectors of texts on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_database(path, TABLES)

    def read(self, space: Space, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the vectors of those texts that are there."""
        try:
            return self._read(space, texts)
        except sqlite3.DatabaseError as error:
            self._connection = renew_database(self._connection, self._path, TABLES, error)
            return {}

    def _read(self, space: Space, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        number = self._number(space)
        by_hash = {_hash(text): text for text in texts}
        found = {}
        hashes = list(by_hash)
        for start in range(0, len(hashes), _QUERY_SIZE):
            part = hashes[start : start + _QUERY_SIZE]
            marks = ",".join("?" * len(part))
            query = f"SELECT hash, vector FROM texts WHERE space=? AND hash IN ({marks})"
            for digest, payload in self._connection.execute(query, (number, *part)):
                vector = _unpack(payload)
                if vector is not None and vector.shape == (space.dimension,):
                    found[by_hash[digest]] = vector
        return found

    def write(self, space: Space, vectors: dict[str, NDArray[np.float32]]) -> None:
        """Add vectors of texts.

        Raises:
            CacheError: The store cannot be written.
        """
        number = self._number(space)
        rows = [(number, _hash(text), _pack(vector)) for text, vector in vectors.items()]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO texts VALUES (?,?,?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise unusable(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _number(self, space: Space) -> int:
        query = "SELECT number FROM spaces WHERE id=?"
        row = self._connection.execute(query, (space.id,)).fetchone()
        if row is None:
            self._connection.execute("INSERT OR IGNORE INTO spaces (id) VALUES (?)", (space.id,))
            row = self._connection.execute(query, (space.id,)).fetchone()
        return int(row[0])


Key = tuple[int, bytes]
"""Number of a space, and hash of a text."""


def find_damaged(connection: sqlite3.Connection) -> tuple[int, list[Key]]:
    """Read every vector; return how many there are, and which have a wrong check sum.

    Raises:
        sqlite3.DatabaseError: The file itself is damaged.
    """
    count, bad = 0, []
    for space, digest, payload in connection.execute("SELECT space, hash, vector FROM texts"):
        count += 1
        if _unpack(payload) is None:
            bad.append((space, digest))
    return count, bad


def remove(connection: sqlite3.Connection, path: Path, keys: Sequence[Key]) -> None:
    """Take vectors out of a store.

    Raises:
        CacheError: The store cannot be written.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("DELETE FROM texts WHERE space=? AND hash=?", keys)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise unusable(path, error) from error


class CachedTextEmbedder:
    """A text embedder that looks into the store first. Stands wherever a text embedder does."""

    def __init__(self, embedder: TextEmbedder, store: TextStore) -> None:
        self._embedder = embedder
        self._store = store

    @property
    def space(self) -> Space:
        """The space that is filled."""
        return self._embedder.space

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed non-empty texts; only those that the store does not have are computed."""
        known = self._store.read(self.space, texts)
        missing = list(dict.fromkeys(text for text in texts if text not in known))
        if missing:
            vectors = dict(zip(missing, self._embedder.embed(missing), strict=True))
            self._store.write(self.space, vectors)
            known |= vectors
        if not texts:
            return np.zeros((0, self.space.dimension), np.float32)
        return np.stack([known[text] for text in texts])


def _pack(vector: NDArray[np.float32]) -> bytes:
    payload = vector.astype("<f4").tobytes()
    return payload + zlib.crc32(payload).to_bytes(4, "little")


def _unpack(stored: bytes) -> NDArray[np.float32] | None:
    """Return the vector, None when a bit of it was lost: it is computed again then."""
    payload, check = stored[:-4], stored[-4:]
    if len(payload) % 4 or zlib.crc32(payload).to_bytes(4, "little") != check:
        return None
    return np.frombuffer(payload, "<f4").astype(np.float32, copy=False)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

"""Read everything that a cache holds, and find what is damaged before a run does."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from vidclf_cli.cache import index, texts
from vidclf_cli.cache.content import problem_of, set_aside
from vidclf_cli.cache.database import (
    NewerSchemaError,
    check_schema,
    open_database,
    open_for_reading,
    renew_database,
    unusable,
)
from vidclf_cli.cache.inventory import INDEX, TEXTS, Kind, scan

Progress = Callable[[int, int], None]
"""Called with how many files are read, of how many."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One file, or part of one, that cannot be used.

    Attributes:
        path: Where it is.
        problem: What is wrong.
        is_repaired: Whether it was set aside or taken out; what it held is made again when it is needed.
    """

    path: Path
    problem: str
    is_repaired: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found.

    Attributes:
        counts: Files read per kind; the two databases are other files.
        text_count: Vectors of texts read.
        damages: What cannot be used.
        newer: Files of a newer version, which are left as they are.
    """

    counts: Counter[Kind]
    text_count: int
    damages: tuple[Damage, ...]
    newer: tuple[Path, ...]


def verify(folder: Path, *, repair: bool = False, progress: Progress | None = None) -> Verified:
    """Open every file, check its schema, and read all of it: every check sum is held against the data.

    Args:
        folder: Root of the cache.
        repair: Set damaged files aside (`*.damaged`), and take damaged vectors of texts out.
        progress: Called after each file.

    Raises:
        CacheError: The folder or a file cannot be read, or cannot be repaired.
    """
    root = folder.resolve()
    check = _Check(root, repair)
    files = [file for file in scan(root) if file.kind in (Kind.VIDEO, Kind.TIMELINE)]
    for number, file in enumerate(files, start=1):
        check.content(file.path, file.kind)
        if progress is not None:
            progress(number, len(files))
    check.database(root / TEXTS, texts.TABLES)
    check.database(root / INDEX, index.TABLES)
    return Verified(check.counts, check.text_count, tuple(check.damages), tuple(check.newer))


class _Check:
    """Looks at one file after the other, and remembers what it found."""

    def __init__(self, root: Path, repair: bool) -> None:
        self._root = root
        self._repair = repair
        self.counts: Counter[Kind] = Counter()
        self.text_count = 0
        self.damages: list[Damage] = []
        self.newer: list[Path] = []

    def content(self, path: Path, kind: Kind) -> None:
        """Read one HDF5 file."""
        self.counts[kind] += 1
        try:
            if problem := problem_of(path):
                repaired = self._repair and set_aside(self._root, path)
                self.damages.append(Damage(path, problem, repaired))
        except NewerSchemaError:
            self.newer.append(path)

    def database(self, path: Path, tables: str) -> None:
        """Read one SQLite file, and the vectors in it."""
        connection = open_for_reading(path)
        if connection is None:
            return
        self.counts[Kind.OTHER] += 1
        bad: list[texts.Key] = []
        with closing(connection):
            try:
                problem = _problem_of(connection, path)
                if not problem and path.name == TEXTS:
                    self.text_count, bad = texts.find_damaged(connection)
            except NewerSchemaError:
                self.newer.append(path)
                return
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                    raise unusable(path, error) from error
                problem = str(error)
        if problem:
            if self._repair:
                fault = sqlite3.DatabaseError(problem)
                renew_database(sqlite3.connect(":memory:"), path, tables, fault).close()
            self.damages.append(Damage(path, problem, self._repair))
        elif bad:
            if self._repair:
                with closing(open_database(path, tables)) as writing:
                    texts.remove(writing, path, bad)
            problem = f"{len(bad):,} of {self.text_count:,} vectors have a wrong check sum"
            self.damages.append(Damage(path, problem, self._repair))


def _problem_of(connection: sqlite3.Connection, path: Path) -> str:
    """Return what SQLite finds wrong with a file, empty when nothing is.

    Raises:
        NewerSchemaError: It was written by a newer version.
        sqlite3.DatabaseError: It cannot even be looked at.
    """
    check_schema(connection, path)
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return "" if found == "ok" else str(found)

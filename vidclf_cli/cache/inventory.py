"""What is in a cache folder, file by file. Symbolic links are left alone: neither followed nor counted."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vidclf_cli.cache.database import open_for_reading
from vidclf_cli.errors import CacheError

TRAINING = "training"
LOCKS = "locks"
TEXTS = "texts.sqlite"
INDEX = "index.sqlite"


class Kind(StrEnum):
    """What a file of a cache is; the values are what a person reads, in the plural."""

    VIDEO = "videos"
    TIMELINE = "timelines"
    TRAINING = "interrupted trainings"
    OUTPUT = "records of outputs"
    DAMAGED = "damaged files"
    TEMPORARY = "left-over temporary files"
    OTHER = "other files"


@dataclass(frozen=True, slots=True)
class CacheFile:
    """One regular file.

    Attributes:
        path: Where it is.
        kind: What it is.
        byte_count: Its size.
        mtime: When it was used last, seconds since 1970: written, or since then read on another day.
    """

    path: Path
    kind: Kind
    byte_count: int
    mtime: float


@dataclass(frozen=True, slots=True)
class Size:
    """How much a cache holds.

    Attributes:
        folder: Its root.
        counts: Files per kind; of trainings their number, of which each may have several files.
        byte_counts: Bytes per kind.
        text_count: Texts whose vectors are stored.
    """

    folder: Path
    counts: Counter[Kind]
    byte_counts: Counter[Kind]
    text_count: int

    @property
    def byte_count(self) -> int:
        """All bytes together."""
        return self.byte_counts.total()


def measure(folder: Path) -> Size:
    """Count what a cache holds; makes and changes nothing.

    Raises:
        CacheError: The folder cannot be read.
    """
    counts: Counter[Kind] = Counter()
    byte_counts: Counter[Kind] = Counter()
    trainings = set()
    for file in scan(folder):
        byte_counts[file.kind] += file.byte_count
        if file.kind is Kind.TRAINING:
            trainings.add(training_folder(folder, file.path))
        else:
            counts[file.kind] += 1
    counts[Kind.TRAINING] = len(trainings)
    return Size(folder, counts, byte_counts, _count_texts(folder / TEXTS))


def scan(folder: Path) -> Iterator[CacheFile]:
    """Yield every regular file; nothing where there is no cache yet.

    Raises:
        CacheError: The folder cannot be read.
    """
    pending = [folder]
    while pending:
        try:
            entries = sorted(os.scandir(pending.pop()), key=lambda entry: entry.name)
        except FileNotFoundError:
            continue  # another run has removed it
        except OSError as error:
            raise CacheError(
                f"Cannot read the cache folder {folder}: {error.strerror}.",
                "Check who may read it, or choose another folder with --cache-dir.",
            ) from error
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:  # another run has renamed it
                    continue
                path = Path(entry.path)
                yield CacheFile(path, _kind(path.relative_to(folder)), status.st_size, status.st_mtime)


def training_folder(folder: Path, path: Path) -> Path:
    """Return the folder of the training that a file belongs to."""
    return folder / TRAINING / path.relative_to(folder / TRAINING).parts[0]


def _kind(path: Path) -> Kind:
    """Tell a file by its place, relative to the root."""
    place = path.parts[0]
    if place == TRAINING and len(path.parts) > 2:
        return Kind.TRAINING
    if path.suffix == ".damaged":
        return Kind.DAMAGED
    if path.name.startswith(".") and path.suffix == ".tmp":
        return Kind.TEMPORARY
    if place == "outputs" and path.suffix == ".json":
        return Kind.OUTPUT
    if path.suffix == ".h5" and len(path.parts) == 3:
        return {"videos": Kind.VIDEO, "timelines": Kind.TIMELINE}.get(place, Kind.OTHER)
    return Kind.OTHER


def _count_texts(path: Path) -> int:
    connection = open_for_reading(path)
    if connection is None:
        return 0
    try:
        return int(connection.execute("SELECT COUNT(*) FROM texts").fetchone()[0])
    except sqlite3.Error:  # `vidclf cache verify` says what is wrong with it.
        return 0
    finally:
        connection.close()

"""Remove from a cache what was not used for long, or what is too much; never what a running process holds."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from vidclf_cli.cache.content import lock_file
from vidclf_cli.cache.inventory import LOCKS, CacheFile, Kind, scan, training_folder
from vidclf_cli.errors import CacheError

_BY_USE = frozenset({Kind.VIDEO, Kind.TIMELINE, Kind.TRAINING, Kind.OUTPUT})
_STALE_SECONDS = 86_400.0
"""A temporary file that is older belongs to a process that was killed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may stay.

    Attributes:
        unused_seconds: What was not used for so long goes; None: nothing goes by its age.
        byte_count: So much may stay, least recently used goes first; None: any amount.
    """

    unused_seconds: float | None = None
    byte_count: int | None = None


@dataclass(slots=True)
class Pruned:
    """What was removed, or would be.

    Attributes:
        counts: Per kind; of trainings their number.
        byte_counts: Bytes per kind.
        busy_count: What was left since a running process holds it, or has used it meanwhile.
        kept_byte_count: Bytes that stay.
    """

    counts: Counter[Kind] = field(default_factory=Counter)
    byte_counts: Counter[Kind] = field(default_factory=Counter)
    busy_count: int = 0
    kept_byte_count: int = 0


@dataclass(frozen=True, slots=True)
class _Item:
    """What goes together: one file, or a training's folder."""

    path: Path
    kind: Kind
    files: tuple[CacheFile, ...]

    @property
    def byte_count(self) -> int:
        return sum(file.byte_count for file in self.files)

    @property
    def mtime(self) -> float:
        return max(file.mtime for file in self.files)


def prune(folder: Path, limits: Limits, *, dry_run: bool = False) -> Pruned:
    """Remove what is past the limits, all damaged files, and temporary files of processes that were killed.

    Vectors of texts and the index of paths stay: they are small, and tell nothing of their last use.

    Args:
        folder: Root of the cache.
        limits: What may stay.
        dry_run: Only count.

    Raises:
        CacheError: The folder cannot be read, or a file cannot be removed.
    """
    root = folder.resolve()
    files = list(scan(root))
    pruned = Pruned(kept_byte_count=sum(file.byte_count for file in files))
    for item in _chosen(_items(root, files), limits, pruned.kept_byte_count, time.time()):
        if not dry_run and not _remove(root, item):
            pruned.busy_count += 1
            continue
        pruned.counts[item.kind] += 1
        pruned.byte_counts[item.kind] += item.byte_count
        pruned.kept_byte_count -= item.byte_count
    return pruned


def _items(root: Path, files: Iterable[CacheFile]) -> Iterator[_Item]:
    trainings: dict[Path, list[CacheFile]] = defaultdict(list)
    for file in files:
        if file.kind is Kind.TRAINING:
            trainings[training_folder(root, file.path)].append(file)
        elif file.kind is not Kind.OTHER:
            yield _Item(file.path, file.kind, (file,))
    for path, own in trainings.items():
        yield _Item(path, Kind.TRAINING, tuple(own))


def _chosen(items: Iterable[_Item], limits: Limits, byte_count: int, now: float) -> Iterator[_Item]:
    """Yield what has to go, the least recently used last."""
    by_use = []
    for item in items:
        if item.kind in _BY_USE:
            by_use.append(item)
        elif item.kind is Kind.DAMAGED or now - item.mtime > _STALE_SECONDS:
            byte_count -= item.byte_count
            yield item
    by_use.sort(key=lambda item: item.mtime)
    for item in by_use:
        is_old = limits.unused_seconds is not None and now - item.mtime > limits.unused_seconds
        is_too_much = limits.byte_count is not None and byte_count > limits.byte_count
        if is_old or is_too_much:
            byte_count -= item.byte_count
            yield item


def _remove(root: Path, item: _Item) -> bool:
    """Remove an item, if nobody holds it and it is as it was found; return whether it is gone."""
    try:
        with _held(root, item):
            if not _is_unchanged(root, item):
                return False
            if item.kind is Kind.TRAINING:
                shutil.rmtree(item.path)
            else:
                item.path.unlink()
        return True
    except Timeout:
        return False
    except FileNotFoundError:
        return True
    except OSError as error:
        raise CacheError(
            f"Cannot remove {item.path}: {error.strerror or error}.",
            "Check who may write in the cache folder.",
        ) from error


@contextlib.contextmanager
def _held(root: Path, item: _Item) -> Iterator[None]:
    """Hold an item against running processes.

    Raises:
        Timeout: One of them holds it.
    """
    locks = {
        Kind.VIDEO: lock_file(root, item.path.stem),
        Kind.TIMELINE: lock_file(root, item.path.stem),
        Kind.TRAINING: training_lock(root, item.path.name),
    }
    lock = locks.get(item.kind)
    if lock is None:
        yield
        return
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock, timeout=0):
        yield


def training_lock(folder: Path, key: str) -> Path:
    """Return the file that a training locks while it runs.

    Args:
        folder: Root of the cache.
        key: Name of the training's folder.
    """
    return folder / LOCKS / f"training-{key}.lock"


def _is_unchanged(root: Path, item: _Item) -> bool:
    """Tell whether an item is still as it was found, and still where it was: no folder became a link."""
    if item.path.parent.resolve() != item.path.parent or root not in item.path.parents:
        return False
    if item.kind is Kind.TRAINING:
        now = {file.path: file for file in scan(item.path)}
        return not item.path.is_symlink() and _stamps(now.values()) == _stamps(item.files)
    status = item.path.lstat()
    (file,) = item.files
    return (status.st_size, status.st_mtime) == (file.byte_count, file.mtime)


def _stamps(files: Iterable[CacheFile]) -> Sequence[tuple[Path, int, float]]:
    return sorted((file.path, file.byte_count, file.mtime) for file in files)

"""HDF5 files by content: read with all checks, and only ever replaced as a whole.

    <folder>/<kind>/ab/ab12....h5           attribute `schema` (integer) of the root

A file is replaced (temporary file, rename) under a lock per fingerprint, so readers need no lock and never
see a half-written one. What stands in it carries Fletcher-32 checksums.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from filelock import FileLock
from h5py import h5a, h5d, h5f, h5s

from vidclf_cli.cache.database import NewerSchemaError
from vidclf_cli.cache.fingerprint import is_fingerprint
from vidclf_cli.errors import CacheError
from vidclf_cli.wording import one_line

SCHEMA = 1
_LOCK_SECONDS = 60
_USE_STEP_SECONDS = 86_400
_log = logging.getLogger(__name__)

T = TypeVar("T")


class ContentFiles:
    """One HDF5 file per fingerprint. Safe for several processes; one thread per object.

    Args:
        folder: Root of the cache; made when missing.
        kind: The folder in it that the files are in.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._files = folder / kind

    def path(self, fingerprint: str) -> Path:
        """Return where the file of a content is, or would be."""
        return self._files / fingerprint[:2] / f"{fingerprint}.h5"

    def read(self, fingerprint: str, parse: Callable[[Any], T]) -> T | None:
        """Read a content's file; a damaged one is set aside and counts as absent.

        Args:
            fingerprint: The content's.
            parse: Reads the open file (of h5py's low-level interface, which reads more than twice as many
                files a second as the plain one); whatever it raises is damage.

        Returns:
            What `parse` returns, None where there is no such file.

        Raises:
            NewerSchemaError: The file was written by a newer version.
            CacheError: The system refuses to read it.
        """
        try:
            found = self._parse(fingerprint, parse)
            if found is not None:
                _mark_used(self.path(fingerprint))
            return found
        except (NewerSchemaError, CacheError):
            raise
        except Exception as error:  # noqa: BLE001 - h5py raises OSError, KeyError, RuntimeError, ValueError ...
            self._set_aside(self.path(fingerprint), error)
            return None

    def holds(self, fingerprint: str, test: Callable[[Any], bool]) -> bool:
        """Tell whether a content's file passes a test; changes nothing, and what cannot be read does not."""
        try:
            return bool(self._parse(fingerprint, test))
        except Exception as error:  # noqa: BLE001 - as above
            _log.debug("Not looked into: %s: %s", self.path(fingerprint), error)
            return False

    def _parse(self, fingerprint: str, parse: Callable[[Any], T]) -> T | None:
        path = self.path(fingerprint)
        data = _bytes_of(path)
        if data is None:
            return None
        file = h5f.open_file_image(data)
        try:
            _check_schema(file, path)
            return parse(file)
        finally:
            file.close()

    def update(self, fingerprint: str, put: Callable[[h5py.File], None]) -> None:
        """Add to a content's file, keeping what is there.

        Raises:
            NewerSchemaError: The file was written by a newer version.
            CacheError: The cache folder cannot be written (full disk, no permission).
        """
        path = self.path(fingerprint)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock(fingerprint):
                self._add(path, put)
        except OSError as error:
            raise _unusable(path, error) from error

    @contextmanager
    def _lock(self, fingerprint: str) -> Iterator[None]:
        lock = lock_file(self._folder, fingerprint)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=_LOCK_SECONDS):
            yield

    def _add(self, path: Path, put: Callable[[h5py.File], None]) -> None:
        existing = _bytes_of(path)
        # In memory first: HDF5 crashes the process when the disk is full as it closes a file.
        with h5py.File(path.name, "w", libver="latest", driver="core", backing_store=False) as target:
            if existing is not None:
                self._copy(existing, path, target)
            target.attrs["schema"] = SCHEMA
            put(target)
            target.flush()
            image = target.id.get_file_image()
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(image)
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _copy(self, existing: bytes, path: Path, target: h5py.File) -> None:
        try:
            with h5py.File(h5f.open_file_image(existing)) as source:
                _check_schema(source.id, path)
                for group in source:
                    source.copy(group, target)
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            for group in list(target):
                del target[group]
            self._set_aside(path, error)

    def _set_aside(self, path: Path, error: Exception) -> None:
        _log.warning("The cache file %s is damaged; it is set aside and made again", path)
        _log.debug("What is damaged", exc_info=error)
        try:
            path.replace(path.with_suffix(".damaged"))
        except OSError as problem:
            _log.debug("Could not set %s aside: %s", path, problem)


def problem_of(path: Path) -> str:
    """Return what is wrong with a content's file, empty when nothing is; all of it is read.

    Raises:
        NewerSchemaError: The file was written by a newer version.
        CacheError: The system refuses to read it.
    """
    if not is_fingerprint(path.stem) or path.parent.name != path.stem[:2]:
        return "its name is no fingerprint of a content"
    data = _bytes_of(path)
    if data is None:
        return ""  # another run has removed it
    try:
        with h5py.File(h5f.open_file_image(data)) as file:
            _check_schema(file.id, path)
            file.visititems(_read_part)
    except (NewerSchemaError, CacheError):
        raise
    except Exception as error:  # noqa: BLE001 - h5py raises OSError, KeyError, RuntimeError, ValueError ...
        return one_line(str(error)) or type(error).__name__
    return ""


def _read_part(name: str, part: Any) -> None:
    if not isinstance(part, h5py.Dataset):
        return
    values = np.asarray(part[()])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} holds values that are no numbers")


def set_aside(folder: Path, path: Path) -> bool:
    """Rename a content's file to `*.damaged`, unless it was made again meanwhile; return whether it was.

    Args:
        folder: Root of the cache.
        path: The file.

    Raises:
        CacheError: It cannot be renamed, or another run holds it.
    """
    lock = lock_file(folder, path.stem)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=_LOCK_SECONDS):
            if not problem_of(path):
                return False
            path.replace(path.with_suffix(".damaged"))
    except OSError as error:  # a lock's Timeout is one, too
        raise _unusable(path, error) from error
    return True


def lock_file(folder: Path, fingerprint: str) -> Path:
    """Return what is locked while files of a content are replaced or removed.

    One per folder of fingerprints: 256 at most, so that no lock file per video is left.
    """
    return folder / "locks" / f"{fingerprint[:2]}.lock"


def _mark_used(path: Path) -> None:
    """Renew the time of a file, once a day: `vidclf cache prune` goes by it.

    Access times do not tell: most systems keep none, and a backup would renew them.
    """
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _USE_STEP_SECONDS:
            os.utime(path)


def exists(file: Any, name: str) -> bool:
    """Tell whether an open file holds a name.

    Looked up step by step: HDF5 raises when a group on the way is missing.
    """
    parts = name.encode().split(b"/")
    return all(b"/".join(parts[: count + 1]) in file for count in range(len(parts)))


def array(file: Any, name: str, dtype: Any) -> Any:
    """Return a dataset of an open file as an array of a type."""
    dataset = h5d.open(file, name.encode())
    values = np.empty(dataset.shape, dtype)
    dataset.read(h5s.ALL, h5s.ALL, values)
    return values


def _bytes_of(path: Path) -> bytes | None:
    """Return a file's bytes, None when there is no such file.

    Read by plain means, so that what the system refuses is not taken for damage.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> CacheError:
    return CacheError(
        f"Cannot use the cache at {path.parent}: {error.strerror or error}.",
        "Free some space, check who may write there, or choose another folder with --cache-dir.",
    )


def _check_schema(file: Any, path: Path) -> None:
    value = np.empty((), np.int64)
    h5a.open(file, b"schema").read(value)
    if int(value) > SCHEMA:
        raise NewerSchemaError(
            f"The cache file {path} was written by a newer vidclf (schema {int(value)}, known: {SCHEMA}).",
            "Update vidclf, or choose another folder with --cache-dir.",
        )

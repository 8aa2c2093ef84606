"""HDF5 files by content: read with all checks, and only ever replaced as a whole.

    <folder>/<kind>/ab/ab12....h5           attribute `schema` (integer) of the root

A file is replaced (temporary file, rename) under a lock per fingerprint, so readers need no lock and never
see a half-written one. What stands in it carries Fletcher-32 checksums.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from filelock import FileLock
from h5py import h5a, h5d, h5f, h5s

from vidclf_cli.cache.database import NewerSchemaError
from vidclf_cli.errors import CacheError

SCHEMA = 1
_LOCK_SECONDS = 60
_log = logging.getLogger(__name__)

T = TypeVar("T")


class ContentFiles:
    """One HDF5 file per fingerprint. Safe for several processes; one thread per object.

    Args:
        folder: Root of the cache; made when missing.
        kind: The folder in it that the files are in.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self._files = folder / kind
        self._locks = folder / "locks"

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
            return self._parse(fingerprint, parse)
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
        # One lock file per folder of fingerprints: 256 at most, so that no lock file per video is left.
        self._locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self._locks / f"{fingerprint[:2]}.lock", timeout=_LOCK_SECONDS):
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

"""The embedding store: one HDF5 file per content.

    <folder>/videos/ab/ab12....h5
        /                                   attribute `schema` (integer)
        /raw_features/probe                 what the file says of itself, JSON in bytes
        /embedded_features/<space id>/<sampling>
                                            float32 vector, attribute `record` (JSON); empty when the video
                                            is known to have nothing there

Both carry Fletcher-32 checksums. A file is only ever replaced as a whole (temporary file, rename) under a
lock per fingerprint, so readers need no lock and never see a half-written one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from filelock import FileLock
from h5py import h5a, h5d, h5f, h5s

from vidclf_cli.cache.database import NewerSchemaError
from vidclf_cli.errors import CacheError
from vidclf_cli.spaces import Embedding, Space, Vector

SCHEMA = 1
_LOCK_SECONDS = 60
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the cache holds of one video.

    Attributes:
        probe: What the file said of itself; None when it was not read yet.
        vectors: Space id to vector, those of the asked spaces that are there.
        absent: Ids of those asked spaces that the video is known to have nothing for (no sound).
    """

    probe: dict[str, Any] | None = None
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


class EmbeddingStore:
    """Vectors by fingerprint and space. Safe for several processes; one thread per object.

    Args:
        folder: Root of the cache; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._videos = folder / "videos"
        self._locks = folder / "locks"

    def path(self, fingerprint: str) -> Path:
        """Return where the vectors of a content are, or would be."""
        return self._videos / fingerprint[:2] / f"{fingerprint}.h5"

    def read(self, fingerprint: str, spaces: Iterable[Space]) -> Stored:
        """Read what is there of the asked spaces; a damaged file is set aside and counts as absent.

        Raises:
            NewerSchemaError: The file was written by a newer version.
        """
        path = self.path(fingerprint)
        data = _bytes_of(path)
        if data is None:
            return Stored()
        try:
            return _read(data, path, tuple(spaces))
        except NewerSchemaError:
            raise
        except Exception as error:  # noqa: BLE001 - h5py raises OSError, KeyError, RuntimeError, ValueError ...
            self._set_aside(path, error)
            return Stored()

    def write(
        self,
        fingerprint: str,
        probe: Mapping[str, Any] | None,
        embeddings: Mapping[Space, Embedding | None],
    ) -> None:
        """Add vectors to a content's file, keeping what is there. None: the video has nothing in that space.

        Raises:
            CacheError: The cache folder cannot be written (full disk, no permission).
        """
        path = self.path(fingerprint)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock(fingerprint):
                self._add(path, probe, embeddings)
        except OSError as error:
            raise _unusable(path, error) from error

    @contextmanager
    def _lock(self, fingerprint: str) -> Iterator[None]:
        # One lock file per folder of fingerprints: 256 at most, so that no lock file per video is left.
        self._locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self._locks / f"{fingerprint[:2]}.lock", timeout=_LOCK_SECONDS):
            yield

    def _add(
        self, path: Path, probe: Mapping[str, Any] | None, embeddings: Mapping[Space, Embedding | None]
    ) -> None:
        existing = _bytes_of(path)
        # In memory first: HDF5 crashes the process when the disk is full as it closes a file.
        with h5py.File(path.name, "w", libver="latest", driver="core", backing_store=False) as target:
            if existing is not None:
                self._copy(existing, path, target)
            target.attrs["schema"] = SCHEMA
            if probe is not None:
                _put_probe(target, probe)
            for space, embedding in embeddings.items():
                _put_vector(target, space, embedding)
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


def dataset_name(space: Space) -> str:
    """Return where a space's vector lives inside a file."""
    return f"embedded_features/{space.id}/{space.sampling or 'whole'}"


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


def _read(data: bytes, path: Path, spaces: tuple[Space, ...]) -> Stored:
    # The low-level interface reads more than twice as many files a second as the plain one.
    file = h5f.open_file_image(data)
    try:
        _check_schema(file, path)
        probe = None
        if _exists(file, b"raw_features/probe"):
            probe = json.loads(_array(file, b"raw_features/probe", np.uint8).tobytes())
            if not isinstance(probe, dict):
                raise TypeError("raw_features/probe holds no mapping")
        vectors = {}
        absent = set()
        for space in spaces:
            name = dataset_name(space).encode()
            if not _exists(file, name):
                continue
            vector = _array(file, name, np.float32)
            if vector.shape == (0,):
                absent.add(space.id)
                continue
            if vector.shape != (space.dimension,) or not np.isfinite(vector).all():
                raise ValueError(f"{name.decode()} has shape {vector.shape} or values that are no numbers")
            vectors[space.id] = vector
        return Stored(probe, vectors, frozenset(absent))
    finally:
        file.close()


def _check_schema(file: Any, path: Path) -> None:
    value = np.empty((), np.int64)
    h5a.open(file, b"schema").read(value)
    if int(value) > SCHEMA:
        raise NewerSchemaError(
            f"The cache file {path} was written by a newer vidclf (schema {int(value)}, known: {SCHEMA}).",
            "Update vidclf, or choose another folder with --cache-dir.",
        )


def _exists(file: Any, name: bytes) -> bool:
    # A link is looked up step by step: HDF5 raises when a group on the way is missing.
    parts = name.split(b"/")
    return all(b"/".join(parts[: count + 1]) in file for count in range(len(parts)))


def _array(file: Any, name: bytes, dtype: Any) -> Any:
    dataset = h5d.open(file, name)
    values = np.empty(dataset.shape, dtype)
    dataset.read(h5s.ALL, h5s.ALL, values)
    return values


def _put_probe(target: h5py.File, probe: Mapping[str, Any]) -> None:
    if "raw_features/probe" in target:
        del target["raw_features/probe"]
    payload = np.frombuffer(json.dumps(probe, separators=(",", ":"), sort_keys=True).encode(), np.uint8)
    target.create_dataset("raw_features/probe", data=payload, chunks=payload.shape, fletcher32=True)


def _put_vector(target: h5py.File, space: Space, embedding: Embedding | None) -> None:
    name = dataset_name(space)
    if name in target:
        del target[name]
    if embedding is None:
        dataset = target.create_dataset(name, shape=(0,), dtype="f4")
    else:
        dataset = target.create_dataset(
            name, data=embedding.vector, dtype="f4", chunks=(space.dimension,), fletcher32=True
        )
    made = datetime.now(UTC).isoformat(timespec="seconds")
    unit_count = embedding.unit_count if embedding else 0
    dataset.attrs["record"] = json.dumps({"made": made, "units": unit_count})

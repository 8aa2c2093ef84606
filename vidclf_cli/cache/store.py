"""The embedding store: the vectors of whole videos, one HDF5 file per content.

<folder>/videos/ab/ab12....h5
    /raw_features/probe                 what the file says of itself, JSON in bytes
    /embedded_features/<space id>/<sampling>
                                        float32 vector, attribute `record` (JSON); empty when the video
                                        is known to have nothing there
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vidclf_cli.cache.content import ContentFiles, array, exists
from vidclf_cli.spaces import Embedding, Space, Vector


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
        self._files = ContentFiles(folder, "videos")

    def path(self, fingerprint: str) -> Path:
        """Return where the vectors of a content are, or would be."""
        return self._files.path(fingerprint)

    def read(self, fingerprint: str, spaces: Iterable[Space]) -> Stored:
        """Read what is there of the asked spaces; a damaged file is set aside and counts as absent.

        Raises:
            NewerSchemaError: The file was written by a newer version.
            CacheError: The system refuses to read it.
        """
        return self._files.read(fingerprint, lambda file: _read(file, spaces)) or Stored()

    def holds(self, fingerprint: str, spaces: Iterable[Space]) -> bool:
        """Tell whether a video need not be read for some spaces; changes nothing."""
        wanted = ["raw_features/probe", *map(dataset_name, spaces)]
        return self._files.holds(fingerprint, lambda file: all(exists(file, name) for name in wanted))

    def write(
        self,
        fingerprint: str,
        probe: Mapping[str, Any] | None,
        embeddings: Mapping[Space, Embedding | None],
    ) -> None:
        """Add vectors to a content's file, keeping what is there. None: the video has nothing in that space.

        Raises:
            NewerSchemaError: The file was written by a newer version.
            CacheError: The cache folder cannot be written (full disk, no permission).
        """

        def put(target: h5py.File) -> None:
            if probe is not None:
                _put_probe(target, probe)
            for space, embedding in embeddings.items():
                _put_vector(target, space, embedding)

        self._files.update(fingerprint, put)


def dataset_name(space: Space) -> str:
    """Return where a space's vector lives inside a file."""
    return f"embedded_features/{space.id}/{space.sampling or 'whole'}"


def _read(file: Any, spaces: Iterable[Space]) -> Stored:
    probe = None
    if exists(file, "raw_features/probe"):
        probe = json.loads(array(file, "raw_features/probe", np.uint8).tobytes())
        if not isinstance(probe, dict):
            raise TypeError("raw_features/probe holds no mapping")
    vectors = {}
    absent = set()
    for space in spaces:
        name = dataset_name(space)
        if not exists(file, name):
            continue
        vector = array(file, name, np.float32)
        if vector.shape == (0,):
            absent.add(space.id)
            continue
        if vector.shape != (space.dimension,) or not np.isfinite(vector).all():
            raise ValueError(f"{name} has shape {vector.shape} or values that are no numbers")
        vectors[space.id] = vector
    return Stored(probe, vectors, frozenset(absent))


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

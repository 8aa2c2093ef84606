"""The timeline store: vectors along videos, one HDF5 file per content.

    <folder>/timelines/ab/ab12....h5
        /tracks/<space id>/<sampling>/spans          float64 (vectors, 2): start and end in seconds
        /tracks/<space id>/<sampling>/vectors        float16 (vectors, dimension)
        /tracks/<space id>/<sampling>/frame_seconds  float64 (vectors,): times of frames; absent for clips
        /tracks/<space id>/<sampling>                attribute `record` (JSON)

Apart from the vectors of whole videos: those are read in every run, and a film's timeline is a hundred
times as large.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.cache.content import ContentFiles, array, exists
from vidclf_cli.spaces import Space
from vidclf_cli.tracks import Track

_ROOT = "tracks"


class TimelineStore:
    """Tracks by fingerprint and space. Safe for several processes; one thread per object.

    Args:
        folder: Root of the cache; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._files = ContentFiles(folder, "timelines")

    def path(self, fingerprint: str) -> Path:
        """Return where the tracks of a content are, or would be."""
        return self._files.path(fingerprint)

    def read(self, fingerprint: str, spaces: Iterable[Space]) -> dict[str, Track]:
        """Read the tracks of the asked spaces that are there, by space id.

        Vectors of whole clips, those of the shortest ones, come before vectors of frames of the space's own
        `sampling`. A damaged file is set aside and counts as absent.

        Raises:
            NewerSchemaError: The file was written by a newer version.
            CacheError: The system refuses to read it.
        """
        return self._files.read(fingerprint, lambda file: _read(file, spaces)) or {}

    def holds(self, fingerprint: str, spaces: Iterable[Space], wanted: Iterable[str]) -> bool:
        """Tell whether a video need not be read for its timeline; changes nothing.

        Args:
            fingerprint: The video's.
            spaces: Those that are filled from frames.
            wanted: Ids of those of which vectors of clips are enough.
        """

        def test(file: Any) -> bool:
            if all(exists(file, f"{_ROOT}/{space.id}/{space.sampling}/spans") for space in spaces):
                return True
            groups = [f"{_ROOT}/{space_id}" for space_id in wanted]
            return all(exists(file, group) and _has_clips(file, group) for group in groups)

        return self._files.holds(fingerprint, test)

    def write(self, fingerprint: str, tracks: Mapping[Space, Track]) -> None:
        """Add tracks to a content's file, each under its space's `sampling`, keeping what is there.

        Raises:
            NewerSchemaError: The file was written by a newer version.
            CacheError: The cache folder cannot be written (full disk, no permission).
        """

        def put(target: h5py.File) -> None:
            for space, track in tracks.items():
                _put_track(target, space, track)

        self._files.update(fingerprint, put)


def _read(file: Any, spaces: Iterable[Space]) -> dict[str, Track]:
    tracks = {}
    for space in spaces:
        found = [_read_track(file, name, space.dimension) for name in _names(file, space)]
        if found:
            tracks[space.id] = max(found, key=lambda track: len(track.spans))
    return tracks


def _names(file: Any, space: Space) -> list[str]:
    group = f"{_ROOT}/{space.id}"
    if not exists(file, group):
        return []
    names = {sampling: f"{group}/{sampling}" for sampling in sorted(h5py.Group(file)[group])}
    clips = [name for name in names.values() if not exists(file, f"{name}/frame_seconds")]
    return clips or [names[space.sampling]] if space.sampling in names else clips


def _has_clips(file: Any, group: str) -> bool:
    return any(not exists(file, f"{group}/{name}/frame_seconds") for name in h5py.Group(file)[group])


def _read_track(file: Any, name: str, dimension: int) -> Track:
    spans = array(file, f"{name}/spans", np.float64)
    vectors = array(file, f"{name}/vectors", np.float16)
    times = f"{name}/frame_seconds"
    frame_seconds = array(file, times, np.float64) if exists(file, times) else None
    _check(name, spans, vectors, dimension)
    if frame_seconds is not None and frame_seconds.shape != spans.shape[:1]:
        raise ValueError(f"{times} has shape {frame_seconds.shape}")
    return Track(spans, vectors, frame_seconds)


def _check(name: str, spans: NDArray[np.float64], vectors: NDArray[np.float16], dimension: int) -> None:
    if spans.ndim != 2 or spans.shape[1] != 2 or vectors.shape != (len(spans), dimension):
        raise ValueError(f"{name} has the shapes {spans.shape} and {vectors.shape}")
    if not (np.isfinite(spans).all() and np.isfinite(vectors).all()):
        raise ValueError(f"{name} holds values that are no numbers")
    if (spans[:, 0] > spans[:, 1]).any() or (np.diff(spans, axis=0) < 0).any():
        raise ValueError(f"the spans of {name} are not in order")


def _put_track(target: h5py.File, space: Space, track: Track) -> None:
    name = f"{_ROOT}/{space.id}/{space.sampling}"
    if name in target:
        del target[name]
    group = target.create_group(name)
    parts: dict[str, NDArray[Any]] = {"spans": track.spans, "vectors": track.vectors}
    if track.frame_seconds is not None:
        parts["frame_seconds"] = track.frame_seconds
    for part, values in parts.items():
        group.create_dataset(part, data=values, chunks=values.shape, fletcher32=True)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    group.attrs["record"] = json.dumps({"made": made, "units": len(track.spans)})

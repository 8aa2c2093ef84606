"""Videos to timelines: look into the cache, read parts ahead of the encoder, embed, store.

In order of the input. A video is read in parts of a bounded number of frames, each a task of its own: so all
workers read one long film, the time limit holds for a part, and memory does not grow with the length.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.cache import Cache
from vidclf_cli.embedders.base import SampleEmbedder
from vidclf_cli.errors import Code, Reason, VidclfError
from vidclf_cli.media.types import Sample, TimelinePart, TimelineRequest
from vidclf_cli.pipeline.embed import CHANGED, Embedded, has_changed, unexpected
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.spaces import Embedding, Space
from vidclf_cli.tracks import Slots, Track, cut, mean_per_part

_log = logging.getLogger(__name__)

_VIDEOS_AHEAD = 16
"""Videos begun and not yet handed on."""

_PART_SLOTS = 32
"""Slots read in one task: 11 MB of frames of a wide picture."""

_DENSE_PIXELS = 1500 * 1280 * 720
"""What a task may have to decode at most where every frame is: 60 s of 720p, 3 to 6 s of work."""

_SLOTS_AT_MOST = 50_000
"""Of one video: 230 MB of vectors; 5 days at 10 s, 13 hours at 1 s."""

_DENSE_SECONDS = 1.0
_LEAST_DURATION_SECONDS = 1e-3  # of a single frame in a file that tells no duration


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a video is cut into segments, and how finely it is looked at.

    Attributes:
        segment_seconds: Length of a segment.
        dense: A frame of every second (of every segment, if that is shorter), wherever it must be decoded
            from; else one of every segment, where a keyframe or a small budget gives one.
    """

    segment_seconds: float
    dense: bool = False

    @property
    def slot_seconds(self) -> float:
        """Length of the slots that one frame each is read for: a whole number of them make a segment."""
        if not self.dense:
            return self.segment_seconds
        return self.segment_seconds / math.ceil(self.segment_seconds / _DENSE_SECONDS)

    def of(self, space: Space) -> Space:
        """Return the space of an embedder as its vectors along a video are cached."""
        way = "dense" if self.dense else "keyframes"
        return dataclasses.replace(space, sampling=f"{way}-{self.slot_seconds:.9g}s")


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The vectors of a video's segments.

    Attributes:
        edges: Edges of the segments in seconds, one more than there are segments.
        vectors: Space id to shape (segments, dimension); zeros where there is nothing.
        failures: Segment to the reason why nothing of it could be read.
    """

    edges: tuple[float, ...]
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    failures: Mapping[int, Reason] = field(default_factory=dict)


class PartReader(Protocol):
    """Reads parts of timelines elsewhere; `DecodePool` does so in isolated processes."""

    def submit_part(self, path: Path, request: TimelineRequest) -> Future[TimelinePart]:
        """Begin to read; the future raises MediaError when the file cannot be read."""


@dataclass(slots=True, eq=False)
class _Work:
    """A video whose timeline is being made.

    Attributes:
        embedded: The video.
        duration_seconds: Its length.
        slots: What was found.
        tracks: Space id to what was cached.
        missing: Those that fill the other spaces.
        parts: First and end slot of the parts that nobody reads yet.
        reading_count: Parts that are being read.
        timeline: None until it is finished.
    """

    embedded: Embedded
    duration_seconds: float
    slots: Slots
    tracks: dict[str, Track]
    missing: tuple[SampleEmbedder, ...]
    parts: deque[tuple[int, int]] = field(default_factory=deque)
    reading_count: int = 0
    timeline: Timeline | None = None


class TimelineReading:
    """Fills the cache with vectors along videos and hands them on by segment.

    Args:
        cache: Where tracks are looked up and stored.
        embedders: Those that make vectors of frames; what they fill besides is not made. Vectors of whole
            clips that are in the cache are used instead, whoever made them.
        wanted: Ids of the spaces that decide. A video whose clips have vectors in all of them is not read;
            else all spaces are filled, also those that only explain.
        open_reader: Called once when the first video must be read.
        parts_ahead: How many parts may be read or wait for the encoder at one time.
        sampling: Length of segments and distance of frames.
        statistics: Updated while the run goes on.
    """

    def __init__(
        self,
        cache: Cache,
        embedders: Sequence[SampleEmbedder],
        wanted: Sequence[str],
        open_reader: Callable[[], PartReader],
        parts_ahead: int,
        sampling: Sampling,
        statistics: Statistics,
    ) -> None:
        self._cache = cache
        self._spaces = {
            embedder: tuple(sampling.of(space) for space in embedder.spaces if space.modality == "visual")
            for embedder in embedders
        }
        self._wanted = frozenset(wanted)
        self._open_reader = open_reader
        self._parts_ahead = parts_ahead
        self._sampling = sampling
        self._statistics = statistics
        self._reader: PartReader | None = None
        self._reading: dict[Future[TimelinePart], tuple[_Work, int, int]] = {}
        self._unfinished: deque[_Work] = deque()  # those that have parts which nobody reads yet
        self._by_fingerprint: dict[str, _Work] = {}

    def run(self, videos: Iterable[Embedded]) -> Iterator[tuple[Embedded, Timeline | None]]:
        """Yield each video with its timeline, in order; without one where it could not be read itself.

        Raises:
            CacheError: The cache cannot be written.
            EncoderError: An encoder is missing, altered or cannot be loaded.
        """
        source = iter(videos)
        ahead: deque[tuple[Embedded, _Work | None]] = deque()
        exhausted = False
        while ahead or not exhausted:
            self._submit()
            while ahead and (ahead[0][1] is None or ahead[0][1].timeline is not None):
                embedded, work = ahead.popleft()
                yield embedded, None if work is None else work.timeline
            has_room = not self._unfinished and len(self._reading) < self._parts_ahead
            if exhausted or not has_room or len(ahead) >= _VIDEOS_AHEAD or self._is_something_done():
                self._collect()
                continue
            next_one = next(source, None)
            if next_one is None:
                exhausted = True
            else:
                ahead.append((next_one, None if next_one.failure else self._begin(next_one)))

    def _is_something_done(self) -> bool:
        return any(future.done() for future in self._reading)

    def _begin(self, embedded: Embedded) -> _Work:
        known = self._by_fingerprint.get(embedded.fingerprint)
        if known is not None:
            return known  # the same content under another name is being read already
        duration = _duration(embedded.probe)
        with self._statistics.timed("cache"):
            tracks, missing = self._look_up(embedded.fingerprint)
        slots = Slots(cut(duration, self._sampling.slot_seconds))
        slot_count = len(slots.edges) - 1
        work = _Work(embedded, duration, slots, tracks, missing)
        if not missing:
            self._statistics.cached_timeline_count += 1
            work.timeline = self._timeline(duration, tracks)
        elif slot_count > _SLOTS_AT_MOST:
            work.timeline = _failed(duration, _too_many(slot_count))
        else:
            work.parts = _parts(slot_count, self._slots_per_part(embedded.probe))
            self._statistics.part_count += len(work.parts)
            self._by_fingerprint[embedded.fingerprint] = work
            self._unfinished.append(work)
        return work

    def _look_up(self, fingerprint: str) -> tuple[dict[str, Track], tuple[SampleEmbedder, ...]]:
        """Return the tracks that are used, and the embedders that must fill others first."""
        every = [space for spaces in self._spaces.values() for space in spaces]
        tracks = self._cache.timelines.read(fingerprint, every)
        clips = {space_id: track for space_id, track in tracks.items() if track.frame_seconds is None}
        if self._wanted <= clips.keys():
            # Not with what else may be there: what comes out must not depend on what was once asked for.
            return {space_id: clips[space_id] for space_id in self._wanted}, ()
        missing = [
            embedder
            for embedder, spaces in self._spaces.items()
            if any(space.id not in tracks for space in spaces)
        ]
        return tracks, tuple(missing)

    def _slots_per_part(self, probe: Mapping[str, Any]) -> int:
        """Return how many slots a task reads: fewer where all that lies between their frames is decoded."""
        if not self._sampling.dense:
            return _PART_SLOTS
        pixels = max(1, _number(probe, "width") * _number(probe, "height"))
        per_slot = pixels * (_number(probe, "frame_rate") or 25.0) * self._sampling.slot_seconds
        return max(1, min(_PART_SLOTS, int(_DENSE_PIXELS / per_slot)))

    def _submit(self) -> None:
        """Begin to read as many parts as are allowed, the first video's first."""
        while self._unfinished and len(self._reading) < self._parts_ahead:
            if self._reader is None:
                self._reader = self._open_reader()
            work = self._unfinished[0]
            first, end = work.parts.popleft()
            request = TimelineRequest(work.slots.edges[first : end + 1], self._sampling.dense)
            future = self._reader.submit_part(work.embedded.video.path, request)
            self._reading[future] = (work, first, end)
            work.reading_count += 1
            if not work.parts:
                self._unfinished.popleft()

    def _collect(self) -> None:
        """Wait for a part, and take the first one that is there."""
        if not self._reading:
            return
        with self._statistics.timed("wait"):
            wait(self._reading, return_when=FIRST_COMPLETED)
        future = next(future for future in self._reading if future.done())
        work, first, end = self._reading.pop(future)
        work.reading_count -= 1
        self._statistics.read_part_count += 1
        path = work.embedded.video.path
        try:
            part = future.result()
            self._statistics.seconds["decode"] += part.seconds
            self._embed(work, first, part)
        except VidclfError:
            raise  # an encoder that is altered is so for every video
        except Exception as error:  # noqa: BLE001 - whatever a decoder or an encoder dies of costs one part
            work.slots.failures |= dict.fromkeys(range(first, end), unexpected(path, error))
        if not work.parts and not work.reading_count:
            self._finish(work)

    def _embed(self, work: _Work, first: int, part: TimelinePart) -> None:
        samples = [
            Sample(part.info, (frame,), (seconds,))
            for frame, seconds in zip(part.frames, part.timestamps_seconds, strict=True)
        ]
        rows: list[dict[str, NDArray[np.float16]]] = [{} for _ in samples]
        for embedder in work.missing:
            with self._statistics.timed("encode"):
                made = embedder.embed(samples)
            for row, embeddings in zip(rows, made, strict=True):
                row |= {space.id: _half(embeddings.get(space.id), space) for space in self._spaces[embedder]}
        slots = work.slots
        slots.rows |= {first + number: row for number, row in zip(part.slots, rows, strict=True)}
        slots.frame_seconds |= {
            first + number: seconds
            for number, seconds in zip(part.slots, part.timestamps_seconds, strict=True)
        }
        slots.failures |= {first + number: reason for number, reason in part.failures.items()}

    def _finish(self, work: _Work) -> None:
        del self._by_fingerprint[work.embedded.fingerprint]
        self._statistics.read_timeline_count += 1
        slots, work.slots = work.slots, Slots(())
        if has_changed(work.embedded.video):
            work.timeline = _failed(work.duration_seconds, CHANGED)
            return
        spans, failures = slots.spans()
        new = {
            space: slots.track(space, spans)
            for embedder in work.missing
            for space in self._spaces[embedder]
            if spans
        }
        if not failures:
            # With failures it is read again next time, as videos that failed are.
            with self._statistics.timed("store"):
                self._cache.timelines.write(work.embedded.fingerprint, new)
        tracks = {space.id: track for space, track in new.items()} | work.tracks
        middles = {_middle(slots.edges, slot): reason for slot, reason in failures.items()}
        work.timeline = self._timeline(work.duration_seconds, tracks, middles)

    def _timeline(
        self, duration: float, tracks: Mapping[str, Track], failures: Mapping[float, Reason] | None = None
    ) -> Timeline:
        """Average tracks by segment; `failures` by the time in seconds at which nothing could be read."""
        edges = cut(duration, self._sampling.segment_seconds)
        found = np.zeros(len(edges) - 1, bool)
        vectors = {}
        for space_id, track in tracks.items():
            vectors[space_id], covered = mean_per_part(track, edges)
            found |= covered & (space_id in self._wanted)
        reasons: dict[int, Reason] = {}
        for seconds, reason in (failures or {}).items():
            segment = int(np.searchsorted(edges, seconds)) - 1
            if not found[segment]:
                reasons.setdefault(segment, reason)
        if not self._sampling.dense:
            frames = [track for track in tracks.values() if track.frame_seconds is not None]
            self._statistics.shared_frame_count += int(found.sum()) - len(frames[0].spans) if frames else 0
        return Timeline(edges, vectors, reasons)


def _duration(probe: Mapping[str, Any]) -> float:
    """Return the duration; where none is known, the time of the last frame that was found."""
    times = probe.get("frame_seconds")
    last = times[-1] if isinstance(times, list) and times and isinstance(times[-1], int | float) else 0.0
    return max(_number(probe, "duration_seconds") or float(last), _LEAST_DURATION_SECONDS)


def _number(probe: Mapping[str, Any], key: str) -> float:
    value = probe.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _half(embedding: Embedding | None, space: Space) -> NDArray[np.float16]:
    """Round before use, not only to keep: what comes back from the cache next time is the same."""
    if embedding is None:
        return np.zeros(space.dimension, np.float16)
    limit = np.finfo(np.float16).max
    return np.clip(embedding.vector, -limit, limit).astype(np.float16)


def _parts(slot_count: int, size: int) -> deque[tuple[int, int]]:
    return deque((first, min(first + size, slot_count)) for first in range(0, slot_count, size))


def _middle(edges: Sequence[float], slot: int) -> float:
    return (edges[slot] + edges[slot + 1]) / 2


def _failed(duration: float, reason: Reason) -> Timeline:
    return Timeline((0.0, duration), failures={0: reason})


def _too_many(slot_count: int) -> Reason:
    return Reason(
        Code.MEMORY_LIMIT,
        f"its timeline has {slot_count:,} frames, more than {_SLOTS_AT_MOST:,}: "
        "longer --segments, or no --dense, need fewer",
    )

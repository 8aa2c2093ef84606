"""Videos to vectors: look into the cache, read what is missing ahead of the encoder, embed, store.

In order of the input, with a bounded look-ahead: workers read while the encoder works, a slow video holds
up nobody until the window is full, and frames live only from the worker's answer to the encoder.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vidclf_cli.cache import Cache
from vidclf_cli.embedders.base import SampleEmbedder
from vidclf_cli.errors import Code, MediaError, Reason, VidclfError
from vidclf_cli.media.types import Sample, SampleRequest
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.records import Video
from vidclf_cli.spaces import Embedding, Space, Vector

_log = logging.getLogger(__name__)

CHANGED = Reason(Code.CHANGED, "the file changed while it was read; run again when it is whole")

_WINDOW = 256
"""Videos begun and not yet handed on: a video at its time limit lets this many others pass."""


class Reader(Protocol):
    """Reads samples elsewhere; `DecodePool` does so in isolated processes."""

    def submit(self, path: Path, request: SampleRequest) -> Future[Sample]:
        """Begin to read; the future raises MediaError when the file cannot be read."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A video with its vectors, or with the reason why there are none.

    Attributes:
        video: The input.
        probe: What the file says of itself (`MediaInfo` as a mapping); empty when it could not be read.
        vectors: Space id to vector; a space that the video has nothing for is absent.
        failure: Why it could not be read.
        fingerprint: Of its content; empty when it could not be read.
    """

    video: Video
    probe: Mapping[str, Any] = field(default_factory=dict)
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    failure: Reason | None = None
    fingerprint: str = ""


@dataclass(slots=True, eq=False)
class _Slot:
    video: Video
    fingerprint: str = ""
    missing: tuple[SampleEmbedder, ...] = ()
    followers: list[_Slot] = field(default_factory=list)
    vectors: dict[str, Vector] = field(default_factory=dict)
    result: Embedded | None = None


class VideoEmbedding:
    """Fills the cache for videos and hands their vectors on.

    Args:
        cache: Where vectors are looked up and stored.
        embedders: What must be filled for each video.
        open_reader: Called once when the first video must be read, so that a run that finds everything
            in the cache starts no process.
        read_ahead: How many videos may be read or wait for the encoder at one time.
        statistics: Updated while the run goes on.
    """

    def __init__(
        self,
        cache: Cache,
        embedders: Sequence[SampleEmbedder],
        open_reader: Callable[[], Reader],
        read_ahead: int,
        statistics: Statistics,
    ) -> None:
        self._cache = cache
        self._embedders = tuple(embedders)
        self._open_reader = open_reader
        self._read_ahead = read_ahead
        self._statistics = statistics
        self._reader: Reader | None = None
        self._reading: dict[Future[Sample], _Slot] = {}
        self._leaders: dict[str, _Slot] = {}

    def run(self, videos: Iterable[Video]) -> Iterator[Embedded]:
        """Yield one `Embedded` per video, in order.

        Raises:
            CacheError: The cache cannot be written.
            EncoderError: An encoder is missing, altered or cannot be loaded.
        """
        source = iter(videos)
        slots: deque[_Slot] = deque()
        exhausted = False
        while slots or not exhausted:
            while not exhausted and len(slots) < _WINDOW and len(self._reading) < self._read_ahead:
                video = next(source, None)
                if video is None:
                    exhausted = True
                else:
                    slots.append(self._begin(video))
            while slots and slots[0].result is not None:
                yield slots.popleft().result  # type: ignore[misc]  # narrowed by the line above
            if slots and self._reading:
                self._collect()

    def _begin(self, video: Video) -> _Slot:
        slot = _Slot(video)
        try:
            with self._statistics.timed("fingerprint"):
                slot.fingerprint = self._cache.fingerprint(video)
        except OSError as error:
            self._finish(slot, Embedded(video, failure=_unreadable(error)))
            return slot
        leader = self._leaders.get(slot.fingerprint)
        if leader is not None:
            # The same content under another name is being read already.
            leader.followers.append(slot)
            return slot
        self._look_up(slot)
        return slot

    def _look_up(self, slot: _Slot) -> None:
        spaces = [space for embedder in self._embedders for space in embedder.spaces]
        with self._statistics.timed("cache"):
            stored = self._cache.videos.read(slot.fingerprint, spaces)
        slot.vectors = dict(stored.vectors)
        known = stored.vectors.keys() | stored.absent
        slot.missing = tuple(
            embedder
            for embedder in self._embedders
            if any(space.id not in known for space in embedder.spaces)
        )
        if stored.probe is not None and _is_probe(stored.probe) and not slot.missing:
            self._statistics.cached_count += 1
            self._finish(slot, Embedded(slot.video, stored.probe, slot.vectors, None, slot.fingerprint))
            return
        if self._reader is None:
            self._reader = self._open_reader()
        self._leaders[slot.fingerprint] = slot
        self._reading[self._reader.submit(slot.video.path, _merge_requests(slot.missing))] = slot

    def _collect(self) -> None:
        with self._statistics.timed("wait"):
            done, _ = wait(self._reading, return_when=FIRST_COMPLETED)
        read = [(slot, sample) for future in done for slot, sample in self._receive(future)]
        if read:
            self._embed_and_store(read)

    def _embed_and_store(self, read: Sequence[tuple[_Slot, Sample]]) -> None:
        try:
            made = self._embed(read)
        except VidclfError:
            raise  # an encoder that is altered, or a device that is not there, is so for every video
        except Exception as error:  # noqa: BLE001 - an encoder's fault costs its video, not the run
            if len(read) == 1:
                self._fail_internally(read[0][0], error)
            else:
                for one in read:
                    self._embed_and_store([one])
            return
        for (slot, sample), embeddings in zip(read, made, strict=True):
            self._store(slot, sample, embeddings)

    def _receive(self, future: Future[Sample]) -> Iterator[tuple[_Slot, Sample]]:
        """Yield what a worker read, or finish its video as failed and yield nothing."""
        slot = self._reading.pop(future)
        try:
            sample = future.result()
        except MediaError as error:
            self._finish(slot, Embedded(slot.video, failure=error.reason))
        except Exception as error:  # noqa: BLE001 - whatever a worker dies of costs one video
            self._fail_internally(slot, error)
        else:
            self._statistics.decoded_count += 1
            self._statistics.seconds["decode"] += sample.seconds
            if has_changed(slot.video):
                self._finish(slot, Embedded(slot.video, failure=CHANGED))
            else:
                yield slot, sample

    def _embed(self, read: Sequence[tuple[_Slot, Sample]]) -> list[dict[Space, Embedding | None]]:
        made: list[dict[Space, Embedding | None]] = [{} for _ in read]
        for embedder in self._embedders:
            wanting = [number for number, (slot, _) in enumerate(read) if embedder in slot.missing]
            if not wanting:
                continue
            with self._statistics.timed("encode"):
                found = embedder.embed([read[number][1] for number in wanting])
            for number, embeddings in zip(wanting, found, strict=True):
                made[number] |= {space: embeddings.get(space.id) for space in embedder.spaces}
        return made

    def _store(self, slot: _Slot, sample: Sample, made: Mapping[Space, Embedding | None]) -> None:
        probe = dataclasses.asdict(sample.info)
        probe["notes"] = list(sample.notes)
        probe["frame_seconds"] = [round(second, 3) for second in sample.timestamps_seconds]
        with self._statistics.timed("store"):
            self._cache.videos.write(slot.fingerprint, probe, made)
        new = {space.id: embedding.vector for space, embedding in made.items() if embedding is not None}
        self._finish(slot, Embedded(slot.video, probe, slot.vectors | new, None, slot.fingerprint))

    def _fail_internally(self, slot: _Slot, error: Exception) -> None:
        self._finish(slot, Embedded(slot.video, failure=unexpected(slot.video.path, error)))

    def _finish(self, slot: _Slot, embedded: Embedded) -> None:
        slot.result = embedded
        self._leaders.pop(slot.fingerprint, None)
        for follower in slot.followers:
            if embedded.failure is not None and embedded.failure.code is Code.CHANGED:
                # Only the leader's own file is known to have changed.
                self._look_up(follower)
                continue
            self._finish(follower, dataclasses.replace(embedded, video=follower.video))


def unexpected(path: Path, error: Exception) -> Reason:
    """Return the reason of a row that an error costs: of an embedder, or of vidclf's own; and log it."""
    _log.debug("An unexpected error with %s", path, exc_info=error)
    if isinstance(error, MediaError):
        return error.reason
    return Reason(Code.INTERNAL, f"unexpected {type(error).__name__}: {error} (-vv shows more)")


def _unreadable(error: OSError) -> Reason:
    return Reason(Code.UNREADABLE, f"the file cannot be read ({error.strerror or error})")


def _is_probe(probe: Mapping[str, Any]) -> bool:
    """Tell whether what the cache says of a file has the types that are relied on."""
    duration, tags = probe.get("duration_seconds"), probe.get("tags")
    return (duration is None or isinstance(duration, int | float)) and isinstance(tags, dict)


def has_changed(video: Video) -> bool:
    """Tell a file that is no longer the one that was found."""
    try:
        status = video.path.stat()
    except OSError:
        return True
    return (status.st_size, status.st_mtime_ns) != (video.size_bytes, video.mtime_ns)


def _merge_requests(embedders: Iterable[SampleEmbedder]) -> SampleRequest:
    requests = [embedder.request for embedder in embedders]
    return SampleRequest(
        frame_count=max((request.frame_count for request in requests), default=0),
        audio_seconds=max((request.audio_seconds for request in requests), default=0.0),
    )

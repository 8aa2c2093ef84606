"""Frames uniformly sampled over a video's duration, as TimeSformer wants them; read in worker processes.

vidclf's own sampler takes keyframes where it can. Here the frame on display in the middle of each of N equal
parts of the duration is wanted, so every frame since the keyframe before it is decoded.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media.container import open_container
from vidclf_cli.media.frames import FrameScaler
from vidclf_cli.media.isolate import DecodePool
from vidclf_cli.media.probe import find_video_stream, pixel_aspect, probe
from vidclf_cli.media.reader import StreamReader
from vidclf_cli.media.sample import check_moving, check_size
from vidclf_cli.media.types import Frame, Limits

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Where a seek by time lands behind the keyframe: tried again from so many seconds before it.
_STEPS_BACK = (0.0, 0.5, 2.0, 8.0)
# A file that cannot be seeked in is read through; of what is kept there are up to so many times the frames
# that are wanted, so that the choice among them is even to a quarter of their distance.
_KEPT_PER_WANTED = 8
_INSTANT = 1e-3


@dataclass(frozen=True, slots=True)
class UniformRequest:
    """What to read of a file.

    Attributes:
        frame_count: So many frames, always.
        short_side: What a frame's shorter side is scaled to, in pixels.
        crop: Side of the square that is cut out of its middle, in pixels.
    """

    frame_count: int = 8
    short_side: int = 224
    crop: int = 224

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, height, width, 3)."""
        return (self.frame_count, self.crop, self.crop, 3)


@dataclass(frozen=True, slots=True)
class UniformFrames:
    """What was read of a file.

    Attributes:
        frames: RGB, uint8, of the request's shape, upright, square pixels. A frame that is on display at two
            of the times is there twice.
        timestamps_seconds: Their real presentation times.
        notes: What was odd but survivable.
        seconds: How long the reading took.
    """

    frames: NDArray[np.uint8]
    timestamps_seconds: tuple[float, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class UniformPool(DecodePool):
    """Worker processes that read uniformly sampled frames."""

    def submit_uniform(self, path: Path, request: UniformRequest) -> Future[UniformFrames]:
        """Read a video; as `DecodePool.submit`."""
        return self._run(_read_in_worker, os.fsencode(path.absolute()), request, self._limits)


def _read_in_worker(path: bytes, request: UniformRequest, limits: Limits) -> UniformFrames:
    begun = time.perf_counter()
    read = read_uniform(Path(os.fsdecode(path)), request, limits)
    return replace(read, seconds=time.perf_counter() - begun)


def read_uniform(path: Path, request: UniformRequest, limits: Limits | None = None) -> UniformFrames:
    """Read the frames on display in the middles of equal parts of a video's duration.

    Raises:
        MediaError: The file is no video, or no frame of it can be decoded.
    """
    limits = limits or Limits()
    try:
        with open_container(path, limits.frame_pixels) as container:
            stream = find_video_stream(container)
            check_size(stream, limits)
            sampler = _UniformSampler(container, stream, request, limits.frame_pixels)
            found = sampler.read()
            check_moving(container, stream, len({shot.seconds for shot in found}))
            return UniformFrames(
                frames=np.stack([shot.picture for shot in found]),
                timestamps_seconds=tuple(round(shot.seconds, 3) for shot in found),
                notes=tuple(sampler.notes),
            )
    except MemoryError as error:
        raise MediaError(
            Code.MEMORY_LIMIT, "needs more memory than allowed; --memory-limit lifts the limit"
        ) from error


@dataclass(frozen=True, slots=True)
class _Shot:
    """A picture and when it is shown."""

    seconds: float
    picture: Frame


class _UniformSampler:
    def __init__(
        self, container: InputContainer, stream: VideoStream, request: UniformRequest, frame_pixels: int
    ) -> None:
        self.notes: list[str] = []
        self._request = request
        self._stream = stream
        self._reader = StreamReader(container, stream, frame_pixels)
        # The aspect may be known to the decoder only, after its first frame.
        self._scaler: FrameScaler | None = None
        self._duration = probe(container, stream).duration_seconds or 0.0
        self._shots: dict[float, _Shot] = {}  # by the time that was wanted

    def read(self) -> list[_Shot]:
        """Return one picture per wanted time.

        Raises:
            MediaError: No frame could be decoded.
        """
        if self._duration > 0:
            ahead = self._reader.learn_start()
            if self._stream.start_time is None and 0 < ahead < self._duration:
                self._duration -= ahead
            self._read_at(self._times())
        chosen = self._in_order() if self._shots else self._read_through()
        if not chosen:
            raise MediaError(Code.DAMAGED, "no frame could be decoded")
        distinct = len({shot.seconds for shot in chosen})
        if distinct < len(chosen):
            self.notes.append(f"{distinct} distinct frame{'s' if distinct != 1 else ''}")
        if self._reader.error_count:
            count = self._reader.decoded_count
            self.notes.append(f"damaged after {count} frame{'s' if count != 1 else ''}")
        return chosen

    def _times(self) -> list[float]:
        count = self._request.frame_count
        return [self._duration * (slot + 0.5) / count for slot in range(count)]

    def _read_at(self, times: list[float]) -> None:
        """Decode each stretch between a keyframe and the times that follow it once."""
        by_key: dict[float, list[float]] = {}
        for wanted in times:
            key = self._key_before(wanted)
            if key is not None:
                by_key.setdefault(key, []).append(wanted)
        for key, behind in sorted(by_key.items()):
            self._decode_stretch(key, behind)

    def _key_before(self, seconds: float) -> float | None:
        """Find the time of the last keyframe at or before a time; of the first one if all come later."""
        for step in _STEPS_BACK:
            at = self._key_seconds() if self._reader.seek(max(0.0, seconds - step)) else None
            if at is not None and at <= seconds + _INSTANT:
                return at
        return self._key_seconds() if self._reader.rewind() else None

    def _key_seconds(self) -> float | None:
        packet = self._reader.key_packet()
        return None if packet is None else self._reader.packet_seconds(packet)

    def _decode_stretch(self, key: float, times: list[float]) -> None:
        wanted = deque(times)
        shown: VideoFrame | None = None
        for frame in self._reader.decode_from(key, every_frame=True):
            if frame is None:
                continue
            at = self._reader.frame_seconds(frame)
            if at < key - _INSTANT:
                continue  # it leads up to the keyframe, and what it refers to was not decoded
            while wanted and at > wanted[0] + _INSTANT:
                self._keep(wanted.popleft(), frame if shown is None else shown)
            if not wanted:
                return
            shown = frame
        for left in wanted:  # the file ends before its duration says
            if shown is not None:
                self._keep(left, shown)

    def _keep(self, wanted: float, frame: VideoFrame) -> None:
        shot = self._shot(frame)
        if shot is not None:
            self._shots[wanted] = shot

    def _shot(self, frame: VideoFrame) -> _Shot | None:
        from av.error import FFmpegError  # noqa: PLC0415 - av is needed in the workers alone

        if self._scaler is None:
            self._scaler = FrameScaler(pixel_aspect(self._stream), self._request.short_side)
        try:
            picture = self._scaler.picture(frame)
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self._reader.error_count += 1
            return None
        return _Shot(self._reader.frame_seconds(frame), crop_centre(picture, self._request.crop))

    def _in_order(self) -> list[_Shot]:
        """Return a picture for every time: where none could be decoded, the nearest one."""
        times = self._times()
        missing = sum(wanted not in self._shots for wanted in times)
        if missing:
            count = len(times)
            self.notes.append(f"{missing} of {count} frames could not be decoded; the nearest one stands in")
        return [self._shots[min(self._shots, key=lambda at: abs(at - wanted))] for wanted in times]

    def _read_through(self) -> list[_Shot]:
        """Read a file that cannot be seeked in, or tells no duration, from its first frame to its last."""
        kept: list[_Shot] = []
        if self._reader.rewind():
            kept = self._thinned(frame for frame in self._reader.decode_on(every_frame=True) if frame)
        count = self._request.frame_count
        return [kept[int((slot + 0.5) * len(kept) / count)] for slot in range(count)] if kept else []

    def _thinned(self, frames: Iterator[VideoFrame]) -> list[_Shot]:
        """Keep every n-th frame; n doubles when there are more than enough, whatever the length."""
        kept: list[_Shot] = []
        stride = 1
        for number, frame in enumerate(frames):
            shot = self._shot(frame) if number % stride == 0 else None
            if shot is not None:
                kept.append(shot)
            if len(kept) >= 2 * _KEPT_PER_WANTED * self._request.frame_count:
                kept = kept[::2]
                stride *= 2
        return kept


def crop_centre(picture: Frame, side: int) -> Frame:
    """Cut the square of this side out of the middle of a picture that is at least as large.

    Returns:
        Shape (side, side, 3), contiguous.
    """
    height, width = picture.shape[:2]
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(picture[top : top + side, left : left + side])

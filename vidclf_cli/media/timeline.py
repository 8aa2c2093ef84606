"""Read a frame for each slot of a timeline, at a cost that follows the number of slots, not their length."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from vidclf_cli.errors import Code, MediaError, Reason
from vidclf_cli.media.container import open_container
from vidclf_cli.media.frames import FrameScaler, is_blank
from vidclf_cli.media.probe import corrected_by, find_video_stream, probe
from vidclf_cli.media.reader import StreamReader, builds_on_all_before
from vidclf_cli.media.sample import check_size
from vidclf_cli.media.types import Frame, Limits, MediaInfo, TimelinePart, TimelineRequest

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_FILL_PIXELS = 50 * 1280 * 720
"""What may be decoded for a slot that holds no keyframe: 50 frames of 720p, 0.1 s."""

_CLOSE = 1e-3  # Matroska rounds times to it.
# Below it, to leave out frames that no other refers to would leave out all of some slots.
_EVERY_FRAME_BELOW_SECONDS = 0.5
# Reading to the end of the picture stops here: 10 minutes without a keyframe.
_END_PACKETS = 20_000
_BEYOND_SECONDS = 1e9
# Where a seek by time lands behind the keyframe: tried again from so many seconds before it.
_STEPS_BACK = (0.0, 2.0, 10.0, 60.0)

UNDECODABLE = Reason(Code.DAMAGED, "this part cannot be decoded")
CUT_OFF = Reason(Code.DAMAGED, "the file breaks off before this part")
PICTURE_ENDS = Reason(Code.NO_PICTURE, "the picture ends before this part")


def read_timeline(path: Path, request: TimelineRequest, limits: Limits | None = None) -> TimelinePart:
    """Read what `request` asks for.

    Raises:
        MediaError: The file is no video, or cannot be opened.
    """
    limits = limits or Limits()
    try:
        with open_container(path, limits.frame_pixels) as container:
            stream = find_video_stream(container)
            info = probe(container, stream)
            check_size(stream, limits)
            sampler = TimelineSampler(container, stream, info, request, limits.frame_pixels)
            sampler.read()
    except MemoryError as error:
        raise MediaError(
            Code.MEMORY_LIMIT, "needs more memory than allowed; --memory-limit lifts the limit"
        ) from error
    slots = sorted(sampler.frames)
    return TimelinePart(
        info=sampler.info,
        frames=tuple(sampler.frames[slot][1] for slot in slots),
        timestamps_seconds=tuple(round(sampler.frames[slot][0], 3) for slot in slots),
        slots=tuple(slots),
        failures=sampler.failures,
    )


@dataclass(frozen=True, slots=True)
class _Slot:
    number: int
    start: float
    end: float

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2

    def holds(self, seconds: float) -> bool:
        return self.start - _CLOSE <= seconds < self.end - min(_CLOSE, (self.end - self.start) / 2)


@dataclass(frozen=True, slots=True)
class _Key:
    seconds: float
    packet: Packet[VideoStream]


@dataclass(slots=True)
class _Group:
    """A keyframe with the slots that are read from it on: the one it lies in, and those behind it."""

    key: _Key
    own: _Slot | None = None
    behind: list[_Slot] = field(default_factory=list)


class TimelineSampler:
    """Reads the frames of one part of a timeline.

    For each slot the keyframe at or before its middle if it lies in the slot, else a later keyframe in the
    slot, else a frame decoded from the keyframe before it on, if that is near enough.

    Args:
        container: Open file.
        stream: Its picture.
        info: What is known of it.
        request: The slots.
        frame_pixels: Largest frame that may be decoded.

    Attributes:
        info: As given, corrected by what the frames say.
        frames: Slot to its frame's time in seconds and its picture.
        failures: Slot to the reason why nothing of it could be read.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        info: MediaInfo,
        request: TimelineRequest,
        frame_pixels: int,
    ) -> None:
        self.info = info
        self.frames: dict[int, tuple[float, Frame]] = {}
        self.failures: dict[int, Reason] = {}
        self._reader = StreamReader(container, stream, frame_pixels)
        self._stream = stream
        self._scaler = FrameScaler(info.pixel_aspect)
        self._slots = [_Slot(number, *span) for number, span in enumerate(pairwise(request.edges))]
        self._dense = request.dense
        self._stateful = builds_on_all_before(stream)
        self._indexed = stream.frames > 0 and info.container.startswith("mov")
        self._every_frame = min(slot.end - slot.start for slot in self._slots) < _EVERY_FRAME_BELOW_SECONDS
        self._has_keys = False

    def read(self) -> None:
        """Read all slots: each has a frame or a failure afterwards, or belongs to the frame before it."""
        if not self._stateful:
            self._reader.learn_start()
        if self._stateful or not self._reader.seek(0):
            self._read_through()
        else:
            self._read_by_keyframes()
            if not self._has_keys and not self._indexed:
                self._read_through()
        self._explain_the_end()

    def _read_by_keyframes(self) -> None:
        # Only one keyframe's packet is held: those of uncompressed 4K video have 20 MB each.
        group: _Group | None = None
        for slot in self._slots:
            found = self._key_for(slot)
            if found is not None and slot.holds(found.seconds):
                self._decode(group)
                group = _Group(found, own=slot)
                continue
            if found is None and self._indexed:
                self.failures[slot.number] = CUT_OFF  # the index names a packet there
                continue
            if found is None or found.seconds >= slot.start:
                found = None if group is not None else self._key_before(slot.start)
            if found is not None and (group is None or found.seconds > group.key.seconds):
                self._decode(group)
                group = _Group(found)
            if group is not None:
                group.behind.append(slot)
        self._decode(group)

    def _key_for(self, slot: _Slot) -> _Key | None:
        """Find a keyframe in a slot, best before its middle; else one before or behind the slot, if any."""
        found = self._find_key(slot.middle)
        if found is not None and slot.holds(found.seconds):
            return found
        if found is not None and found.seconds < slot.start:
            other = self._find_key(slot.end - 2 * _CLOSE)
        else:  # a transport stream is seeked in by the byte, and the first keyframe behind that place found
            other = self._find_key(slot.start) if slot.start > 0 else self._next_key(self._reader.rewind())
        return other if other is not None and slot.holds(other.seconds) else found

    def _find_key(self, seconds: float) -> _Key | None:
        """Find the last keyframe at or before a time; where a seek is not exact, the first one after it."""
        return self._next_key(self._reader.seek(seconds))

    def _next_key(self, there: bool) -> _Key | None:
        packet = self._reader.key_packet() if there else None
        at = None if packet is None else self._reader.packet_seconds(packet)
        if packet is None or at is None:
            return None
        self._has_keys = True
        return _Key(at, packet)

    def _key_before(self, seconds: float) -> _Key | None:
        for step in _STEPS_BACK:
            key = self._find_key(max(0.0, seconds - step))
            if key is not None and key.seconds <= seconds:
                return key
        return None

    def _decode(self, group: _Group | None) -> None:
        if group is None:
            return
        behind = self._times_behind(group)
        if behind:
            own = [] if group.own is None else [(group.own, group.key.seconds)]
            frames = self._reader.decode_from(group.key.seconds, every_frame=self._every_frame)
            self._take(frames, [*own, *behind])
        if group.own is not None and group.own.number not in self.frames:
            self._decode_key(group.own, group.key)

    def _times_behind(self, group: _Group) -> list[tuple[_Slot, float]]:
        """Choose a time in each slot behind a keyframe that can be reached: its middle, if that is near."""
        if self._dense:
            return [(slot, slot.middle) for slot in group.behind]
        per_second = max(1, self.info.width * self.info.height) * (self.info.frame_rate or 25.0)
        times = []
        for count, slot in enumerate(group.behind, start=1):
            reach = group.key.seconds + count * _FILL_PIXELS / per_second
            if reach >= slot.start:
                times.append((slot, min(slot.middle, reach)))
        return times

    def _decode_key(self, slot: _Slot, key: _Key) -> None:
        """Decode a slot's keyframe; if that is blank or damaged, the last one of the slot."""
        frame = self._reader.decode_single(key.packet) or self._reader.decode_first(key.seconds)
        if frame is not None and slot.holds(self._reader.frame_seconds(frame)):
            self._keep(slot, self._reader.frame_seconds(frame), frame)
        if slot.number in self.frames and not is_blank(self.frames[slot.number][1]):
            return
        other = self._find_key(slot.end - 2 * _CLOSE)
        if other is not None and slot.holds(other.seconds) and other.seconds > key.seconds + _CLOSE:
            frame = self._reader.decode_single(other.packet)
            if frame is not None and slot.holds(self._reader.frame_seconds(frame)):
                self._keep(slot, self._reader.frame_seconds(frame), frame)
        if slot.number not in self.frames:
            self.failures[slot.number] = UNDECODABLE

    def _read_through(self) -> None:
        """Read a file that cannot be seeked in from its start to the end of the last slot."""
        if not self._reader.rewind():
            self.failures |= dict.fromkeys(range(len(self._slots)), UNDECODABLE)
            return
        whole = self._stateful or self._dense
        frames = self._reader.decode_on(every_frame=whole) if whole else self._keyframes()
        self._take(frames, [(slot, slot.middle) for slot in self._slots])

    def _keyframes(self) -> Iterator[VideoFrame | None]:
        while (packet := self._reader.key_packet()) is not None:
            yield self._reader.decode_single(packet)

    def _take(self, frames: Iterable[VideoFrame | None], targets: Iterable[tuple[_Slot, float]]) -> None:
        """Keep for each target the first frame from its time on, else the last one before of its slot."""
        waiting = deque(targets)
        error_count = self._reader.error_count
        last: tuple[float, VideoFrame] | None = None
        for frame in frames:
            if frame is None:
                continue
            this = (self._reader.frame_seconds(frame), frame)
            while waiting and this[0] >= waiting[0][1] - _CLOSE:
                self._keep_one_of(waiting.popleft()[0], (this, last), error_count)
                error_count = self._reader.error_count
            if not waiting:
                return
            last = this
        for slot, _ in waiting:
            self._keep_one_of(slot, (last,), error_count)

    def _keep_one_of(
        self, slot: _Slot, choice: Iterable[tuple[float, VideoFrame] | None], error_count: int
    ) -> None:
        for each in choice:
            if each is not None and slot.holds(each[0]):
                self._keep(slot, *each)
                return
        if self._reader.error_count > error_count and slot.start < self._reader.end_seconds:
            self.failures[slot.number] = UNDECODABLE

    def _keep(self, slot: _Slot, seconds: float, frame: VideoFrame) -> None:
        from av.error import FFmpegError

        if not self.frames:
            self.info = corrected_by(frame, self._stream, self.info)
            self._scaler = FrameScaler(self.info.pixel_aspect)
        try:
            picture = self._scaler.picture(frame)
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.failures[slot.number] = UNDECODABLE
            return
        if slot.number not in self.frames or not is_blank(picture):
            self.frames[slot.number] = (seconds, picture)
            self.failures.pop(slot.number, None)

    def _explain_the_end(self) -> None:
        """Tell slots after the last picture, which nothing was found for, from those between two frames."""
        missing = [slot for slot in self._slots if not {slot.number} & {*self.frames, *self.failures}]
        if not missing or missing[-1] is not self._slots[-1]:
            return
        end = self._picture_end()
        for slot in missing:
            if end is not None and slot.start >= end - _CLOSE:
                self.failures[slot.number] = PICTURE_ENDS

    def _picture_end(self) -> float | None:
        """End of the last packet, without decoding; None where that takes long to find out."""
        if not self._stateful and not self._reader.seek(_BEYOND_SECONDS):
            return None
        for count, _ in enumerate(self._reader.packets()):
            if count > _END_PACKETS:
                return None
        return self._reader.end_seconds or None

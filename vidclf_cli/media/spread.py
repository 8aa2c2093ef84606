"""Choose which frames of a video to read: keyframes where there are enough, spread over its whole length."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from vidclf_cli.media.frames import FrameScaler, is_blank
from vidclf_cli.media.probe import corrected_by
from vidclf_cli.media.reader import StreamReader, builds_on_all_before
from vidclf_cli.media.types import Frame, MediaInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MIN_FRAME_COUNT = 4
"""With fewer keyframes than this, frames between them are decoded: 1 frame classified 0.33 of 1,000 clips
right, 2 frames 0.40, 4 frames 0.42, 8 frames 0.43."""

# What may be decoded to get at one frame between keyframes, in pixels: 50 frames of 720p, 0.1 s, as a
# rule; more where these would lie too close; 500 frames, 1 s, where a long video has next to no keyframes.
_FILL_PIXELS = 50 * 1280 * 720
_LEAST_SHARE = 0.4
_FILL_PIXELS_AT_MOST = 500 * 1280 * 720
# A pass over a file that cannot be seeked in ends here.
_PASS_PACKETS = 200_000


@dataclass(slots=True)
class Pick:
    """A frame that was read."""

    seconds: float
    picture: Frame = field(repr=False)
    blank: bool


class FrameSampler:
    """Chooses and reads the frames of one video.

    Args:
        container: Open file.
        stream: Its picture.
        info: What is known of it.
        frame_count: Up to this many frames.
        frame_pixels: Largest frame that may be decoded.

    Attributes:
        info: As given, corrected by what the frames say.
        notes: What was odd.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        info: MediaInfo,
        frame_count: int,
        frame_pixels: int,
    ) -> None:
        self.info = info
        self.notes: list[str] = []
        self._reader = StreamReader(container, stream, frame_pixels)
        self._scaler = FrameScaler(info.pixel_aspect)
        self._stream = stream
        self._count = frame_count
        self._needed = min(MIN_FRAME_COUNT, frame_count, stream.frames or MIN_FRAME_COUNT)
        self._stateful = builds_on_all_before(stream)
        self._indexed = stream.frames > 0 and info.container.startswith("mov")
        self._picks: list[Pick] = []
        self._keys: list[float] = []  # seconds of the keyframes that were decoded or refused, in order

    def read(self) -> list[Pick]:
        """Read up to `frame_count` frames, in order of time; blank ones only if there are no others."""
        if not self._stateful and self._duration > 0:
            self._learn_start()
        if not self._stateful and self._duration > 0 and self._reader.seek(0):
            self._read_keyframes()
            self._replace_blanks()
            self._fill()
        if not self._picks:
            self._read_through()
        chosen = _evenly(sorted(self._content() or self._picks, key=lambda pick: pick.seconds), self._count)
        if chosen and self._reader.error_count:
            count = self._reader.decoded_count
            self.notes.append(f"damaged after {count} frame{'s' if count != 1 else ''}")
        return chosen

    @property
    def _duration(self) -> float:
        return self.info.duration_seconds or 0.0

    def _content(self) -> list[Pick]:
        return [pick for pick in self._picks if not pick.blank]

    def _learn_start(self) -> None:
        """Count from the first frame: Matroska's duration is the time of the last one, whenever it starts."""
        ahead = self._reader.learn_start()
        if self._stream.start_time is None and 0 < ahead < self._duration:
            self.info = replace(self.info, duration_seconds=self._duration - ahead)

    def _read_keyframes(self) -> None:
        """Read the keyframes before `frame_count` evenly spread times; more of them if these are too few.

        Where all of them are too few, frames behind them are read in the same go: a keyframe is decoded
        once.
        """
        packets: dict[float, Packet[VideoStream]] = {}
        for slot in range(self._count):
            packets |= self._find_key(self._duration * (slot + 0.5) / self._count)
        if len(packets) < self._needed:
            packets |= self._next_key(self._reader.rewind())
        while len(packets) < self._needed and (found := self._find_between()):
            packets |= found
        missing = self._needed - len(packets)
        behind = self._times_by_key(self._fill_times(missing)) if packets and missing > 0 else {}
        for key in sorted(packets):
            if key in behind:
                self._decode_up_to(key, [key, *behind[key]])
            else:
                self._decode_key(key, packets[key])

    def _find_key(self, seconds: float, *, backward: bool = True) -> dict[float, Packet[VideoStream]]:
        """Find the keyframe at a time: its time and its packet, or nothing if it was found before."""
        return self._next_key(self._reader.seek(seconds, backward=backward))

    def _next_key(self, there: bool) -> dict[float, Packet[VideoStream]]:
        packet = self._reader.key_packet() if there else None
        if there and packet is None and self._indexed:
            self._reader.error_count += 1  # the index names a packet there
        at = None if packet is None else self._reader.packet_seconds(packet)
        if packet is None or at is None or at in self._keys:
            return {}
        insort(self._keys, at)
        return {at: packet}

    def _find_between(self) -> dict[float, Packet[VideoStream]]:
        """Find one more keyframe, in the widest hole that holds one."""
        holes = sorted(pairwise([*self._keys, self._duration]), key=lambda hole: hole[0] - hole[1])
        for start, end in holes:
            found = self._find_key((start + end) / 2) or self._find_key(end - 1e-3)
            if found:
                return found
        return {}

    def _decode_key(self, key: float, packet: Packet[VideoStream]) -> Pick | None:
        frame = self._reader.decode_single(packet) or self._reader.decode_first(key)
        return None if frame is None else self._keep(frame)

    def _replace_blanks(self) -> None:
        """Look beside each blank frame for another keyframe, nearby and then half a share further."""
        slot = self._duration / self._count
        for blank in [pick for pick in self._picks if pick.blank]:
            for step in (0.02, 0.5):
                found = self._find_key(blank.seconds + step * slot, backward=False)
                picks = [self._decode_key(key, packet) for key, packet in found.items()]
                if any(pick is not None and not pick.blank for pick in picks):
                    break

    def _fill(self) -> None:
        """Decode on from keyframes, as little as possible, until there are enough frames."""
        for there in (self._content, lambda: self._picks):  # again for what edit lists and damage took away
            missing = self._needed - len(there())
            if missing > 0 and self._keys:
                for key, times in self._times_by_key(self._fill_times(missing)).items():
                    self._decode_up_to(key, times)

    def _fill_times(self, missing: int) -> list[float]:
        """Choose times behind what is there, each in the widest hole left."""
        step = self._fill_step(missing)
        # An edit list may hide a keyframe and what follows it, up to time 0.
        taken = sorted({*(max(0.0, key) for key in self._keys), *(pick.seconds for pick in self._picks)})
        times: list[float] = []
        for _ in range(missing):
            holes = [(end - start, start) for start, end in pairwise([*taken, self._duration])]
            width, start = max(holes)
            if width <= 0:
                break
            times.append(start + min(step, width / 2))
            insort(taken, times[-1])
        return sorted(times)

    def _fill_step(self, missing: int) -> float:
        """Seconds to decode for each missing frame: what the budget allows, but a good part of a share."""
        per_second = max(1, self.info.width * self.info.height) * (self.info.frame_rate or 25.0)
        share = self._duration / self._needed
        step = min(share, max(_LEAST_SHARE * share, _FILL_PIXELS / per_second))
        most = _FILL_PIXELS_AT_MOST / per_second
        if step > most:
            self.notes.append(f"too few keyframes: {missing} frames lie {most:.0f} s apart")
        return min(step, most)

    def _times_by_key(self, times: list[float]) -> dict[float, list[float]]:
        by_key: dict[float, list[float]] = {}
        for time in times:
            key = self._keys[max(0, bisect_right(self._keys, time) - 1)]
            by_key.setdefault(key, []).append(time)
        return by_key

    def _decode_up_to(self, key: float, times: list[float]) -> None:
        wanted = iter(times)
        time = next(wanted)
        last: VideoFrame | None = None
        for frame in self._reader.decode_from(key):
            if frame is None:
                continue
            last = frame
            if self._reader.frame_seconds(frame) >= time - 1e-4:
                self._keep(frame)
                following = next(wanted, None)
                if following is None:
                    return
                time = following
        if last is not None:
            self._keep(last)

    def _read_through(self) -> None:
        """Read a file that cannot be seeked in from its first packet to its last, keeping an even spread."""
        if not self._reader.rewind() and self._keys:
            return
        if not self._stateful:
            self._thin(self._all_keyframes())
        if len(self._content()) < self._needed and (self._stateful or self._reader.rewind()):
            self._picks = []
            frames = (frame for frame in self._reader.decode_on() if frame is not None)
            self._thin(partial(_itself, frame) for frame in frames)
        if self._duration == 0 and self._reader.end_seconds > 0:
            self.info = replace(self.info, duration_seconds=round(self._reader.end_seconds, 3))

    def _all_keyframes(self) -> Iterator[Callable[[], VideoFrame | None]]:
        while (packet := self._reader.key_packet()) is not None:
            yield partial(self._reader.decode_single, packet)

    def _thin(self, frames: Iterator[Callable[[], VideoFrame | None]]) -> None:
        """Keep every n-th frame; n doubles when there are twice as many as wanted, whatever the length."""
        stride = 1
        for count, decode in enumerate(frames):
            if count >= _PASS_PACKETS:
                self.notes.append(f"frames from its first {self._reader.end_seconds:.0f} s")
                break
            frame = decode() if count % stride == 0 else None
            if frame is not None:
                self._keep(frame)
            if len(self._picks) > 2 * max(self._count, self._needed):
                self._picks = self._picks[::2]
                stride *= 2

    def _keep(self, frame: VideoFrame) -> Pick | None:
        from av.error import FFmpegError

        seconds = self._reader.frame_seconds(frame)
        if any(abs(pick.seconds - seconds) < 1e-4 for pick in self._picks):
            return None
        if not self._picks:
            self._learn_from(frame)
        try:
            picture = self._scaler.picture(frame)
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self._reader.error_count += 1
            return None
        pick = Pick(seconds, picture, is_blank(picture))
        self._picks.append(pick)
        return pick

    def _learn_from(self, frame: VideoFrame) -> None:
        """Correct what the header said by what the first frame says."""
        self.info = corrected_by(frame, self._stream, self.info)
        self._scaler = FrameScaler(self.info.pixel_aspect)


def _itself(frame: VideoFrame) -> VideoFrame:
    return frame


def _evenly(picks: list[Pick], count: int) -> list[Pick]:
    """Choose `count` of the picks, evenly."""
    if len(picks) <= count:
        return picks
    return [picks[int((index + 0.5) * len(picks) / count)] for index in range(count)]

"""Seek in one video stream and decode single frames of it, counting what fails."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Literal

from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media.probe import start_seconds

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# A keyframe is looked for this many packets after the place that a seek led to.
_SCAN_PACKETS = 3000
# Decoders hold frames back to order them, and edit lists hide some; what takes longer does not come.
_FIRST_FRAME_PACKETS = 60
# Without the deblocking filter these decode a quarter faster; scaled to 256 lines the picture keeps
# 37 dB and more against the filtered one after 100 frames of prediction. VP8 and VP9 fall to 30 dB.
_FILTER_MATTERS_LITTLE = frozenset({"h264", "hevc"})
_FILTER_MATTERS_BELOW = 480
# Where a seek by time lands behind the keyframe: tried again from so many seconds before it.
_STEPS_BACK = (0.0, 0.5, 2.0, 8.0)
# These seek by an index or clusters; all others (transport and program streams, bare codecs) go back to
# their start by byte, because a seek to time 0 lands behind their first keyframe.
_SEEK_BY_TIME = ("mov", "matroska", "avi", "asf", "flv", "ogg", "nut", "mxf")
# Their frames build on each other although every packet is flagged as a keyframe.
_NO_KEYFRAMES = frozenset({"gif", "apng", "webp"})


def builds_on_all_before(stream: VideoStream) -> bool:
    """Tell a stream that can only be read from its first packet on, whatever its keyframe flags say."""
    return stream.codec_context.codec.name in _NO_KEYFRAMES


class StreamReader:
    """One video stream of an open container.

    Seconds are counted from the stream's first frame.

    Args:
        container: Open file; its other streams are set to be skipped.
        stream: The stream that is read.
        frame_pixels: Largest frame that the decoder may make.

    Attributes:
        decoded_count: Frames that came out of the decoder.
        error_count: Packets that it refused, and frames that it called corrupt.
        end_seconds: End of the last packet that was read.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, frame_pixels: int) -> None:
        from av.stream import Discard

        self.stream = stream
        self.decoded_count = 0
        self.error_count = 0
        self.end_seconds = 0.0
        self._container = container
        self._context = stream.codec_context
        self._base = float(stream.time_base or 0) or 1.0
        self._start = start_seconds(stream)
        self._packet_count = 0
        self._skip_frame: Literal["DEFAULT", "NONREF"] = "DEFAULT"
        for other in container.streams:
            other.discard = Discard.default if other is stream else Discard.all
        self._set_decoder_options(frame_pixels)

    def _set_decoder_options(self, frame_pixels: int) -> None:
        # One thread: files are decoded side by side, and slice threads do not help single frames.
        self._context.thread_count = 1
        # Decoders count whole blocks, of up to 128 pixels a side, and padding.
        options = {"max_pixels": str(frame_pixels + frame_pixels // 8 + 128 * 128)}
        name = self._context.codec.name
        short_side = min(self._context.width, self._context.height)
        if name in _FILTER_MATTERS_LITTLE and short_side >= _FILTER_MATTERS_BELOW:
            options["skip_loop_filter"] = "all"
        if name == "libdav1d":
            # It takes this when it is opened only; every keyframe is a reference. A third less work.
            self._skip_frame = "NONREF"
            options["export_side_data"] = "film_grain"
        self._context.skip_frame = self._skip_frame
        self._context.options = options

    def seconds(self, pts: int) -> float:
        """Seconds since the stream's first frame."""
        return pts * self._base - self._start

    def packet_seconds(self, packet: Packet[VideoStream]) -> float | None:
        """Presentation (else decoding) time of a packet; None where the file holds no times."""
        pts = packet.pts if packet.pts is not None else packet.dts
        return None if pts is None else self.seconds(pts)

    def frame_seconds(self, frame: VideoFrame) -> float:
        """Presentation time of a frame; counted by the frame rate where the file holds no times."""
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is not None:
            return self.seconds(pts)
        return self._counted_seconds()

    def _counted_seconds(self) -> float:
        rate = self.stream.average_rate or self.stream.guessed_rate or 25
        return max(0, self._packet_count - 1) / float(rate)

    def learn_start(self) -> float:
        """Find out when the stream starts, where its header does not tell; call it before all else.

        Returns:
            Seconds by which the times of the file are ahead of ours.
        """
        if self.stream.start_time is None and self.rewind():
            first = next(self.packets(), None)
            if first is not None and first.pts is not None:
                self._start += self.seconds(first.pts)
        self.end_seconds = 0.0
        return self._start

    def seek(self, seconds: float, *, backward: bool = True) -> bool:
        """Go to the last keyframe at or before a time (the first one after it, if not `backward`).

        Returns:
            False if the container cannot seek.
        """
        from av.error import FFmpegError

        at = round((seconds + self._start) / self._base)
        try:
            self._container.seek(at, stream=self.stream, backward=backward)
        except (FFmpegError, OverflowError):
            return False
        return True

    def rewind(self) -> bool:
        """Go back to the first packet; False if that cannot be done."""
        from av.error import FFmpegError

        self._packet_count = 0
        if self._container.format.name.startswith(_SEEK_BY_TIME):
            return self.seek(-1.0) or self.seek(0.0)
        try:
            self._container.seek(0, unsupported_byte_offset=True)
        except FFmpegError:
            return self.seek(0.0)
        return True

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the packets from here on; ends at the end of the file or at the first unreadable place."""
        from av.error import FFmpegError

        try:
            for packet in self._container.demux(self.stream):
                if packet.size:
                    self._packet_count += 1
                    self.end_seconds = max(self.end_seconds, self._end_of(packet))
                    yield packet
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.error_count += 1

    def _end_of(self, packet: Packet[VideoStream]) -> float:
        if packet.pts is None:
            return self._counted_seconds()
        return self.seconds(packet.pts + (packet.duration or 0))

    def key_packet(self) -> Packet[VideoStream] | None:
        """Read on to the next keyframe's packet; None if there is none within reach.

        Raises:
            MediaError: `encrypted`.
        """
        for count, packet in enumerate(self.packets()):
            if packet.is_keyframe:
                if packet.has_sidedata("encryption_info"):
                    raise MediaError(Code.ENCRYPTED, "its picture is encrypted (copy protection)")
                return packet
            if count >= _SCAN_PACKETS:
                break
        return None

    def decode_single(self, packet: Packet[VideoStream]) -> VideoFrame | None:
        """Decode a keyframe alone; None where the decoder wants more. It is empty before and after."""
        self._context.flush_buffers()
        frames = self._decode(packet) or self._decode(None)
        self._context.flush_buffers()
        return frames[0] if frames else None

    def decode_first(self, key_seconds: float) -> VideoFrame | None:
        """Decode on from a keyframe until a first frame comes, within reach."""
        for count, frame in enumerate(self.decode_from(key_seconds)):
            if frame is not None or count >= _FIRST_FRAME_PACKETS:
                return frame
        return None

    def decode_from(self, key_seconds: float, *, every_frame: bool = False) -> Iterator[VideoFrame | None]:
        """Decode on from a keyframe, leaving out frames that no other frame refers to: half of the work.

        Args:
            key_seconds: When the keyframe is shown.
            every_frame: Leave none out. (libdav1d does so all the same.)

        Yields:
            A frame, or None for a packet that gave none.
        """
        for step in _STEPS_BACK:
            if not self.seek(key_seconds - step + 1e-4):
                return
            packet = self.key_packet()
            at = None if packet is None else self.packet_seconds(packet)
            while packet is not None and at is not None and at < key_seconds - 1e-3:
                packet = self.key_packet()
                at = None if packet is None else self.packet_seconds(packet)
            if packet is not None and at is not None and at < key_seconds + 1e-3:
                yield from self.decode_on(packet, every_frame=every_frame)
                return

    def decode_on(
        self, first: Packet[VideoStream] | None = None, *, every_frame: bool = False
    ) -> Iterator[VideoFrame | None]:
        """Decode from here on, `first` before all; `every_frame` and what is yielded as in `decode_from`."""
        self._context.flush_buffers()
        self._context.skip_frame = self._skip_frame if every_frame else "NONREF"
        try:
            for packet in chain([] if first is None else [first], self.packets()):
                frames: list[VideoFrame | None] = [*self._decode(packet)]
                yield from frames or [None]
            yield from self._decode(None)
        finally:
            self._context.skip_frame = self._skip_frame
            self._context.flush_buffers()

    def _decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        from av.error import FFmpegError

        try:
            frames = self._context.decode(packet)
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            if not isinstance(error, EOFError):
                self.error_count += 1
            return []
        whole = [frame for frame in frames if not frame.is_corrupt]
        self.error_count += len(frames) - len(whole)
        self.decoded_count += len(whole)
        return whole

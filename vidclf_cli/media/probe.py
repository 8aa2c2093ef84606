"""What a file says of itself, checked where checking is cheap."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media.types import MediaInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

TAG_KEYS = frozenset(
    {
        "title", "artist", "author", "album", "album_artist", "composer", "performer", "comment",
        "description", "synopsis", "genre", "show", "episode_id", "network", "keywords",
        "subject", "grouping", "category",
    }
)  # fmt: skip
_TAG_LENGTH = 1000

# Below this a header's duration is not believed: 10 s of black at 320x240 with silence still make 15 kbit/s.
_SUSPICIOUS_BITS_PER_SECOND = 2000
_HIGHEST_FRAME_RATE = 480
# Reading to the end to learn a duration stops here: 20,000 packets are 10 minutes, some 10 ms when cached.
_END_PACKETS = 20_000


def find_video_stream(container: InputContainer) -> VideoStream:
    """Choose the stream that a player would show: no cover art, no thumbnails, the largest of the rest.

    Raises:
        MediaError: `no-picture`, `no-decoder`, `encrypted`.
    """
    from av.stream import Disposition

    picture = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    videos = [stream for stream in container.streams.video if not stream.disposition & picture]
    if not videos:
        what = (
            "cover art only" if container.streams.video else "sound only" if container.streams.audio else ""
        )
        raise MediaError(Code.NO_PICTURE, f"no picture in it ({what})" if what else "no picture in it")
    playable = [stream for stream in videos if stream.codec_context is not None]
    if not playable:
        raise MediaError(Code.NO_DECODER, f"no decoder for {_codec_name(container, videos[0].index)}")
    stream = max(playable, key=_preference)
    if _is_encrypted(stream):
        raise MediaError(Code.ENCRYPTED, "its picture is encrypted (copy protection)")
    return stream


def probe(container: InputContainer, stream: VideoStream | None = None) -> MediaInfo:
    """Describe an open file; reads packets only where its header cannot be believed.

    Raises:
        MediaError: As `find_video_stream`.
    """
    stream = stream or find_video_stream(container)
    context = stream.codec_context
    rotation = _header_rotation(container, stream.index)
    aspect = pixel_aspect(stream)
    width, height = display_size(context.width, context.height, aspect, rotation)
    sound = next((audio for audio in container.streams.audio), None)
    return MediaInfo(
        container=container.format.name,
        duration_seconds=_duration_seconds(container, stream),
        video_codec=context.codec.canonical_name,
        width=width,
        height=height,
        rotation_degrees=rotation,
        pixel_aspect=aspect,
        frame_rate=frame_rate(stream),
        audio_codec="" if sound is None else _codec_name(container, sound.index),
        tags=_clean_tags({**stream.metadata, **container.metadata}),
    )


def corrected_by(frame: VideoFrame, stream: VideoStream, info: MediaInfo) -> MediaInfo:
    """Correct what the header said by what a decoded frame says."""
    aspect = pixel_aspect(stream)
    rotation = clockwise_quarter(frame.rotation)
    width, height = display_size(frame.width, frame.height, aspect, rotation)
    return replace(
        info,
        frame_rate=frame_rate(stream),
        width=width,
        height=height,
        rotation_degrees=rotation,
        pixel_aspect=aspect,
    )


def pixel_aspect(stream: VideoStream) -> float:
    """Width of a pixel over its height, from the container or the codec; 1 when not told or absurd."""
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    value = float(ratio) if ratio else 1.0
    return value if 0.1 <= value <= 10 else 1.0


def display_size(width: int, height: int, aspect: float, rotation_degrees: int) -> tuple[int, int]:
    """Width and height in square pixels, upright."""
    wide = max(1, round(width * aspect))
    return (height, wide) if rotation_degrees in {90, 270} else (wide, height)


def clockwise_quarter(counterclockwise_degrees: float) -> int:
    """Turn a display matrix's angle into the clockwise rotation that display needs: 0, 90, 180 or 270."""
    return round(-counterclockwise_degrees / 90) * 90 % 360


def start_seconds(stream: VideoStream) -> float:
    """First presentation time of the stream; 0 when not told."""
    return float((stream.start_time or 0) * (stream.time_base or Fraction(0)))


def frame_rate(stream: VideoStream) -> float | None:
    """Average frames per second; after a frame was decoded also where only the codec tells."""
    for rate in (stream.average_rate, stream.codec_context.framerate, stream.guessed_rate):
        # A time base of 1/1000 s comes back as 1000 frames per second where nothing better is known.
        if rate and 0 < rate <= _HIGHEST_FRAME_RATE:
            return round(float(rate), 3)
    return None


def _preference(stream: VideoStream) -> tuple[bool, bool, int]:
    from av.stream import Disposition

    context = stream.codec_context
    many = stream.frames != 1
    return many, bool(stream.disposition & Disposition.default), context.width * context.height


def _is_encrypted(stream: VideoStream) -> bool:
    try:
        tag = stream.codec_context.codec_tag
    except UnicodeDecodeError:
        tag = ""
    return tag in {"encv", "drmi"} or "enc_key_id" in stream.metadata


def _description(container: InputContainer) -> str:
    """Describe the streams as ffmpeg does: this alone tells display matrices and codecs without decoder."""
    import av.logging

    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        text: str = container.dumps_format()  # type: ignore[attr-defined] # not in PyAV's stubs
        return text
    finally:
        av.logging.set_level(level)


def _stream_description(container: InputContainer, index: int) -> str:
    text = _description(container)
    found = re.search(rf"Stream #\d+:{index}\b.*?(?=\n  Stream #|\Z)", text, re.DOTALL)
    return found.group(0) if found else ""


def _header_rotation(container: InputContainer, index: int) -> int:
    found = re.search(r"(?i)display ?matrix: rotation of (-?[\d.]+)", _stream_description(container, index))
    return clockwise_quarter(float(found.group(1))) if found else 0


def _codec_name(container: InputContainer, index: int) -> str:
    found = re.search(r"(?:Video|Audio): (\w+)(?: \((\w{4}) /)?", _stream_description(container, index))
    if not found:
        return "an unknown codec"
    name, tag = found.groups()
    return tag if name in {"none", "unknown"} and tag else name


def _duration_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Hold the header's duration against index, bit rate and, where these disagree, the last packet."""
    header = float((stream.duration or 0) * (stream.time_base or 0)) or (container.duration or 0) / 1e6
    believable = header > 0 and 8 * max(container.size, 0) / header > _SUSPICIOUS_BITS_PER_SECOND
    indexed = _indexed_seconds(stream)
    # Cues and fragments list a part of the packets: an index is held against a header that counts them.
    whole = indexed is not None and 0 < stream.frames <= len(stream.index_entries)
    if indexed is not None and whole:
        # An edit list shows less than the index holds, rarely less than a quarter; never more.
        return header if believable and indexed / 4 <= header <= 1.1 * indexed + 1 else indexed
    if believable:
        return header
    return _measured_seconds(container, stream) or header or None


def _indexed_seconds(stream: VideoStream) -> float | None:
    entries = stream.index_entries
    count = len(entries)
    if count < 2:
        return None
    span = entries[count - 1].timestamp - entries[0].timestamp
    return float((span + span / (count - 1)) * (stream.time_base or Fraction(0)))


def _measured_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Read packets from the last place that can be seeked to until the end, without decoding."""
    import av.error

    base = float(stream.time_base or 0)
    last = first = None
    try:
        container.seek(2**53, stream=stream)
    except (av.error.FFmpegError, OverflowError):
        return None
    try:
        for count, packet in enumerate(container.demux(stream)):
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                last = max(last or packet.pts, packet.pts + (packet.duration or 0))
            if count > _END_PACKETS:
                return None
    except av.error.FFmpegError:
        pass  # a damaged tail: what was read until there is what can be shown
    if last is None:
        return None
    return max(0.0, last * base - start_seconds(stream)) or None


def _clean_tags(raw: dict[str, str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for key, value in raw.items():
        # QuickTime's keys are written com.apple.quicktime.title, MP4's may end in a language: title-eng.
        name = key.lower().rsplit(".", 1)[-1].split("-", 1)[0]
        text = " ".join("".join(c if c.isprintable() else " " for c in value).split())
        if name in TAG_KEYS and text and name not in tags:
            tags[name] = text[:_TAG_LENGTH]
    return tags

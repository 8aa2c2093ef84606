"""Read a few frames and a little sound of a video, at a cost that follows what is read, not its length."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media.audio import read_waveform
from vidclf_cli.media.container import open_container
from vidclf_cli.media.probe import find_video_stream, probe
from vidclf_cli.media.spread import FrameSampler, Pick
from vidclf_cli.media.types import Limits, Sample, SampleRequest

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_PICTURE_CONTAINERS = frozenset({"gif", "apng"})
_PICTURE_BRANDS = frozenset({"avif", "avis", "heic", "heix", "mif1", "msf1"})


def read_sample(path: Path, request: SampleRequest, limits: Limits | None = None) -> Sample:
    """Read what `request` asks for.

    Raises:
        MediaError: The file is no video, or nothing of it can be decoded.
    """
    limits = limits or Limits()
    try:
        with open_container(path, limits.frame_pixels, with_sound=request.audio_seconds > 0) as container:
            return _read(container, request, limits)
    except MemoryError as error:
        raise MediaError(
            Code.MEMORY_LIMIT, "needs more memory than allowed; --memory-limit lifts the limit"
        ) from error


def _read(container: InputContainer, request: SampleRequest, limits: Limits) -> Sample:
    stream = find_video_stream(container)
    info = probe(container, stream)
    check_size(stream, limits)
    picks: list[Pick] = []
    notes: list[str] = []
    if request.frame_count > 0:
        frames = FrameSampler(container, stream, info, request.frame_count, limits.frame_pixels)
        picks = frames.read()
        info, notes = frames.info, frames.notes
        if not picks:
            raise MediaError(Code.DAMAGED, "no frame could be decoded")
        check_moving(container, stream, len(picks))
    waveform = None
    if request.audio_seconds > 0:
        waveform, note = read_waveform(container, info.duration_seconds, request.audio_seconds)
        notes = [*notes, note] if note else notes
    return Sample(
        info=info,
        frames=tuple(pick.picture for pick in picks),
        timestamps_seconds=tuple(round(pick.seconds, 3) for pick in picks),
        waveform=waveform,
        notes=tuple(notes),
    )


def check_size(stream: VideoStream, limits: Limits) -> None:
    """Refuse frames above the limit before any is decoded.

    Raises:
        MediaError: `frame-too-large`.
    """
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.frame_pixels:
        raise MediaError(
            Code.FRAME_TOO_LARGE,
            f"its frames are {width}x{height}, more than {limits.frame_pixels} pixels; "
            "--max-frame-pixels lifts the limit",
        )


def check_moving(container: InputContainer, stream: VideoStream, frame_count: int) -> None:
    """Refuse a picture that is no moving one.

    Raises:
        MediaError: `not-a-video`.
    """
    brand = container.metadata.get("major_brand", "")
    picture = container.format.name in _PICTURE_CONTAINERS or (
        brand in _PICTURE_BRANDS and stream.frames == 1
    )
    if picture and frame_count == 1:
        raise MediaError(Code.NOT_A_VIDEO, "a still picture")

"""Read sound in short windows spread over a video: mono, 16 kHz, float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

SAMPLE_RATE = 16_000
WINDOW_SECONDS = 2.5
"""Long enough for a beat or a few words; eight of them are 20 s."""

Waveform = NDArray[np.float32]
# A seek may land before the window; what lies further back than this many packets is given up.
_WINDOW_PACKETS = 2000
# Windows need room between them, else reading on is cheaper than seeking.
_SPARSE = 1.5


def read_waveform(
    container: InputContainer, duration_seconds: float | None, audio_seconds: float
) -> tuple[Waveform | None, str]:
    """Read up to `audio_seconds` of the first decodable sound stream, in windows spread over the video.

    Failing sound never fails a video: it gives what was read until then, and a note.

    Returns:
        Samples in -1..1, shape (count,), the windows end to end, or None; and a note, empty if all went well.
    """
    from av.stream import Discard

    stream = next((audio for audio in container.streams.audio if audio.codec_context is not None), None)
    if stream is None:
        return None, "no decoder for its sound" if container.streams.audio else ""
    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all
    stream.codec_context.thread_count = 1
    pieces: list[Waveform] = []
    note = ""
    for start, length in _windows(duration_seconds, audio_seconds):
        piece, whole = _read_window(container, stream, start, length)
        if piece.size:
            pieces.append(piece)
        if not whole:
            note = "its sound is damaged"
    if not pieces:
        return None, note or "its sound holds nothing"
    return np.concatenate(pieces), note


def _windows(duration: float | None, wanted: float) -> list[tuple[float, float]]:
    """Start and length of each window, in seconds."""
    if duration is None or duration <= wanted * _SPARSE:
        return [(0.0, wanted)]
    count = max(1, round(wanted / WINDOW_SECONDS))
    length = wanted / count
    return [((index + 0.5) * duration / count - length / 2, length) for index in range(count)]


def _read_window(
    container: InputContainer, stream: AudioStream, start: float, length: float
) -> tuple[Waveform, bool]:
    """Decode one window.

    Returns:
        The samples, and whether nothing failed.
    """
    from av.audio.resampler import AudioResampler
    from av.error import FFmpegError

    base = float(stream.time_base or 0) or 1.0
    offset = (stream.start_time or 0) * base
    resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    wanted = round(length * SAMPLE_RATE)
    chunks: list[Waveform] = []
    count = errors = 0
    try:
        container.seek(max(0, round((start + offset) / base)), stream=stream)
    except FFmpegError:
        if start > 0:
            return np.empty(0, np.float32), False
    try:
        for packets, packet in enumerate(container.demux(stream)):
            try:
                frames = packet.decode() if packet.size else []
            except FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                errors += 1
                frames = []
            for frame in frames:
                if _ends_before(frame, base, start + offset):
                    continue
                for chunk in _resample(resampler, frame):
                    chunks.append(chunk)
                    count += chunk.size
            if count >= wanted or packets > _WINDOW_PACKETS or errors > 50:
                break
        if count < wanted and chunks:
            chunks.extend(_resample(resampler, None))
    except (FFmpegError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise
        errors += 1
    samples = np.concatenate(chunks)[:wanted] if chunks else np.empty(0, np.float32)
    samples = np.nan_to_num(samples, copy=False, posinf=0.0, neginf=0.0)
    return np.clip(samples, -1.0, 1.0, out=samples), errors == 0


def _ends_before(frame: AudioFrame, base: float, seconds: float) -> bool:
    if frame.pts is None:
        return False
    return frame.pts * base + frame.samples / frame.sample_rate <= seconds


def _resample(resampler: object, frame: AudioFrame | None) -> list[Waveform]:
    from av.audio.resampler import AudioResampler

    assert isinstance(resampler, AudioResampler)
    return [np.asarray(out.to_ndarray(), np.float32).reshape(-1) for out in resampler.resample(frame)]

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
_WINDOW_ERRORS = 50
# Windows need room between them, else reading on is cheaper than seeking.
_SPARSE = 1.5
_SILENCE: Waveform = np.empty(0, np.float32)


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
    from av.error import FFmpegError

    begin = start + float((stream.start_time or 0) * (stream.time_base or 0))
    try:
        container.seek(max(0, round(begin / (stream.time_base or 1))), stream=stream)
    except FFmpegError:
        if start > 0:
            return _SILENCE, False
    errors = 0
    try:
        decoded, errors = _decode(container, stream, begin, length)
        samples = _resample(decoded)[: round(length * SAMPLE_RATE)]
    except (FFmpegError, ValueError) as error:  # ValueError: the sound changes its format on the way
        if isinstance(error, MemoryError):
            raise
        return _SILENCE, False
    samples = np.nan_to_num(samples, posinf=0.0, neginf=0.0)
    return np.clip(samples, -1.0, 1.0, out=samples), errors == 0


def _decode(
    container: InputContainer, stream: AudioStream, begin: float, length: float
) -> tuple[AudioFrame | None, int]:
    """Decode from `begin` (stream time) on until there is enough.

    Returns:
        All samples as one frame, so that they are resampled in one go: by the packet that takes as long
        as decoding does. And how many packets failed.
    """
    from av.audio.fifo import AudioFifo
    from av.error import FFmpegError

    fifo = AudioFifo()
    errors = 0
    for count, packet in enumerate(container.demux(stream)):
        try:
            frames = packet.decode() if packet.size else []
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            errors += 1
            frames = []
        for frame in frames:
            if frame.time is None or frame.time + frame.samples / frame.sample_rate > begin:
                frame.pts = None  # gaps and overlaps in time are no matter here
                fifo.write(frame)
        enough = fifo.samples_written and fifo.samples >= length * fifo.sample_rate
        if enough or count >= _WINDOW_PACKETS or errors >= _WINDOW_ERRORS:
            break
    return fifo.read(), errors


def _resample(frame: AudioFrame | None) -> Waveform:
    from av.audio.resampler import AudioResampler

    if frame is None:
        return _SILENCE
    resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    out = [*resampler.resample(frame), *resampler.resample(None)]
    pieces = [np.asarray(part.to_ndarray(), np.float32).reshape(-1) for part in out]
    return np.concatenate(pieces) if pieces else _SILENCE

"""Sound comes as short windows of mono 16 kHz, and never fails a video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.media.odd_videos import SCENES, run_ffmpeg
from vidclf_cli.media.audio import SAMPLE_RATE, Waveform
from vidclf_cli.media.sample import read_sample
from vidclf_cli.media.types import Sample, SampleRequest

OddPath = Callable[[str], Path]


def listen(path: Path, seconds: float = 4.0) -> Sample:
    return read_sample(path, SampleRequest(frame_count=1, audio_seconds=seconds))


def make(path: Path, sound: str, seconds: float, *arguments: str) -> Path:
    run_ffmpeg("-f", "lavfi", "-i", SCENES, "-f", "lavfi", "-i", sound, "-t", str(seconds),
               "-c:v", "libx264", "-preset", "ultrafast", *arguments, path)  # fmt: skip
    return path


def pitch(waveform: Waveform) -> float:
    """The loudest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size)))
    return float(np.argmax(spectrum) * SAMPLE_RATE / waveform.size)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c:a", "aac"),
        ("-c:a", "aac", "-ac", "2"),
        ("-c:a", "ac3", "-ac", "6"),
        ("-c:a", "libmp3lame", "-ar", "22050"),
        ("-c:a", "pcm_s24le", "-ar", "96000"),
        ("-c:a", "libopus"),
        ("-c:a", "pcm_u8", "-ar", "8000"),
        ("-c:a", "pcm_s16le", "-ar", "16000"),
    ],
    ids=" ".join,
)
def test_any_sound_becomes_mono_16_khz(arguments: tuple[str, ...], tmp_path: Path) -> None:
    waveform = listen(
        make(tmp_path / "tone.mkv", "sine=frequency=440:sample_rate=48000", 3, *arguments), 2
    ).waveform
    assert waveform is not None
    assert waveform.dtype == np.float32
    assert waveform.shape == (2 * SAMPLE_RATE,)
    assert np.abs(waveform).max() <= 1
    assert pitch(waveform) == pytest.approx(440, abs=2)


def test_windows_are_spread_over_the_whole_video(tmp_path: Path) -> None:
    """The pitch rises with time: what is heard tells when it was."""
    path = make(tmp_path / "rising.mp4", "aevalsrc=0.5*sin(2*PI*(200*t+10*t*t)):s=44100", 60)
    waveform = listen(path, 10).waveform
    assert waveform is not None
    heard = [pitch(window) for window in waveform.reshape(4, -1)]
    expected = [200 + 20 * 60 * (index + 0.5) / 4 for index in range(4)]
    assert np.allclose(heard, expected, atol=30)


def test_no_more_is_read_than_asked_for_nor_than_there_is(odd_video: OddPath) -> None:
    for seconds, length in ((5, 5), (60, 20)):
        waveform = listen(odd_video("cuts.mp4"), seconds).waveform
        assert waveform is not None
        assert waveform.size / SAMPLE_RATE == pytest.approx(length, abs=0.1)


def test_sound_is_found_in_streams_without_header(odd_video: OddPath) -> None:
    waveform = listen(odd_video("transport.ts")).waveform
    assert waveform is not None
    assert pitch(waveform[: 2 * SAMPLE_RATE]) == pytest.approx(440, abs=2)


def test_a_silent_video_has_none_and_no_note(odd_video: OddPath) -> None:
    sample = listen(odd_video("silent.webm"))
    assert sample.waveform is None
    assert sample.notes == ()


def test_none_is_read_unless_asked_for(odd_video: OddPath) -> None:
    assert listen(odd_video("cuts.mp4"), 0).waveform is None


def test_failing_sound_leaves_the_picture_and_a_note(tmp_path: Path) -> None:
    import av

    path = make(tmp_path / "tone.mp4", "sine", 3, "-c:a", "aac")
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.pos]
    data = bytearray(path.read_bytes())
    for at, size in places[20:]:
        data[at : at + size] = b"\xff" * size
    path.write_bytes(data)
    sample = listen(path)
    assert len(sample.frames) == 1
    assert sample.notes == ("its sound is damaged",)


def test_sound_without_decoder_leaves_a_note(tmp_path: Path) -> None:
    path = make(tmp_path / "tone.mp4", "sine", 2, "-c:a", "aac")
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"zz4a").replace(b"esds", b"zzzz"))
    sample = listen(path)
    assert len(sample.frames) == 1
    assert sample.waveform is None
    assert sample.notes == ("no decoder for its sound",)


def test_a_long_video_costs_no_more_sound_than_a_short_one(odd_video: OddPath, tmp_path: Path) -> None:
    import time

    long = tmp_path / "long.mp4"
    run_ffmpeg("-stream_loop", "29", "-i", odd_video("cuts.mp4"), "-c", "copy", long)
    listen(odd_video("cuts.mp4"))
    started = time.perf_counter()
    waveform = listen(long, 10).waveform
    assert waveform is not None
    assert waveform.size == 10 * SAMPLE_RATE
    assert time.perf_counter() - started < 1.0

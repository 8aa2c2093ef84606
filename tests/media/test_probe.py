"""What a file says of itself is checked before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.odd_videos import run_ffmpeg
from vidclf_cli.errors import MediaError
from vidclf_cli.media.container import open_container
from vidclf_cli.media.probe import clockwise_quarter, probe
from vidclf_cli.media.types import MediaInfo

OddPath = Callable[[str], Path]


def info_of(path: Path) -> MediaInfo:
    with open_container(path, 1 << 26, with_sound=True) as container:
        return probe(container)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("cuts.mp4", 20),
        ("lies-143165-seconds.mp4", 1),
        ("lies-1-second.mp4", 20),
        ("live.mkv", 20),
        ("recorded.webm", 20),
        ("fragmented.mp4", 20),
        ("transport.ts", 20),
        ("program.mpg", 20),
        ("moving.gif", 3),
        ("motion-jpeg.avi", 4),
        ("one-frame.mp4", 0.04),
    ],
)
def test_the_duration_is_the_real_one(name: str, seconds: float, odd_video: OddPath) -> None:
    assert info_of(odd_video(name)).duration_seconds == pytest.approx(seconds, abs=0.1)


def test_a_lying_matroska_duration_is_found_out(odd_video: OddPath, tmp_path: Path) -> None:
    path = tmp_path / "lies.mkv"
    run_ffmpeg("-i", odd_video("one-keyframe.mp4"), "-c", "copy", path)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Duration, 8 bytes float, milliseconds
    import struct

    data[at : at + 8] = struct.pack(">d", 143_165_000.0)
    path.write_bytes(data)
    assert info_of(path).duration_seconds == pytest.approx(8, abs=0.1)


def test_the_streams_are_described(odd_video: OddPath) -> None:
    info = info_of(odd_video("cuts.mp4"))
    assert info.container.startswith("mov,mp4")
    assert (info.video_codec, info.audio_codec) == ("h264", "aac")
    assert (info.width, info.height, info.frame_rate) == (320, 180, 25.0)
    assert (info.rotation_degrees, info.pixel_aspect) == (0, 1.0)


@pytest.mark.parametrize(
    ("name", "rotation"), [("rotated-90.mp4", 270), ("rotated-180.mp4", 180), ("rotated-37.mp4", 0)]
)
def test_rotation_and_size_are_those_of_the_display(name: str, rotation: int, odd_video: OddPath) -> None:
    info = info_of(odd_video(name))
    assert info.rotation_degrees == rotation
    assert (info.width, info.height) == ((180, 320) if rotation == 270 else (320, 180))


@pytest.mark.parametrize(
    ("angle", "clockwise"),
    [(0, 0), (90, 270), (-90, 90), (180, 180), (-180, 180), (44, 0), (46, 270), (-135.1, 180)],
)
def test_any_angle_becomes_the_nearest_quarter(angle: float, clockwise: int) -> None:
    assert clockwise_quarter(angle) == clockwise


def test_cover_art_is_not_the_picture(odd_video: OddPath) -> None:
    assert info_of(odd_video("cover.mp4")).width == 320
    with pytest.raises(MediaError) as caught:
        info_of(odd_video("cover-only.mp3"))
    assert str(caught.value.reason) == "no-picture: no picture in it (cover art only)"


def test_the_largest_of_several_pictures_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    sources = ("-f", "lavfi", "-i", "testsrc2=size=64x64", "-f", "lavfi", "-i", "testsrc2=size=320x180")
    run_ffmpeg(*sources, "-map", "0", "-map", "1", "-disposition:v", "0", "-t", "1", path)
    assert info_of(path).width == 320


def test_tags_about_the_content_are_kept_clean(odd_video: OddPath, tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp4"
    tags = {
        "title": "A\x07 walk\n in  the park",
        "comment": "c" * 5000,
        "encoder": "x",
        "genre": "Nature",
        "artist": "\x00",
    }
    flags = [
        part for key, value in tags.items() for part in ("-metadata", f"{key}={value}") if "\x00" not in value
    ]
    run_ffmpeg("-i", odd_video("one-frame.mp4"), "-c", "copy", *flags, path)
    found = info_of(path).tags
    assert found["title"] == "A walk in the park"
    assert found["genre"] == "Nature"
    assert len(found["comment"]) == 1000
    assert set(found) == {"title", "genre", "comment"}


def test_tags_that_are_no_utf8_do_no_harm(odd_video: OddPath, tmp_path: Path) -> None:
    path = tmp_path / "latin.mp4"
    run_ffmpeg("-i", odd_video("one-frame.mp4"), "-c", "copy", "-metadata", "title=caf__", path)
    path.write_bytes(path.read_bytes().replace(b"caf__", b"caf\xe9\xff"))
    assert info_of(path).tags["title"].startswith("caf")


def test_a_codec_without_decoder_is_named(odd_video: OddPath, tmp_path: Path) -> None:
    path = tmp_path / "unknown.mp4"
    path.write_bytes(
        odd_video("one-frame.mp4").read_bytes().replace(b"avc1", b"zzz1").replace(b"avcC", b"zzzC")
    )
    with pytest.raises(MediaError) as caught:
        info_of(path)
    assert str(caught.value.reason) == "no-decoder: no decoder for zzz1"

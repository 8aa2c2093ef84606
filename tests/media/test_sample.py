"""Every odd video gives frames or the right reason, at a cost that follows the frames and not the length."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.media.odd_videos import (
    BYTES_NAME,
    NAMES,
    ODD_VIDEOS,
    OddVideo,
    run_ffmpeg,
)
from tests.media.real_videos import REAL_VIDEOS, RealVideo
from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media.container import open_container
from vidclf_cli.media.frames import is_blank
from vidclf_cli.media.probe import find_video_stream, probe
from vidclf_cli.media.sample import read_sample
from vidclf_cli.media.spread import FrameSampler
from vidclf_cli.media.types import Frame, Limits, SampleRequest

OddPath = Callable[[str], Path]
EIGHT = SampleRequest(frame_count=8)


def reason_of(path: Path, request: SampleRequest = EIGHT, limits: Limits | None = None) -> Code:
    with pytest.raises(MediaError) as caught:
        read_sample(path, request, limits)
    return caught.value.reason.code


def check_frames(frames: tuple[Frame, ...], times: tuple[float, ...]) -> None:
    assert len(frames) == len(times)
    assert list(times) == sorted(set(times))
    for frame in frames:
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        height, width, channels = frame.shape
        assert channels == 3
        assert min(height, width) == 256
        assert max(height, width) <= 1024


@pytest.mark.parametrize("odd", ODD_VIDEOS, ids=lambda odd: odd.name)
def test_an_odd_video_gives_frames_or_its_reason(odd: OddVideo, odd_video: OddPath) -> None:
    path = odd_video(odd.name)
    started = time.monotonic()
    if odd.outcome != "ok":
        assert reason_of(path) == odd.outcome
    else:
        sample = read_sample(path, EIGHT)
        check_frames(sample.frames, sample.timestamps_seconds)
        assert odd.frame_counts[0] <= len(sample.frames) <= odd.frame_counts[1]
        assert " ".join(sample.notes).startswith(odd.note)
        assert bool(sample.notes) == bool(odd.note)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("real", REAL_VIDEOS, ids=lambda real: Path(real.path).name)
def test_a_real_video_gives_frames_or_its_reason(real: RealVideo, shared_data: Path) -> None:
    path = shared_data / "videos" / real.path
    try:
        sample = read_sample(path, SampleRequest(frame_count=8, audio_seconds=4))
    except MediaError as error:
        assert str(error.reason) == real.outcome
    else:
        check_frames(sample.frames, sample.timestamps_seconds)
        assert ("ok", real.frame_count) == (real.outcome, len(sample.frames))
        assert not sample.notes


def test_the_table_of_real_videos_is_whole(shared_data: Path) -> None:
    folder = shared_data / "videos"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {real.path for real in REAL_VIDEOS}


@pytest.mark.parametrize(
    "name", ["cuts.mp4", "single-shot.mp4", "live.mkv", "fragmented.mp4", "transport.ts", "bare.h264"]
)
def test_frames_are_spread_over_the_whole_video(name: str, odd_video: OddPath) -> None:
    times = read_sample(odd_video(name), EIGHT).timestamps_seconds
    holes = np.diff([0.0, *times, 20.0])
    assert holes.max() <= 5.1


@pytest.mark.parametrize("count", [1, 2, 3, 5, 20])
def test_as_many_frames_as_asked_for_if_they_are_there(count: int, odd_video: OddPath) -> None:
    assert len(read_sample(odd_video("cuts.mp4"), SampleRequest(count)).frames) == min(count, 8)
    assert len(read_sample(odd_video("prores.mov"), SampleRequest(count)).frames) == count


def test_no_frames_are_read_when_none_are_asked_for(odd_video: OddPath) -> None:
    sample = read_sample(odd_video("cuts.mp4"), SampleRequest(frame_count=0))
    assert sample.frames == ()
    assert sample.info.duration_seconds == 20


def test_times_are_those_of_the_frames_shown(odd_video: OddPath) -> None:
    """Against a whole decode: also the frames between keyframes are exact."""
    import av

    path = odd_video("single-shot.mp4")
    sample = read_sample(path, EIGHT)
    with av.open(str(path)) as container:
        by_time = {round(frame.time, 3): frame for frame in container.decode(video=0)}
    for seconds, frame in zip(sample.timestamps_seconds, sample.frames, strict=True):
        whole = by_time[seconds].to_ndarray(format="rgb24", width=455, height=256, interpolation="AREA")
        assert np.abs(frame.astype(int) - whole).mean() < 2


def decoded_count(path: Path) -> int:
    with open_container(path, 1 << 30) as container:
        stream = find_video_stream(container)
        sampler = FrameSampler(container, stream, probe(container, stream), 8, 1 << 30)
        assert len(sampler.read()) >= 4
        return sampler._reader.decoded_count


@pytest.mark.parametrize("name", ["cuts.mp4", "single-shot.mp4"])
def test_a_long_video_costs_no_more_decoding_than_a_short_one(
    name: str, odd_video: OddPath, tmp_path: Path
) -> None:
    short, long = odd_video(name), tmp_path / "long.mp4"
    run_ffmpeg("-stream_loop", "14", "-i", short, "-c", "copy", long)
    assert decoded_count(long) <= decoded_count(short)
    assert decoded_count(long) == 8


def test_enough_keyframes_are_decoded_alone(odd_video: OddPath) -> None:
    assert decoded_count(odd_video("cuts.mp4")) == 8


def test_few_keyframes_cost_less_than_half_of_a_whole_decode(odd_video: OddPath) -> None:
    assert decoded_count(odd_video("single-shot.mp4")) < 250  # of 500 frames


def test_black_frames_are_left_out_if_there_are_others(odd_video: OddPath) -> None:
    sample = read_sample(odd_video("black-start.mp4"), EIGHT)
    assert not any(is_blank(frame) for frame in sample.frames)
    assert len(sample.frames) >= 4
    assert all(is_blank(frame) for frame in read_sample(odd_video("all-black.mp4"), EIGHT).frames)


def corner_video(path: Path, *arguments: str, size: str = "320x180") -> Path:
    """A video whose upper left quarter is red, upper right green, lower left blue, the rest white."""
    quarters = (("0", "0", "red"), ("iw/2", "0", "lime"), ("0", "ih/2", "blue"))
    boxes = ",".join(f"drawbox=x={x}:y={y}:w=iw/2:h=ih/2:c={colour}:t=fill" for x, y, colour in quarters)
    run_ffmpeg("-f", "lavfi", "-i", f"color=white:size={size}:rate=25", "-vf", boxes, "-t", "1",
               "-c:v", "libx264", *arguments, path)  # fmt: skip
    return path


def corner_colours(frame: Frame) -> list[str]:
    """Names of the corners' colours: upper left, upper right, lower right, lower left."""
    names = {(True, False, False): "red", (False, True, False): "green", (False, False, True): "blue"}
    corners = (frame[30, 30], frame[30, -30], frame[-30, -30], frame[-30, 30])
    return [names.get((corner[0] > 128, corner[1] > 128, corner[2] > 128), "white") for corner in corners]


@pytest.mark.parametrize(
    ("counterclockwise", "expected"),
    [
        ("0", ["red", "green", "white", "blue"]),
        ("90", ["green", "white", "blue", "red"]),
        ("180", ["white", "blue", "red", "green"]),
        ("270", ["blue", "red", "green", "white"]),
    ],
)
def test_frames_are_turned_upright(counterclockwise: str, expected: list[str], tmp_path: Path) -> None:
    plain = corner_video(tmp_path / "plain.mp4", "-pix_fmt", "yuv420p")
    turned = tmp_path / "turned.mp4"
    run_ffmpeg("-display_rotation", counterclockwise, "-i", plain, "-c", "copy", turned)
    sample = read_sample(turned, EIGHT)
    assert corner_colours(sample.frames[0]) == expected
    assert sample.info.rotation_degrees == -int(counterclockwise) % 360


@pytest.mark.parametrize(
    "arguments",
    [
        ("-pix_fmt", "yuv420p", "-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709"),
        ("-pix_fmt", "yuv420p", "-vf", "scale=out_color_matrix=bt601", "-colorspace", "smpte170m"),
        ("-pix_fmt", "yuv420p", "-vf", "scale=out_color_matrix=bt2020", "-colorspace", "bt2020nc"),
        ("-pix_fmt", "yuv420p", "-vf", "scale=out_range=full", "-color_range", "pc"),
        ("-pix_fmt", "yuv420p10le",),
        ("-pix_fmt", "yuv444p",),
        ("-c:v", "libx264rgb", "-pix_fmt", "rgb24"),
        ("-pix_fmt", "yuv420p", "-vf", "scale=640:720:out_color_matrix=bt709,setparams=colorspace=unknown"),
        ("-pix_fmt", "yuv420p", "-vf", "scale=320:180:out_color_matrix=bt601,setparams=colorspace=unknown"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_colours_are_those_that_were_filmed(arguments: tuple[str, ...], tmp_path: Path) -> None:
    filmed = (200, 60, 40)
    path = tmp_path / "colour.mkv"
    source = "color=#C83C28:size=320x180:rate=25,format=rgb24"
    run_ffmpeg("-f", "lavfi", "-i", source, "-t", "0.2", "-c:v", "libx264", "-qp", "5", *arguments, path)
    frame = read_sample(path, EIGHT).frames[0]
    assert np.abs(frame.reshape(-1, 3).mean(axis=0) - filmed).max() < 6


def test_pixel_aspect_widens_the_picture(odd_video: OddPath) -> None:
    sample = read_sample(odd_video("anamorphic.mp4"), EIGHT)
    assert (sample.info.width, sample.info.height, sample.info.pixel_aspect) == (640, 180, 2.0)
    assert sample.frames[0].shape == (256, 910, 3)


def test_a_very_wide_picture_is_cut_at_its_centre(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    boxes = "drawbox=x=iw*0.45:w=iw*0.1:c=lime:t=fill"
    run_ffmpeg("-f", "lavfi", "-i", "color=red:size=2560x64:rate=5", "-vf", boxes, "-t", "1", path)
    frame = read_sample(path, EIGHT).frames[0]
    assert frame.shape == (256, 1024, 3)
    assert frame[128, 512, 1] > 200
    assert frame[128, 512, 0] < 60


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_more_than_a_name(
    name: str, odd_video: OddPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.write_bytes(odd_video("one-frame.mp4").read_bytes())
    assert len(read_sample(path, EIGHT).frames) == 1
    assert sorted(os.listdir(tmp_path)) == [name]  # noqa: PTH208


def test_a_name_that_is_no_utf8_is_opened(odd_video: OddPath, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(BYTES_NAME)
    path.write_bytes(odd_video("one-frame.mp4").read_bytes())
    assert len(read_sample(path, EIGHT).frames) == 1


@pytest.mark.parametrize(
    "template",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        '<?xml version="1.0"?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>',
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n",
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ts", ".avi"])
def test_playlists_are_not_followed(template: str, suffix: str, odd_video: OddPath, tmp_path: Path) -> None:
    inner = tmp_path / "inner.ts"
    inner.write_bytes(odd_video("size-changes.ts").read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        port = server.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/x.ts", f"tcp://127.0.0.1:{port}", str(inner), "inner.ts"):
            path = tmp_path / f"list{suffix}"
            path.write_text(template.format(url=url, port=port))
            assert reason_of(path) == Code.NOT_A_VIDEO
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_encrypted_picture_is_told_from_a_damaged_one(odd_video: OddPath, tmp_path: Path) -> None:
    path = tmp_path / "encrypted.mp4"
    key = "00112233445566778899aabbccddeeff"
    scheme = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", key)
    run_ffmpeg("-i", odd_video("cuts.mp4"), "-c", "copy", *scheme, path)
    assert reason_of(path) == Code.ENCRYPTED


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert reason_of(tmp_path / "pipe.mp4") == Code.UNREADABLE
    assert reason_of(tmp_path) == Code.UNREADABLE
    assert reason_of(tmp_path / "missing.mp4") == Code.UNREADABLE
    assert reason_of(Path("/dev/zero")) == Code.UNREADABLE


def test_the_frame_limit_names_the_option_that_lifts_it(odd_video: OddPath) -> None:
    limits = Limits(frame_pixels=320 * 180 - 1)
    with pytest.raises(MediaError, match="--max-frame-pixels"):
        read_sample(odd_video("cuts.mp4"), EIGHT, limits)
    assert reason_of(odd_video("cuts.mp4"), limits=limits) == Code.FRAME_TOO_LARGE
    for exact in (320 * 180, 320 * 180 + 1):  # decoders round up to whole blocks
        assert len(read_sample(odd_video("cuts.mp4"), EIGHT, Limits(frame_pixels=exact)).frames) == 8


def test_frames_larger_than_declared_do_not_pass_the_limit(odd_video: OddPath) -> None:
    path = odd_video("says-it-is-small.avi")
    assert read_sample(path, EIGHT).info.width == 320
    assert reason_of(path, limits=Limits(frame_pixels=64 * 36)) == Code.DAMAGED


def test_a_damaged_video_says_after_how_many_frames(odd_video: OddPath) -> None:
    notes = read_sample(odd_video("cut-off-index-first.mp4"), EIGHT).notes
    assert notes == ("damaged after 4 frames",)


def test_reading_does_not_change_the_file(odd_video: OddPath) -> None:
    path = odd_video("cuts.mp4")
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    read_sample(path, SampleRequest(8, 5))
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before

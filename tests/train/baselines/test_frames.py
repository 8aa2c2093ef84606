"""Frames come at the middles of equal parts of the duration, whatever the file is like."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.media.odd_videos import encode
from tests.media.real_videos import REAL_VIDEOS
from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media.frames import FrameScaler
from vidclf_train.baselines.frames import UniformPool, UniformRequest, crop_centre, read_uniform

REQUEST = UniformRequest(frame_count=8, short_side=64, crop=48)
# 100 frames of 25 a second; keyframes every 40 frames, and B-frames between.
LONG_GOPS = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "40", "-bf", "2",
             "-sc_threshold", "0")  # fmt: skip


@pytest.fixture(scope="module", params=["mp4", "mkv", "ts"])
def counting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("counting") / f"counting.{request.param}"
    encode(*LONG_GOPS, source="testsrc2=size=96x64:rate=25", seconds=4)(path)
    return path


def _all_frames(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """Decode everything, the plain way."""
    import av

    scaler = FrameScaler(1.0, REQUEST.short_side)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        start = float((container.streams.video[0].start_time or 0) * container.streams.video[0].time_base)
        times = [frame.time - start for frame in frames]
        return times, [crop_centre(scaler.picture(frame), REQUEST.crop) for frame in frames]


def test_each_frame_is_the_one_on_display_in_the_middle_of_its_part(counting: Path) -> None:
    times, pictures = _all_frames(counting)
    read = read_uniform(counting, REQUEST)
    wanted = [4 * (part + 0.5) / 8 for part in range(8)]
    shown = [max(row for row, at in enumerate(times) if at <= each + 1e-3) for each in wanted]
    assert read.timestamps_seconds == pytest.approx([times[row] for row in shown], abs=0.002)
    assert read.frames.shape == (8, 48, 48, 3)
    np.testing.assert_array_equal(read.frames, np.stack([pictures[row] for row in shown]))
    assert read.notes == ()


def test_a_file_that_tells_no_duration_is_read_through(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    encode(source="testsrc2=size=96x64:rate=10", seconds=4)(path)
    read = read_uniform(path, REQUEST)
    assert all(0.2 < after - before < 0.8 for before, after in pairwise(read.timestamps_seconds))


def test_a_short_video_repeats_what_is_on_display(tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    encode(*LONG_GOPS, source="testsrc2=size=96x64:rate=10", seconds=0.3)(path)
    read = read_uniform(path, REQUEST)
    assert read.frames.shape == REQUEST.shape
    assert len(set(read.timestamps_seconds)) == 3
    assert read.notes == ("3 distinct frames",)


def test_a_damaged_part_is_shown_by_its_neighbour_and_said(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.ts", tmp_path / "cut.ts"
    encode(*LONG_GOPS, source="testsrc2=size=96x64:rate=25", seconds=4)(whole)
    data = bytearray(whole.read_bytes())
    third = len(data) // 3
    data[third : 2 * third] = bytes(third)
    path.write_bytes(data)
    read = read_uniform(path, REQUEST)
    assert read.notes
    assert read.frames.shape == REQUEST.shape
    assert all(picture.max() > 100 for picture in read.frames)  # none of them a black dummy


@pytest.mark.parametrize("name", ["empty.mp4", "text.mp4", "sound-only.mp4"])
def test_what_is_no_video_fails_with_its_reason(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "sound-only.mp4":
        encode("-map", "1:a", source="testsrc2=size=96x64:rate=10", seconds=1, sound=True)(path)
    else:
        path.write_bytes(b"" if name == "empty.mp4" else b"no video at all\n" * 20)
    with UniformPool(1) as pool, pytest.raises(MediaError) as failure:
        pool.submit_uniform(path, REQUEST).result(30)
    codes = {"empty.mp4": Code.EMPTY_FILE, "text.mp4": Code.NOT_A_VIDEO, "sound-only.mp4": Code.NO_PICTURE}
    assert failure.value.reason.code == codes[name]


def test_real_odd_files_end_as_they_do_elsewhere(shared_data: Path) -> None:
    """The table of the decoder's own tests, less the slowest: what can be read there can be read here."""
    heavy = ("4k60", "hdr10", "big_buck_bunny", "bottle", "pixel7", "vvc", "with_metadata_track")
    chosen = [video for video in REAL_VIDEOS if not any(part in video.path for part in heavy)]
    with UniformPool(2) as pool:
        running = [pool.submit_uniform(shared_data / "videos" / video.path, REQUEST) for video in chosen]
        outcomes = {
            video.path: _outcome(future.result) for video, future in zip(chosen, running, strict=True)
        }
    assert outcomes == {video.path: video.outcome for video in chosen}


def _outcome(result: Callable[[float], object]) -> str:
    try:
        result(60)
    except MediaError as error:
        return str(error.reason)
    return "ok"

"""Frames on disk: decoded once, whatever happens between, and never more than allowed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from vidclf_cli.errors import OutputError, UsageError
from vidclf_train.baselines.frame_store import FrameStore
from vidclf_train.baselines.frames import UniformRequest, read_uniform

REQUEST = UniformRequest(frame_count=4, short_side=32, crop=32)
ROOM = 10**9


@pytest.fixture
def clips(two_kinds: Path) -> list[Path]:
    return sorted((two_kinds / "dark").glob("*.mp4"))[:4]


def test_frames_come_back_as_they_were_decoded(clips: list[Path], tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "frames", REQUEST, ROOM)
    readings = store.read_all(clips, jobs=2)
    loaded = store.load([reading.content for reading in readings])
    np.testing.assert_array_equal(loaded[2], read_uniform(clips[2], REQUEST).frames)
    assert all(reading.seconds > 0 and not reading.failure for reading in readings)
    store.remove()
    assert not (tmp_path / "frames").exists()


def test_what_was_decoded_before_is_not_decoded_again(clips: list[Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(clips[0].read_bytes()[:700])
    copy = tmp_path / "copy.mp4"
    shutil.copy(clips[0], copy)
    seen: list[int] = []
    first = FrameStore(tmp_path / "frames", REQUEST, ROOM).read_all(
        [*clips[:2], damaged, copy], 1, lambda _, done, total: seen.append(total)
    )
    assert seen == [3, 3, 3]  # a copy is decoded once
    assert first[2].failure.startswith("damaged: ")
    assert first[3] == first[0]

    # A run that was killed while it wrote: half a line of the log, half an array.
    log = tmp_path / "frames" / "read.jsonl"
    log.write_text(log.read_text() + '\n{"content": "12', encoding="utf-8")
    half = tmp_path / "frames" / f"{first[1].content}.npy"
    half.write_bytes(half.read_bytes()[:1000])
    seen.clear()
    store = FrameStore(tmp_path / "frames", REQUEST, ROOM)
    again = store.read_all([*clips[:2], damaged, *clips[2:]], 1, lambda _, done, total: seen.append(total))
    assert seen == [3, 3, 3]  # the half one and two new ones
    assert again[0] == first[0]
    assert again[2] == first[2]
    assert store.load([again[1].content]).shape == (1, *REQUEST.shape)
    assert len(FrameStore(tmp_path / "frames", REQUEST, ROOM).read_all(clips, 1)) == 4
    lines = [line for line in log.read_text().splitlines() if line.endswith("}")]
    assert len([json.loads(line) for line in lines]) == 6


def test_another_request_decodes_anew(clips: list[Path], tmp_path: Path) -> None:
    FrameStore(tmp_path / "frames", REQUEST, ROOM).read_all(clips[:1], 1)
    for other in (UniformRequest(4, short_side=48, crop=32), UniformRequest(4, short_side=40, crop=40)):
        store = FrameStore(tmp_path / "frames", other, ROOM)
        frames = store.load([store.read_all(clips[:1], 1)[0].content])
        np.testing.assert_array_equal(frames[0], read_uniform(clips[0], other).frames)


def test_more_than_the_limit_is_refused_before_anything_is_decoded(clips: list[Path], tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "frames", REQUEST, byte_limit=3 * 4 * 32 * 32 * 3)
    with pytest.raises(UsageError, match=r"4 videos take .* --frame-limit lifts"):
        store.read_all(clips, 1)
    assert not list((tmp_path / "frames").iterdir())


def test_a_file_that_is_not_there_is_a_failed_reading(clips: list[Path], tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "frames", REQUEST, ROOM)
    _, gone = store.read_all([clips[0], tmp_path / "gone.mp4"], 1)
    assert gone.failure == "unreadable: the file cannot be read (No such file or directory)"


def test_frames_that_were_taken_away_are_said(clips: list[Path], tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "frames", REQUEST, ROOM)
    (reading,) = store.read_all(clips[:1], 1)
    (tmp_path / "frames" / f"{reading.content}.npy").unlink()
    with pytest.raises(OutputError, match=r"Delete .* and run again"):
        store.load([reading.content])

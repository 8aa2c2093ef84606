"""A frame for each slot of a timeline, wherever keyframes lie, at a cost that follows the slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.media.odd_videos import run_ffmpeg
from vidclf_cli.errors import Code, MediaError, Reason
from vidclf_cli.media.container import open_container
from vidclf_cli.media.isolate import DecodePool
from vidclf_cli.media.probe import find_video_stream, probe
from vidclf_cli.media.reader import StreamReader
from vidclf_cli.media.timeline import CUT_OFF, PICTURE_ENDS, TimelineSampler, read_timeline
from vidclf_cli.media.types import Frame, Limits, TimelinePart, TimelineRequest
from vidclf_cli.tracks import cut

OddPath = Callable[[str], Path]

_COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
ONE_GOP = (*_X264, "-g", "1000", "-sc_threshold", "0")
OPEN_GOP = (*_X264, "-preset", "veryfast", "-g", "50", "-bf", "3", "-x264-params", "open-gop=1")


def coloured(path: Path, parts: Sequence[tuple[str, float]], *codec: str, size: str = "320x180") -> Path:
    """A video that shows one colour after another, each for so many seconds, below a grid."""
    graph = "".join(
        f"color={colour}:size={size}:rate=25:duration={seconds}[c{number}];"
        for number, (colour, seconds) in enumerate(parts)
    )
    inputs = "".join(f"[c{number}]" for number in range(len(parts)))
    graph += f"{inputs}concat=n={len(parts)}[v];[v]drawgrid=w=40:h=40:c=gray[o]"
    run_ffmpeg("-filter_complex", graph, "-map", "[o]", *codec, path)
    return path


def colour_of(frame: Frame) -> str:
    mean = np.median(frame.reshape(-1, 3), axis=0)
    return min(_COLOURS, key=lambda name: float(np.abs(mean - _COLOURS[name]).sum()))


def read(path: Path, seconds: float, duration: float, *, dense: bool = False) -> TimelinePart:
    return read_timeline(path, TimelineRequest(cut(duration, seconds), dense))


def colours(part: TimelinePart) -> dict[int, str]:
    return {slot: colour_of(frame) for slot, frame in zip(part.slots, part.frames, strict=True)}


def decoded_count(path: Path, request: TimelineRequest) -> int:
    with open_container(path, 1 << 30) as container:
        stream = find_video_stream(container)
        sampler = TimelineSampler(container, stream, probe(container, stream), request, 1 << 30)
        sampler.read()
        return sampler._reader.decoded_count


SCENES = (("red", 4.0), ("lime", 6.0), ("blue", 10.0))


@pytest.fixture(scope="module")
def one_gop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s of three colours and one keyframe."""
    return coloured(tmp_path_factory.mktemp("timeline") / "one-gop.mp4", SCENES, *ONE_GOP)


@pytest.mark.parametrize("name", ["closed.mp4", "open.mp4", "open.mkv", "open.ts", "mpeg4.avi"])
def test_each_slot_has_a_frame_of_its_own_and_its_real_time(name: str, tmp_path: Path) -> None:
    codec = {
        "closed": (*_X264, "-g", "25"),
        "open": OPEN_GOP,
        "mpeg4": ("-c:v", "mpeg4", "-g", "50", "-q:v", "3"),
    }[name.split(".", maxsplit=1)[0]]
    part = read(coloured(tmp_path / name, SCENES, *codec), 2.0, 20.0)
    assert not part.failures
    assert part.slots == tuple(range(10))
    for slot, seconds in zip(part.slots, part.timestamps_seconds, strict=True):
        assert 2 * slot - 1e-3 <= seconds < 2 * slot + 2
    assert [colours(part)[slot] for slot in range(10)] == ["red"] * 2 + ["lime"] * 3 + ["blue"] * 5
    assert all(min(frame.shape[:2]) == 256 for frame in part.frames)


def test_slots_that_share_a_group_of_pictures_are_decoded_in_one_go(one_gop: Path) -> None:
    request = TimelineRequest(cut(20.0, 2.0))
    part = read_timeline(one_gop, request)
    assert part.slots == tuple(range(10))
    assert [colours(part)[slot] for slot in range(10)] == ["red"] * 2 + ["lime"] * 3 + ["blue"] * 5
    assert decoded_count(one_gop, request) <= 500  # each of 500 frames once at most


def test_what_lies_too_far_behind_a_keyframe_belongs_to_the_frame_before(tmp_path: Path) -> None:
    path = coloured(tmp_path / "hd.mp4", [("red", 6), ("blue", 6)], *ONE_GOP, size="1280x720")
    request = TimelineRequest(cut(12.0, 3.0))
    part = read_timeline(path, request)
    assert part.slots == (0,)
    assert not part.failures
    assert decoded_count(path, request) == 1
    dense = read(path, 3.0, 12.0, dense=True)
    assert [colours(dense)[slot] for slot in range(4)] == ["red", "red", "blue", "blue"]
    middles = [1.5, 4.5, 7.5, 10.5]
    assert np.abs(np.subtract(dense.timestamps_seconds[1:], middles[1:])).max() <= 0.2


def test_keyframes_are_decoded_alone(tmp_path: Path) -> None:
    path = coloured(tmp_path / "closed.mp4", SCENES, *_X264, "-g", "25")
    assert decoded_count(path, TimelineRequest(cut(20.0, 2.0))) == 10


def with_keyframes(path: Path, seconds: float, times: str) -> Path:
    """A video of one shot in 720p with keyframes at these times only."""
    forced = ("-g", "1000", "-sc_threshold", "0", "-force_key_frames", times)
    return coloured(path, [("red", seconds)], *_X264, *forced, size="1280x720")


def test_a_keyframe_late_in_a_slot_serves_it(tmp_path: Path) -> None:
    path = with_keyframes(tmp_path / "late.mp4", 10, "0,2,8")
    assert read(path, 5.0, 10.0).timestamps_seconds == (2.0, 8.0)


def test_a_slot_is_read_from_the_keyframe_that_is_nearest_before_it(tmp_path: Path) -> None:
    path = with_keyframes(tmp_path / "near.mp4", 10, "0,4.8")
    assert read(path, 5.0, 10.0).timestamps_seconds == (0.0, pytest.approx(6.8, abs=0.1))


def test_a_part_that_begins_between_keyframes_of_a_transport_stream_is_read(tmp_path: Path) -> None:
    path = coloured(tmp_path / "far.ts", SCENES, *_X264, "-g", "100", "-sc_threshold", "0")
    part = read_timeline(path, TimelineRequest((5.0, 6.0, 7.0), dense=True))
    assert [round(seconds, 1) for seconds in part.timestamps_seconds] == [5.5, 6.5]


def test_a_part_in_the_middle_reads_as_the_whole_does(tmp_path: Path) -> None:
    path = coloured(tmp_path / "open.mkv", SCENES, *OPEN_GOP)
    edges = cut(20.0, 1.0)
    whole = read_timeline(path, TimelineRequest(edges, dense=True))
    pieces = [read_timeline(path, TimelineRequest(edges[at : at + 6], dense=True)) for at in (0, 5, 10, 15)]
    assert [slot + 5 * at for at, piece in enumerate(pieces) for slot in piece.slots] == list(whole.slots)
    assert tuple(t for piece in pieces for t in piece.timestamps_seconds) == whole.timestamps_seconds
    frames = [frame for piece in pieces for frame in piece.frames]
    assert all(np.array_equal(*pair) for pair in zip(frames, whole.frames, strict=True))


def test_slots_shorter_than_a_second_have_frames_too(tmp_path: Path) -> None:
    """Also where most frames are such that no other refers to, which are left out else."""
    unreferenced = ("-preset", "veryfast", "-g", "50", "-bf", "7", "-b_strategy", "0", "-b-pyramid", "none")
    path = coloured(tmp_path / "b-frames.mp4", SCENES, *_X264, *unreferenced)
    part = read(path, 0.1, 20.0, dense=True)
    assert part.slots == tuple(range(200))
    assert len(set(part.timestamps_seconds)) == 200


def test_a_video_that_starts_later_is_read_from_its_first_frame_on(odd_video: OddPath) -> None:
    part = read(odd_video("later-start.mkv"), 1.0, 4.0)
    assert part.slots[0] == 0
    assert part.timestamps_seconds[0] == pytest.approx(0, abs=0.01)
    assert max(part.timestamps_seconds) < 4


@pytest.mark.parametrize("suffix", ["gif", "apng"])
def test_pictures_that_build_on_each_other_are_read_through(suffix: str, tmp_path: Path) -> None:
    import av

    path = tmp_path / f"moving.{suffix}"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10", "-t", "3", "-f", suffix, path)
    part = read(path, 1.0, 3.0)
    assert part.timestamps_seconds == (0.5, 1.5, 2.5)
    with av.open(str(path)) as container:
        by_time = {round(frame.time, 3): frame for frame in container.decode(video=0)}
    for seconds, frame in zip(part.timestamps_seconds, part.frames, strict=True):
        size = {"width": frame.shape[1], "height": frame.shape[0], "interpolation": "AREA"}
        assert np.abs(frame.astype(int) - by_time[seconds].to_ndarray(format="rgb24", **size)).mean() < 2
    last = read_timeline(path, TimelineRequest((2.0, 3.0)))
    assert np.array_equal(last.frames[0], part.frames[2])


def test_a_file_that_holds_no_times_is_read_through(
    odd_video: OddPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamReader, "packet_seconds", lambda *_: None)
    assert read(odd_video("transport.ts"), 5.0, 20.0).slots == (0, 1, 2, 3)


def test_a_slot_shorter_than_times_are_exact_still_has_the_first_frame(odd_video: OddPath) -> None:
    assert read(odd_video("cuts.mp4"), 10.0, 0.0002).timestamps_seconds == (0.0,)


@pytest.mark.parametrize("name", ["bare.h264", "live.mkv", "recorded.webm", "fragmented.mp4", "transport.ts"])
def test_files_without_an_index_give_a_frame_for_each_slot(name: str, odd_video: OddPath) -> None:
    part = read(odd_video(name), 5.0, 20.0)
    assert part.slots == (0, 1, 2, 3), part.failures
    assert all(
        5 * slot - 0.05 <= at < 5 * slot + 5
        for slot, at in zip(part.slots, part.timestamps_seconds, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cut-off-index-first.mp4", CUT_OFF), ("cut-off.mkv", PICTURE_ENDS), ("cut-off.ts", PICTURE_ENDS)],
)
def test_what_is_missing_at_the_end_is_a_failure_and_not_the_frame_before(
    name: str, reason: Reason, odd_video: OddPath
) -> None:
    part = read(odd_video(name), 1.0, 20.0)
    assert 0 in part.slots
    failed = sorted(part.failures)
    assert failed[-1] == 19
    assert 5 <= len(failed) <= 14
    assert failed == list(range(failed[0], 20))
    assert part.failures[19] == reason
    assert {each.code for each in part.failures.values()} <= {reason.code, Code.DAMAGED}


def test_damage_costs_its_own_slots(odd_video: OddPath) -> None:
    part = read(odd_video("damaged-middle.mp4"), 2.5, 20.0)
    assert set(part.slots) >= {0, 1, 2}
    assert part.failures
    assert {reason.code for reason in part.failures.values()} == {Code.DAMAGED}


def test_a_part_wholly_behind_the_end_says_so_at_once(odd_video: OddPath) -> None:
    part = read_timeline(odd_video("cuts.mp4"), TimelineRequest((40.0, 50.0, 60.0)))
    assert part.frames == ()
    assert {reason.code for reason in part.failures.values()} == {Code.NO_PICTURE}


def test_a_slot_takes_another_keyframe_where_the_first_is_black(tmp_path: Path) -> None:
    scene = "testsrc2=size=320x180:rate=25:duration=4"
    graph = f"{scene}[a];color=black:size=320x180:rate=25:duration=4[b];{scene}[c];[a][b][c]concat=n=3[o]"
    path = tmp_path / "fade.mp4"
    run_ffmpeg(
        "-filter_complex", graph, "-map", "[o]", *_X264, "-g", "1000", "-force_key_frames", "0,4,8", path
    )
    assert read(path, 12.0, 12.0).timestamps_seconds == (8.0,)
    assert read(path, 4.0, 12.0).timestamps_seconds == (0.0, 4.0, 8.0)  # nothing but black in the second


def test_a_file_that_is_no_video_is_its_reason(odd_video: OddPath) -> None:
    with pytest.raises(MediaError) as caught:
        read(odd_video("text.mp4"), 10.0, 20.0)
    assert caught.value.reason.code is Code.NOT_A_VIDEO


def test_a_worker_reads_a_part_as_it_is_read_here(one_gop: Path) -> None:
    request = TimelineRequest((4.0, 8.0, 12.0))
    with DecodePool(1) as pool:
        there = pool.submit_part(one_gop, request).result(20)
    here = read_timeline(one_gop, request)
    assert (there.slots, there.timestamps_seconds) == (here.slots, here.timestamps_seconds)
    assert all(np.array_equal(*pair) for pair in zip(there.frames, here.frames, strict=True))
    assert there.seconds > 0


def test_the_time_limit_holds_for_a_part(one_gop: Path) -> None:
    with DecodePool(1, Limits(seconds=0.01)) as pool:
        long = pool.submit_part(one_gop, TimelineRequest(cut(20.0, 0.1), dense=True))
        with pytest.raises(MediaError, match="--time-limit"):
            long.result(20)


def test_a_frame_above_the_limit_is_refused_before_it_is_decoded(one_gop: Path) -> None:
    with pytest.raises(MediaError, match="frame-too-large"):
        read_timeline(one_gop, TimelineRequest((0.0, 4.0)), Limits(frame_pixels=1000))


def test_a_long_video_costs_what_its_slots_cost(tmp_path: Path) -> None:
    short = coloured(tmp_path / "short.mp4", SCENES, *_X264, "-g", "50")
    long = tmp_path / "long.mp4"
    run_ffmpeg("-stream_loop", "14", "-i", short, "-c", "copy", long)
    assert decoded_count(long, TimelineRequest(cut(300.0, 20.0))) == 15

"""The timeline run on real files and a real cache; reading is a thread that knows a toy format."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vidclf_cli.cache import Cache
from vidclf_cli.errors import Code, MediaError, Reason
from vidclf_cli.media.types import MediaInfo, Sample, SampleRequest, TimelinePart, TimelineRequest
from vidclf_cli.pipeline.embed import Embedded
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.pipeline.timeline import Sampling, Timeline, TimelineReading
from vidclf_cli.records import Video
from vidclf_cli.spaces import Embedding, Space
from vidclf_cli.tracks import Track

VISUAL = Space("toy/brightness@1/visual", "toy/visual", "visual", 2, "frames-8")
PAID = Space("paid/clips@1/visual", "paid/visual", "visual", 2, "clips-6s")
INFO = MediaInfo("toy", 1.0, "toy", 2, 1, 0, 1.0, 25.0, "")
TEN = Sampling(10.0)


class Brightness:
    """Embeds a frame's first value; fails on 66."""

    request = SampleRequest(frame_count=8)

    def __init__(self, *spaces: Space) -> None:
        self.spaces = spaces or (VISUAL,)
        self.most_at_once = 0

    def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
        self.most_at_once = max(self.most_at_once, len(samples))
        values = [int(sample.frames[0][0, 0, 0]) for sample in samples]
        if 66 in values:
            raise RuntimeError("66 is not to be embedded")
        return [
            {space.id: Embedding(np.array([value, 0.1], np.float32), 1) for space in self.spaces}
            for value in values
        ]


class ThreadReader:
    """Reads toy videos: byte n is the frame of second n; 0: no frame, 255: not decodable, 254: a crash."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4)
        self._lock = threading.Lock()
        self.read: list[tuple[str, int]] = []
        self.at_once = self.most_at_once = 0

    def submit_part(self, path: Path, request: TimelineRequest) -> Future[TimelinePart]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.read.append((path.name, len(request.edges) - 1))
        return self._pool.submit(self._read, path, request)

    def _read(self, path: Path, request: TimelineRequest) -> TimelinePart:
        try:
            if "slow" in path.name:
                time.sleep(0.2)
            return self._part(path.read_bytes(), request)
        finally:
            if "grows" in path.name:
                path.write_bytes(path.read_bytes() + b"more")
            with self._lock:
                self.at_once -= 1

    def _part(self, data: bytes, request: TimelineRequest) -> TimelinePart:
        found: list[tuple[int, float, int]] = []
        failures = {}
        for slot, (start, end) in enumerate(pairwise(request.edges)):
            value = data[int((start + end) / 2)]
            if value == 254:
                raise MediaError(Code.DECODER_CRASHED, "its decoder crashed (SIGSEGV)")
            if value == 255:
                failures[slot] = Reason(Code.DAMAGED, "this part cannot be decoded")
            elif value:
                found.append((slot, (start + end) / 2, value))
        return TimelinePart(
            INFO,
            tuple(np.full((256, 256, 3), value, np.uint8) for _, _, value in found),
            tuple(seconds for _, seconds, _ in found),
            tuple(slot for slot, _, _ in found),
            failures,
            0.01,
        )

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def reader() -> Iterator[ThreadReader]:
    reader = ThreadReader()
    yield reader
    reader.close()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(tmp_path / "cache") as cache:
        yield cache


def _embedded(path: Path, *values: int, per_value: int = 10) -> Embedded:
    """A toy video whose slots of 10 s show these values."""
    content = bytes(value for value in values for _ in range(per_value))
    path.write_bytes(content)
    status = path.stat()
    video = Video(path.name, path, path.parent, status.st_size, status.st_mtime_ns, status.st_ino)
    probe = {"duration_seconds": float(len(content)), "width": 1280, "height": 720, "frame_rate": 25.0}
    return Embedded(video, probe, {}, None, f"{hash(content) & (1 << 160) - 1:040x}")


def _run(
    cache: Cache,
    reader: ThreadReader,
    videos: Sequence[Embedded],
    sampling: Sampling = TEN,
    *,
    embedders: Sequence[Brightness] = (),
    wanted: Sequence[str] = (VISUAL.id,),
    parts_ahead: int = 4,
    statistics: Statistics | None = None,
) -> list[tuple[Embedded, Timeline | None]]:
    run = TimelineReading(
        cache,
        embedders or [Brightness()],
        wanted,
        lambda: reader,
        parts_ahead,
        sampling,
        statistics or Statistics(),
    )
    return list(run.run(videos))


def _shown(timeline: Timeline | None) -> list[float | str]:
    assert timeline is not None
    return [
        timeline.failures[segment].code.value
        if segment in timeline.failures
        else float(timeline.vectors[VISUAL.id][segment, 0])
        for segment in range(len(timeline.edges) - 1)
    ]


def test_timelines_come_in_the_order_of_the_videos(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    videos = [
        _embedded(tmp_path / "slow.toy", 1, 2, 3),
        replace(_embedded(tmp_path / "failed.toy", 9), failure=Reason(Code.DAMAGED, "no frame")),
        _embedded(tmp_path / "short.toy", 4),
        _embedded(tmp_path / "slow-too.toy", 5, 5),
    ]
    made = _run(cache, reader, videos)
    assert [embedded.video.id for embedded, _ in made] == [each.video.id for each in videos]
    assert [timeline and _shown(timeline) for _, timeline in made] == [[1, 2, 3], None, [4], [5, 5]]
    assert made[0][1] is not None
    assert made[0][1].edges == (0.0, 10.0, 20.0, 30.0)


def test_a_long_video_is_read_in_parts_of_bounded_size_and_number(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    embedder = Brightness()
    values = [1 + number % 60 for number in range(500)]
    statistics = Statistics()
    long = _embedded(tmp_path / "long.toy", *values)
    ((_, timeline),) = _run(cache, reader, [long], embedders=[embedder], parts_ahead=3, statistics=statistics)
    assert _shown(timeline) == values
    assert len(reader.read) == 16
    assert max(count for _, count in reader.read) <= 32
    assert reader.most_at_once <= 3
    assert (statistics.part_count, statistics.read_part_count) == (16, 16)
    assert embedder.most_at_once <= 32


def test_slots_without_a_frame_go_by_the_one_before_also_across_parts(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    statistics = Statistics()
    values = [0, 7, *[0] * 40, 8, 0]
    ((_, timeline),) = _run(cache, reader, [_embedded(tmp_path / "a.toy", *values)], statistics=statistics)
    assert _shown(timeline) == [7] * 42 + [8, 8]
    assert statistics.shared_frame_count == 42


def test_a_second_run_reads_nothing_and_gives_the_same_numbers(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    videos = [_embedded(tmp_path / "a.toy", 1, 0, 3), _embedded(tmp_path / "b.toy", 4)]
    first = _run(cache, reader, videos)
    reader.read.clear()
    statistics = Statistics()
    second = _run(cache, reader, videos, statistics=statistics)
    assert reader.read == []
    assert (statistics.cached_timeline_count, statistics.read_timeline_count) == (2, 0)
    for (_, cold), (_, warm) in zip(first, second, strict=True):
        assert cold is not None
        assert warm is not None
        assert cold.edges == warm.edges
        # 0.1 is no float16: it is rounded before it is used, not only when it is kept.
        assert cold.vectors[VISUAL.id].tobytes() == warm.vectors[VISUAL.id].tobytes()


def test_another_length_of_segments_is_another_timeline(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "a.toy", 1, 2, 3)
    _run(cache, reader, [video])
    ((_, timeline),) = _run(cache, reader, [video], Sampling(15.0))
    assert timeline is not None
    assert timeline.edges == (0.0, 15.0, 30.0)
    assert len(reader.read) == 2


def test_dense_segments_are_the_mean_of_a_frame_of_every_second(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "a.toy", *range(1, 26), per_value=1)
    ((_, timeline),) = _run(cache, reader, [video], Sampling(10.0, dense=True))
    assert _shown(timeline) == [5.5, 15.5, 23.0]
    assert {count for _, count in reader.read} == {25}
    # The same frames serve segments of another length.
    _run(cache, reader, [video], Sampling(5.0, dense=True))
    assert len(reader.read) == 1


def test_dense_parts_are_smaller_where_frames_are_larger(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "a.toy", *[9] * 60, per_value=1)
    large = replace(video, probe={**video.probe, "width": 3840, "height": 2160, "frame_rate": 50.0})
    _run(cache, reader, [large], Sampling(10.0, dense=True))
    assert {count for _, count in reader.read} == {3}


def test_what_cannot_be_read_is_a_failure_of_its_own_segments_and_tried_again(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    values = [1, 255, 0, 2, *[3] * 28, 254, *[4] * 32]
    video = _embedded(tmp_path / "a.toy", *values)
    ((_, timeline),) = _run(cache, reader, [video])
    shown = _shown(timeline)
    assert shown[:4] == [1, "damaged", "damaged", 2]
    assert shown[32:64] == ["decoder-crashed"] * 32
    assert shown[64:] == [4]
    count = len(reader.read)
    _run(cache, reader, [video])
    assert len(reader.read) == 2 * count


def test_an_encoder_that_fails_costs_its_part(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    ((_, timeline),) = _run(cache, reader, [_embedded(tmp_path / "a.toy", *[66] * 32, 5)])
    assert _shown(timeline) == ["internal"] * 32 + [5]


def test_a_file_that_changes_while_it_is_read_fails_and_is_not_cached(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "grows.toy", 1, 2)
    ((_, timeline),) = _run(cache, reader, [video])
    assert timeline is not None
    assert timeline.edges == (0.0, 20.0)
    assert timeline.failures[0].code is Code.CHANGED
    assert not cache.timelines.path(video.fingerprint).exists()


def test_a_copy_is_read_once_even_in_the_same_run(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    videos = [_embedded(tmp_path / name, 1, 2) for name in ("slow.toy", "copy.toy", "copy2.toy")]
    made = _run(cache, reader, videos)
    assert len(reader.read) == 1
    assert [_shown(timeline) for _, timeline in made] == [[1, 2]] * 3


def test_a_video_of_unknown_duration_goes_up_to_its_last_frame(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "a.toy", 1, 2, 3)
    unknown = replace(video, probe={"duration_seconds": None, "frame_seconds": [0.0, 7.0, 24.0]})
    ((_, timeline),) = _run(cache, reader, [unknown])
    assert timeline is not None
    assert timeline.edges == (0.0, 10.0, 20.0, 24.0)


def test_a_video_shorter_than_a_segment_is_one(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    ((_, timeline),) = _run(cache, reader, [_embedded(tmp_path / "a.toy", 5, per_value=4)])
    assert timeline is not None
    assert timeline.edges == (0.0, 4.0)


def test_more_segments_than_memory_holds_are_refused_with_what_to_do(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "a.toy", 1)
    endless = replace(video, probe={"duration_seconds": 1e6})
    ((_, timeline),) = _run(cache, reader, [endless])
    assert timeline is not None
    assert timeline.failures[0].code is Code.MEMORY_LIMIT
    assert "--segments" in timeline.failures[0].text
    assert reader.read == []


def _track(*spans: tuple[float, float, float], frame_seconds: Sequence[float] | None = None) -> Track:
    return Track(
        np.array([span[:2] for span in spans], np.float64),
        np.array([(span[2], 1) for span in spans], np.float16),
        None if frame_seconds is None else np.array(frame_seconds),
    )


def test_cached_clip_vectors_are_used_instead_of_reading(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "a.toy", 1, 2)
    _run(cache, reader, [video])  # also frames of another space are there
    reader.read.clear()
    cache.timelines.write(video.fingerprint, {PAID: _track((0, 6, 10), (6, 12, 20), (12, 18, 30))})
    both = [Brightness(), Brightness(PAID)]
    ((_, timeline),) = _run(cache, reader, [video], embedders=both, wanted=[PAID.id])
    assert reader.read == []
    assert timeline is not None
    np.testing.assert_allclose(timeline.vectors[PAID.id][:, 0], [14, (2 * 20 + 6 * 30) / 8])
    assert timeline.vectors.keys() == {PAID.id}


def test_cached_clip_vectors_stand_beside_frames_where_both_decide(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "a.toy", 1, 2)
    cache.timelines.write(video.fingerprint, {PAID: _track((0, 20, 10))})
    both = [Brightness(), Brightness(PAID)]
    for _ in range(2):
        ((_, timeline),) = _run(cache, reader, [video], embedders=both, wanted=[PAID.id, VISUAL.id])
        assert timeline is not None
        assert timeline.vectors[PAID.id][:, 0].tolist() == [10, 10]
        assert timeline.vectors[VISUAL.id][:, 0].tolist() == [1, 2]
    assert len(reader.read) == 1


def test_a_space_that_was_not_asked_for_before_is_read_for_alone(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _embedded(tmp_path / "a.toy", 1, 2)
    _run(cache, reader, [video])
    local, other = Brightness(), Brightness(PAID)
    ((_, timeline),) = _run(cache, reader, [video], embedders=[local, other], wanted=[PAID.id])
    assert timeline is not None
    assert timeline.vectors.keys() == {VISUAL.id, PAID.id}
    assert (local.most_at_once, other.most_at_once) == (0, 2)


def test_frames_of_another_sampling_are_not_taken_for_these(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    """What comes out must not depend on what else was once asked for."""
    video = _embedded(tmp_path / "a.toy", 1, 2)
    finer = {replace(VISUAL, sampling="keyframes-5s"): _track((0, 20, 99), frame_seconds=[3.0])}
    cache.timelines.write(video.fingerprint, finer)
    ((_, timeline),) = _run(cache, reader, [video])
    assert _shown(timeline) == [1, 2]


def test_vectors_too_large_for_half_precision_stay_numbers(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    class Loud(Brightness):
        def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
            return [{VISUAL.id: Embedding(np.array([1e9, -1e9], np.float32), 1)} for _ in samples]

    video = _embedded(tmp_path / "a.toy", 1)
    for _ in range(2):
        ((_, timeline),) = _run(cache, reader, [video], embedders=[Loud()])
        assert timeline is not None
        assert timeline.vectors[VISUAL.id].tolist() == [[65504, -65504]]
    assert len(reader.read) == 1

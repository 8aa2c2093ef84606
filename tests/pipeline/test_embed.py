"""The embedding run on real files and a real cache; reading is a thread that knows a toy format."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vidclf_cli.cache import Cache
from vidclf_cli.errors import Code, MediaError, Reason
from vidclf_cli.media.types import MediaInfo, Sample, SampleRequest
from vidclf_cli.pipeline.embed import Embedded, VideoEmbedding
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.records import Video
from vidclf_cli.spaces import Embedding, Space

VISUAL = Space("toy/first-bytes@1/visual", "toy/visual", "visual", 2, "frames-8")
AUDIO = Space("toy/last-bytes@1/audio", "toy/audio", "audio", 1, "seconds-20")


class FirstBytes:
    """Embeds the frame that `ThreadReader` made; fails on the value 66."""

    spaces = (VISUAL,)
    request = SampleRequest(frame_count=8)

    def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
        vectors = [np.asarray(sample.frames[0][0, 0, :2], np.float32) for sample in samples]
        if any(vector[0] == 66 for vector in vectors):
            raise RuntimeError("66 is not to be embedded")
        return [{VISUAL.id: Embedding(vector, 1)} for vector in vectors]


class Sound:
    """Embeds the waveform when there is one."""

    spaces = (AUDIO,)
    request = SampleRequest(frame_count=0, audio_seconds=20.0)

    def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
        return [
            {} if sample.waveform is None else {AUDIO.id: Embedding(sample.waveform[:1], 1)}
            for sample in samples
        ]


class ThreadReader:
    """Reads toy videos: two bytes of picture; `bad` fails, `slow` takes its time, `grows` changes."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4)
        self._lock = threading.Lock()
        self.read: list[str] = []
        self.at_once = 0
        self.most_at_once = 0

    def submit(self, path: Path, request: SampleRequest) -> Future[Sample]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        return self._pool.submit(self._read, path)

    def _read(self, path: Path) -> Sample:
        try:
            return self._sample(path)
        finally:
            with self._lock:
                self.at_once -= 1
                self.read.append(path.name)

    def _sample(self, path: Path) -> Sample:
        if "bad" in path.name:
            raise MediaError(Code.DAMAGED, "damaged after 0 frames")
        if "bug" in path.name:
            raise ZeroDivisionError("a bug in a worker")
        if "slow" in path.name:
            time.sleep(0.5)
        data = path.read_bytes()
        if "grows" in path.name:
            path.write_bytes(data + b"more")
        frame = np.zeros((256, 256, 3), np.uint8)
        frame[0, 0, :2] = list(data[:2])
        return Sample(MediaInfo("toy", 1.0, "toy", 2, 1, 0, 1.0, None, ""), (frame,), (0.0,))

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


def _video(path: Path, content: bytes) -> Video:
    path.write_bytes(content)
    status = path.stat()
    return Video(path.name, path, path.parent, status.st_size, status.st_mtime_ns, status.st_ino)


def _stored(cache: Cache) -> list[Path]:
    return list(cache.folder.glob("videos/??/*.h5"))


def _run(cache: Cache, reader: ThreadReader, videos: Sequence[Video], *embedders: object) -> list[Embedded]:
    run = VideoEmbedding(cache, embedders or (FirstBytes(),), lambda: reader, 4, Statistics())  # type: ignore[arg-type]
    return list(run.run(videos))


def test_one_result_per_video_in_the_order_of_the_input(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    names = ["slow-first.mp4", "b.mp4", "bad.mp4", "c.mp4", "bug.mp4", "slow-last.mp4"]
    videos = [_video(tmp_path / name, bytes([number, 7])) for number, name in enumerate(names)]
    results = _run(cache, reader, videos)
    assert [result.video.id for result in results] == names
    assert [result.failure and result.failure.code for result in results] == [
        None, None, Code.DAMAGED, None, Code.INTERNAL, None,
    ]  # fmt: skip
    assert results[3].vectors[VISUAL.id].tolist() == [3, 7]
    assert results[3].probe["container"] == "toy"


def test_a_second_run_reads_nothing(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    videos = [_video(tmp_path / f"{number}.mp4", bytes([number, 1])) for number in range(10)]
    first = _run(cache, reader, videos, FirstBytes(), Sound())
    reader.read.clear()
    second = _run(cache, reader, videos, FirstBytes(), Sound())
    assert reader.read == []
    assert [list(result.vectors[VISUAL.id]) for result in first] == [
        list(result.vectors[VISUAL.id]) for result in second
    ]


def test_a_copy_is_read_once_even_in_the_same_run(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    videos = [_video(tmp_path / name, b"same") for name in ("a.mp4", "copy.mp4", "copy2.mp4")]
    results = _run(cache, reader, videos)
    assert len(reader.read) == 1
    assert [result.video.id for result in results] == [video.id for video in videos]
    assert all(result.vectors[VISUAL.id].tolist() == [115, 97] for result in results)


def test_a_renamed_video_is_not_read_again(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    _run(cache, reader, [_video(tmp_path / "a.mp4", b"xy")])
    reader.read.clear()
    _run(cache, reader, [_video(tmp_path / "b.mp4", b"xy")])
    assert reader.read == []


def test_a_file_that_changes_while_it_is_read_fails_and_is_not_cached(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _video(tmp_path / "grows.mp4", b"xy")
    (result,) = _run(cache, reader, [video])
    assert result.failure is not None
    assert result.failure.code is Code.CHANGED
    assert _stored(cache) == []


def test_a_copy_of_a_file_that_changes_is_read_itself(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    videos = [_video(tmp_path / name, b"xy") for name in ("grows.mp4", "copy.mp4")]
    changed, copy = _run(cache, reader, videos)
    assert changed.failure is not None
    assert copy.failure is None
    assert copy.vectors[VISUAL.id].tolist() == [120, 121]


def test_a_video_that_vanished_is_a_row(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    video = _video(tmp_path / "a.mp4", b"xy")
    video.path.unlink()
    (result,) = _run(cache, reader, [video])
    assert result.failure is not None
    assert result.failure.code is Code.UNREADABLE


def test_an_encoder_that_fails_costs_its_videos_and_not_the_run(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    first = _video(tmp_path / "a.mp4", bytes([66, 0]))
    (result,) = _run(cache, reader, [first])
    assert result.failure is not None
    assert result.failure.code is Code.INTERNAL
    assert "66" in result.failure.text
    assert _stored(cache) == []


def test_an_embedder_that_names_its_own_failure_is_believed_and_the_others_go_on(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    class Foreign(FirstBytes):
        def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
            try:
                return super().embed(samples)
            except RuntimeError as error:
                raise MediaError(Code.EMBEDDER, f"the embedder of the package x failed: {error}") from error

    videos = [_video(tmp_path / name, data) for name, data in (("a.mp4", b"B1"), ("b.mp4", b"xy"))]
    failed, fine = _run(cache, reader, videos, Foreign())
    assert failed.failure == Reason(
        Code.EMBEDDER, "the embedder of the package x failed: 66 is not to be embedded"
    )
    assert fine.failure is None


def test_no_more_is_read_ahead_than_allowed(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    _run(cache, reader, [_video(tmp_path / f"{n}.mp4", bytes([n, 2])) for n in range(60)])
    assert len(reader.read) == 60
    assert reader.most_at_once <= 4


def test_a_slow_video_does_not_hold_up_the_others(tmp_path: Path, cache: Cache, reader: ThreadReader) -> None:
    videos = [_video(tmp_path / "slow.mp4", b"sl")]
    videos += [_video(tmp_path / f"{n}.mp4", bytes([n, 3])) for n in range(40)]
    _run(cache, reader, videos)
    assert reader.read.index("slow.mp4") > 20


def test_what_is_finished_is_cached_when_the_run_is_left(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    videos = [_video(tmp_path / f"{n}.mp4", bytes([n, 4])) for n in range(20)]
    run = VideoEmbedding(cache, [FirstBytes()], lambda: reader, 4, Statistics()).run(videos)
    for _ in range(5):
        next(run)
    run.close()  # type: ignore[attr-defined]
    assert len(_stored(cache)) >= 5


def test_a_new_space_is_added_without_reading_what_is_there(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    requests = []
    submit = reader.submit
    reader.submit = lambda path, request: (requests.append(request), submit(path, request))[1]  # type: ignore[method-assign]
    video = _video(tmp_path / "a.mp4", b"xy")
    _run(cache, reader, [video], FirstBytes())
    _run(cache, reader, [video], FirstBytes(), Sound())
    assert [(request.frame_count, request.audio_seconds) for request in requests] == [(8, 0.0), (0, 20.0)]


def test_a_file_touched_since_it_was_found_counts_as_changed(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _video(tmp_path / "a.mp4", b"xy")
    os.utime(video.path, ns=(1, 1))
    (result,) = _run(cache, reader, [video])
    assert result.failure is not None
    assert result.failure.code is Code.CHANGED


def test_a_cached_description_of_the_wrong_kind_is_read_again(
    tmp_path: Path, cache: Cache, reader: ThreadReader
) -> None:
    video = _video(tmp_path / "a.mp4", b"xy")
    _run(cache, reader, [video])
    cache.videos.write(cache.fingerprint(video), {"tags": 5, "duration_seconds": "long"}, {})
    (result,) = _run(cache, reader, [video])
    assert len(reader.read) == 2
    assert result.probe["container"] == "toy"
    assert result.vectors[VISUAL.id].tolist() == [120, 121]

"""The timeline run as it is: worker processes, the real encoder, the real cache."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from tests.media import misbehaviour
from tests.media.odd_videos import run_ffmpeg
from vidclf_cli.cache import Cache
from vidclf_cli.embedders.local import LocalVisual
from vidclf_cli.errors import Code
from vidclf_cli.media.isolate import DecodePool
from vidclf_cli.media.types import Sample, TimelinePart, TimelineRequest
from vidclf_cli.pipeline.embed import Embedded, VideoEmbedding
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.pipeline.timeline import Sampling, Timeline, TimelineReading
from vidclf_cli.records import Video
from vidclf_cli.runtime import Device

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses signals")


@pytest.fixture(scope="module")
def visual() -> LocalVisual:
    return LocalVisual(device=Device("cpu", "a test"), thread_count=1)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 s that change all the time, a keyframe every second: two parts of 32 segments at 1 s."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    source = "mandelbrot=size=256x256:rate=5:end_pts=250"
    run_ffmpeg(
        "-f", "lavfi", "-i", source, "-t", "50", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "5", path
    )
    return path


class CrashingReader:
    """Reads in worker processes, of which the one that is to read the second part dies."""

    def __init__(self, pool: DecodePool) -> None:
        self._pool = pool

    def submit_part(self, path: Path, request: TimelineRequest) -> Future[TimelinePart]:
        if request.edges[0] > 0:
            return self._pool._run(misbehaviour.end_by, int(signal.SIGSEGV))
        return self._pool.submit_part(path, request)


def timeline(
    cache: Cache, visual: LocalVisual, pool: DecodePool, film: Path, reader: object, *, dense: bool = False
) -> Timeline:
    status = film.stat()
    video = Video(film.name, film, film.parent, status.st_size, status.st_mtime_ns, status.st_ino)
    statistics = Statistics()
    (embedded,) = VideoEmbedding(cache, [visual], lambda: pool, 2, statistics).run([video])
    assert isinstance(embedded, Embedded)
    wanted = [space.id for space in visual.spaces]
    run = TimelineReading(
        cache,
        [visual],
        wanted,
        lambda: reader,  # type: ignore[arg-type, return-value]
        4,
        Sampling(1.0, dense),
        statistics,
    )
    ((_, made),) = run.run([embedded])
    assert made is not None
    return made


def test_a_segment_is_embedded_as_its_frame_alone_is(
    tmp_path: Path, visual: LocalVisual, pool: DecodePool, film: Path
) -> None:
    with Cache(tmp_path) as cache:
        cold = timeline(cache, visual, pool, film, pool)
        warm = timeline(cache, visual, pool, film, None)  # nobody to read
    assert len(cold.edges) == 51
    assert not cold.failures
    part = pool.submit_part(film, TimelineRequest((40.0, 41.0))).result(20)
    (alone,) = visual.embed([Sample(part.info, part.frames, part.timestamps_seconds)])
    for space in visual.spaces:
        assert cold.vectors[space.id].tobytes() == warm.vectors[space.id].tobytes()
        np.testing.assert_allclose(cold.vectors[space.id][40], alone[space.id].vector, rtol=2e-3, atol=1e-4)


def test_a_worker_that_dies_costs_its_part_and_the_next_run_reads_it(
    tmp_path: Path, visual: LocalVisual, pool: DecodePool, film: Path
) -> None:
    with Cache(tmp_path) as cache:
        broken = timeline(cache, visual, pool, film, CrashingReader(pool))
        assert list(broken.failures) == list(range(32, 50))
        assert {reason.code for reason in broken.failures.values()} == {Code.DECODER_CRASHED}
        assert all(broken.vectors[visual.spaces[0].id][:32].any(axis=1))
        whole = timeline(cache, visual, pool, film, pool)
    assert not whole.failures
    for space in visual.spaces:
        assert np.array_equal(whole.vectors[space.id][:32], broken.vectors[space.id][:32])

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vidclf_cli.cache import Cache
from vidclf_cli.cache.peek import CachePeek
from vidclf_cli.records import Video
from vidclf_cli.spaces import Embedding, Space
from vidclf_cli.tracks import Track

VISUAL = Space("local/net@1/visual", "local/visual", "visual", 8, "frames-8")
AUDIO = Space("local/mel@1/audio", "local/audio", "audio", 4, "seconds-20")
ALONG = dataclasses.replace(VISUAL, sampling="keyframes-10s")


@pytest.fixture
def video(tmp_path: Path) -> Video:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"a video")
    status = path.stat()
    return Video("a.mp4", path, tmp_path, status.st_size, status.st_mtime_ns, status.st_ino)


@pytest.fixture
def folder(tmp_path: Path, video: Video) -> Path:
    """A cache that holds the video's picture, and that it has no sound."""
    with Cache(tmp_path / "cache") as cache:
        embedding = Embedding(np.ones(VISUAL.dimension, np.float32), 8)
        cache.videos.write(cache.fingerprint(video), {"tags": {}}, {VISUAL: embedding, AUDIO: None})
    return tmp_path / "cache"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_what_is_there_is_found_and_nothing_is_made(folder: Path, video: Video) -> None:
    before = files(folder)
    with CachePeek(folder) as peek:
        assert peek.holds(video, [VISUAL, AUDIO])
        assert not peek.holds(video, [dataclasses.replace(VISUAL, sampling="frames-4")])
        assert not peek.holds(dataclasses.replace(video, mtime_ns=1), [VISUAL]), "a file that changed"
        assert files(folder) == before, "no journal either"
    assert files(folder) == before


def test_a_timeline_is_looked_for_where_one_is_needed(folder: Path, video: Video) -> None:
    with CachePeek(folder) as peek:
        assert not peek.holds(video, [VISUAL], [ALONG], [VISUAL.id])
    spans, vectors = np.array([[0.0, 5.0]]), np.ones((1, 8), np.float16)
    with Cache(folder) as cache:
        cache.timelines.write(cache.fingerprint(video), {ALONG: Track(spans, vectors, np.array([2.0]))})
    with CachePeek(folder) as peek:
        assert peek.holds(video, [VISUAL], [ALONG], [VISUAL.id])
        other = dataclasses.replace(ALONG, sampling="keyframes-5s")
        assert not peek.holds(video, [VISUAL], [other], [VISUAL.id])
    with Cache(folder) as cache:
        clips = dataclasses.replace(VISUAL, sampling="clips-5s")
        cache.timelines.write(cache.fingerprint(video), {clips: Track(spans, vectors, None)})
    with CachePeek(folder) as peek:
        assert peek.holds(video, [VISUAL], [other], [VISUAL.id]), "vectors of clips are enough"


def test_no_cache_holds_nothing_and_stays_no_cache(tmp_path: Path, video: Video) -> None:
    with CachePeek(tmp_path / "none") as peek:
        assert not peek.holds(video, [])
    assert not (tmp_path / "none").exists()


def test_what_is_damaged_counts_as_absent_and_stays_where_it_is(folder: Path, video: Video) -> None:
    (file,) = folder.glob("videos/??/*.h5")
    file.write_bytes(b"no HDF5")
    with CachePeek(folder) as peek:
        assert not peek.holds(video, [VISUAL])
    assert file.read_bytes() == b"no HDF5"
    (folder / "index.sqlite").write_bytes(b"no database at all, but long enough to be read as one" * 20)
    with CachePeek(folder) as peek:
        assert not peek.holds(video, [VISUAL])


def test_what_another_run_wrote_just_now_is_seen(folder: Path, video: Video) -> None:
    with closing(sqlite3.connect(folder / "index.sqlite", isolation_level=None)) as other:
        other.execute("UPDATE files SET mtime_ns = mtime_ns + 1")
        assert (folder / "index.sqlite-wal").stat().st_size > 0
        with CachePeek(folder) as peek:
            assert not peek.holds(video, [VISUAL])
            assert peek.holds(dataclasses.replace(video, mtime_ns=video.mtime_ns + 1), [VISUAL])

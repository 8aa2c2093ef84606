import os
from pathlib import Path

import pytest

from vidclf_cli.cache import Cache, default_folder, measure
from vidclf_cli.records import Video


def _video(path: Path) -> Video:
    status = path.stat()
    return Video(path.name, path, path.parent, status.st_size, status.st_mtime_ns, status.st_ino)


def test_the_folder_comes_from_the_environment_when_it_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIDCLF_CACHE_DIR", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("VIDCLF_CACHE_DIR")
    assert default_folder().name == "vidclf"


def test_an_unchanged_file_is_not_read_again_unless_its_content_is_to_be_verified(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"one")
    video = _video(file)
    with Cache(tmp_path / "cache") as cache:
        before = cache.fingerprint(video)
        cache._index.flush()
        # The same size and time with other bytes: what the index cannot see and --verify-content is for.
        file.write_bytes(b"two")
        os.utime(file, ns=(video.mtime_ns, video.mtime_ns))
        assert cache.fingerprint(video) == before
    with Cache(tmp_path / "cache", verify_content=True) as cache:
        file.write_bytes(b"one")
        first = cache.fingerprint(video)
        file.write_bytes(b"two")
        assert cache.fingerprint(video) != first


def test_measuring_a_cache_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    size = measure(tmp_path / "none")
    assert (size.counts.total(), size.text_count, size.byte_count) == (0, 0, 0)
    assert not (tmp_path / "none").exists()

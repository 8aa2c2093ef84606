"""Damage is found by reading everything, named, and with --repair set aside; a whole cache stays as it is."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from vidclf_cli.cache import Cache, CachedTextEmbedder
from vidclf_cli.cache.inventory import Kind
from vidclf_cli.cache.verify import verify
from vidclf_cli.errors import CacheError
from vidclf_cli.records import Video
from vidclf_cli.spaces import Embedding, Space
from vidclf_cli.tracks import Track

VISUAL = Space("local/net@1/visual", "local/visual", "visual", 8, "frames-8")
FINGERPRINTS = [f"{number:02x}" + "0" * 38 for number in range(5)]


class Lengths:
    space = Space("local/letters@1/metadata", "local/metadata", "metadata", 2)

    def embed(self, texts: list[str]) -> np.ndarray:
        return np.array([[len(text), 1] for text in texts], np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache with five videos, a timeline, three texts and a path."""
    root = tmp_path / "cache"
    video = tmp_path / "a.mp4"
    video.write_bytes(b"video")
    status = video.stat()
    with Cache(root) as cache:
        for number, fingerprint in enumerate(FINGERPRINTS):
            embedding = Embedding(np.full(8, number, np.float32), 8)
            cache.videos.write(fingerprint, {"container": "mp4"}, {VISUAL: embedding})
        spans = np.array([[0.0, 1.0], [1.0, 2.0]])
        cache.timelines.write(FINGERPRINTS[0], {VISUAL: Track(spans, np.ones((2, 8), np.float16), None)})
        CachedTextEmbedder(Lengths(), cache.texts).embed(["one", "two", "three"])
        cache.fingerprint(Video("a.mp4", video, tmp_path, status.st_size, status.st_mtime_ns, status.st_ino))
    return root


def contents(folder: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    }


@pytest.mark.parametrize("repair", [False, True])
def test_a_whole_cache_is_read_and_stays_as_it_is(folder: Path, repair: bool) -> None:
    before = contents(folder)
    steps: list[tuple[int, int]] = []
    found = verify(folder, repair=repair, progress=lambda done, of: steps.append((done, of)))
    assert found.counts == {Kind.VIDEO: 5, Kind.TIMELINE: 1, Kind.OTHER: 2}
    assert (found.text_count, found.damages, found.newer) == (3, (), ())
    assert steps[-1] == (6, 6)
    assert contents(folder) == before


def test_a_cache_that_is_not_there_is_whole_and_not_made(tmp_path: Path) -> None:
    assert verify(tmp_path / "none").damages == ()
    assert not (tmp_path / "none").exists()


def _video(folder: Path, number: int = 1) -> Path:
    return folder / "videos" / FINGERPRINTS[number][:2] / f"{FINGERPRINTS[number]}.h5"


def _flip(path: Path, payload: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(payload) + 5] ^= 0xFF
    path.write_bytes(data)


def _not_finite(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["embedded_features/more"] = np.array([np.nan])


SPOIL: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "no HDF5": lambda path: path.write_bytes(b"something else"),
    "a flipped bit of a vector": lambda path: _flip(path, np.full(8, 1, np.float32).tobytes()),
    "a flipped bit of the probe": lambda path: _flip(path, b'"container":"mp4"'),
    "a number that is none": _not_finite,
    "another name": lambda path: path.rename(path.with_name("film.h5")),
    "another folder": lambda path: path.rename(path.parent.parent / "00" / path.name),
}


@pytest.mark.parametrize("damage", SPOIL)
def test_a_damaged_file_is_named_and_only_set_aside_when_asked(folder: Path, damage: str) -> None:
    SPOIL[damage](_video(folder))
    before = contents(folder)
    (found,) = verify(folder).damages
    assert found.path.is_relative_to(folder)
    assert found.problem
    assert "\n" not in found.problem
    assert not found.is_repaired
    assert contents(folder) == before
    (repaired,) = verify(folder, repair=True).damages
    assert repaired.is_repaired
    assert not repaired.path.exists()
    assert repaired.path.with_suffix(".damaged").exists()
    after = verify(folder)
    assert (after.damages, after.counts[Kind.VIDEO]) == ((), 4)


def test_a_damaged_timeline_is_found(folder: Path) -> None:
    path = folder / "timelines" / "00" / f"{FINGERPRINTS[0]}.h5"
    _flip(path, np.ones((2, 8), np.float16).tobytes())
    (found,) = verify(folder, repair=True).damages
    assert found.path == path


def test_a_file_of_a_newer_version_is_left_and_told(folder: Path) -> None:
    with h5py.File(_video(folder), "r+") as file:
        file.attrs["schema"] = 99
    with sqlite3.connect(folder / "texts.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = contents(folder)
    found = verify(folder, repair=True)
    assert found.newer == (_video(folder), folder / "texts.sqlite")
    assert found.damages == ()
    assert contents(folder) == before


def test_a_text_that_lost_a_bit_is_taken_out_and_the_others_stay(folder: Path) -> None:
    with sqlite3.connect(folder / "texts.sqlite") as connection:
        payload = np.array([3, 1], "<f4").tobytes()
        stored = payload + zlib.crc32(payload).to_bytes(4, "little")
        changed = connection.execute(
            "UPDATE texts SET vector=? WHERE vector=?", (b"\0" + stored[1:-1] + b"x", stored)
        )
        assert changed.rowcount == 2
    connection.close()
    found = verify(folder)
    assert [damage.problem for damage in found.damages] == ["2 of 3 vectors have a wrong check sum"]
    assert verify(folder).text_count == 3
    assert verify(folder, repair=True).damages[0].is_repaired
    assert (verify(folder).damages, verify(folder).text_count) == ((), 1)


@pytest.mark.parametrize("name", ["texts.sqlite", "index.sqlite"])
@pytest.mark.parametrize("keep", [0, 4096])
def test_a_damaged_database_is_named_and_made_anew_when_asked(folder: Path, name: str, keep: int) -> None:
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[:keep] + b"\xff" * (len(data) - keep))
    (found,) = verify(folder).damages
    assert found.path == path
    assert not path.with_name(f"{name}.damaged").exists()
    assert verify(folder, repair=True).damages[0].is_repaired
    assert path.with_name(f"{name}.damaged").exists()
    assert verify(folder).damages == ()


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"{'ab' + '0' * 38}.h5").write_bytes(b"somebody else's")
    (folder / "videos" / "ab").symlink_to(elsewhere, target_is_directory=True)
    (folder / "videos" / "00" / f"{'00' + 'f' * 38}.h5").symlink_to(elsewhere / f"{'ab' + '0' * 38}.h5")
    assert verify(folder, repair=True).damages == ()
    assert [path.name for path in elsewhere.iterdir()] == [f"{'ab' + '0' * 38}.h5"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs permissions that hold for this user")
def test_what_the_system_refuses_is_no_damage(folder: Path) -> None:
    _video(folder).chmod(0)
    with pytest.raises(CacheError, match="--cache-dir"):
        verify(folder)

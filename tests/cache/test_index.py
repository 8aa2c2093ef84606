import dataclasses
import sqlite3
from pathlib import Path

import pytest

from vidclf_cli.cache.index import FingerprintIndex
from vidclf_cli.errors import CacheError
from vidclf_cli.records import Video


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return Video("a.mp4", tmp_path / "a.mp4", tmp_path, 10, 20, (1 << 64) - 1)


def test_an_unchanged_file_is_known_again_in_another_run(tmp_path: Path, video: Video) -> None:
    index = FingerprintIndex(tmp_path / "index.sqlite")
    index.put(video, "blocks", "f" * 40)
    index.close()
    again = FingerprintIndex(tmp_path / "index.sqlite")
    assert again.get(video, "blocks") == "f" * 40
    assert again.get(video, "whole") is None
    again.close()


@pytest.mark.parametrize("change", [{"size_bytes": 11}, {"mtime_ns": 21}, {"inode": 3}])
def test_any_change_of_the_file_is_seen(tmp_path: Path, video: Video, change: dict[str, int]) -> None:
    index = FingerprintIndex(tmp_path / "index.sqlite")
    index.put(video, "blocks", "f" * 40)
    index.flush()
    assert index.get(dataclasses.replace(video, **change), "blocks") is None
    index.close()


def test_a_name_that_is_no_text_is_kept(tmp_path: Path, video: Video) -> None:
    odd = dataclasses.replace(video, path=tmp_path / "a\udcff.mp4")
    index = FingerprintIndex(tmp_path / "index.sqlite")
    index.put(odd, "blocks", "e" * 40)
    index.flush()
    assert index.get(odd, "blocks") == "e" * 40
    index.close()


def test_a_damaged_index_is_set_aside_and_made_again(tmp_path: Path, video: Video) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"this is no database" * 100)
    index = FingerprintIndex(tmp_path / "index.sqlite")
    index.put(video, "blocks", "f" * 40)
    index.flush()
    assert index.get(video, "blocks") == "f" * 40
    index.close()
    assert (tmp_path / "index.sqlite.damaged").exists()


def test_an_index_damaged_beyond_its_first_page_is_made_again_when_it_is_met(
    tmp_path: Path, video: Video
) -> None:
    path = tmp_path / "index.sqlite"
    index = FingerprintIndex(path)
    for number in range(500):
        index.put(dataclasses.replace(video, path=tmp_path / f"{number}.mp4"), "blocks", "f" * 40)
    index.close()
    data = path.read_bytes()
    assert len(data) > 3 * 4096
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    again = FingerprintIndex(path)
    assert again.get(video, "blocks") is None
    again.put(video, "blocks", "e" * 40)
    again.flush()
    assert again.get(video, "blocks") == "e" * 40
    again.close()


def test_a_locked_index_costs_its_hints_and_nothing_else(
    tmp_path: Path, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf_cli.cache.database.BUSY_SECONDS", 0.1)
    index = FingerprintIndex(tmp_path / "index.sqlite")
    other = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    index.put(video, "blocks", "f" * 40)
    index.flush()
    other.execute("ROLLBACK")
    other.close()
    assert index.get(video, "blocks") is None
    index.close()


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="--cache-dir"):
        FingerprintIndex(tmp_path / "file" / "index.sqlite")


def test_what_is_no_fingerprint_is_not_believed(tmp_path: Path, video: Video) -> None:
    index = FingerprintIndex(tmp_path / "index.sqlite")
    index.put(video, "blocks", "../../../../tmp/evil")
    index.flush()
    assert index.get(video, "blocks") is None
    index.close()


def test_a_newer_index_is_refused_with_an_instruction(tmp_path: Path) -> None:
    FingerprintIndex(tmp_path / "index.sqlite").close()
    with sqlite3.connect(tmp_path / "index.sqlite") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(CacheError, match="Update vidclf"):
        FingerprintIndex(tmp_path / "index.sqlite")

"""Pruning: by last use, least recently used first, and never what somebody uses or what is elsewhere."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from vidclf_cli.cache import Cache
from vidclf_cli.cache.content import lock_file
from vidclf_cli.cache.inventory import Kind, measure
from vidclf_cli.cache.prune import Limits, Pruned, prune, training_lock
from vidclf_cli.cache.store import EmbeddingStore
from vidclf_cli.spaces import Embedding, Space

VISUAL = Space("local/net@1/visual", "local/visual", "visual", 8, "frames-8")
DAY = 86_400
AGES = {"00": 1, "01": 10, "02": 50, "03": 200}
"""The first digits of a content, and how many days ago it was used."""


def video(folder: Path, digits: str) -> Path:
    return folder / "videos" / digits / f"{digits + '0' * 38}.h5"


def set_age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Videos of several ages, two trainings, a damaged file, and temporary files of two processes."""
    root = tmp_path / "cache"
    with Cache(root) as cache:
        for digits, days in AGES.items():
            cache.videos.write(digits + "0" * 38, {}, {VISUAL: Embedding(np.ones(8, np.float32), 8)})
            set_age(video(root, digits), days)
    for key, days in (("new", 0), ("old", 100)):
        (root / "training" / key).mkdir(parents=True)
        for name in ("1.pt", "2.pt"):
            (root / "training" / key / name).write_bytes(bytes(1000))
            set_age(root / "training" / key / name, days)
    (root / "videos" / "00" / "broken.damaged").write_bytes(b"x" * 10)
    for name, days in ((".a.1.tmp", 3), (".b.2.tmp", 0)):
        (root / "videos" / "00" / name).write_bytes(b"y" * 20)
        set_age(root / "videos" / "00" / name, days)
    return root


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def days(number: float) -> Limits:
    return Limits(unused_seconds=number * DAY)


def test_what_was_not_used_for_so_long_goes_and_the_rest_stays(folder: Path) -> None:
    before = files(folder)
    found = prune(folder, days(60))
    assert found.counts == {Kind.DAMAGED: 1, Kind.TEMPORARY: 1, Kind.VIDEO: 1, Kind.TRAINING: 1}
    assert found.byte_counts[Kind.TRAINING] == 2000
    gone = {str(path) for path in before - files(folder)}
    assert gone == {
        f"videos/03/{'03' + '0' * 38}.h5", "training/old/1.pt", "training/old/2.pt",
        "videos/00/broken.damaged", "videos/00/.a.1.tmp",
    }  # fmt: skip
    assert not (folder / "training" / "old").exists()
    assert found.kept_byte_count == measure(folder).byte_count
    assert prune(folder, days(60)) == Pruned(kept_byte_count=found.kept_byte_count)


def test_the_least_recently_used_goes_first_until_it_is_small_enough(folder: Path) -> None:
    whole = measure(folder).byte_count
    one = video(folder, "00").stat().st_size
    found = prune(folder, Limits(byte_count=whole - 30 - 2000 - one))
    # Damaged and left-over files first, then 200 days, then the training of 100 days.
    assert found.counts == {Kind.DAMAGED: 1, Kind.TEMPORARY: 1, Kind.VIDEO: 1, Kind.TRAINING: 1}
    assert video(folder, "02").exists()
    assert prune(folder, Limits(byte_count=0)).counts == {Kind.VIDEO: 3, Kind.TRAINING: 1}
    assert files(folder) == {"texts.sqlite", "index.sqlite", "videos/00/.b.2.tmp"} | {
        name for name in files(folder) if name.startswith("locks/")
    }


def test_a_dry_run_counts_the_same_and_removes_nothing(folder: Path) -> None:
    before = files(folder)
    limits = Limits(unused_seconds=20 * DAY, byte_count=9000)
    would = prune(folder, limits, dry_run=True)
    assert files(folder) == before
    assert prune(folder, limits) == would


def test_reading_renews_the_last_use(folder: Path) -> None:
    EmbeddingStore(folder).read("03" + "0" * 38, [VISUAL])
    EmbeddingStore(folder).holds("02" + "0" * 38, [VISUAL])  # only looked at
    prune(folder, days(20))
    assert video(folder, "03").exists()
    assert not video(folder, "02").exists()


def test_reading_again_on_the_same_day_writes_nothing(folder: Path) -> None:
    set_age(video(folder, "00"), 0.5)
    before = video(folder, "00").stat().st_mtime_ns
    EmbeddingStore(folder).read("00" + "0" * 38, [VISUAL])
    assert video(folder, "00").stat().st_mtime_ns == before


def test_what_a_running_process_holds_stays_and_is_counted(folder: Path) -> None:
    with FileLock(lock_file(folder, "03" + "0" * 38)), FileLock(training_lock(folder, "old")):
        found = prune(folder, days(20))
    assert found.busy_count == 2
    assert found.counts[Kind.VIDEO] == 1
    assert video(folder, "03").exists()
    assert (folder / "training" / "old" / "1.pt").exists()
    assert prune(folder, days(20)).busy_count == 0
    assert not video(folder, "03").exists()


def test_what_was_used_between_looking_and_removing_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidclf_cli.cache import prune as module

    plain = module._held

    def used_meanwhile(root: Path, item: object) -> object:
        os.utime(video(folder, "03"))
        (folder / "training" / "old" / "3.pt").write_bytes(b"one more epoch")
        return plain(root, item)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_held", used_meanwhile)
    assert prune(folder, days(60)).busy_count == 2
    assert video(folder, "03").exists()
    assert (folder / "training" / "old" / "1.pt").exists()


def test_links_and_what_they_lead_to_are_never_touched(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("film.mp4", f"{'ab' + '0' * 38}.h5", "x.damaged"):
        (elsewhere / name).write_bytes(b"somebody else's")
        set_age(elsewhere / name, 1000)
    (folder / "videos" / "ab").symlink_to(elsewhere, target_is_directory=True)
    (folder / "training" / "linked").symlink_to(elsewhere, target_is_directory=True)
    (folder / "training" / "old" / "linked").symlink_to(elsewhere, target_is_directory=True)
    (folder / "videos" / "00" / f"{'00' + 'f' * 38}.h5").symlink_to(elsewhere / "film.mp4")
    prune(folder, Limits(unused_seconds=0, byte_count=0))
    assert len(list(elsewhere.iterdir())) == 3
    assert (folder / "videos" / "ab").is_symlink()
    assert (folder / "training" / "linked").is_symlink()


def test_a_cache_behind_a_link_is_pruned(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    assert prune(tmp_path / "link", days(60)).counts[Kind.VIDEO] == 1


def test_a_cache_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert prune(tmp_path / "none", days(0)) == Pruned()
    assert not (tmp_path / "none").exists()


def test_strangers_in_the_folder_are_left(folder: Path) -> None:
    for name in ("notes.txt", "videos/00/notes.txt", "videos/film.h5", "training/readme"):
        (folder / name).write_text("mine")
        set_age(folder / name, 1000)
    prune(folder, Limits(unused_seconds=0, byte_count=0))
    for name in ("notes.txt", "videos/00/notes.txt", "videos/film.h5", "training/readme"):
        assert (folder / name).read_text() == "mine"

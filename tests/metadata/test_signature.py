import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vidclf_cli.library import find_videos
from vidclf_cli.metadata import Sidecars
from vidclf_cli.metadata.signature import signature_of

OLD = 1_600_000_000


def put(path: Path, data: bytes = b"x", seconds: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (seconds, seconds))
    return path


def signature(folder: Path, name: str = "a.mp4", now_ns: int | None = None) -> str:
    videos = find_videos([folder]).videos
    video = next(video for video in videos if video.path.name == name)
    return signature_of(video, Sidecars(videos), time.time_ns() if now_ns is None else now_ns)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "Show"
    for name in ("Season 1/a.mp4", "Season 1/a.nfo", "Season 1/a.srt", "Season 1/a.info.json", "tvshow.nfo"):
        put(folder / name)
    put(folder / "metadata.csv", b"path,title\na.mp4,A title\n")
    return folder


def test_it_stays_while_nothing_changes(library: Path) -> None:
    assert signature(library) == signature(library)
    assert len(signature(library)) == 16


CHANGES: dict[str, Callable[[Path], object]] = {
    "another video of the same size and time": lambda folder: put(folder / "b").replace(
        folder / "Season 1/a.mp4"
    ),
    "a longer video": lambda folder: put(folder / "Season 1/a.mp4", b"xx"),
    "an older video": lambda folder: put(folder / "Season 1/a.mp4", b"x", OLD - 9),
    "a sidecar with an old date": lambda folder: put(folder / "Season 1/a.nfo", b"y"),
    "a sidecar that was deleted": lambda folder: (folder / "Season 1/a.nfo").unlink(),
    "subtitles that were deleted": lambda folder: (folder / "Season 1/a.srt").unlink(),
    "better subtitles": lambda folder: put(folder / "Season 1/a.en.srt"),
    "an info.json": lambda folder: put(folder / "Season 1/a.info.json", b"{}"),
    "the show": lambda folder: put(folder / "tvshow.nfo", b"y"),
    "a nearer show": lambda folder: put(folder / "Season 1/tvshow.nfo"),
    "the table": lambda folder: put(folder / "metadata.csv", b"path,title\na.mp4,B title\n"),
    "another table": lambda folder: put(folder / "metadata.jsonl"),
    "a second video of the name that the table gives": lambda folder: put(folder / "Season 2/a.mp4"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_changes_the_row_changes_it(library: Path, change: Callable[[Path], object]) -> None:
    before = signature(library)
    change(library)
    assert signature(library) != before


def test_a_second_video_makes_the_movie_nfo_nobodys(tmp_path: Path) -> None:
    put(tmp_path / "a.mp4")
    put(tmp_path / "movie.nfo")
    before = signature(tmp_path)
    put(tmp_path / "b.mp4")
    assert signature(tmp_path) != before


def test_files_that_say_nothing_do_not_matter(library: Path) -> None:
    before = signature(library)
    for name in ("Season 1/a.jpg", "Season 1/b.nfo", "Season 1/a.mp4.vidclf.json", "Season 1/a.chapters.vtt"):
        put(library / name)
    assert signature(library) == before


def test_what_may_change_once_more_within_the_resolution_of_times_has_none(library: Path) -> None:
    now = time.time()
    os.utime(library / "Season 1/a.mp4", (now, now))
    assert signature(library, now_ns=int(now * 1e9)) == ""
    assert signature(library, now_ns=int((now + 10) * 1e9)) != ""
    os.utime(library / "Season 1/a.mp4", (OLD, OLD))
    os.utime(library / "tvshow.nfo", (now, now))
    assert signature(library, now_ns=int(now * 1e9)) == ""


def test_the_same_file_found_in_another_way_is_another_state(tmp_path: Path) -> None:
    put(tmp_path / "holiday" / "a.mp4")
    whole, part = signature(tmp_path), signature(tmp_path / "holiday")
    assert whole != part, "names of folders below the root are text about the video"

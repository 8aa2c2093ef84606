"""An output from one run to the next, in every format."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.writers.made_rows import MODEL, row, write
from vidclf_cli.errors import UsageError
from vidclf_cli.library import find_videos
from vidclf_cli.metadata import Sidecars
from vidclf_cli.pipeline.options import ClassifyOptions
from vidclf_cli.pipeline.output_state import OutputState
from vidclf_cli.pipeline.update import Update, settings_of
from vidclf_cli.writers import FORMATS

OLD = 1_600_000_000
NOW_NS = (OLD + 1000) * 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (videos / name).write_bytes(b"x")
        os.utime(videos / name, (OLD, OLD))
    return videos


def state(folder: Path, output: Path, format_name: str, choice: ClassifyOptions | None = None) -> OutputState:
    library = find_videos([folder])
    settings = settings_of(choice or ClassifyOptions(), MODEL, 8)
    cache = folder.parent / "cache"
    return OutputState(output, format_name, cache, settings, library, Sidecars(library.videos), NOW_NS)


def plan(
    folder: Path, output: Path, format_name: str, choice: ClassifyOptions | None = None
) -> Update | None:
    return state(folder, output, format_name, choice).plan(retry_failed=False, verify_content=False)


@pytest.mark.parametrize("format_name", FORMATS)
def test_what_was_remembered_is_taken_over(folder: Path, format_name: str) -> None:
    output = write(folder.parent / "labels", format_name, [row("a.mp4"), row("b.mp4")])
    state(folder, output, format_name).remember()
    (folder / "b.mp4").write_bytes(b"yy")
    update = plan(folder, output, format_name)
    assert update is not None
    assert list(update.kept) == ["a.mp4"]
    other = plan(folder, output, format_name, ClassifyOptions(top_k=9))
    assert other is not None
    assert "top_k" in other.reason


@pytest.mark.parametrize("format_name", FORMATS)
def test_without_rows_of_ours_there_is_nothing_to_update(folder: Path, format_name: str) -> None:
    output = folder.parent / "labels"
    assert plan(folder, output, format_name) is None
    output.touch()
    assert plan(folder, output, format_name) is None
    output.write_text("path,label\na.mp4,cat\n")
    assert plan(folder, output, format_name) is None, "with --force it is replaced"


def test_a_database_of_others_has_no_rows_yet(folder: Path) -> None:
    output = folder.parent / "media.db"
    with closing(sqlite3.connect(output)) as connection:
        connection.execute("CREATE TABLE results (mine TEXT)")
        connection.execute("INSERT INTO results VALUES ('x')")
        connection.commit()
    update = plan(folder, output, "sqlite")
    assert update is not None
    assert [video.id for video in update.todo] == ["a.mp4", "b.mp4"]


def test_an_output_that_somebody_broke_is_told(folder: Path) -> None:
    output = write(folder.parent / "labels.csv", "csv", [row("a.mp4")])
    with output.open("a") as file:
        file.write("b.mp4,too,few\n")
    with pytest.raises(UsageError, match=r"labels\.csv cannot be brought up to date: line 3.*--update"):
        plan(folder, output, "csv")


def test_a_label_that_somebody_corrected_stays(folder: Path) -> None:
    output = write(folder.parent / "labels.csv", "csv", [row("a.mp4"), row("b.mp4")])
    state(folder, output, "csv").remember()
    output.write_text(output.read_text().replace("a.mp4,Sports", "a.mp4,My own"))
    update = plan(folder, output, "csv")
    assert update is not None
    assert list(update.kept) == ["a.mp4", "b.mp4"]


def test_what_is_known_of_videos_in_a_closed_folder_stays_known(folder: Path) -> None:
    import dataclasses

    from vidclf_cli.library import Problem

    output = write(folder.parent / "labels.csv", "csv", [row("a.mp4"), row("closed/c.mp4")])
    (folder / "closed").mkdir()
    (folder / "closed" / "c.mp4").write_bytes(b"x")
    os.utime(folder / "closed" / "c.mp4", (OLD, OLD))
    state(folder, output, "csv").remember()
    found = find_videos([folder])
    seen = tuple(video for video in found.videos if "/" not in video.id)
    closed = dataclasses.replace(
        found, videos=seen, problems=(Problem(folder / "closed", "denied", "closed"),)
    )
    settings = settings_of(ClassifyOptions(), MODEL, 8)
    blind = OutputState(output, "csv", folder.parent / "cache", settings, closed, Sidecars(seen), NOW_NS)
    update = blind.plan(retry_failed=False, verify_content=False)
    assert update is not None
    assert update.kept.keys() == {"a.mp4", "closed/c.mp4"}
    blind.remember(update)
    again = plan(folder, output, "csv")
    assert again is not None
    assert again.kept.keys() == {"a.mp4", "closed/c.mp4"}

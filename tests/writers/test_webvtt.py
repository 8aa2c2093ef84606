"""Chapters that players read: one cue per stretch of one label, escaped, and never over somebody's file."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from vidclf_cli.errors import UsageError
from vidclf_cli.records import Video
from vidclf_cli.writers.beside import FilesBeside
from vidclf_cli.writers.row import COLUMNS
from vidclf_cli.writers.webvtt import ChaptersMaker, ChaptersWriter, chapters_text, is_chapters


def row(label: str = "", span: tuple[float, float] | None = None, **changes: Any) -> dict[str, Any]:
    cells = {
        "path": "films/a film.mp4",
        "label": label,
        "status": "ok" if label else "unknown",
        "segment_start_seconds": span and span[0],
        "segment_end_seconds": span and span[1],
    }
    return dict.fromkeys(COLUMNS) | cells | changes


FILM = [
    row("Food & Drink"),
    row("Food & Drink", (0.0, 40.0)),
    row("", (40.0, 50.0)),
    row("a<b>|c", (50.0, 3725.0426)),
    row("", (3725.0426, 3735.0), status="failed"),
    row("long", (3735.0, 360_000.0)),
]


def test_a_stretch_of_one_label_is_a_cue_and_what_has_none_is_left_out() -> None:
    header, note, *cues = chapters_text(FILM).rstrip("\n").split("\n\n")
    assert header == "WEBVTT"
    assert note.startswith("NOTE Written by vidclf ")
    assert cues == [
        "1\n00:00:00.000 --> 00:00:40.000\nFood &amp; Drink",
        "2\n00:00:50.000 --> 01:02:05.043\na&lt;b&gt;, c",
        "3\n01:02:15.000 --> 100:00:00.000\nlong",
    ]


def test_a_label_cannot_break_out_of_its_cue() -> None:
    text = chapters_text([row(), row("one\n\n2\n00:00 --> 00:01\nx\r\u2028", (0.0, 1.0))])
    assert len(re.findall("-->", text)) == 1
    assert text.count("\n\n") == 2


def test_text_is_what_the_writer_streams() -> None:
    stream = io.StringIO()
    writer = ChaptersWriter(stream)
    for each in FILM:
        writer.write(each)
    assert stream.getvalue() == chapters_text(FILM)


def test_chapters_of_two_videos_in_one_file_are_refused() -> None:
    writer = ChaptersWriter(io.StringIO())
    writer.write(row("x"))
    with pytest.raises(UsageError, match="--write-chapters"):
        writer.write(row("x", path="another.mp4"))


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return Video("a film.mp4", tmp_path / "a film.mp4", tmp_path, 1, 1, 1)


def test_the_file_beside_a_video_is_written_and_replaced_as_long_as_it_is_vidclf_s(
    video: Video, tmp_path: Path
) -> None:
    target = tmp_path / "a film.chapters.vtt"
    for rows in (FILM, FILM[:2]):
        files = FilesBeside([ChaptersMaker()])
        files.write(video, rows)
        assert target.read_text(encoding="utf-8") == chapters_text(rows)
        assert (files.changed_count, list(files.problems)) == (1, [])
    assert [path.name for path in tmp_path.iterdir()] == ["a film.chapters.vtt"]


@pytest.mark.parametrize(
    "theirs",
    [b"WEBVTT\n\n1\n00:00.000 --> 00:09.000\nMy own chapter\n", b"", b"\xff\xfe", b"NOTE Written by vidclf"],
)
def test_a_file_of_somebody_else_stays_as_it_is(video: Video, tmp_path: Path, theirs: bytes) -> None:
    target = tmp_path / "a film.chapters.vtt"
    target.write_bytes(theirs)
    files = FilesBeside([ChaptersMaker()])
    files.write(video, FILM)
    assert target.read_bytes() == theirs
    assert list(files.problems) == [(target, "it is not vidclf's")]


def test_of_a_failed_video_what_is_there_stays(video: Video, tmp_path: Path) -> None:
    FilesBeside([ChaptersMaker()]).write(video, FILM)
    FilesBeside([ChaptersMaker()]).write(video, [row(status="failed")])
    data = (tmp_path / "a film.chapters.vtt").read_bytes()
    assert is_chapters(data)
    assert data.decode() == chapters_text(FILM)

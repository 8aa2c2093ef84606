"""WebVTT chapters: what players show as the parts of a video, one cue per stretch of one label.

https://www.w3.org/TR/webvtt1/, 4.6 (chapters) and 4.1 (what must be escaped).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from vidclf_cli import __version__
from vidclf_cli.errors import UsageError
from vidclf_cli.records import Status, Video
from vidclf_cli.wording import one_line
from vidclf_cli.writers.beside import LeftAloneError
from vidclf_cli.writers.row import Row

SUFFIX = ".chapters.vtt"
_SIGNATURE = "WEBVTT"
_MARK = "NOTE Written by vidclf"
_HEAD_BYTES = 4096
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class ChaptersWriter:
    """Streams the chapters of one video.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._path: str | None = None
        self._count = 0

    def write(self, row: Row) -> None:
        """Write a row's cue; the video's own row, and rows without a label, have none.

        Raises:
            UsageError: The row is about another video than those before.
        """
        if self._path is None:
            self._path = row["path"]
            self._stream.write(f"{_SIGNATURE}\n\n{_MARK} {__version__}, which may replace this file\n")
        elif self._path != row["path"]:
            raise UsageError(
                "A file of chapters is about one video.",
                "Name one video, or give --write-chapters for a file beside each.",
            )
        if row["segment_start_seconds"] is not None and row["status"] == Status.OK:
            self._count += 1
            self._stream.write(_cue(self._count, row))


def chapters_text(rows: Iterable[Row]) -> str:
    """Return the chapters of one video.

    Args:
        rows: Those of one video; what is no segment, or has no label, is left out.
    """
    stream = io.StringIO()
    writer = ChaptersWriter(stream)
    for row in rows:
        writer.write(row)
    return stream.getvalue()


def is_chapters(data: bytes) -> bool:
    """Tell whether vidclf wrote a file, by its first bytes."""
    lines = data[:_HEAD_BYTES].decode("utf-8", "replace").splitlines()
    return bool(lines) and lines[0].startswith(_SIGNATURE) and any(line.startswith(_MARK) for line in lines)


def holds_chapters(path: Path) -> bool:
    """Tell whether vidclf wrote the chapters in a file.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return is_chapters(file.read(_HEAD_BYTES))


class ChaptersMaker:
    """Writes the chapters of a video beside it, as `name.chapters.vtt`; a `Maker`."""

    def place(self, video: Video) -> Path:
        """Return the file's path."""
        return video.path.with_name(f"{video.path.stem}{SUFFIX}")

    def content(self, video: Video, rows: Sequence[Row], existing: bytes | None) -> bytes | None:  # noqa: ARG002 - a `Maker`
        """Return the chapters; of a `failed` video nothing is known, so what is there stays.

        Raises:
            LeftAloneError: What is there is not vidclf's.
        """
        if rows[0]["status"] == Status.FAILED:
            return None
        if existing is not None and not is_chapters(existing):
            raise LeftAloneError("it is not vidclf's")
        return chapters_text(rows).encode()

    def needs_backup(self, existing: bytes) -> bool:  # noqa: ARG002 - a `Maker`
        """Tell that no copy is kept: what is replaced is vidclf's."""
        return False


def _cue(number: int, row: Row) -> str:
    start, end = _time(row["segment_start_seconds"]), _time(row["segment_end_seconds"])
    label = "".join(_ESCAPES.get(each, each) for each in one_line(row["label"].replace("|", ", ")))
    return f"\n{number}\n{start} --> {end}\n{label}\n"


def _time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"

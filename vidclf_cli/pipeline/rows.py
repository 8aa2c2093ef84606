"""The rows of one video: its own, then those of its segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vidclf_cli.records import Result, Video
from vidclf_cli.writers.row import Row, to_row


@dataclass(frozen=True, slots=True)
class VideoRows:
    """What an output says of one video.

    Attributes:
        id: The video's.
        rows: Its own row first, then those of its segments in order of time.
        video: None for rows of an output whose video was not found.
    """

    id: str
    rows: tuple[Row, ...]
    video: Video | None = None


def group_results(results: Iterable[Result]) -> Iterator[VideoRows]:
    """Turn results into rows, those of one video together."""
    video: Video | None = None
    rows: list[Row] = []
    for result in results:
        if video is not None and result.segment is None:
            yield VideoRows(video.id, tuple(rows), video)
            rows = []
        video = result.video
        rows.append(to_row(result))
    if video is not None:
        yield VideoRows(video.id, tuple(rows), video)


def group_rows(rows: Iterable[Row]) -> Iterator[VideoRows]:
    """Put rows that were read from a file together by video.

    A segment's row that does not follow its video's own begins a group: such a file was sorted anew.
    """
    group: list[Row] = []
    for row in rows:
        if group and (row["segment_start_seconds"] is None or row["path"] != group[0]["path"]):
            yield VideoRows(group[0]["path"], tuple(group))
            group = []
        group.append(row)
    if group:
        yield VideoRows(group[0]["path"], tuple(group))

"""From YouTube-8M's anonymous ids to YouTube's own: one small file per video says which one it is.

`2/j/i/nX/nXSc.js` holds `i("nXSc","0sf943sWZls");` as long as the video is public
(https://research.google.com/youtube8m/video_id_conversion.html); for others the server answers 403 or 404.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import h5py

from vidclf_cli.dataset import open_dataset
from vidclf_cli.errors import OutputError, UsageError, VidclfError
from vidclf_cli.writers.csv import csv_line
from vidclf_train.youtube8m.parallel import in_parallel
from vidclf_train.youtube8m.shards import Mirror
from vidclf_train.youtube8m.web import FetchError, Web

COLUMNS = ("id", "youtube_id", "status", "reason")

_ID = re.compile(r"[0-9A-Za-z]{4}")
_ANSWER = re.compile(r'\s*i\("([^"]{4})","([0-9A-Za-z_-]{11})"\);?\s*')
_MOST_ANSWER_BYTES = 1 << 10
_REMOVED = {403, 404, 410}


class Status(StrEnum):
    """What is known about an id; the values stand in the output."""

    FOUND = "found"
    REMOVED = "removed"
    """Deleted or made private. A server that refuses everything looks the same."""
    FAILED = "failed"
    INVALID = "invalid"


MOST_FAILURES_IN_A_ROW = 20
"""After so many there is no use in asking about millions more."""

_FINAL = {Status.FOUND, Status.REMOVED}


@dataclass(frozen=True, slots=True)
class Resolved:
    """One row of the output."""

    id: str
    youtube_id: str
    status: Status
    reason: str = ""


def read_ids(path: Path) -> list[str]:
    """Return the ids of a packed dataset, or of a text file with one per line; each once, in their order.

    Raises:
        UsageError: It cannot be read, or holds no id.
    """
    if h5py.is_hdf5(path):
        with open_dataset(path) as dataset:
            ids = list(dataset.ids)
    else:
        try:
            ids = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{path} is neither a packed dataset nor a text.", "Give one id of 4 characters per line."
            ) from error
    found = list(dict.fromkeys(video_id for video_id in ids if video_id))
    if not found:
        raise UsageError(f"{path} holds no id.", "Give one id of 4 characters per line.")
    return found


def resolve_one(web: Web, mirror: Mirror, video_id: str) -> Resolved:
    """Ask about one id; what goes wrong becomes its row."""
    if not _ID.fullmatch(video_id):
        return Resolved(video_id, "", Status.INVALID, "no id of YouTube-8M: 4 letters or digits")
    url = f"{mirror.index}/2/j/i/{video_id[:2]}/{video_id}.js"

    def attempt() -> str:
        with web.get(url) as response:
            data = b""
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > _MOST_ANSWER_BYTES:
                    raise FetchError("the answer is longer than an answer can be")
            return data.decode("utf-8", "replace")

    try:
        answer = web.patiently(attempt)
    except FetchError as error:
        status = Status.REMOVED if error.status in _REMOVED else Status.FAILED
        return Resolved(video_id, "", status, str(error))
    found = _ANSWER.fullmatch(answer)
    if found is None or found[1] != video_id:
        return Resolved(video_id, "", Status.FAILED, f"the answer is not understood: {answer[:60]!r}")
    return Resolved(video_id, found[2], Status.FOUND)


def resolve(web: Web, mirror: Mirror, ids: Sequence[str], out: Path, *, jobs: int) -> Iterator[Resolved]:
    """Resolve ids into a CSV with a row each, in their order; yield each row as it is known.

    Answers are kept in `OUT.part` as they come, and the file appears when there is a row for each id. What an
    earlier run found out, in either of them, is not asked again; what failed is.

    Raises:
        UsageError: The output exists and is no such table.
        OutputError: It cannot be written.
        VidclfError: So many ids in a row failed that the rest was not asked.
    """
    part = out.with_name(f"{out.name}.part")
    earlier = _read_known(out) | _read_known(part)
    rows = {video_id: earlier[video_id] for video_id in ids if video_id in earlier}
    yield from rows.values()
    missing = [video_id for video_id in ids if video_id not in rows]
    try:
        with part.open("ab") as file:
            # A kill in the middle of a line leaves a part of it.
            file.truncate(_whole_lines_length(part))
            for row in _ask(web, mirror, missing, jobs):
                rows[row.id] = row
                if row.status in _FINAL:
                    file.write(_line(row).encode())
                    file.flush()
                yield row
        _write_whole(out, (rows[video_id] for video_id in ids))
        part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written ({error.strerror or error}).", "Free space, or write elsewhere."
        ) from error


def _ask(web: Web, mirror: Mirror, ids: Sequence[str], jobs: int) -> Iterator[Resolved]:
    failures_in_a_row = 0
    coming = in_parallel(ids, lambda each: resolve_one(web, mirror, each), jobs=jobs, stop=web.stop)
    with closing(coming):
        for _, row in coming:
            yield row
            failures_in_a_row = failures_in_a_row + 1 if row.status is Status.FAILED else 0
            if failures_in_a_row == MOST_FAILURES_IN_A_ROW:
                raise VidclfError(
                    f"{failures_in_a_row} ids in a row could not be resolved; of the last, {row.reason}.",
                    "What was found out is kept: the same command goes on from there.",
                )


def _write_whole(path: Path, rows: Iterable[Resolved]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_line(COLUMNS))
            file.writelines(_line(row) for row in rows)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _line(row: Resolved) -> str:
    # YouTube's id goes in as it is: one in 64 begins with a hyphen, and a quote before it would spoil it.
    before, after = csv_line((row.id,)).rstrip("\n"), csv_line((row.status, row.reason))
    return f"{before},{row.youtube_id},{after}"


def _whole_lines_length(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1


def _read_known(path: Path) -> dict[str, Resolved]:
    """Return what an earlier run found out for good; a last line that broke off is left out."""
    if not path.exists():
        return {}
    try:
        text = path.read_bytes()[: _whole_lines_length(path)].decode()
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        found = [Resolved(row[0], row[1], Status(row[2]), row[3]) for row in lines if row != list(COLUMNS)]
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise UsageError(
            f"{path} exists and is no table of resolved ids.", "Move it away, or write elsewhere."
        ) from error
    return {row.id: row for row in found if row.status in _FINAL}

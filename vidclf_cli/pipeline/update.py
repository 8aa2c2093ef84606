"""An output is brought up to date: which of its rows still hold, and which videos are to be computed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vidclf_cli import __version__
from vidclf_cli.cache.outputs import Remembered
from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.library import Library, is_below, order_key
from vidclf_cli.pipeline.options import ClassifyOptions
from vidclf_cli.pipeline.rows import VideoRows, group_rows
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.records import Status, Video
from vidclf_cli.wording import counted
from vidclf_cli.writers.row import Row, RowError

_MOUNT_ADVICE = (
    "Check that the drive is there and that --exclude leaves out what it should; "
    "without --update the output is made anew."
)

ReadRows = Callable[[], Iterable[Row]]
"""Reads the rows of the output from its first on; called twice."""


@dataclass(frozen=True, slots=True)
class Update:
    """What becomes of an output.

    Attributes:
        todo: Videos that are computed, in order.
        kept: Ids of the videos whose rows are taken over; None for those that could not be looked for.
        dropped_count: Videos that are gone, whose rows are not taken over.
        reason: Why all rows are made anew; empty when they are not.
    """

    todo: tuple[Video, ...]
    kept: Mapping[str, Video | None]
    dropped_count: int = 0
    reason: str = ""

    @property
    def description(self) -> str:
        """What is done, one line."""
        if self.reason:
            return f"Update: all rows are made anew, since {self.reason}."
        missing = sum(video is None for video in self.kept.values())
        line = f"Update: {counted(len(self.kept), 'video')} taken over, {len(self.todo):,} new or changed"
        if self.dropped_count:
            line += f", {self.dropped_count:,} gone and dropped"
        if missing:
            line += f"; {missing:,} of those taken over could not be looked for"
        return f"{line}."


def settings_of(choice: ClassifyOptions, model: str, frame_count: int) -> dict[str, Any]:
    """Return what rows depend on besides the videos, as JSON has it.

    Args:
        choice: How videos are classified.
        model: The classifier's name with its hash.
        frame_count: Frames per video.
    """
    chosen = asdict(choice) | {"labels": list(choice.labels), "model": model, "frame_count": frame_count}
    # Another version may read, decide or explain otherwise.
    return chosen | {"vidclf": __version__}


def reason_for_all(
    remembered: Remembered | None, settings: Mapping[str, Any], mtime_ns: int, *, verify_content: bool = False
) -> str:
    """Return why no row of an output can be taken over; empty when some can.

    Args:
        remembered: What is known of the run that made it.
        settings: What new rows are made with.
        mtime_ns: Of the output as it is now. A later one than remembered is fine: somebody may have
            corrected labels in it, or written other tables.
        verify_content: Nothing is to be told from sizes and times.
    """
    if verify_content:
        return "with --verify-content sizes and times tell nothing"
    if remembered is None:
        return "nothing is known of the run that made it"
    if mtime_ns < remembered.mtime_ns:
        return "it is older than what vidclf wrote last"
    before = remembered.settings
    others = [name for name in sorted({*before, *settings}) if before.get(name) != settings.get(name)]
    return f"they were made with another {', '.join(others)}" if others else ""


def plan_update(
    library: Library,
    read: ReadRows,
    remembered: Remembered | None,
    signatures: Mapping[str, str],
    *,
    model: str,
    reason: str = "",
    retry_failed: bool = False,
) -> Update:
    """Decide which rows of an output still hold.

    Args:
        library: What was found.
        read: Reads the output.
        remembered: What is known of the run that made it.
        signatures: State of each video as it is now, by id; empty where it cannot be told.
        model: The classifier that new rows are made with.
        reason: Why no row can be taken over; empty when some can.
        retry_failed: Compute videos anew that could not be read, or of which a segment could not.

    Raises:
        UsageError: No video was found, at all or in a folder of which the output has rows.
        RowError: The output is not as vidclf wrote it.
    """
    if not library.videos:
        raise UsageError("No video was found, so the output stays as it is.", _MOUNT_ADVICE)
    found = {video.id: video for video in library.videos}
    known = remembered.signatures if remembered else {}
    kept: dict[str, Video | None] = {}
    gone: list[str] = []
    last: tuple[object, ...] | None = None
    for group in group_rows(read()):
        key = order_key(group.id)
        if last is not None and key <= last:
            reason = reason or "its rows are not in vidclf's order"
        last = key
        is_unchanged = bool(signatures.get(group.id)) and signatures[group.id] == known.get(group.id)
        if group.id not in found:
            gone.append(group.id)
        elif is_unchanged and _still_holds(group.rows, model, retry_failed=retry_failed):
            kept[group.id] = found[group.id]
    if reason:
        kept = {}
    unseen = () if reason else tuple(problem.id for problem in library.problems)
    missing = [each for each in gone if any(is_below(each, place) for place in unseen)]
    kept |= dict.fromkeys(missing)
    _check_folders(library, gone, missing)
    todo = tuple(video for video in library.videos if video.id not in kept)
    return Update(todo, kept, len(gone) - len(missing), reason)


def merge(
    update: Update, read: ReadRows, computed: Iterable[VideoRows], statistics: Statistics
) -> Iterator[VideoRows]:
    """Yield the rows of all videos in their order: those taken over, and new ones.

    Args:
        update: What `plan_update` decided.
        read: Reads the output.
        computed: Rows of the videos to do, in order.
        statistics: Updated while the run goes on.

    Raises:
        OutputError: The output was changed since `plan_update` read it.
    """
    statistics.dropped_count = update.dropped_count
    taken_over = _taken_over(update, read, statistics)
    yield from heapq.merge(taken_over, computed, key=lambda each: order_key(each.id))


def _taken_over(update: Update, read: ReadRows, statistics: Statistics) -> Iterator[VideoRows]:
    count = 0
    try:
        for group in group_rows(read()) if update.kept else ():
            if group.id in update.kept:
                count += 1
                _count(statistics, group.rows)
                yield replace(group, video=update.kept[group.id])
    except RowError as error:
        raise _changed() from error
    if count != len(update.kept):
        raise _changed()


def _changed() -> OutputError:
    return OutputError(
        "The output was changed by another program while it was brought up to date; it stays as it is.",
        "Run again; what was computed is cached.",
    )


def _count(statistics: Statistics, rows: Sequence[Row]) -> None:
    own, *segments = rows
    statistics.taken_over_count += 1
    statistics.status_counts[Status(own["status"])] += 1
    if own["reason"]:
        statistics.reason_counts[own["reason"].partition(":")[0]] += 1
    statistics.failed_segment_count += sum(row["status"] == Status.FAILED for row in segments)


def _still_holds(rows: Sequence[Row], model: str, *, retry_failed: bool) -> bool:
    """Tell whether rows of an unchanged video are those that this run would make."""
    if rows[0]["segment_start_seconds"] is not None or any(row["model"] not in ("", model) for row in rows):
        return False
    return not (retry_failed and any(row["status"] == Status.FAILED for row in rows))


def _check_folders(library: Library, gone: Iterable[str], missing: Iterable[str]) -> None:
    """Refuse to drop everything of a folder: most likely a drive is not there.

    Raises:
        UsageError: There is such a folder.
    """
    dropped = set(gone) - set(missing)
    for folder, place in library.folders:
        count = sum(is_below(each, place) for each in dropped)
        if count and not any(is_below(video.id, place) for video in library.videos):
            raise UsageError(
                f"No video was found in {folder} any more, of which the output has "
                f"{counted(count, 'video')}; it stays as it is.",
                _MOUNT_ADVICE,
            )

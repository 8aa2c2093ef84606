"""What a person sees while a run goes on, all of it on stderr."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vidclf_cli.cli.terminal import can_draw, console, printable, say
from vidclf_cli.wording import counted

if TYPE_CHECKING:
    from vidclf_cli.pipeline.run import Job
    from vidclf_cli.pipeline.statistics import Statistics

_log = logging.getLogger(__name__)
_REFRESH_SECONDS = 0.25
LINE_SECONDS = 30.0
"""Between two lines of progress where no bar can be drawn: a log of a night has a thousand of them."""


def show_start(job: Job, quiet: bool) -> None:
    """Say in one line what was chosen and why."""
    if quiet:
        return
    say(printable(job.description))
    for problem in job.library.problems:
        say(printable(f"Warning: {problem}"))


class Lines:
    """Says in plain lines how far something is: for logs, and terminals that cannot draw.

    Nothing is said in the first half minute, and then every half minute.

    Args:
        what: What is counted, in the plural.
        part: Which part of the work it is.
    """

    def __init__(self, what: str, part: str = "") -> None:
        self._what = what
        self._part = f"{part}: " if part else ""
        self._begun = self._said = time.monotonic()

    def show(self, done: int, total: int, more: str = "") -> None:
        """Say how far it is, if it is time to.

        Args:
            done: How many are done.
            total: Of how many.
            more: What else is worth knowing.
        """
        now = time.monotonic()
        if now - self._said < LINE_SECONDS or not total:
            return
        self._said = now
        seconds = now - self._begun
        parts = [f"{done:,} of {total:,} {self._what} ({100 * done // total} %)"]
        parts.append(f"{done / seconds:.1f} {self._what}/s")
        if 0 < done < total:
            parts.append(f"{_duration(seconds / done * (total - done))} left")
        say(printable(self._part + ", ".join([*parts, more] if more else parts)))


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def show_progress(job: Job, quiet: bool) -> Iterator[None]:
    """Show rate, remaining time, failures and parts: a bar on a terminal, else a line now and then."""
    if quiet:
        yield
    elif can_draw(sys.stderr):
        with _bar(job) as refresh, _repeated(refresh, _REFRESH_SECONDS):
            yield
    else:
        lines, total = Lines("videos"), len(job.library.videos)

        def say_line() -> None:
            lines.show(job.statistics.finished_count, total, _details(job.statistics))

        with _repeated(say_line, LINE_SECONDS):
            yield


@contextmanager
def show_steps(what: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show how many of so many are done, as what is yielded is told: a bar on a terminal, else lines.

    Args:
        what: What is counted, in the plural.
        quiet: Show nothing.
    """
    if quiet:
        yield None
    elif not can_draw(sys.stderr):
        yield Lines(what).show
    else:
        from rich.progress import Progress

        with Progress(console=console(sys.stderr), transient=True) as progress:
            task = progress.add_task("", total=None)
            yield lambda done, of: progress.update(task, completed=done, total=of)


@contextmanager
def _bar(job: Job) -> Iterator[Callable[[], None]]:
    """Draw a bar; what is yielded brings it up to date."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[details]}"),
    )
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        task = progress.add_task("", total=len(job.library.videos), rate="", details="")

        def refresh() -> None:
            progress.update(
                task,
                completed=job.statistics.finished_count,
                rate=_rate(job.statistics),
                details=_details(job.statistics),
            )

        yield refresh


@contextmanager
def _repeated(step: Callable[[], None], seconds: float) -> Iterator[None]:
    """Take a step every so many seconds, in a thread, while the block runs."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(seconds):
            step()

    thread = threading.Thread(target=work, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def show_summary(job: Job, target: str | None, quiet: bool) -> None:
    """Say what became of the videos, and with -v where the time went."""
    statistics = job.statistics
    for stage, seconds in sorted(statistics.seconds.items(), key=lambda item: -item[1]):
        _log.info("%-12s %8.2f s", stage, seconds)
    _log.info("%-12s %8.2f s", "in all", statistics.elapsed_seconds)
    if quiet:
        return
    say(printable(_summary(statistics, target)))
    for line in _about_segments(statistics):
        say(line)
    if not job.library.videos:
        say("No video was found. Name files or folders that hold videos; --exclude may leave out too much.")


def _summary(statistics: Statistics, target: str | None) -> str:
    from vidclf_cli.records import Status

    counts = statistics.status_counts
    finished = counted(statistics.finished_count, "video")
    parts = [f"{finished} in {statistics.elapsed_seconds:.1f} s ({_rate(statistics)})"]
    parts += [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    line = f"{parts[0]}: {', '.join(parts[1:])}" if parts[1:] else parts[0]
    line += f"; {statistics.cached_count} from the cache"
    if statistics.read_timeline_count:
        line += f", {counted(statistics.read_timeline_count, 'timeline')} read"
    if statistics.taken_over_count or statistics.dropped_count:
        line += f", {statistics.taken_over_count} taken over, {statistics.dropped_count} dropped"
    if statistics.other_count:
        line += f"; {counted(statistics.other_count, 'other file')} ignored"
    if target not in (None, "-"):
        line += f". Written to {target}"
    return line


def _about_segments(statistics: Statistics) -> Iterator[str]:
    """Yield what there is to know about the timelines that the rows do not say."""
    if statistics.failed_segment_count:
        yield f"{counted(statistics.failed_segment_count, 'segment')} could not be read: their rows say why."
    if statistics.shared_frame_count:
        count = counted(statistics.shared_frame_count, "segment")
        yield f"{count} far from any keyframe went by the frame before; --dense decodes one for each."


def _rate(statistics: Statistics) -> str:
    return f"{statistics.finished_count / max(statistics.elapsed_seconds, 1e-6):.1f} videos/s"


def _details(statistics: Statistics) -> str:
    from vidclf_cli.records import Status

    failed = statistics.status_counts[Status.FAILED]
    details = [f"{failed} failed"] if failed else []
    if statistics.read_part_count < statistics.part_count:
        details.append(f"timelines: {statistics.read_part_count:,} of {statistics.part_count:,} parts")
    return ", ".join(details)

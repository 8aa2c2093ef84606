"""What a person sees while a run goes on, all of it on stderr."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vidclf_cli.cli.terminal import is_terminal, printable, say
from vidclf_cli.wording import counted

if TYPE_CHECKING:
    from vidclf_cli.pipeline.run import Job
    from vidclf_cli.pipeline.statistics import Statistics

_log = logging.getLogger(__name__)
_REFRESH_SECONDS = 0.25


def show_start(job: Job, quiet: bool) -> None:
    """Say in one line what was chosen and why."""
    if quiet:
        return
    say(printable(job.description))
    for problem in job.library.problems:
        say(printable(f"Warning: {problem}"))


@contextmanager
def show_progress(job: Job, quiet: bool) -> Iterator[None]:
    """Show a bar with rate, remaining time and failures, only on a terminal."""
    if quiet or not is_terminal(sys.stderr):
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failures]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(job.library.videos), rate="", failures="")
        stop = threading.Event()

        def refresh() -> None:
            while not stop.wait(_REFRESH_SECONDS):
                progress.update(
                    task,
                    completed=job.statistics.finished_count,
                    rate=_rate(job.statistics),
                    failures=_failures(job.statistics),
                )

        thread = threading.Thread(target=refresh, name="progress", daemon=True)
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
    if statistics.other_count:
        line += f"; {counted(statistics.other_count, 'other file')} ignored"
    if target not in (None, "-"):
        line += f". Written to {target}"
    return line


def _rate(statistics: Statistics) -> str:
    return f"{statistics.finished_count / max(statistics.elapsed_seconds, 1e-6):.1f} videos/s"


def _failures(statistics: Statistics) -> str:
    from vidclf_cli.records import Status

    failed = statistics.status_counts[Status.FAILED]
    return f"{failed} failed" if failed else ""

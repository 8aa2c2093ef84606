"""What `--dry-run` shows."""

from __future__ import annotations

import difflib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidclf_cli.cli.outputs import Outputs, check_count
from vidclf_cli.cli.terminal import printable, say
from vidclf_cli.wording import counted

if TYPE_CHECKING:
    from vidclf_cli.pipeline.options import ClassifyOptions, RunOptions
    from vidclf_cli.writers.beside import Change


def show_forecast(
    paths: tuple[Path, ...], choice: ClassifyOptions, run: RunOptions, outputs: Outputs, format_name: str
) -> int:
    """Say what a run would do; return the exit code.

    Raises:
        UsageError: The run could not even begin.
    """
    from vidclf_cli.pipeline.forecast import Forecast
    from vidclf_cli.pipeline.output_state import OutputState
    from vidclf_cli.writers.output import STDOUT, place_of

    started_ns = time.time_ns()
    forecast = Forecast(paths, choice, run)
    library = forecast.library
    check_count(format_name, library)
    for problem in library.problems:
        say(printable(f"Warning: {problem}"))
    todo = library.videos
    others = counted(library.other_count, "other file")
    click.echo(f"{counted(len(library.videos), 'video')} found, {others} ignored")
    if outputs.update:
        output = place_of(outputs.target)
        state = OutputState(
            output,
            format_name,
            forecast.cache_folder,
            forecast.settings,
            library,
            forecast.sidecars,
            started_ns,
        )
        update = state.plan(retry_failed=outputs.retry_failed, verify_content=run.verify_content)
        if update is not None:
            click.echo(printable(update.description))
            todo = update.todo
    cached = forecast.cached_count(todo)
    click.echo(f"{cached:,} in the cache already, {len(todo) - cached:,} would be read")
    where = "standard output" if outputs.target == STDOUT else outputs.target
    click.echo(printable(f"Rows would go to {where}, as {format_name}"))
    return 1 if library.problems else 0


def show_change(change: Change) -> None:
    """Print what would become of a file: a unified diff, of a new one against nothing."""
    from vidclf_cli.metadata.files import decode_text
    from vidclf_cli.metadata.nfo import declared_charset

    before, after = (
        "" if data is None else decode_text(data, declared_charset(data))
        for data in (change.before, change.after)
    )
    lines = difflib.unified_diff(
        before.splitlines(),
        after.splitlines(),
        "/dev/null" if change.before is None else str(change.path),
        str(change.path),
        lineterm="",
    )
    for line in lines:
        click.echo(printable(line))
    if change.keeps_backup:
        click.echo(printable(f"(a copy of what is there would be kept as {change.path.name}.bak)"))

"""The run behind `vidclf classify`: check first, then write, then say what happened."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidclf_cli.cli.dry_run import show_change, show_forecast
from vidclf_cli.cli.outputs import TABLE, Outputs, check_count
from vidclf_cli.cli.terminal import printable, say
from vidclf_cli.wording import counted

if TYPE_CHECKING:
    from vidclf_cli.pipeline.options import ClassifyOptions, RunOptions
    from vidclf_cli.pipeline.output_state import OutputState
    from vidclf_cli.pipeline.rows import VideoRows
    from vidclf_cli.pipeline.run import Classification
    from vidclf_cli.pipeline.update import Update
    from vidclf_cli.writers import Writer
    from vidclf_cli.writers.beside import FilesBeside

_MOST_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What `vidclf classify` was asked for.

    Attributes:
        paths: Files and folders.
        choice: How videos are classified.
        run: How they are found and read.
        outputs: Where the answers go.
        format_name: Of the rows.
    """

    paths: tuple[Path, ...]
    choice: ClassifyOptions
    run: RunOptions
    outputs: Outputs
    format_name: str


def classify_videos(
    paths: tuple[Path, ...], choice: ClassifyOptions, run: RunOptions, outputs: Outputs
) -> int:
    """Classify videos and write what was asked for; return the exit code.

    Raises:
        UsageError: Something cannot be used or written; told before any video is read, where possible.
        OutputError: Something could not be written after all.
    """
    from vidclf_cli.writers import choose_format

    request = Request(paths, choice, run, outputs, choose_format(outputs.target, outputs.format_name))
    _check(request)
    if outputs.dry_run and not outputs.is_beside:
        return show_forecast(request.paths, choice, run, outputs, request.format_name)
    return _run(request)


def _check(request: Request) -> None:
    """Find out before the run what cannot be written.

    Raises:
        UsageError: It cannot.
    """
    from vidclf_cli.cli.table import is_table
    from vidclf_cli.writers import CHAPTERS, FORMATS
    from vidclf_cli.writers.existing import check_output
    from vidclf_cli.writers.output import STDOUT, check_writable
    from vidclf_cli.writers.webvtt import holds_chapters

    outputs, format_name = request.outputs, request.format_name
    if request.choice.segment_seconds is None and (format_name == CHAPTERS or outputs.chapters):
        raise click.UsageError("Chapters are made of segments: give --segments SECONDS as well.")
    if outputs.update and (outputs.target == STDOUT or format_name not in FORMATS):
        raise click.UsageError(f"--update is for a file of rows: name one with --out ({', '.join(FORMATS)}).")
    if outputs.summary is not None:
        if outputs.dry_run:
            raise click.UsageError("--dry-run writes nothing: leave --summary out.")
        if _same(outputs.summary, outputs.target):
            raise click.UsageError("--summary and --out name the same place.")
        check_writable(outputs.summary, "--summary")
    own = {TABLE: is_table, CHAPTERS: holds_chapters}
    check_output(outputs.target, format_name, force=outputs.force, is_ours=own.get(format_name))


def _same(one: str, other: str) -> bool:
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def _run(request: Request) -> int:
    from vidclf_cli.cli.progress import show_progress, show_start, show_summary
    from vidclf_cli.pipeline.run import Classification

    outputs = request.outputs
    started_ns = time.time_ns()
    with Classification(request.paths, request.choice, request.run) as job:
        check_count(request.format_name, job.library)
        state = _state(request, job, started_ns)
        update = None
        if outputs.update and state is not None:
            update = state.plan(retry_failed=outputs.retry_failed, verify_content=request.run.verify_content)
        show_start(job, outputs.quiet)
        if update is not None and not outputs.quiet:
            say(printable(update.description))
        beside = _files_beside(job, outputs)
        with _open_writer(request) as writer, show_progress(job, outputs.quiet):
            for each in _rows(job, state, update):
                for row in each.rows:
                    writer.write(row)
                if each.video is not None:
                    beside.write(each.video, each.rows)
        if state is not None and not outputs.dry_run:
            state.remember(update)
        target = None if outputs.dry_run else outputs.target
        show_summary(job, target, outputs.quiet)
        problems = list(beside.problems)
        _show_problems(problems)
        if outputs.dry_run:
            say(f"Dry run: {counted(beside.changed_count, 'file')} would be written, none was.")
        code = job.exit_code or int(bool(problems))
        if outputs.summary is not None:
            _write_summary(job, request, problems, code)
        return code


def _state(request: Request, job: Classification, started_ns: int) -> OutputState | None:
    """Return what is known of the output, where it is a file of rows."""
    from vidclf_cli.pipeline.output_state import OutputState
    from vidclf_cli.writers import FORMATS
    from vidclf_cli.writers.output import STDOUT, place_of

    if request.outputs.target == STDOUT or request.format_name not in FORMATS:
        return None
    path = place_of(request.outputs.target)
    if path.exists() and not path.is_file():
        return None
    with job.statistics.timed("signatures"):
        return OutputState(
            path,
            request.format_name,
            job.cache.folder,
            job.settings,
            job.library,
            job.sidecars,
            started_ns,
        )


def _rows(job: Classification, state: OutputState | None, update: Update | None) -> Iterable[VideoRows]:
    from vidclf_cli.pipeline.rows import group_results
    from vidclf_cli.pipeline.update import merge

    if state is None or update is None:
        return group_results(job.results())
    return merge(update, state.read, group_results(job.results(update.todo)), job.statistics)


def _files_beside(job: Classification, outputs: Outputs) -> FilesBeside:
    from vidclf_cli.writers.beside import FilesBeside, Maker
    from vidclf_cli.writers.nfo import NfoMaker
    from vidclf_cli.writers.sidecar import SidecarMaker
    from vidclf_cli.writers.webvtt import ChaptersMaker

    makers: list[Maker] = []
    if outputs.nfo:
        makers.append(NfoMaker(job.sidecars))
    if outputs.sidecar:
        makers.append(SidecarMaker())
    if outputs.chapters:
        makers.append(ChaptersMaker())
    return FilesBeside(makers, show_change if outputs.dry_run else None)


class _NoWriter:
    """Takes rows and writes nothing."""

    def write(self, row: object) -> None:
        """Write nothing."""


@contextmanager
def _open_writer(request: Request) -> Iterator[Writer]:
    from vidclf_cli.cli.table import TableWriter
    from vidclf_cli.writers import open_rows
    from vidclf_cli.writers.output import open_output

    outputs = request.outputs
    if outputs.dry_run:
        yield _NoWriter()
    elif request.format_name == TABLE:
        with open_output(outputs.target) as stream:
            table = TableWriter(stream)
            yield table
            table.finish()
    else:
        with open_rows(outputs.target, request.format_name, force=outputs.force) as writer:
            yield writer


def _show_problems(problems: list[tuple[Path, str]]) -> None:
    for path, reason in problems[:_MOST_WARNINGS]:
        say(printable(f"Warning: {path}: {reason}"))
    if len(problems) > _MOST_WARNINGS:
        more = counted(len(problems) - _MOST_WARNINGS, "more file or folder")
        say(f"Warning: {more} not written; --summary lists all.")


def _write_summary(
    job: Classification, request: Request, problems: list[tuple[Path, str]], code: int
) -> None:
    from vidclf_cli.pipeline.summary import summarise
    from vidclf_cli.writers.output import open_output

    outputs = request.outputs
    document = summarise(job, request.paths, outputs.target, request.format_name, problems, code)
    with open_output(str(outputs.summary), "--summary") as stream:
        stream.write(f"{json.dumps(document, ensure_ascii=False, indent=2)}\n")

"""`vidclf classify`: one row per video."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidclf_cli.cli.options import (
    ModelName,
    NumberRange,
    paths_argument,
    run_options,
    target_precision_option,
    to_run_options,
)
from vidclf_cli.cli.terminal import is_terminal

if TYPE_CHECKING:
    from vidclf_cli.pipeline.options import ClassifyOptions, RunOptions
    from vidclf_cli.writers import Writer

_TABLE = "table"


@click.command()
@paths_argument
@click.option(
    "--out",
    "-o",
    metavar="FILE",
    help="Where the rows go, `-` for stdout. [default: a table on a terminal, else CSV on stdout]",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["csv", "jsonl", "parquet", "sqlite", "vtt", _TABLE]),
    help="`vtt` is the chapters of one video. [default: by the suffix of --out: .csv, .jsonl, .parquet, "
    ".sqlite, .db or .vtt]",
)
@click.option(
    "--force", is_flag=True, help="Replace an --out that vidclf did not write, or that has other columns."
)
@click.option(
    "--model",
    "-m",
    type=ModelName(),
    default="topics-10",
    show_default=True,
    metavar="NAME|FILE",
    help="A shipped classifier (see `vidclf models`) or a classifier file.",
)
@click.option(
    "--labels",
    "-l",
    metavar="WORDS|@FILE",
    help='Labels of your own, in English, zero-shot: "cooking,football,cats" or a file with one per line. '
    "Give labels that cover the library: a video about none of them gets one of them, or `unknown`.",
)
@click.option(
    "--top-k",
    "-k",
    type=click.IntRange(0, 1000),
    default=3,
    show_default=True,
    help="Alternatives listed per row.",
)
@click.option(
    "--min-confidence",
    type=NumberRange(0.0, 1.0),
    help="Below it the label is `unknown`. [default: the classifier's own (0.5 of the shipped ones); for "
    "--labels 0.6 with two labels, 0.4 with three, 0.35 with more]",
)
@target_precision_option
@click.option(
    "--segments",
    "segment_seconds",
    type=NumberRange(0.1, 86_400.0),
    metavar="SECONDS",
    help="A timeline: behind each video's row those of its segments of this length, by the picture alone. "
    "Neighbours of one label are one row.",
)
@click.option(
    "--dense",
    is_flag=True,
    help="With --segments: look at a frame of every second (of every segment, if shorter), wherever it must "
    "be decoded from. Takes as long as decoding the video. [default: one frame per segment, near keyframes]",
)
@run_options
def classify(
    paths: tuple[Path, ...],
    out: str | None,
    format_name: str | None,
    force: bool,
    model: str,
    labels: str | None,
    top_k: int,
    min_confidence: float | None,
    target_precision: float | None,
    segment_seconds: float | None,
    dense: bool,
    quiet: bool,
    **values: Any,
) -> int:
    """Label videos: files, or folders searched recursively.

    \b
      vidclf classify ./videos --out labels.csv
      vidclf classify ./videos --labels "cooking,football,cats" --out labels.jsonl
      vidclf classify ./videos --exclude trailers --min-confidence 0.8
      vidclf classify ./videos --model my.onnx --target-precision 0.95
      vidclf classify film.mp4 --segments 10 --out film.csv

    Exit code: 0 all fine, 1 some videos failed (each is a row that says why), 2 wrong usage, 130 interrupted.
    """
    from vidclf_cli.pipeline.options import ClassifyOptions
    from vidclf_cli.zero_shot import parse_labels

    source = click.get_current_context().get_parameter_source("model")
    if labels is not None and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--labels needs no classifier: give either --labels or --model.")
    options = ClassifyOptions(
        model=model,
        labels=parse_labels(labels) if labels is not None else (),
        top_k=top_k,
        min_confidence=min_confidence,
        target_precision=target_precision,
        segment_seconds=segment_seconds,
        dense=dense,
    )
    target = "-" if out is None else out
    if format_name is None and out is None and is_terminal(sys.stdout):
        format_name = _TABLE
    return _run(paths, target, format_name, options, to_run_options(values), quiet, force)


def _run(
    paths: tuple[Path, ...],
    target: str,
    format_name: str | None,
    options: ClassifyOptions,
    run: RunOptions,
    quiet: bool,
    force: bool,
) -> int:
    from vidclf_cli.cli.progress import show_progress, show_start, show_summary
    from vidclf_cli.errors import UsageError
    from vidclf_cli.pipeline.run import Classification
    from vidclf_cli.writers import CHAPTERS, choose_format
    from vidclf_cli.writers.existing import check_output
    from vidclf_cli.writers.row import to_row
    from vidclf_cli.writers.webvtt import holds_chapters

    chosen = choose_format(target, format_name)
    if chosen == CHAPTERS and options.segment_seconds is None:
        raise click.UsageError("Chapters are made of segments: give --segments SECONDS as well.")
    check_output(target, chosen, force=force, is_ours=holds_chapters if chosen == CHAPTERS else None)
    with Classification(paths, options, run) as job:
        if chosen == CHAPTERS and len(job.library.videos) != 1:
            raise UsageError(
                f"A file of chapters is about one video, and {len(job.library.videos):,} were found.",
                "Name one video, or give --write-chapters for a file beside each.",
            )
        show_start(job, quiet)
        with _open_writer(target, chosen, force=force) as writer, show_progress(job, quiet):
            for result in job.results():
                writer.write(to_row(result))
        show_summary(job, target, quiet)
        return job.exit_code


@contextmanager
def _open_writer(target: str, format_name: str, *, force: bool) -> Iterator[Writer]:
    from vidclf_cli.cli.table import TableWriter
    from vidclf_cli.writers import open_rows
    from vidclf_cli.writers.output import open_output

    if format_name != _TABLE:
        with open_rows(target, format_name, force=force) as writer:
            yield writer
        return
    with open_output(target) as stream:
        table = TableWriter(stream)
        yield table
        table.finish()

"""`vidclf classify`: one row per video."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidclf_cli.cli.options import NumberRange, paths_argument, run_options, to_run_options
from vidclf_cli.cli.terminal import is_terminal

if TYPE_CHECKING:
    from vidclf_cli.pipeline.options import ClassifyOptions, RunOptions

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
    type=click.Choice(["csv", "jsonl", _TABLE]),
    help="[default: by the suffix of --out, .csv or .jsonl]",
)
@click.option(
    "--model",
    "-m",
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
@run_options
def classify(
    paths: tuple[Path, ...],
    out: str | None,
    format_name: str | None,
    model: str,
    labels: str | None,
    top_k: int,
    min_confidence: float | None,
    quiet: bool,
    **values: Any,
) -> int:
    """Label videos: files, or folders searched recursively.

    \b
      vidclf classify ./videos --out labels.csv
      vidclf classify ./videos --labels "cooking,football,cats" --out labels.jsonl
      vidclf classify ./videos --exclude trailers --min-confidence 0.8

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
    )
    target = "-" if out is None else out
    if format_name is None and out is None and is_terminal(sys.stdout):
        format_name = _TABLE
    return _run(paths, target, format_name, options, to_run_options(values), quiet)


def _run(
    paths: tuple[Path, ...],
    target: str,
    format_name: str | None,
    options: ClassifyOptions,
    run: RunOptions,
    quiet: bool,
) -> int:
    from vidclf_cli.cli.progress import show_progress, show_start, show_summary
    from vidclf_cli.cli.table import TableWriter
    from vidclf_cli.pipeline.run import Classification
    from vidclf_cli.writers import choose_format, make_writer
    from vidclf_cli.writers.output import check_writable, open_output

    chosen = choose_format(target, format_name)
    check_writable(target)
    with Classification(paths, options, run) as job:
        show_start(job, quiet)
        with open_output(target) as stream:
            writer = TableWriter(stream) if chosen == _TABLE else make_writer(chosen, stream)
            with show_progress(job, quiet):
                for result in job.results():
                    writer.write(result)
            if isinstance(writer, TableWriter):
                writer.finish()
        show_summary(job, target, quiet)
        return job.exit_code

"""`vidclf evaluate`: how good a classifier is on labelled videos."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidclf_cli.cli.options import NamedPath, NumberRange, run_options, to_run_options
from vidclf_cli.cli.terminal import is_terminal, printable, say

if TYPE_CHECKING:
    from vidclf_cli.classifier import Classifier
    from vidclf_cli.evaluation import Evaluation
    from vidclf_cli.pipeline.options import RunOptions


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the options say, the run's own apart."""

    data: Path
    root: Path | None
    group_column: str | None
    split: str | None
    min_confidence: float | None
    worst: int
    quiet: bool


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("data", type=NamedPath(path_type=Path))
@click.option(
    "--json",
    "json_target",
    metavar="FILE",
    help="Write every figure as JSON, `-` for stdout (instead of the table).",
)
@click.option(
    "--figures",
    type=NamedPath(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Draw confusion.png (where each video has one label) and reliability.png there.",
)
@click.option(
    "--worst",
    type=click.IntRange(0, 1_000_000),
    default=10,
    show_default=True,
    metavar="N",
    help="Mistakes listed, the most confident first.",
)
@click.option(
    "--min-confidence",
    type=NumberRange(0.0, 1.0),
    help="Below it the answer counts as `unknown`. [default: the classifier's own]",
)
@click.option(
    "--root",
    type=NamedPath(file_okay=False, path_type=Path),
    help="What the paths of a CSV are relative to. [default: the CSV's folder]",
)
@click.option(
    "--group-column",
    metavar="NAME",
    help="The CSV's column that says which source a video comes from. [default: group, source or source_url]",
)
@click.option(
    "--split",
    type=click.Choice(["test", "validation", "train", "rest", "large-test", "all"]),
    help="The part of a packed file that is measured; large-test is test and rest. [default: test, where the "
    "file has parts]",
)
@run_options
def evaluate(
    model: str,
    data: Path,
    json_target: str | None,
    figures: Path | None,
    worst: int,
    min_confidence: float | None,
    root: Path | None,
    group_column: str | None,
    split: str | None,
    quiet: bool,
    **values: Any,
) -> int:
    """Measure a classifier on labelled videos.

    MODEL is a classifier file or a shipped one (see `vidclf models`). DATA is a CSV with the columns `path`
    and `label` (several labels joined by `|`; a column `group` says which videos are of one source), a folder
    with one sub-folder per label, or a packed .h5 file. Videos are embedded as `classify` does, and cached.

    \b
      vidclf evaluate my.onnx labels.csv
      vidclf evaluate topics-10 ./labelled --figures pictures --json figures.json

    Intervals are of 95 %, from drawing sources again and again. Use videos that the classifier was not
    trained on.

    Exit code: 0 all fine, 1 some videos failed (they are listed), 2 wrong usage, 130 interrupted.
    """
    from vidclf_cli.classifier import load_classifier
    from vidclf_cli.evaluation import is_packed
    from vidclf_cli.writers.output import check_writable

    if json_target is not None:
        check_writable(json_target, "--json")
    if figures is not None:
        _make_folder(figures)
    choice = _Choice(data, root, group_column, split, min_confidence, worst, quiet)
    classifier = load_classifier(model)
    if is_packed(data):
        evaluation = _of_packed(classifier, choice, values)
    else:
        evaluation = _of_videos(classifier, choice, to_run_options(values))
    _show(evaluation, data, json_target, quiet)
    if figures is not None:
        _draw(evaluation, figures, quiet)
    return 1 if evaluation.failures else 0


def _of_packed(classifier: Classifier, choice: _Choice, values: dict[str, Any]) -> Evaluation:
    from vidclf_cli import __version__
    from vidclf_cli.dataset import open_dataset
    from vidclf_cli.evaluation import evaluate_dataset

    for option, value in (("--root", choice.root), ("--group-column", choice.group_column),
                          ("--exclude", values["exclude"])):  # fmt: skip
        if value:
            raise click.UsageError(f"{option} is for videos; {choice.data} is a packed file.")
    with open_dataset(choice.data) as dataset:
        if not choice.quiet:
            say(
                printable(
                    f"vidclf {__version__}: {classifier.name} on {choice.data}, {len(dataset):,} rows in all"
                )
            )
        with _show_rows(choice.quiet) as progress:
            return evaluate_dataset(
                classifier,
                dataset,
                split=choice.split,
                min_confidence=choice.min_confidence,
                worst_count=choice.worst,
                progress=progress,
            )


def _of_videos(classifier: Classifier, choice: _Choice, run: RunOptions) -> Evaluation:
    from vidclf_cli.cli.progress import show_progress, show_start, show_summary
    from vidclf_cli.labelled import read_labelled
    from vidclf_cli.pipeline.evaluate import Measuring

    if choice.split is not None:
        raise click.UsageError(f"--split is for packed files; {choice.data} has no parts.")
    labelled = read_labelled(
        choice.data,
        multi=classifier.task == "multi",
        root=choice.root,
        group_column=choice.group_column,
        exclude=run.exclude,
        for_training=False,
    )
    with Measuring(classifier, labelled, run) as job:
        show_start(job, choice.quiet)
        with show_progress(job, choice.quiet):
            for _ in job.results():
                pass
        show_summary(job, None, choice.quiet)
        return job.evaluation(min_confidence=choice.min_confidence, worst_count=choice.worst)


@contextmanager
def _show_rows(quiet: bool) -> Iterator[Any]:
    """Show a bar of the rows that are scored, only on a terminal."""
    if quiet or not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _show(evaluation: Evaluation, data: Path, json_target: str | None, quiet: bool) -> None:
    from vidclf_cli.cli.evaluation import print_evaluation
    from vidclf_cli.library import id_of
    from vidclf_cli.writers.output import STDOUT, open_output

    if json_target is not None:
        document = {"data": id_of(str(data))} | evaluation.to_dict()
        with open_output(json_target, "--json") as stream:
            json.dump(document, stream, ensure_ascii=False, indent=2, allow_nan=False)
            stream.write("\n")
    if not quiet and json_target != STDOUT:
        with open_output(STDOUT) as stream:
            print_evaluation(evaluation, data, stream)


def _make_folder(folder: Path) -> None:
    """Make the folder of the pictures before a long run, not after it."""
    from vidclf_cli.errors import UsageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {error.strerror}.", "Give --figures a folder that can be written to."
        ) from error


def _draw(evaluation: Evaluation, folder: Path, quiet: bool) -> None:
    from vidclf_cli.pictures import save_confusion, save_reliability

    is_single = evaluation.confusion is not None
    if evaluation.confusion is not None:
        save_confusion(evaluation.confusion, evaluation.labels, folder / "confusion.png")
    what = "most probable label" if is_single else "labels, each by itself"
    save_reliability(evaluation.metrics.reliability, folder / "reliability.png", what)
    if not quiet:
        names = "confusion.png and reliability.png" if is_single else "reliability.png"
        say(printable(f"Drawn: {names} in {folder}"))

"""`vidclf evaluate`: how good a classifier is on labelled videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidclf_cli.cli.options import (
    ModelName,
    NamedPath,
    NumberRange,
    data_options,
    run_options,
    split_option,
    target_precision_option,
)
from vidclf_cli.cli.terminal import printable, say

if TYPE_CHECKING:
    from vidclf_cli.evaluation import Evaluation


@click.command()
@click.argument("model", metavar="MODEL", type=ModelName())
@click.argument("data", type=NamedPath(path_type=Path))
@click.option(
    "--json",
    "json_target",
    metavar="FILE",
    help="Write every figure as JSON, `-` for stdout (instead of the table). [default: only the table]",
)
@click.option(
    "--figures",
    type=NamedPath(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Draw confusion.png (where each video has one label) and reliability.png there. "
    "[default: draw nothing]",
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
@target_precision_option
@data_options
@split_option("test")
@run_options
def evaluate(
    model: str,
    data: Path,
    json_target: str | None,
    figures: Path | None,
    worst: int,
    min_confidence: float | None,
    target_precision: float | None,
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
    from vidclf_cli.cli.labelled_data import score_labelled
    from vidclf_cli.decide import check_one_bar
    from vidclf_cli.evaluation import evaluate_rows
    from vidclf_cli.writers.output import check_writable

    check_one_bar(min_confidence, target_precision)
    if json_target is not None:
        check_writable(json_target, "--json")
    if figures is not None:
        _make_folder(figures)
    classifier = load_classifier(model)
    if target_precision is not None:
        classifier.bars_at(target_precision)  # Before a long run: whether it holds them.
    rows = score_labelled(classifier, data, values, split=split, default_split="test", quiet=quiet)
    evaluation = evaluate_rows(
        classifier,
        rows,
        min_confidence=min_confidence,
        target_precision=target_precision,
        worst_count=worst,
    )
    _show(evaluation, data, json_target, quiet)
    if figures is not None:
        _draw(evaluation, figures, quiet)
    return 1 if evaluation.failures else 0


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

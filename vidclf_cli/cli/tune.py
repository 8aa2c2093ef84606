"""`vidclf tune`: set a classifier's thresholds from labelled videos."""

from __future__ import annotations

from collections.abc import Iterator
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
)
from vidclf_cli.cli.terminal import printable, say
from vidclf_cli.wording import counted, some

if TYPE_CHECKING:
    from vidclf_cli.classifier import Classifier
    from vidclf_cli.metrics import Answered
    from vidclf_cli.tuning import Tuning

_MOST_NAMED = 10
_DEFAULT_SPLIT = "validation"


@click.command()
@click.argument("model", metavar="MODEL", type=ModelName())
@click.argument("data", metavar="DATA", type=NamedPath(path_type=Path))
@click.option(
    "--target-precision",
    type=NumberRange(0.0, 1.0, min_open=True, max_open=True),
    required=True,
    metavar="SHARE",
    help="In which share of the cases a label that is given shall be right, e.g. 0.95.",
)
@click.option(
    "--out",
    "-o",
    required=True,
    metavar="FILE",
    type=NamedPath(path_type=Path),
    help="The tuned classifier, e.g. tuned.onnx. A picture tuned_precision.png goes beside it.",
)
@click.option("--force", is_flag=True, help="Let --out replace MODEL itself. [default: refuse]")
@click.option("--no-figures", is_flag=True, help="Draw no picture.")
@data_options
@split_option(_DEFAULT_SPLIT)
@run_options
def tune(
    model: str,
    data: Path,
    target_precision: float,
    out: Path,
    force: bool,
    no_figures: bool,
    split: str | None,
    quiet: bool,
    **values: Any,
) -> int:
    """Set a classifier's thresholds so that its labels are right often enough.

    MODEL and DATA are those of `vidclf evaluate`: a classifier; and a CSV with the columns `path` and `label`
    (better also `group`), a folder with one sub-folder per label, or a packed .h5 file. Each label gets the
    lowest threshold at which it is right in the share of the cases that is asked for; below it the answer is
    `unknown`. A label that no threshold brings there is never given. Nothing is trained, and no torch needed.

    \b
      vidclf tune my.onnx labels.csv --target-precision 0.95 --out tuned.onnx
      vidclf tune topics-10 ./labelled --target-precision 0.9 --out topics-90.onnx
      vidclf classify ./videos --model tuned.onnx --out labels.csv

    Use videos that MODEL was not trained on, in the mix in which they will come, and others to measure the
    result (`vidclf evaluate tuned.onnx`). For a precision of 0.95 a label must be given rightly to some 30
    videos of sources of their own.

    Exit code: 0 all fine, 1 tuned, but some videos could not be read, 2 wrong usage, or no label gets there,
    130 interrupted.
    """
    from vidclf_cli.classifier import load_classifier
    from vidclf_cli.classifier_file import check_classifier_target, save_with_card
    from vidclf_cli.cli.labelled_data import score_labelled
    from vidclf_cli.tuning import check_not_itself, tune_rows, tuned_card

    classifier = load_classifier(model)
    check_classifier_target(out)
    if not force:
        check_not_itself(classifier.path, out)
    rows = score_labelled(classifier, data, values, split=split, default_split=_DEFAULT_SPLIT, quiet=quiet)
    tuning = tune_rows(classifier, rows, target_precision)
    tuned = save_with_card(classifier, tuned_card(classifier.card, tuning, data.resolve().name), out)
    if not quiet:
        _print(tuning, data)
    picture = None if no_figures else _draw(tuning, out)
    if not quiet:
        for line in _report(tuning, tuned, picture):
            say(printable(line))
    return 1 if rows.failures else 0


def _draw(tuning: Tuning, out: Path) -> Path:
    from vidclf_cli.pictures import save_precision
    from vidclf_cli.tuning import picture_beside

    path = picture_beside(out)
    save_precision(tuning, path)
    return path


def _print(tuning: Tuning, data: Path) -> None:
    from vidclf_cli.cli.tuning import print_tuning
    from vidclf_cli.writers.output import STDOUT, open_output

    with open_output(STDOUT) as stream:
        print_tuning(tuning, data, stream)


def _report(tuning: Tuning, tuned: Classifier, picture: Path | None) -> Iterator[str]:
    """Yield what a person reads last: what it costs, where it is, what to do with it."""
    never = tuning.never_given
    if never:
        yield (
            f"{counted(len(never), 'label')} of {len(tuning.labels):,} never given, since no threshold "
            f"reaches {tuning.target:g}: {some(never, _MOST_NAMED)}."
        )
    yield f"Answered {_share(tuning.after)} instead of {_share(tuning.before)}; the rest is `unknown`."
    beside = f", {picture}" if picture else ""
    yield f"Written: {tuned.path} ({tuned.name}){beside}"
    yield f"Next: vidclf classify ./videos --model {tuned.path}"


def _share(answered: Answered) -> str:
    return f"{answered.coverage:.3f} of the videos"

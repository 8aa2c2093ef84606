"""What an evaluation looks like: tables for people, plain text when nobody's terminal is behind them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from vidclf_cli.cli.terminal import console, printable
from vidclf_cli.wording import counted, some

if TYPE_CHECKING:
    from rich.console import Console

    from vidclf_cli.evaluation import Evaluation
    from vidclf_cli.metrics import Estimate

_MOST_LABELS = 30
_MOST_PAIRS = 10
_MOST_NAMED = 10
_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "mean_average_precision": "mAP",
    "global_average_precision": "GAP@20",
}


def print_evaluation(evaluation: Evaluation, data: Path, stream: TextIO) -> None:
    """Print everything that a person wants to know, the headline first."""
    screen = console(stream)
    _print_head(evaluation, data, screen)
    _print_labels(evaluation, screen)
    _print_confusions(evaluation, screen)
    _print_mistakes(evaluation, screen)
    _print_left_out(evaluation, screen)


def _print_head(evaluation: Evaluation, data: Path, screen: Console) -> None:
    metrics, answered = evaluation.metrics, evaluation.metrics.answered
    part = f", split {evaluation.split}" if evaluation.split else ""
    rows = counted(metrics.row_count, "video")
    if metrics.group_count < metrics.row_count:
        rows += f" of {counted(metrics.group_count, 'source')}"
    screen.print(printable(f"{evaluation.model} on {data}{part}: {rows}"), soft_wrap=True)
    table = _table(("", "left"), ("value", "right"), ("95 % interval", "left"))
    for name, figure in metrics.figures.items():
        table.add_row(_NAMES[name], _number(figure.value), _interval(figure))
    table.add_row("calibration error", _number(metrics.calibration_error), "")
    screen.print(table)
    share = "no label is given"
    if answered.count:
        share = f"{answered.accuracy:.3f} of the labels given are right"
        if math.isfinite(answered.precision.low):
            share += f" ({_interval(answered.precision)})"
    unknown = f"{answered.unknown_count:,} unknown"
    if evaluation.no_evidence_count:
        unknown += f", {evaluation.no_evidence_count:,} of them without anything to go by"
    screen.print(
        f"Answered: {answered.count:,} of {counted(metrics.row_count, 'video')} "
        f"({answered.coverage:.3f}; {unknown}); {share}."
    )


def _print_labels(evaluation: Evaluation, screen: Console) -> None:
    columns = evaluation.metrics.labels
    order = np.arange(len(evaluation.labels))
    title = ""
    if len(order) > _MOST_LABELS:
        # NaN (labels without examples) sorts last.
        order = np.argsort(columns.f1, kind="stable")[:_MOST_LABELS]
        title = f"The {len(order)} labels of {len(evaluation.labels):,} with the lowest F1 (--json has all)"
    numbers = ("videos", "given", "precision", "recall", "F1", "AP", "mean confidence")
    table = _table(("label", "left"), *((name, "right") for name in numbers))
    figures = (
        columns.precision,
        columns.recall,
        columns.f1,
        columns.average_precision,
        columns.mean_confidence,
    )
    for at in order:
        counts = (f"{columns.count[at]:,}", f"{columns.given[at]:,}")
        table.add_row(_text(evaluation.labels[at]), *counts, *(_number(values[at]) for values in figures))
    _print_table(screen, title, table)
    if without := evaluation.labels_without_examples:
        screen.print(f"No example in the data, so left out of the means: {some(without, _MOST_NAMED)}.")


def _print_confusions(evaluation: Evaluation, screen: Console) -> None:
    pairs = evaluation.confusions()
    if not pairs:
        return
    table = _table(("is", "left"), ("taken for", "left"), ("videos", "right"))
    for pair in pairs[:_MOST_PAIRS]:
        table.add_row(_text(pair.truth), _text(pair.given), f"{pair.count:,}")
    more = f" (of {len(pairs):,} pairs)" if len(pairs) > _MOST_PAIRS else ""
    _print_table(screen, f"Most often confused{more}", table)


def _print_mistakes(evaluation: Evaluation, screen: Console) -> None:
    if not evaluation.mistakes:
        return
    table = _table(("video", "left"), ("is", "left"), ("mistake", "left"), ("confidence", "right"))
    for mistake in evaluation.mistakes:
        what = f"not {mistake.label}" if mistake.is_missed else mistake.label
        table.add_row(
            _text(mistake.id),
            _text("|".join(mistake.truth)),
            _text(what if mistake.given or mistake.is_missed else f"{what} (unknown)"),
            _number(mistake.confidence),
        )
    _print_table(screen, "Worst mistakes", table)


def _print_left_out(evaluation: Evaluation, screen: Console) -> None:
    left_out = evaluation.left_out
    if left_out.labels:
        counts = [f"{label} ({count:,})" for label, count in left_out.labels.items()]
        screen.print(f"\nLabels that the classifier does not have: {some(counts, _MOST_NAMED)}.")
    if left_out.ids:
        names = some(left_out.ids, _MOST_NAMED)
        screen.print(f"{counted(len(left_out.ids), 'video')} with no other label left out: {names}.")
    if evaluation.failures:
        screen.print(f"\nNot measured, for they could not be read ({len(evaluation.failures):,}):")
        for failure in evaluation.failures[:_MOST_NAMED]:
            screen.print(_text(f"  {failure.id}: {failure.reason}"))
        if len(evaluation.failures) > _MOST_NAMED:
            screen.print(f"  and {len(evaluation.failures) - _MOST_NAMED:,} more (--json has all)")
    for note in evaluation.notes:
        screen.print(_text(f"Note: {note}"))


def _table(*columns: tuple[str, Any]) -> Any:
    from rich.table import Table

    table = Table(header_style="bold", show_edge=False)
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")
    return table


def _print_table(screen: Console, title: str, table: Any) -> None:
    screen.print(f"\n{title}:" if title else "")
    screen.print(table)


def _text(text: str) -> Any:
    """Return text that is neither markup nor a command to the terminal."""
    from rich.text import Text

    return Text(printable(text).replace("\n", "\\n"))


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _interval(figure: Estimate) -> str:
    if not math.isfinite(figure.low):
        return "not known: all videos are of one source" if math.isfinite(figure.value) else ""
    return f"{figure.low:.3f} to {figure.high:.3f}"

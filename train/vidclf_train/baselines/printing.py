"""Figures as a person reads them on a terminal, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

from vidclf_cli.cli.terminal import printable
from vidclf_cli.metrics import Estimate, LabelTable
from vidclf_cli.writers.output import open_output

_LONGEST_LABEL = 40


def describe_figures(figures: Mapping[str, Estimate]) -> str:
    """Return figures with their 95 % intervals in one line."""
    parts = []
    for name, figure in figures.items():
        interval = f" ({figure.low:.3f} to {figure.high:.3f})" if math.isfinite(figure.low) else ""
        parts.append(f"{name.replace('_', ' ')} {figure.value:.3f}{interval}")
    return ", ".join(parts)


def print_label_table(labels: Sequence[str], table: LabelTable) -> None:
    """Print one line per label."""
    width = min(_LONGEST_LABEL, max(len(label) for label in labels))
    click.echo(f"{'label':{width}}  videos  given  precision  recall    F1")
    for row, label in enumerate(labels):
        shown = printable(label).replace("\n", " ")[:width]
        figures = (table.precision[row], table.recall[row], table.f1[row])
        precision, recall, f1 = (f"{figure:.3f}" if math.isfinite(figure) else "-" for figure in figures)
        counts = f"{table.count[row]:6d}  {table.given[row]:5d}"
        click.echo(f"{shown:{width}}  {counts}  {precision:>9}  {recall:>6} {f1:>5}")


def write_json(document: Mapping[str, Any], target: str | None) -> None:
    """Write a document to a file, or to stdout for `-`; nowhere for None.

    Raises:
        OutputError: It cannot be written.
    """
    if target is None:
        return
    with open_output(target) as stream:
        json.dump(document, stream, indent=2, ensure_ascii=False)
        stream.write("\n")

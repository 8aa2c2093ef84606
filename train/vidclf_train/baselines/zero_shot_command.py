"""`python -m vidclf_train baselines zero-shot`: the label whose name is nearest."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset, open_dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.scored_rows import SPLITS
from vidclf_train.baselines.printing import describe_figures, print_label_table, write_json
from vidclf_train.baselines.zero_shot import (
    DEFAULT_TEMPLATE,
    LabelVectors,
    embed_labels,
    find_space,
    measure_zero_shot,
    read_label_vectors,
)

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("zero-shot")
@click.argument("path", metavar="DATASET.h5", type=_FILE)
@click.option(
    "--space", required=True, help="Whose vectors are compared with the labels': an id, or an alias."
)
@click.option(
    "--text-embedder",
    metavar="SPACE",
    help="Embed the names of the labels with this one, e.g. local/metadata.",
)
@click.option(
    "--label-vectors",
    type=_FILE,
    help="The labels' vectors: a packed dataset of texts, or an .npz with labels, vectors and space.",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    help='What a name is put into at {}, e.g. "a video of {}". Given several times, vectors are averaged. '
    "[default: the name alone]",
)
@click.option("--split", type=click.Choice(list(SPLITS)), help="The rows that are measured. [default: all]")
@click.option(
    "--json",
    "json_target",
    metavar="FILE",
    help="Write every figure as JSON, `-` for stdout (instead of the table).",
)
def zero_shot_command(
    path: Path,
    space: str,
    text_embedder: str | None,
    label_vectors: Path | None,
    templates: tuple[str, ...],
    split: str | None,
    json_target: str | None,
) -> None:
    """Give each video the label whose name's embedding is nearest, and hold that against the truth."""
    if (text_embedder is None) == (label_vectors is None):
        raise click.UsageError("Give either --text-embedder or --label-vectors.")
    if templates and label_vectors is not None:
        raise click.UsageError("--template is for --text-embedder: the vectors of a file are made already.")
    if label_vectors is not None and label_vectors.samefile(path):
        raise UsageError(
            f"{path} holds the videos that are measured: labels made of their own vectors are no zero-shot.",
            "Name a file with vectors of the labels' names.",
        )
    with open_dataset(path) as dataset:
        found = find_space(dataset, space)
        labels = _labels(dataset, found, text_embedder, label_vectors, templates or (DEFAULT_TEMPLATE,))
        figures = measure_zero_shot(dataset, found, labels, _rows(dataset, path, split))
    if json_target != "-":
        click.echo(f"{found}, nearest of {len(figures.labels)} labels ({labels.origin})")
        left_out = f"; {figures.left_out_count} have nothing there and are left out"
        click.echo(f"{figures.row_count} videos{left_out if figures.left_out_count else ''}")
        click.echo(describe_figures(figures.figures))
        print_label_table(figures.labels, figures.table)
    origin = {"space": found, "label_space": labels.space, "labels_from": labels.origin, "split": split}
    write_json({**origin, **figures.to_dict()}, json_target)


def _labels(
    dataset: Dataset, space: str, embedder: str | None, path: Path | None, templates: tuple[str, ...]
) -> LabelVectors:
    if embedder is not None:
        return embed_labels(dataset.labels, embedder, templates)
    assert path is not None  # One of them is given.
    return read_label_vectors(path, space)


def _rows(dataset: Dataset, path: Path, split: str | None) -> NDArray[np.int64] | None:
    if split is None:
        return None
    if dataset.splits is None:
        raise UsageError(f"{path} has no parts, so no {split!r} either.", "Leave --split away.")
    return np.flatnonzero(np.isin(dataset.splits, SPLITS[split]))

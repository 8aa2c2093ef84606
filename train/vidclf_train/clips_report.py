"""`python -m vidclf_train real-clips`: how well recipe `auto` does on real clips of sources it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import click
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset, Split
from vidclf_cli.errors import UsageError
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.metrics import Estimate, bootstrap_interval, calibration_error
from vidclf_train.real_clips import WELL_FITTING
from vidclf_train.recipe import Recipe, load_recipe
from vidclf_train.split import grouped_folds
from vidclf_train.train import train_classifier

_SPACES = {"local/visual": "visual", "local/metadata": "title"}
"""Alias of a space to the name of its vectors in the file."""


@dataclass(frozen=True, slots=True)
class Nested:
    """What a nested cross-validation gave: folds are tested that neither training nor calibration saw.

    Attributes:
        row_count: Rows that were tested.
        untested_count: Rows of a label's only source, which are only trained on.
        group_count: Sources of the rows tested.
        accuracy: Mean over the seeds; the interval draws whole sources.
        by_seed: The accuracy of each seed.
        calibration_error: Mean over the seeds.
    """

    row_count: int
    untested_count: int
    group_count: int
    accuracy: Estimate
    by_seed: tuple[float, ...]
    calibration_error: float


def nested_cross_validation(
    dataset: Dataset, recipe: Recipe, fold_count: int, seeds: Sequence[int], device: str = "cpu"
) -> Nested:
    """Test every row by a classifier that saw no row of its source.

    Each outer fold is the test part of a training whose own cross-validation sees the other folds alone.

    Args:
        dataset: One label per row.
        recipe: How each classifier is trained.
        fold_count: Outer folds, at least 2.
        seeds: Each deals the folds and trains anew.
        device: As for `train_classifier`.

    Raises:
        UsageError: The data cannot be trained on.
        VidclfError: Training failed.
    """
    right = np.full((len(seeds), len(dataset)), np.nan)
    errors = []
    for place, seed in enumerate(seeds):
        probabilities = _tested(dataset, recipe, fold_count, seed, device)
        rows = np.flatnonzero(probabilities.any(axis=1))
        right[place, rows] = probabilities[rows].argmax(axis=1) == dataset.targets[rows]
        errors.append(calibration_error(probabilities[rows], dataset.targets[rows]))
    rows = np.flatnonzero(np.isfinite(right).any(axis=0))
    shares = np.nanmean(right[:, rows], axis=0)
    groups = [dataset.groups[row] for row in rows.tolist()]
    return Nested(
        row_count=len(rows),
        untested_count=len(dataset) - len(rows),
        group_count=len(set(groups)),
        accuracy=bootstrap_interval(lambda drawn: float(shares[drawn].mean()), groups),
        by_seed=tuple(float(np.nanmean(each)) for each in right),
        calibration_error=float(np.mean(errors)),
    )


def _tested(dataset: Dataset, recipe: Recipe, fold_count: int, seed: int, device: str) -> NDArray[np.float32]:
    """Return the probabilities of every row by the classifier that did not see it; zeros where none did."""
    probabilities = np.zeros((len(dataset), len(dataset.labels)), np.float32)
    for fold in grouped_folds(dataset.groups, dataset.targets, fold_count, seed):
        if not len(fold):
            continue
        splits = np.full(len(dataset), Split.TRAIN, np.uint8)
        splits[fold] = Split.TEST
        fitted = train_classifier(replace(dataset, splits=splits), recipe, seed=seed, device=device)
        assert fitted.test is not None
        probabilities[fitted.test.rows] = fitted.test.probabilities
    return probabilities


def read_labelled_clips(path: Path) -> Mapping[str, Dataset]:
    """Read the clips once with the six well fitting verticals as labels and once with all categories.

    Raises:
        UsageError: The file is no such table.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            vectors = {alias: data[name].astype(np.float32) for alias, name in _SPACES.items()}
            truths = {name: data[name].astype(str) for name in ("vertical", "category")}
            groups = data["group"].astype(str)
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} holds no features of clips ({error}).",
            "It needs the arrays visual, title, vertical, category and group.",
        ) from error
    if len(lengths := {len(each) for each in (*vectors.values(), *truths.values(), groups)}) > 1:
        raise UsageError(
            f"{path} holds no features of clips (arrays of {' and '.join(map(str, sorted(lengths)))} rows).",
            "Every array needs one row per clip.",
        )
    wanted = {
        "verticals that fit well": np.where(
            np.isin(truths["vertical"], WELL_FITTING), truths["vertical"], ""
        ),
        "categories": truths["category"],
    }
    return {name: _dataset(truth, groups, vectors) for name, truth in wanted.items()}


def _dataset(
    truth: NDArray[np.str_], groups: NDArray[np.str_], vectors: Mapping[str, NDArray[np.float32]]
) -> Dataset:
    rows = np.flatnonzero(truth != "")
    labels, targets = np.unique(truth[rows], return_inverse=True)
    spaces = local_spaces()
    return Dataset(
        labels=tuple(str(label) for label in labels),
        task="single",
        ids=[str(row) for row in rows],
        targets=targets.astype(np.int32),
        groups=groups[rows].tolist(),
        vectors={spaces[alias].id: table[rows] for alias, table in vectors.items()},
    )


@click.command("real-clips")
@click.option("--clips", "path", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Their features: visual, title, vertical, category, group (.npz).")  # fmt: skip
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True,
              help="Of sources; each is tested once.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True)
@click.option("--recipe", "recipe_name", metavar="RECIPE", default="auto", show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="cpu", show_default=True)
def real_clips(path: Path, folds: int, seeds: int, recipe_name: str, device: str) -> None:
    """Print accuracy and calibration error on real clips, tested by sources that training never saw."""
    recipe = load_recipe(recipe_name)
    click.echo(
        f"recipe {recipe.name} on picture and title, nested {folds}-fold by source, {seeds} seed(s); "
        "intervals draw whole sources"
    )
    for name, dataset in read_labelled_clips(path).items():
        found = nested_cross_validation(dataset, recipe, folds, range(seeds), device)
        click.echo(f"{len(dataset.labels)} {name}: {_described(found)}")


def _described(found: Nested) -> str:
    interval = f"{found.accuracy.low:.3f} to {found.accuracy.high:.3f}"
    seeds = ", ".join(f"{each:.3f}" for each in found.by_seed)
    untested = f"; {found.untested_count} more only train: their label has one source"
    return (
        f"accuracy {found.accuracy.value:.3f} ({interval}; by seed {seeds}), "
        f"ECE {found.calibration_error:.3f}, {found.row_count} clips of {found.group_count} sources"
        + (untested if found.untested_count else "")
    )

"""One run of an ablation: the split of a seed, a training, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset, Split, open_dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.metrics import accuracy, calibration_error
from vidclf_cli.metrics.calibration import BIN_COUNT
from vidclf_train.ablate.tables import Configuration
from vidclf_train.batches import MEMORY_BYTES
from vidclf_train.fitted import HeldOut
from vidclf_train.train import train_classifier

RARE_COUNT = 100
"""Labels with fewer videos are reported apart: one of their few test videos is tens of points."""

_REDRAW = "Use --seeds 1, or data with one row per source."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave; shares are 0 to 1.

    Attributes:
        validation_accuracy: On the validation videos, by which epochs are chosen: the paper's figure.
        test_accuracy: On as few videos, which nothing was chosen by.
        balanced_accuracy: On the large test set: mean recall of all labels.
        frequent_accuracy: The same without the rare labels; None where all are rare.
        recalls: Of each label on the large test set.
        held_out_error: Expected calibration error on the held-out rows.
        large_error: On the large test set, whose labels are not as frequent as those trained on.
        weighted_error: On the large test set, rows weighted so that labels are as frequent as held out.
        seconds: What the training took.
        heads: What was trained: settings, scores, shares.
    """

    validation_accuracy: float
    test_accuracy: float
    balanced_accuracy: float
    frequent_accuracy: float | None
    recalls: Mapping[str, float]
    held_out_error: float
    large_error: float
    weighted_error: float
    seconds: float
    heads: list[dict[str, Any]]


def check_dataset(dataset: Dataset, seed_count: int) -> None:
    """Refuse data that cannot be compared on.

    Raises:
        UsageError: Rows have several labels, or none of them is for validation or test, or the split
            cannot be redrawn.
    """
    if dataset.task != "single":
        raise UsageError("The videos have several labels each.", "Ablations are for one label per video.")
    parts = () if dataset.splits is None else set(dataset.splits.tolist())
    if not {Split.TRAIN, Split.VALIDATION, Split.TEST} <= set(parts):
        raise UsageError(
            "The data does not say which rows are for training, validation and test.",
            "`python -m vidclf_train youtube8m build` makes data that does.",
        )
    if seed_count > 1 and len(set(dataset.groups)) < len(dataset):
        raise UsageError("Rows share sources, which a redrawn split would tear apart.", _REDRAW)


def frequent_labels(dataset: Dataset) -> NDArray[np.bool_]:
    """Return which labels have at least `RARE_COUNT` videos in all the data, shape (labels,)."""
    return np.bincount(dataset.targets, minlength=len(dataset.labels)) >= RARE_COUNT


def redrawn(dataset: Dataset, seed: int) -> Dataset:
    """Return the data with another split: the marks are dealt anew within each label; seed 0 leaves them."""
    if not seed or dataset.splits is None:
        return dataset
    splits = dataset.splits.copy()
    generator = np.random.default_rng(seed)
    for label in range(len(dataset.labels)):
        rows = np.flatnonzero(dataset.targets == label)
        splits[rows] = splits[generator.permutation(rows)]
    return replace(dataset, splits=splits)


def run(path: Path, configuration: Configuration, seed: int, device: str) -> Outcome:
    """Train one configuration with one seed, of the split and of the weights, and measure it.

    Raises:
        UsageError: The data or the configuration cannot be used.
        VidclfError: Training failed.
    """
    with open_dataset(path) as stored:
        dataset = redrawn(stored.of_spaces(configuration.spaces), seed)
        if dataset.byte_count <= MEMORY_BYTES:
            dataset = dataset.load()
        fitted = train_classifier(dataset, configuration.recipe, seed=seed, device=device)
    if fitted.test is None or dataset.splits is None:
        raise UsageError("No row is for test.", "Give the data test rows.")
    large = dataset.targets[fitted.test.rows]
    held_out = dataset.targets[fitted.held_out.rows]
    recalls = _recalls(fitted.test.probabilities, large, len(dataset.labels))
    frequent = frequent_labels(dataset) & np.isfinite(recalls)
    return Outcome(
        validation_accuracy=_accuracy_of(Split.VALIDATION, fitted.held_out, dataset),
        test_accuracy=_accuracy_of(Split.TEST, fitted.test, dataset),
        balanced_accuracy=float(np.nanmean(recalls)),
        frequent_accuracy=float(np.nanmean(recalls[frequent])) if frequent.any() else None,
        recalls={
            label: float(recall)
            for label, recall in zip(dataset.labels, recalls, strict=True)
            if np.isfinite(recall)
        },
        held_out_error=calibration_error(fitted.held_out.probabilities, held_out),
        large_error=calibration_error(fitted.test.probabilities, large),
        weighted_error=_weighted_error(fitted.test.probabilities, large, held_out),
        seconds=fitted.report["seconds"],
        heads=fitted.report["heads"],
    )


def _accuracy_of(split: Split, predicted: HeldOut, dataset: Dataset) -> float:
    assert dataset.splits is not None
    chosen = dataset.splits[predicted.rows] == split
    return accuracy(predicted.probabilities[chosen], dataset.targets[predicted.rows[chosen]])


def _recalls(
    probabilities: NDArray[np.float32], targets: NDArray[np.integer], label_count: int
) -> NDArray[np.float64]:
    """Return the recall of each label; NaN where no row has it."""
    right = probabilities.argmax(axis=1) == targets
    counts = np.bincount(targets, minlength=label_count)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(targets, right, label_count) / counts)


def _weighted_error(
    probabilities: NDArray[np.float32], targets: NDArray[np.integer], wanted: NDArray[np.integer]
) -> float:
    """Return the expected calibration error as if labels were as frequent as among the wanted ones."""
    label_count = probabilities.shape[1]
    counts = np.maximum(np.bincount(targets, minlength=label_count), 1)
    weights = (np.bincount(wanted, minlength=label_count) / counts)[targets]
    confidence = probabilities.max(axis=1).astype(np.float64)
    gaps = confidence - (probabilities.argmax(axis=1) == targets)
    bins = np.clip(np.ceil(confidence * BIN_COUNT).astype(np.int64) - 1, 0, BIN_COUNT - 1)
    return float(np.abs(np.bincount(bins, weights * gaps, BIN_COUNT)).sum() / weights.sum())

"""What training gives: the model, its predictions on rows it never saw, and how it got there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.precision import PrecisionTable
from vidclf_cli.scoring import Task

if TYPE_CHECKING:  # It imports torch.
    from vidclf_train.model import Ensemble


@dataclass(frozen=True)
class HeldOut:
    """Predictions for rows by a model, or by parts of it, that never saw them.

    Attributes:
        rows: Ascending row numbers of the dataset, shape (n,).
        probabilities: Calibrated, shape (n, labels).
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Curve:
    """How the training of one network went; the lists have one value per epoch.

    Attributes:
        name: Which network, for a legend.
        train_loss: Mean over the minibatches, with dropout and noise.
        validation_loss: On rows that were not trained on.
        validation_accuracy: On the same rows, 0 to 1.
        best_epoch: Index of the epoch whose weights were kept.
    """

    name: str
    train_loss: list[float]
    validation_loss: list[float]
    validation_accuracy: list[float]
    best_epoch: int


@dataclass(frozen=True)
class Fitted:
    """A trained classifier before it is written to a file.

    Attributes:
        model: Takes one tensor per space, in the order of `spaces`.
        spaces: Ids of the spaces it reads.
        labels: In the order of its outputs.
        task: One label per row, or any number of them.
        temperature: What its logits are divided by.
        thresholds: Labels whose own bar differs from `min_confidence`.
        min_confidence: Below it the answer is unknown.
        held_out: What calibration and thresholds were fitted on.
        test: Rows that nothing at all was fitted or chosen on; None where there were too few for that.
        curves: Of the networks that were trained by gradient descent.
        report: JSON-able: recipe, sizes of the split, what was tried with its score, seconds, device and why.
        precision: Thresholds by the precision that they reach on the held-out rows; None without such rows.
    """

    model: Ensemble
    spaces: tuple[str, ...]
    labels: tuple[str, ...]
    task: Task
    temperature: float
    thresholds: Mapping[str, float]
    min_confidence: float
    held_out: HeldOut
    test: HeldOut | None
    curves: tuple[Curve, ...]
    report: Mapping[str, Any]
    precision: PrecisionTable | None = None

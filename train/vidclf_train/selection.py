"""Which heads make the classifier, and in which proportion: chosen on held-out predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.scoring import Task
from vidclf_train.calibrate import fit_temperature, mix_logits, total_loss

_STEP_COUNT = 10  # Shares are tenths.
_LEAST_GAIN = 1e-3
"""A further step must lower the mean loss by this share of it, so that a mix is not chosen for nothing."""


def choose_weights(
    logits: Sequence[NDArray[np.floating]], targets: NDArray[np.integer], task: Task
) -> tuple[float, ...]:
    """Choose how much each head counts, adding up to 1; most often some get nothing.

    Forward selection with replacement (Caruana and others 2004, "Ensemble Selection from Libraries of
    Models"): ten times the head whose addition gives the least loss is added, and the best of
    these ten mixes is kept.

    Args:
        logits: Per head its held-out logits, shape (rows, labels).
        targets: Label numbers (rows,), or zeros and ones (rows, labels).
        task: One label per row, or any number.
    """
    if len(logits) == 1 or not len(targets):
        return tuple(float(number == 0) for number in range(len(logits)))
    counts = np.zeros(len(logits), int)
    best, best_counts = np.inf, counts
    for _ in range(_STEP_COUNT):
        losses = [
            calibrated_loss(mix_logits(logits, _shares(counts, number), task), targets, task)
            for number in range(len(logits))
        ]
        counts[int(np.argmin(losses))] += 1
        if min(losses) < best * (1 - _LEAST_GAIN):
            best, best_counts = min(losses), counts.copy()
    return tuple(float(share) for share in best_counts / best_counts.sum())


def calibrated_loss(logits: NDArray[np.floating], targets: NDArray[np.integer], task: Task) -> float:
    """Return the mean loss per row at the temperature that suits best, so that confidence is no matter.

    NaN when there are no rows.
    """
    if not len(targets):
        return float("nan")
    temperature = fit_temperature(logits, targets, task)
    return total_loss(logits / temperature, targets, task) / len(targets)


def _shares(counts: NDArray[np.integer], added: int) -> tuple[float, ...]:
    tried = counts.astype(float)
    tried[added] += 1
    return tuple(tried / tried.sum())

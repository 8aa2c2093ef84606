"""Calibration: what confidences mean, and from which one on an answer is given; all on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logsumexp

from vidclf_cli.scoring import Task

_WIDEST = 3.0
"""Logarithm of the largest temperature that is tried; the smallest is its inverse."""

_PRIOR_SPREAD = 0.75
"""Standard deviation of log temperature before anything is seen."""

_TEMPERATURE_DIGITS = 4
"""The exporter takes a division by nearly 1 out of the graph (within 1e-5); 1.0001 stays."""

SINGLE_BAR = 0.5
"""With one label per row a calibrated guess from 0.5 on is more likely right than wrong."""

_PSEUDO_ROWS = 10.0
_BAR_RANGE = (0.2, 0.9)
"""A bar outside of it rests on the chance of a few rows, and would give a label always or never."""

_LEAST_F1_BAR = 0.05
_LEAST_POSITIVES = 5


def fit_temperature(
    logits: NDArray[np.floating],
    targets: NDArray[np.integer],
    task: Task,
    sources: NDArray[np.integer] | None = None,
) -> float:
    """Find the number by which logits are divided so that the held-out targets are most probable.

    Guo and others 2017, "On Calibration of Modern Neural Networks", section 4.2, with a prior around 1, and
    with Platt's targets (1999, "Probabilistic Outputs for Support Vector Machines", section 2.2): of n
    sources that were all right the next one is so with (n + 1) / (n + 2), not with certainty.

    Args:
        logits: Shape (rows, labels), of rows that the model never saw.
        targets: Label numbers (rows,), or zeros and ones (rows, labels).
        task: One softmax over the labels, or a sigmoid for each of them.
        sources: Number of the source of each row, shape (rows,); None where each row is one.
    """
    if not len(logits):
        return 1.0
    count = len(logits) if sources is None else len(np.unique(sources))
    doubt = 1 / (count + 2)

    def cost(logarithm: float) -> float:
        loss = total_loss(logits / np.exp(logarithm), targets, task, doubt)
        return loss + 0.5 * (logarithm / _PRIOR_SPREAD) ** 2

    found = minimize_scalar(cost, bounds=(-_WIDEST, _WIDEST), method="bounded", options={"xatol": 1e-4})
    return round(float(np.exp(found.x)), _TEMPERATURE_DIGITS)


def total_loss(
    logits: NDArray[np.floating], targets: NDArray[np.integer], task: Task, doubt: float = 0.0
) -> float:
    """Return the cross-entropy summed over the rows (and over the labels of each, for `multi`).

    Args:
        logits: Shape (rows, labels).
        targets: See `fit_temperature`.
        task: See `fit_temperature`.
        doubt: How much probability the targets leave to what is not so, all other labels together.
    """
    if task == "single":
        losses = -log_softmax(logits, axis=1)
        right = losses[np.arange(len(targets)), targets]
        wrong = (losses.sum(axis=1) - right) / (logits.shape[1] - 1)
        return float(((1 - doubt) * right + doubt * wrong).sum())
    signed = np.where(targets > 0, logits, -logits)
    return float(((1 - doubt) * np.logaddexp(0, -signed) + doubt * np.logaddexp(0, signed)).sum())


def mix_logits(
    logits: Sequence[NDArray[np.floating]], weights: Sequence[float], task: Task
) -> NDArray[np.floating]:
    """Return the logits of the weighted mean of probabilities; the same as `Ensemble` computes.

    Args:
        logits: One array (rows, labels) per member; members with weight 0 take no part.
        weights: Adding up to 1.
        task: See `fit_temperature`.
    """
    members = [(each, weight) for each, weight in zip(logits, weights, strict=True) if weight > 0]
    if len(members) == 1:
        return members[0][0]
    shares = np.array([weight for _, weight in members])[:, None, None]

    def log_mean(parts: list[NDArray[np.floating]]) -> NDArray[np.floating]:
        return np.asarray(logsumexp(np.stack(parts), axis=0, b=shares))

    if task == "single":
        return log_mean([log_softmax(each.astype(np.float64), axis=1) for each, _ in members])
    yes = log_mean([-np.logaddexp(0, -each.astype(np.float64)) for each, _ in members])
    no = log_mean([-np.logaddexp(0, each.astype(np.float64)) for each, _ in members])
    return yes - no


def to_probabilities(logits: NDArray[np.floating], task: Task) -> NDArray[np.float32]:
    """Return probabilities, shape (rows, labels)."""
    values = np.exp(log_softmax(logits, axis=1)) if task == "single" else expit(logits)
    return np.asarray(values, np.float32)


def cross_calibrated(
    logits: NDArray[np.floating],
    targets: NDArray[np.integer],
    folds: NDArray[np.integer],
    task: Task,
    sources: NDArray[np.integer] | None = None,
) -> NDArray[np.float32]:
    """Calibrate every fold by a temperature fitted on the others, so that no row calibrates itself.

    A fold without others keeps its logits as they are.

    Args:
        logits: Shape (rows, labels).
        targets: See `fit_temperature`.
        folds: Number of the fold of each row, shape (rows,).
        task: See `fit_temperature`.
        sources: See `fit_temperature`.
    """
    found = np.empty(logits.shape, np.float32)
    for fold in np.unique(folds):
        inside = folds == fold
        others = None if sources is None else sources[~inside]
        temperature = fit_temperature(logits[~inside], targets[~inside], task, others)
        found[inside] = to_probabilities(logits[inside] / temperature, task)
    return found


@dataclass(frozen=True, slots=True)
class Bars:
    """From which confidence on a label is given.

    Attributes:
        per_label: Label to its own bar, where that is another one.
        otherwise: Of the labels that too few held-out rows speak about.
    """

    per_label: dict[str, float]
    otherwise: float


def fit_bars(
    probabilities: NDArray[np.float32], targets: NDArray[np.integer], labels: Sequence[str], task: Task
) -> Bars:
    """Choose the bars on held-out rows.

    With one label per row: from where on the label, when it is the guess, is more likely right than wrong.
    With many: where the label's F1 is greatest.

    Args:
        probabilities: Calibrated, shape (rows, labels).
        targets: See `fit_temperature`.
        labels: In the order of the columns.
        task: See `fit_temperature`.
    """
    found = (_f1_bars if task == "multi" else _majority_bars)(probabilities, targets, labels)
    own = {label: bar for label, bar in found.per_label.items() if bar != found.otherwise}
    return Bars(own, found.otherwise)


def _majority_bars(
    probabilities: NDArray[np.float32], targets: NDArray[np.integer], labels: Sequence[str]
) -> Bars:
    """Move each label's bar from 0.5 by how over-confident its own guesses are.

    The guesses of a label with a mean confidence above its share of right ones raise its bar by the
    difference, drawn towards no difference as if ten more rows had shown none.
    """
    guesses = probabilities.argmax(axis=1)
    bars = {}
    for number, label in enumerate(labels):
        chosen = guesses == number
        excess = (probabilities[chosen, number] - (targets[chosen] == number)).sum()
        shift = float(excess / (chosen.sum() + _PSEUDO_ROWS))
        bars[label] = round(float(np.clip(SINGLE_BAR + shift, *_BAR_RANGE)), 3)
    return Bars(bars, SINGLE_BAR)


def _f1_bars(probabilities: NDArray[np.float32], targets: NDArray[np.integer], labels: Sequence[str]) -> Bars:
    otherwise = _best_f1_bar(probabilities.ravel(), targets.ravel() > 0)
    bars = {}
    for number, label in enumerate(labels):
        truth = targets[:, number] > 0
        if _LEAST_POSITIVES <= truth.sum() < len(truth):
            bars[label] = _best_f1_bar(probabilities[:, number], truth)
    return Bars(bars, otherwise)


def _best_f1_bar(probabilities: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Return the bar with the greatest F1, halfway to the next lower probability; 0.5 without positives."""
    order = np.argsort(-probabilities, kind="stable")
    hits = np.cumsum(truth[order])
    if not len(hits) or hits[-1] == 0:
        return SINGLE_BAR
    scores = probabilities[order]
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    f1[:-1][scores[:-1] == scores[1:]] = -1  # Equal probabilities are given together, or not at all.
    best = int(f1.argmax())
    below = scores[best + 1] if best + 1 < len(scores) else 0.0
    return round(float(np.clip((scores[best] + below) / 2, _LEAST_F1_BAR, _BAR_RANGE[1])), 3)

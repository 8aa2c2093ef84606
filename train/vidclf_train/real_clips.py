"""Features of 480 real clips: what hyper-parameters and temperatures are chosen on, and figures measured.

One half of the sources chooses, the other half reports. No weight is trained on any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.scoring import Vectors

_SPLIT_SEED = 0
_BIN_COUNT = 10

WELL_FITTING = (
    "Arts & Entertainment",
    "Autos & Vehicles",
    "Food & Drink",
    "Games",
    "Pets & Animals",
    "Sports",
)
"""Verticals whose clips fit well; the other guesses are rough (`news` as Law & Government)."""

FINE_VERTICALS = {
    "news": "News",
    "beauty": "Beauty & Fitness",
    "travel": "Travel",
    "science": "Science",
}
"""Categories that have a vertical of their own among all 24, beside the well fitting ones."""


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips, one row each.

    Attributes:
        concepts: Mean concept probabilities, shape (clips, 1000).
        title: Embedded one-line description, shape (clips, 384).
        vertical: A guess of the paper's class, empty where none fits.
        category: One of 20.
        group: The source; clips of one source are much alike.
        chooses: True for the half of the sources that everything is chosen on.
    """

    concepts: NDArray[np.float32]
    title: NDArray[np.float32]
    vertical: NDArray[np.str_]
    category: NDArray[np.str_]
    group: NDArray[np.str_]
    chooses: NDArray[np.bool_]

    def vectors(self, *, picture: bool = True, text: bool = True) -> Vectors:
        """Return the vectors by space, of both modalities or one alone."""
        spaces = local_spaces()
        parts = (("local/concepts", self.concepts, picture), ("local/metadata", self.title, text))
        return {spaces[alias].id: rows for alias, rows, wanted in parts if wanted}

    def fine_vertical(self) -> NDArray[np.str_]:
        """Return each clip's vertical among all 24, empty where none is clear."""
        coarse = np.where(np.isin(self.vertical, WELL_FITTING), self.vertical, "")
        return np.array(
            [FINE_VERTICALS.get(category, own) for category, own in zip(self.category, coarse, strict=True)]
        )


def read_clips(path: Path) -> Clips:
    """Read the file and split it into halves by source, with a fixed seed."""
    with np.load(path, allow_pickle=False) as data:
        group = data["group"].astype(str)
        sources = np.random.default_rng(_SPLIT_SEED).permutation(np.unique(group))
        return Clips(
            concepts=data["concepts"].astype(np.float32),
            title=data["title"].astype(np.float32),
            vertical=data["vertical"].astype(str),
            category=data["category"].astype(str),
            group=group,
            chooses=np.isin(group, sources[: len(sources) // 2]),
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """How well probabilities fit the truth.

    Attributes:
        count: Clips measured.
        accuracy: Share of clips whose most probable label is right.
        low, high: 95 % interval of it, by bootstrap over sources.
        calibration_error: Expected calibration error, 10 bins of equal width.
        mean_confidence: Mean probability of the most probable label.
    """

    count: int
    accuracy: float
    low: float
    high: float
    calibration_error: float
    mean_confidence: float

    def to_dict(self) -> dict[str, float]:
        """Return the figures rounded, as they stand in a classifier file."""
        return {
            "count": self.count,
            "accuracy": round(self.accuracy, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "calibration_error": round(self.calibration_error, 4),
        }


def measure(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64], groups: NDArray[np.str_]
) -> Figures:
    """Measure rows whose target is a column.

    Args:
        probabilities: Shape (rows, labels).
        targets: Shape (rows,).
        groups: Source of each row.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    low, high = _interval(right, groups)
    bins = np.minimum((confidence * _BIN_COUNT).astype(int), _BIN_COUNT - 1)
    error = sum(abs(right[bins == each].mean() - confidence[bins == each].mean()) * (bins == each).mean()
                for each in np.unique(bins))  # fmt: skip
    return Figures(len(right), float(right.mean()), low, high, float(error), float(confidence.mean()))


def _interval(right: NDArray[np.bool_], groups: NDArray[np.str_]) -> tuple[float, float]:
    _, index = np.unique(groups, return_inverse=True)
    hits, sizes = np.bincount(index, weights=right), np.bincount(index)
    drawn = np.random.default_rng(0).integers(len(sizes), size=(2000, len(sizes)))
    low, high = np.quantile(hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def targets_of(truth: NDArray[np.str_], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return the column of each clip's label, -1 for one that is none of them."""
    return np.array([labels.index(each) if each in labels else -1 for each in truth])


def fit_scales(
    tasks: Sequence[tuple[Sequence[NDArray[np.float32]], NDArray[np.int64]]],
) -> tuple[float, ...]:
    """Find the factors of log scores that make the targets most probable, together over several tasks.

    Args:
        tasks: For each the log scores to be weighed and added, shape (rows, labels), and the targets. Each
            task counts the same.

    Returns:
        One positive factor per array of log scores.
    """
    parts = [([torch.tensor(part, dtype=torch.float64) for part in task], targets) for task, targets in tasks]
    logarithms = torch.zeros(len(tasks[0][0]), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([logarithms], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.zeros((), dtype=torch.float64)
        for arrays, targets in parts:
            logits = torch.stack(
                [log.exp() * each for log, each in zip(logarithms, arrays, strict=True)]
            ).sum(0)
            loss = loss + torch.nn.functional.cross_entropy(logits, torch.tensor(targets))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped.
        return loss

    optimiser.step(step)  # type: ignore[no-untyped-call]  # The same.
    return tuple(round(float(factor), 4) for factor in logarithms.detach().exp())


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return logarithms of probabilities, row by row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: NDArray[np.floating] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def coverage(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64], bar: float
) -> tuple[float, float]:
    """Return the share of rows that are answered at a bar, and the share of those answered rightly."""
    answered = probabilities.max(axis=1) >= bar
    right = probabilities.argmax(axis=1) == targets
    return float(answered.mean()), float(right[answered].mean()) if answered.any() else 0.0

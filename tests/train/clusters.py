"""Labelled vectors for tests: Gaussian clusters, as far apart as a test wants them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset
from vidclf_cli.scoring import Task

SPACES = {"some/network@1/visual": 24, "some/network@1/audio": 8}


def clusters(
    row_count: int,
    *,
    label_count: int = 3,
    gap: float = 3.0,
    task: Task = "single",
    seed: int = 0,
    group_size: int = 1,
    targets: NDArray[np.integer] | None = None,
    splits: NDArray[np.uint8] | None = None,
) -> Dataset:
    """Return rows around one centre per label; the centres are the same whatever the seed.

    Args:
        row_count: Labels take turns.
        label_count: Number of labels.
        gap: Length of the centres; the noise is 1 in each of the 32 directions.
        task: With `multi` a row has each label with probability 0.4, and its centres add up.
        seed: Of the noise, and of the labels of `multi`.
        group_size: So many rows in succession come from one source.
        targets: Labels to give instead.
        splits: What the rows are for.
    """
    random = np.random.default_rng(seed)
    if targets is None:
        marks = np.eye(label_count, dtype=np.uint8)[np.arange(row_count) % label_count]
        if task == "multi":
            marks = (random.random((row_count, label_count)) < 0.4).astype(np.uint8)
    else:
        marks = np.eye(label_count, dtype=np.uint8)[targets] if targets.ndim == 1 else targets
    centres = np.random.default_rng(99).standard_normal((label_count, sum(SPACES.values())))
    centres *= gap / np.linalg.norm(centres, axis=1, keepdims=True)
    table = marks @ centres + random.standard_normal((row_count, centres.shape[1]))
    visual, audio = np.split(table.astype(np.float32), [SPACES["some/network@1/visual"]], axis=1)
    return Dataset(
        labels=tuple(f"label {number}" for number in range(label_count)),
        task=task,
        ids=[f"{number}.mp4" for number in range(row_count)],
        targets=marks if task == "multi" else marks.argmax(axis=1).astype(np.int32),
        groups=[f"source {number // group_size}" for number in range(row_count)],
        vectors=dict(zip(SPACES, (visual, audio), strict=True)),
        splits=splits,
    )


def with_groups(dataset: Dataset, groups: Sequence[str]) -> Dataset:
    """Return the same rows from other sources."""
    return Dataset(
        dataset.labels, dataset.task, dataset.ids, dataset.targets, groups, dataset.vectors, dataset.splits
    )

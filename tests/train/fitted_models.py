"""Trained classifiers for tests, made by hand: small, exact, and there in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from vidclf_cli.dataset import Dataset
from vidclf_cli.scoring import Task
from vidclf_train.fitted import Curve, Fitted, HeldOut
from vidclf_train.model import Ensemble
from vidclf_train.networks import build_network

VISUAL = "some/network@1/visual"
AUDIO = "some/network@1/audio"
DIMENSIONS = {VISUAL: 6, AUDIO: 3}


def some_rows(
    count: int = 30, labels: Sequence[str] = ("cat", "dog", "car"), task: Task = "single", group_size: int = 1
) -> Dataset:
    """Vectors whose first numbers say the label; every fifth row has no sound."""
    random = np.random.default_rng(5)
    numbers = np.arange(count) % len(labels)
    vectors = {
        space: random.standard_normal((count, dimension)).astype(np.float32) * 0.3
        for space, dimension in DIMENSIONS.items()
    }
    vectors[VISUAL][np.arange(count), numbers % 6] += 2
    vectors[AUDIO][::5] = 0
    marks = np.eye(len(labels), dtype=np.uint8)[numbers]
    marks[::4, 0] = 1
    return Dataset(
        labels=tuple(labels),
        task=task,
        ids=[f"{number}.mp4" for number in range(count)],
        targets=numbers.astype(np.int32) if task == "single" else marks,
        groups=[f"source {number // group_size}" for number in range(count)],
        vectors=vectors,
    )


def some_model(
    task: Task = "single",
    label_count: int = 3,
    kinds: Sequence[Any] = ("linear", "mlp-3"),
    temperature: float = 0.7,
) -> Ensemble:
    """An ensemble with random weights that are the same every time."""
    torch.manual_seed(3)
    width = sum(DIMENSIONS.values())
    members: list[nn.Module] = [build_network(kind, width, label_count) for kind in kinds]
    # Statistics of a batch normalisation that never saw a row would hide whether they are exported.
    for member in members:
        member.train()
        member(torch.randn(64, width))
        member.eval()
    return Ensemble(list(DIMENSIONS.values()), members, [0.3, 0.7][: len(members)], task, temperature)


def some_fitted(dataset: Dataset, **changes: Any) -> Fitted:
    """A trained classifier with predictions for all rows but the last two."""
    model = changes.pop("model", None) or some_model(dataset.task, len(dataset.labels))
    rows = np.arange(len(dataset) - 2)
    with torch.inference_mode():
        inputs = [torch.from_numpy(np.asarray(table[:])) for table in dataset.vectors.values()]
        probabilities = model(*inputs)[1].numpy()
    parts: dict[str, Any] = {
        "model": model,
        "spaces": tuple(dataset.vectors),
        "labels": dataset.labels,
        "task": dataset.task,
        "temperature": model.temperature,
        "thresholds": {dataset.labels[0]: 0.3},
        "min_confidence": 0.4,
        "held_out": HeldOut(rows, probabilities[rows]),
        "test": None,
        "curves": (Curve("mlp-3", [2.0, 1.0, 0.5], [2.1, 1.5, 1.6], [0.3, 0.6, 0.6], 1),),
        "report": {
            "recipe": "auto",
            "seconds": 1.5,
            "tried": [{"head": "linear", "loss": 0.4, "seconds": 0.2}],
        },
    }
    return Fitted(**parts | changes)

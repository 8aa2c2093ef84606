"""A classifier and labelled rows whose true precision is known at every confidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.classifier_files import CONCEPTS, document, small_model, write
from vidclf_cli.classifier import Classifier, load_classifier
from vidclf_cli.dataset import Dataset
from vidclf_cli.scoring import Task

LABELS = ("cat", "dog", "car")


def small_classifier(folder: Path, task: Task = "single", **changes: Any) -> Classifier:
    """A classifier that says label i as loudly as concept i is seen."""
    return load_classifier(write(folder, json.dumps(document(task=task, **changes)), small_model(task)))


def known_rows(
    count: int, seed: int, powers: Sequence[float] = (1.0, 1.2, 6.0), group_size: int = 1
) -> Dataset:
    """Rows whose guess of label i is right with the probability confidence ** powers[i].

    Args:
        count: Of rows, spread evenly over the guesses.
        seed: Of all of it.
        powers: 1 is a label that is as often right as it says; with 6 it is so half of the time at 0.9.
        group_size: So many rows in succession come from one source.
    """
    random = np.random.default_rng(seed)
    guesses = np.arange(count) % 3
    vectors = np.zeros((count, 1000), np.float32)
    vectors[np.arange(count), guesses] = random.uniform(0.1, 1, count)
    odds = np.exp(5 * vectors[:, :3].astype(np.float64))
    confidence = (odds / odds.sum(axis=1, keepdims=True)).max(axis=1)
    right = random.random(count) < confidence ** np.array(powers)[guesses]
    ids = [f"{number}.mp4" for number in range(count)]
    return Dataset(
        labels=LABELS,
        task="single",
        ids=ids,
        targets=np.where(right, guesses, (guesses + 1) % 3).astype(np.int32),
        groups=[f"source {number // group_size}" for number in range(count)],
        vectors={CONCEPTS: vectors},
    )

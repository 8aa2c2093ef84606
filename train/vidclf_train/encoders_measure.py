"""How close int8 is to fp32, and how fast both are."""

from __future__ import annotations

import csv
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import normalize
from tokenizers import Tokenizer

from vidclf_cli.embedders.local import pad_tokens
from vidclf_cli.runtime import Device, open_session

Vectors = NDArray[np.float32]

_CPU = Device("cpu", "measured there")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How close the vectors of one encoder are to those of another, row by row."""

    count: int
    mean_cosine: float
    least_cosine: float

    def __str__(self) -> str:
        """Return a cell of a card."""
        return f"mean {self.mean_cosine:.4f}, least {self.least_cosine:.4f} (of {self.count})"


def agreement(ours: Vectors, reference: Vectors) -> Agreement:
    """Compare two arrays of shape (rows, dimension)."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(reference, axis=1)
    cosines = (ours * reference).sum(axis=1) / lengths
    return Agreement(len(cosines), float(cosines.mean()), float(cosines.min()))


def encode_frames(model: Path, frames: NDArray[np.uint8], thread_count: int = 0) -> tuple[Vectors, Vectors]:
    """Return the features and the probabilities of frames of shape (N, 224, 224, 3)."""
    session = open_session(model, _CPU, thread_count)
    batches = [session.run(None, {"frames": frames[i : i + 8]}) for i in range(0, len(frames), 8)]
    return np.concatenate([batch[0] for batch in batches]), np.concatenate([batch[1] for batch in batches])


def encode_texts(model: Path, tokenizer: Path, texts: Sequence[str], thread_count: int = 0) -> Vectors:
    """Return the vectors of texts, one text at a time."""
    session = open_session(model, _CPU, thread_count)
    cutter = Tokenizer.from_file(str(tokenizer))
    cutter.no_padding()
    cutter.enable_truncation(256)
    rows = [session.run(None, pad_tokens([cutter.encode(text).ids]))[0] for text in texts]
    return np.concatenate(rows)


def frames_per_second(model: Path, thread_count: int) -> float:
    """Return the best speed of 10 passes over 8 random frames."""
    frames = np.random.default_rng(0).integers(0, 256, (8, 224, 224, 3), dtype=np.uint8)
    session = open_session(model, _CPU, thread_count)
    return 8 / _best_seconds(lambda: session.run(None, {"frames": frames}))


def texts_per_second(model: Path, token_count: int, thread_count: int) -> float:
    """Return the best speed of 10 passes over 8 texts of so many tokens."""
    tokens = np.random.default_rng(0).integers(1000, 29000, (8, token_count)).tolist()
    session = open_session(model, _CPU, thread_count)
    inputs = pad_tokens(tokens)
    return 8 / _best_seconds(lambda: session.run(None, inputs))


def _best_seconds(action: Callable[[], object]) -> float:
    action()
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def machine() -> str:
    """Name the machine: its processor, how many cores this process may use, its instructions for int8."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.processor() or platform.machine()
    vnni = "with VNNI" if "vnni" in facts.get("flags", "") else "without VNNI"
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {vnni}"


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Accuracy of one linear classifier by cross-validation, with vectors of two encoders.

    Attributes:
        exact: Trained and tested on fp32.
        quantised: Trained and tested on int8.
        crossed: Trained on fp32, tested on int8: what a cache filled on another machine meets.
    """

    exact: float
    quantised: float
    crossed: float

    def __str__(self) -> str:
        """Return three cells of a card."""
        return f"{self.exact:.3f} | {self.quantised:.3f} | {self.crossed:.3f}"


def linear_accuracy(
    exact: Vectors, quantised: Vectors, labels: Sequence[str], groups: Sequence[str]
) -> Accuracy:
    """Classify unit vectors by logistic regression in 5 folds that no group is split over."""
    classes = np.array(labels)
    exact, quantised = normalize(exact), normalize(quantised)
    hits = dict.fromkeys(("exact", "quantised", "crossed"), 0)
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(exact, classes, groups):
        on_exact = _linear().fit(exact[train], classes[train])
        on_quantised = _linear().fit(quantised[train], classes[train])
        hits["exact"] += int((on_exact.predict(exact[test]) == classes[test]).sum())
        hits["quantised"] += int((on_quantised.predict(quantised[test]) == classes[test]).sum())
        hits["crossed"] += int((on_exact.predict(quantised[test]) == classes[test]).sum())
    return Accuracy(**{name: count / len(classes) for name, count in hits.items()})


def _linear() -> Any:
    return LogisticRegression(C=10.0, max_iter=1000)

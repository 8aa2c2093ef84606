"""Training on made vectors: how long it takes, and what it takes of memory when they stay in a file.

    python -m tests.bench.training seconds auto|paper|linear ROWS
    python -m tests.bench.training memory FILE

each trains in this process and prints its figures as JSON. Start-up and imports are not timed.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # The benchmark itself needs neither numpy nor torch.
    import numpy as np
    from numpy.typing import NDArray

    from vidclf_cli.dataset import Dataset
    from vidclf_train.recipe import Recipe

INSTALL = "pip install -c constraints.txt -e '.[train]'"
SPACES = {"made/visual": 512, "made/audio": 512, "made/metadata": 3072}
"""As many numbers as the paper's vectors have."""

DIMENSION = sum(SPACES.values())
_LABELS = tuple(f"label {number}" for number in range(10))
_GAP = 4.5
"""Length of the clusters' centres, the noise being 1 in every direction: about 3 of 4 are told apart."""

_BLOCK_ROWS, _VALIDATION_ROWS = 4096, 1024


def installed() -> bool:
    """Return whether training can be measured."""
    return all(importlib.util.find_spec(package) is not None for package in ("torch", "vidclf_train"))


def run(*arguments: object) -> dict[str, float]:
    """Measure in a process of its own, with as many threads as it takes by itself."""
    command = [sys.executable, "-m", "tests.bench.training", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def streamed_bytes() -> int:
    """Return from how many bytes on a file is not read as a whole."""
    from vidclf_train.batches import MEMORY_BYTES

    return MEMORY_BYTES


def write_packed(path: Path, row_count: int) -> None:
    """Write a packed file of clusters; as many of them are for validation whatever its size."""
    import numpy as np

    from vidclf_cli.dataset import Split, write_dataset

    with write_dataset(path, SPACES, "single", _LABELS, has_splits=True) as writer:
        for begin in range(0, row_count, _BLOCK_ROWS):
            targets, vectors = _clusters(min(_BLOCK_ROWS, row_count - begin), seed=begin)
            names = [str(begin + number) for number in range(len(targets))]
            splits = np.full(len(targets), Split.TRAIN, np.uint8)
            if not begin:
                splits[:_VALIDATION_ROWS] = Split.VALIDATION
            writer.append(vectors, targets, names, names, splits)


def _clusters(row_count: int, seed: int) -> tuple[NDArray[np.int32], dict[str, NDArray[np.float32]]]:
    """Return labels that take turns, and vectors around one centre per label."""
    import numpy as np

    centres = np.random.default_rng(0).standard_normal((len(_LABELS), DIMENSION), np.float32)
    centres *= _GAP / np.linalg.norm(centres, axis=1, keepdims=True)
    targets = np.arange(row_count, dtype=np.int32) % len(_LABELS)
    table = np.random.default_rng([1, seed]).standard_normal((row_count, DIMENSION), np.float32)
    table += centres[targets]
    ends = np.cumsum(list(SPACES.values()))[:-1]
    return targets, dict(zip(SPACES, np.split(table, ends, axis=1), strict=True))


def _in_memory(train_count: int, kind: str) -> Dataset:
    """Return so many rows to train on, and an eighth as many each to validate with and to test."""
    import numpy as np

    from vidclf_cli.dataset import Dataset, Split

    further = train_count // 8
    parts = [(Split.TRAIN, train_count), (Split.TEST, further)]
    if kind != "auto":  # It holds out training rows in turn.
        parts.append((Split.VALIDATION, further))
    splits = np.concatenate([np.full(count, part, np.uint8) for part, count in parts])
    targets, vectors = _clusters(len(splits), seed=0)
    names = [str(number) for number in range(len(splits))]
    return Dataset(_LABELS, "single", names, targets, names, vectors, splits)


def _seconds(kind: str, train_count: int) -> dict[str, Any]:
    from vidclf_cli.metrics import accuracy
    from vidclf_train.train import train_classifier

    dataset = _in_memory(train_count, kind)
    fitted = train_classifier(dataset, _recipe(kind), device="cpu")
    assert fitted.test is not None
    right = accuracy(fitted.test.probabilities, dataset.targets[fitted.test.rows])
    return {"seconds": fitted.report["seconds"], "accuracy": right}


def _recipe(kind: str) -> Recipe:
    """Return a recipe that ships, or one fit of the linear head of `auto` for each of its penalties."""
    from vidclf_train.recipe import LinearHead, load_recipe

    if kind != "linear":
        return load_recipe(kind)
    auto = load_recipe("auto")
    heads = tuple(head for head in auto.heads if isinstance(head, LinearHead))
    return replace(auto, name="linear", folds=0, heads=heads)


def _memory(path: Path) -> dict[str, Any]:
    """Train the heads of `auto` briefly: each pass over a file takes as much memory as the others."""
    import resource

    from vidclf_cli.dataset import open_dataset
    from vidclf_train.recipe import load_recipe
    from vidclf_train.train import train_classifier

    auto = load_recipe("auto")
    recipe = replace(auto, heads=tuple(_brief(auto)))
    with open_dataset(path) as dataset:
        seconds = train_classifier(dataset, recipe, device="cpu").report["seconds"]
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def _brief(recipe: Recipe) -> Iterator[Any]:
    from vidclf_train.recipe import LinearHead

    for head in recipe.heads:
        # A strong penalty is fitted in few passes, and a narrow layer is quick.
        if isinstance(head, LinearHead):
            yield LinearHead((1e6,))
        else:
            yield replace(head, epochs=1, hidden=(32,), dropout=(0.5,))


def main(arguments: list[str]) -> None:
    """Measure what is named, and print its figures."""
    import torch._dynamo  # noqa: F401  # torch imports it (800 modules) with the first optimiser: start-up.

    what, *rest = arguments
    figures = _seconds(rest[0], int(rest[1])) if what == "seconds" else _memory(Path(rest[0]))
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])

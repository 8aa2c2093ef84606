"""What a classifier says to labelled rows: what measuring and tuning begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.alignment import LeftOut, align
from vidclf_cli.classifier import Classifier
from vidclf_cli.dataset import Dataset, Split
from vidclf_cli.errors import UsageError
from vidclf_cli.scoring import has_evidence

ALL_ROWS = "all"
SPLITS: Mapping[str, tuple[Split, ...]] = {
    "train": (Split.TRAIN,),
    "validation": (Split.VALIDATION,),
    "test": (Split.TEST,),
    "rest": (Split.REST,),
    "large-test": (Split.TEST, Split.REST),
    ALL_ROWS: tuple(Split),
}
"""Names of the parts of packed data; `large-test` is every row that training never sees."""

_BLOCK_BYTES = 32 << 20

Progress = Callable[[int, int], None]
"""Called with how many rows are scored, of how many."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A video that could not be read, and why (`code: text`)."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Labelled rows, and what a classifier says to them.

    Attributes:
        ids: What the rows are called.
        groups: The source of each.
        targets: By the classifier's labels: numbers of shape (rows,) for `single`, zeros and ones of shape
            (rows, labels) for `multi`.
        probabilities: Calibrated, shape (rows, labels).
        has_evidence: About which rows anything can be said, shape (rows,).
        left_out: Rows whose labels the classifier does not have.
        split: The part of packed data that was scored; None where the data has no parts.
        failures: Videos that could not be read.
        notes: What looks odd, a sentence each.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    targets: NDArray[np.int32] | NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    has_evidence: NDArray[np.bool_]
    left_out: LeftOut
    split: str | None = None
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


def score_dataset(
    classifier: Classifier,
    dataset: Dataset,
    *,
    split: str | None = None,
    default_split: str = "test",
    progress: Progress | None = None,
) -> ScoredRows:
    """Run a classifier on labelled vectors, which are read block by block.

    Args:
        classifier: What is asked.
        dataset: In memory, or an open file.
        split: One of `SPLITS`; None is `default_split` where the data has parts, else all rows.
        default_split: One of `SPLITS`.
        progress: Called after each block.

    Raises:
        UsageError: The data has no such part, no vectors that the classifier reads, none of its labels, or
            several labels per row where the classifier gives one.
    """
    chosen, rows = _choose_rows(dataset, split, default_split)
    _check_spaces(classifier, dataset)
    aligned = align(dataset, rows, classifier.labels, classifier.task, classifier.name)
    probabilities, believed = _score(classifier, dataset, aligned.rows, progress)
    return ScoredRows(
        ids=[dataset.ids[row] for row in aligned.rows],
        groups=[dataset.groups[row] for row in aligned.rows],
        targets=aligned.targets,
        probabilities=probabilities,
        has_evidence=believed,
        left_out=aligned.left_out,
        split=chosen,
    )


def _choose_rows(
    dataset: Dataset, split: str | None, default_split: str
) -> tuple[str | None, NDArray[np.int64]]:
    """Return the name of the part that is meant, and its row numbers."""
    if split is not None and split not in SPLITS:
        raise UsageError(f"There is no split {split!r}.", f"It is one of {', '.join(SPLITS)}.")
    if dataset.splits is None:
        if split not in (None, ALL_ROWS):
            raise UsageError(f"The data has no parts, so no {split!r} either.", "Leave --split away.")
        if not len(dataset):
            raise UsageError("The data has no rows.", "Make it again.")
        return None, np.arange(len(dataset))
    chosen = default_split if split is None else split
    rows = np.flatnonzero(np.isin(dataset.splits, SPLITS[chosen]))
    if not rows.size:
        there = [name for name, parts in SPLITS.items() if np.isin(dataset.splits, parts).any()]
        raise UsageError(f"The data has no rows of the split {chosen!r}.", f"It has {', '.join(there)}.")
    return chosen, rows


def _check_spaces(classifier: Classifier, dataset: Dataset) -> None:
    there = {space: rows.shape[1] for space, rows in dataset.vectors.items()}
    holds = f"It holds {', '.join(there)}."
    for each in classifier.card.inputs:
        if each.required and each.space not in there:
            raise UsageError(
                f"{classifier.name} needs vectors of {each.space!r}, and the data has none.", holds
            )
        if there.get(each.space, each.dimension) != each.dimension:
            raise UsageError(
                f"{classifier.name} takes {each.dimension} numbers of {each.space!r}, and the data has "
                f"{there[each.space]}.",
                "Make the data again with the same embedder.",
            )
    if not any(each.space in there for each in classifier.card.inputs):
        raise UsageError(
            f"{classifier.name} reads {', '.join(classifier.spaces)}, and the data has none of them.", holds
        )


def _score(
    classifier: Classifier, dataset: Dataset, rows: NDArray[np.int64], progress: Progress | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return probabilities (rows, labels), and about which rows anything can be said."""
    tables = {space: dataset.vectors[space] for space in classifier.spaces if space in dataset.vectors}
    row_bytes = sum(4 * table.shape[1] for table in tables.values())
    block = max(1, _BLOCK_BYTES // row_bytes)
    probabilities = np.empty((len(rows), len(classifier.labels)), np.float32)
    believed = np.empty(len(rows), bool)
    for begin in range(0, len(rows), block):
        end = min(begin + block, len(rows))
        chosen = rows[begin:end]
        vectors = {space: np.asarray(table[chosen], np.float32) for space, table in tables.items()}
        probabilities[begin:end] = classifier.probabilities(vectors)
        believed[begin:end] = has_evidence(classifier, vectors)
        if progress is not None:
            progress(end, len(rows))
    return probabilities, believed

"""Hold a classifier against labelled data: measures, confusions, the worst mistakes. No training package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli import __version__
from vidclf_cli.alignment import LeftOut, align
from vidclf_cli.classifier import Classifier
from vidclf_cli.dataset import Dataset, Split
from vidclf_cli.decide import Decision
from vidclf_cli.errors import UsageError
from vidclf_cli.metrics import Metrics, confusion_counts, measure
from vidclf_cli.mistakes import Mistake, worst_mistakes
from vidclf_cli.scoring import has_evidence

FORMAT_VERSION = 1
DEFAULT_WORST_COUNT = 10
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

_PACKED_SUFFIXES = frozenset({".h5", ".hdf5"})
_BLOCK_BYTES = 32 << 20

Progress = Callable[[int, int], None]
"""Called with how many rows are scored, of how many."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many rows of one label got another one (or, `truth` and `given` being the same, the right one)."""

    truth: str
    given: str
    count: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A video that could not be read, and why (`code: text`)."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out.

    Attributes:
        model: Name of the classifier @ first 12 of its SHA-256.
        labels: The classifier's, in the order of the figures per label.
        metrics: All figures.
        confusion: Rows per true (first axis) and given label, shape (labels, labels); None for `multi`.
        mistakes: The most confident first.
        no_evidence_count: Rows measured that have nothing in any space that the classifier reads.
        left_out: Rows whose labels the classifier does not have.
        failures: Videos that could not be read.
        split: The part of packed data that was measured; None where the data has no parts.
        notes: What looks odd, a sentence each.
    """

    model: str
    labels: tuple[str, ...]
    metrics: Metrics
    confusion: NDArray[np.int64] | None
    mistakes: tuple[Mistake, ...]
    no_evidence_count: int
    left_out: LeftOut
    failures: tuple[Failure, ...] = ()
    split: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def labels_without_examples(self) -> tuple[str, ...]:
        """Labels of the classifier about which the data says nothing."""
        counts = self.metrics.labels.count
        return tuple(label for label, count in zip(self.labels, counts, strict=True) if not count)

    def confusions(self, *, wrong_only: bool = True) -> list[Confusion]:
        """Return the pairs that occur, the most frequent first."""
        if self.confusion is None:
            return []
        counts = self.confusion.copy()
        if wrong_only:
            np.fill_diagonal(counts, 0)
        rows, columns = np.nonzero(counts)
        order = np.argsort(-counts[rows, columns], kind="stable")
        return [
            Confusion(self.labels[rows[at]], self.labels[columns[at]], int(counts[rows[at], columns[at]]))
            for at in order
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; docs/formats.md describes it."""
        return {
            "format": FORMAT_VERSION,
            "vidclf": __version__,
            "model": self.model,
            "split": self.split,
            "labels": list(self.labels),
            "metrics": self.metrics.to_dict(),
            "no_evidence_count": self.no_evidence_count,
            "labels_without_examples": list(self.labels_without_examples),
            "failed": [{"path": each.id, "reason": each.reason} for each in self.failures],
            "left_out": {"paths": list(self.left_out.ids), "labels": dict(self.left_out.labels)},
            "confusion": [
                {"truth": each.truth, "given": each.given, "count": each.count}
                for each in self.confusions(wrong_only=False)
            ],
            "mistakes": [each.to_dict() for each in self.mistakes],
            "notes": list(self.notes),
        }


def is_packed(data: Path) -> bool:
    """Tell whether data is a packed file by its name, and not videos."""
    return data.suffix.lower() in _PACKED_SUFFIXES and not data.is_dir()


def evaluate_dataset(
    classifier: Classifier,
    dataset: Dataset,
    *,
    split: str | None = None,
    min_confidence: float | None = None,
    worst_count: int = DEFAULT_WORST_COUNT,
    progress: Progress | None = None,
) -> Evaluation:
    """Hold a classifier against labelled vectors, which are read block by block.

    Args:
        classifier: What is measured.
        dataset: In memory, or an open file.
        split: One of `SPLITS`; None is `test` where the data has parts, else all rows.
        min_confidence: Below it the answer is unknown; None is the classifier's own.
        worst_count: How many mistakes are listed.
        progress: Called after each block.

    Raises:
        UsageError: The data has no such part, no vectors that the classifier reads, none of its labels, or
            several labels per row where the classifier gives one.
    """
    chosen, rows = _choose_rows(dataset, split)
    _check_spaces(classifier, dataset)
    aligned = align(dataset, rows, classifier.labels, classifier.task, classifier.name)
    probabilities, believed = _score(classifier, dataset, aligned.rows, progress)
    decision = Decision.for_scorer(classifier, top_k=0, min_confidence=min_confidence)
    metrics = measure(
        probabilities,
        aligned.targets,
        classifier.task,
        [dataset.groups[row] for row in aligned.rows],
        bars=decision.bars,
        has_evidence=believed,
    )
    ids = [dataset.ids[row] for row in aligned.rows]
    return Evaluation(
        model=classifier.name,
        labels=classifier.labels,
        metrics=metrics,
        confusion=confusion_counts(probabilities, aligned.targets) if classifier.task == "single" else None,
        mistakes=worst_mistakes(probabilities, aligned.targets, ids, decision, believed, worst_count),
        no_evidence_count=int((~believed).sum()),
        left_out=aligned.left_out,
        split=chosen,
    )


def _choose_rows(dataset: Dataset, split: str | None) -> tuple[str | None, NDArray[np.int64]]:
    """Return the name of the part that is measured, and its row numbers."""
    if split is not None and split not in SPLITS:
        raise UsageError(f"There is no split {split!r}.", f"It is one of {', '.join(SPLITS)}.")
    if dataset.splits is None:
        if split not in (None, ALL_ROWS):
            raise UsageError(f"The data has no parts, so no {split!r} either.", "Leave --split away.")
        if not len(dataset):
            raise UsageError("The data has no rows.", "Make it again.")
        return None, np.arange(len(dataset))
    chosen = "test" if split is None else split
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

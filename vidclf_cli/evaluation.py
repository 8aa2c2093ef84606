"""Hold a classifier against labelled data: measures, confusions, the worst mistakes. No training package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli import __version__
from vidclf_cli.alignment import LeftOut
from vidclf_cli.classifier import Classifier
from vidclf_cli.dataset import Dataset
from vidclf_cli.decide import Decision
from vidclf_cli.metrics import Metrics, confusion_counts, measure
from vidclf_cli.mistakes import Mistake, worst_mistakes
from vidclf_cli.scored_rows import Failure, Progress, ScoredRows, score_dataset

FORMAT_VERSION = 1
DEFAULT_WORST_COUNT = 10

_PACKED_SUFFIXES = frozenset({".h5", ".hdf5"})


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many rows of one label got another one (or, `truth` and `given` being the same, the right one)."""

    truth: str
    given: str
    count: int


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
    target_precision: float | None = None,
    worst_count: int = DEFAULT_WORST_COUNT,
    progress: Progress | None = None,
) -> Evaluation:
    """Hold a classifier against labelled vectors: `score_dataset`, then `evaluate_rows`."""
    rows = score_dataset(classifier, dataset, split=split, progress=progress)
    return evaluate_rows(
        classifier,
        rows,
        min_confidence=min_confidence,
        target_precision=target_precision,
        worst_count=worst_count,
    )


def evaluate_rows(
    classifier: Classifier,
    rows: ScoredRows,
    *,
    min_confidence: float | None = None,
    target_precision: float | None = None,
    worst_count: int = DEFAULT_WORST_COUNT,
) -> Evaluation:
    """Hold what a classifier said against the truth.

    Args:
        classifier: Who said it.
        rows: What it said.
        min_confidence: Below it the answer is unknown; None is the classifier's own.
        target_precision: Measured at the thresholds of this precision; None is the classifier's own bars.
        worst_count: How many mistakes are listed.

    Raises:
        UsageError: The classifier holds no thresholds for that precision.
    """
    bars = None if target_precision is None else classifier.bars_at(target_precision)
    decision = Decision.for_scorer(classifier, top_k=0, min_confidence=min_confidence, bars=bars)
    metrics = measure(
        rows.probabilities,
        rows.targets,
        classifier.task,
        rows.groups,
        bars=decision.bars,
        has_evidence=rows.has_evidence,
    )
    return Evaluation(
        model=classifier.name,
        labels=classifier.labels,
        metrics=metrics,
        confusion=(
            confusion_counts(rows.probabilities, rows.targets) if classifier.task == "single" else None
        ),
        mistakes=worst_mistakes(
            rows.probabilities, rows.targets, rows.ids, decision, rows.has_evidence, worst_count
        ),
        no_evidence_count=int((~rows.has_evidence).sum()),
        left_out=rows.left_out,
        failures=rows.failures,
        split=rows.split,
        notes=rows.notes,
    )

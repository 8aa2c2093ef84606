"""Where a classifier was wrong, the surest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.decide import Decision


@dataclass(frozen=True, slots=True)
class Mistake:
    """One row that got something wrong.

    Attributes:
        id: What the row is called.
        truth: The labels that it has.
        given: The labels that it got; none where the answer was `unknown`.
        label: The wrong one of them, or of the guesses; where `is_missed`, the one that should have been.
        is_missed: Whether the mistake is that a label was not given (only where rows have several).
        confidence: How sure the classifier was of its mistake, 0 to 1.
    """

    id: str
    truth: tuple[str, ...]
    given: tuple[str, ...]
    label: str
    is_missed: bool
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "path": self.id,
            "truth": list(self.truth),
            "given": list(self.given),
            "label": self.label,
            "is_missed": self.is_missed,
            "confidence": self.confidence,
        }


def worst_mistakes(
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int32] | NDArray[np.uint8],
    ids: Sequence[str],
    decision: Decision,
    believed: NDArray[np.bool_],
    most: int,
) -> tuple[Mistake, ...]:
    """Return the rows that got something wrong, the surest mistakes first, rows of equal sureness in order.

    Where a row has one label, the mistake is that another one is more probable; else it is the surest of
    a label given that is not true (with its probability) and one not given that is (with 1 - it).

    Args:
        probabilities: Shape (rows, labels).
        targets: Label numbers, shape (rows,), or zeros and ones of shape (rows, labels).
        ids: What the rows are called.
        decision: What is given.
        believed: About which rows anything can be said, shape (rows,); the others are answered `unknown`.
        most: How many are listed.
    """
    wrong = _sureness(probabilities, targets, decision)
    sureness = wrong.max(axis=1)
    order = np.argsort(-sureness, kind="stable")[:most]
    labels = decision.labels
    found = []
    for row in order[sureness[order] > 0]:
        own = targets[row] != 0 if targets.ndim == 2 else np.arange(len(labels)) == targets[row]
        given = decision.predict(probabilities[row], has_evidence=bool(believed[row])).labels
        worst = int(wrong[row].argmax())
        mistake = Mistake(
            id=ids[row],
            truth=tuple(label for label, is_own in zip(labels, own, strict=True) if is_own),
            given=given,
            label=labels[worst],
            is_missed=bool(own[worst]),
            confidence=float(sureness[row]),
        )
        found.append(mistake)
    return tuple(found)


def _sureness(
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int32] | NDArray[np.uint8],
    decision: Decision,
) -> NDArray[np.float32]:
    """Return how sure the classifier is of each mistake, shape (rows, labels); 0 where there is none."""
    if targets.ndim == 2:
        given, own = probabilities >= np.array(decision.bars, np.float32), targets != 0
        sure = np.where(given, probabilities, 1 - probabilities)
        return np.where(given != own, sure, 0).astype(np.float32)
    best = probabilities.argmax(axis=1)
    wrong = np.zeros_like(probabilities)
    rows = np.flatnonzero(best != targets)
    wrong[rows, best[rows]] = probabilities[rows, best[rows]]
    return wrong

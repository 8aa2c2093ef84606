"""From probabilities to a prediction: a label, several, or `unknown` with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import Code, Reason
from vidclf_cli.records import Evidence, LabelScore, Prediction
from vidclf_cli.scoring import Scorer, Task

_NO_EVIDENCE = Reason(Code.NO_EVIDENCE, "nothing of this video can be read by the classifier")


@dataclass(frozen=True, slots=True)
class Decision:
    """How the probabilities of one video become its prediction.

    Attributes:
        labels: The labels in the order of the probabilities.
        task: `single` gives the most probable label, `multi` every label over its bar.
        bars: Per label the confidence from which on it is given, shape (labels,).
        top_k: How many alternatives a prediction lists.
    """

    labels: tuple[str, ...]
    task: Task
    bars: tuple[float, ...]
    top_k: int

    @classmethod
    def for_scorer(cls, scorer: Scorer, top_k: int, min_confidence: float | None = None) -> Decision:
        """Take the bars of a scorer; `min_confidence` overrules all of them."""
        if min_confidence is None:
            bars = _own_bars(scorer.labels, scorer.thresholds, scorer.min_confidence)
        else:
            bars = (min_confidence,) * len(scorer.labels)
        return cls(scorer.labels, scorer.task, bars, top_k)

    def predict(
        self,
        probabilities: NDArray[np.float32],
        *,
        has_evidence: bool = True,
        evidence: tuple[Evidence, ...] = (),
    ) -> Prediction:
        """Decide about one video.

        Args:
            probabilities: Shape (labels,).
            has_evidence: False when the video has nothing in any space that was read.
            evidence: What spoke for the most probable label.
        """
        if not has_evidence:
            return Prediction((), 0.0, reason=_NO_EVIDENCE)
        order = [int(index) for index in np.argsort(-probabilities, kind="stable")]
        best = order[0]
        candidates = order if self.task == "multi" else order[:1]
        chosen = [index for index in candidates if probabilities[index] >= self.bars[index]]
        others = [index for index in order if index not in chosen][: self.top_k]
        alternatives = tuple(LabelScore(self.labels[index], float(probabilities[index])) for index in others)
        reason = None if chosen else self._too_low(best, float(probabilities[best]))
        labels = tuple(self.labels[index] for index in chosen)
        # With bars per label the first label given need not be the most probable one.
        shown = chosen[0] if chosen else best
        return Prediction(labels, float(probabilities[shown]), alternatives, evidence, reason)

    def _too_low(self, best: int, confidence: float) -> Reason:
        bar = self.bars[best]
        # As many digits as tell them apart: "0.50 is below 0.50" would look like a fault.
        digits = next((count for count in (2, 3) if f"{confidence:.{count}f}" != f"{bar:.{count}f}"), 4)
        guess = f"best guess {self.labels[best]} {confidence:.{digits}f} is below {bar:.{digits}f}"
        return Reason(Code.LOW_CONFIDENCE, guess)


def _own_bars(
    labels: tuple[str, ...], thresholds: Mapping[str, float], min_confidence: float
) -> tuple[float, ...]:
    return tuple(thresholds.get(label, min_confidence) for label in labels)

"""From probabilities to a prediction: a label, several, or `unknown` with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import Code, Reason, UsageError
from vidclf_cli.records import Evidence, LabelScore, Prediction
from vidclf_cli.scoring import Scorer, Task

_NO_EVIDENCE = Reason(Code.NO_EVIDENCE, "nothing of this video can be read by the classifier")


@dataclass(frozen=True, slots=True)
class Decision:
    """How the probabilities of one video become its prediction.

    Attributes:
        labels: The labels in the order of the probabilities.
        task: `single` gives the most probable label, `multi` every label over its bar.
        bars: Per label the confidence from which on it is given, shape (labels,); infinite: never.
        top_k: How many alternatives a prediction lists.
    """

    labels: tuple[str, ...]
    task: Task
    bars: tuple[float, ...]
    top_k: int

    @classmethod
    def for_scorer(
        cls,
        scorer: Scorer,
        top_k: int,
        min_confidence: float | None = None,
        bars: tuple[float, ...] | None = None,
    ) -> Decision:
        """Take the bars of a scorer; `bars`, else `min_confidence`, overrule all of them."""
        if bars is None:
            bars = (
                _own_bars(scorer.labels, scorer.thresholds, scorer.min_confidence)
                if min_confidence is None
                else (min_confidence,) * len(scorer.labels)
            )
        return cls(scorer.labels, scorer.task, bars, top_k)

    @property
    def never_given(self) -> tuple[str, ...]:
        """Labels that no confidence is enough for."""
        return tuple(label for label, bar in zip(self.labels, self.bars, strict=True) if bar == math.inf)

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
        if bar == math.inf:
            guess = f"best guess {self.labels[best]} {confidence:.2f} is never given"
            return Reason(
                Code.LOW_CONFIDENCE, f"{guess}: no confidence in it is known to be right often enough"
            )
        # As many digits as tell them apart: "0.50 is below 0.50" would look like a fault.
        digits = next((count for count in (2, 3) if f"{confidence:.{count}f}" != f"{bar:.{count}f}"), 4)
        guess = f"best guess {self.labels[best]} {confidence:.{digits}f} is below {bar:.{digits}f}"
        return Reason(Code.LOW_CONFIDENCE, guess)


def check_one_bar(
    min_confidence: float | None, target_precision: float | None, words: Sequence[str] = ()
) -> None:
    """Refuse what says twice, or cannot say, from when on a label is given.

    Args:
        min_confidence: One bar for every label.
        target_precision: The bars of a precision.
        words: Labels given as words.

    Raises:
        UsageError: Both bars are given, or a precision of labels that nothing was measured of.
    """
    if target_precision is None:
        return
    if not 0 < target_precision < 1:
        raise UsageError(f"The precision asked for is {target_precision:g}.", "It must be between 0 and 1.")
    if min_confidence is not None:
        raise UsageError(
            "Both a least confidence and a precision are given.",
            "Give one: --min-confidence is one bar for all labels, --target-precision one for each.",
        )
    if words:
        raise UsageError(
            "Labels given as words hold no thresholds by precision: nothing was measured of them.",
            "Give --min-confidence instead, or train a classifier (`vidclf train`).",
        )


def _own_bars(
    labels: tuple[str, ...], thresholds: Mapping[str, float], min_confidence: float
) -> tuple[float, ...]:
    return tuple(thresholds.get(label, min_confidence) for label in labels)

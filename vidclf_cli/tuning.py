"""Set a classifier's bars so that what it gives is right often enough, by labelled rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli import __version__
from vidclf_cli.classifier import Classifier
from vidclf_cli.classifier_card import ClassifierCard
from vidclf_cli.decide import Decision
from vidclf_cli.errors import UsageError
from vidclf_cli.metrics import Answered, answered
from vidclf_cli.precision import (
    NEVER,
    TARGETS,
    PrecisionTable,
    cross_checked,
    fit_precision,
    none_reaches,
)
from vidclf_cli.scored_rows import ScoredRows

_MOST_BARS = 1000
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class TunedLabel:
    """What became of one label.

    Attributes:
        label: Its name.
        row_count: Rows that have it.
        threshold: Its bar; infinite when no bar reaches the precision.
        given_count: Rows it is given to at its bar.
        right_count: Those of them that have it.
    """

    label: str
    row_count: int
    threshold: float
    given_count: int
    right_count: int

    @property
    def precision(self) -> float:
        """The share of the rows given that is right; NaN where it is given to none."""
        return self.right_count / self.given_count if self.given_count else math.nan

    @property
    def coverage(self) -> float:
        """The share of its own rows that get it; NaN where no row has it."""
        return self.right_count / self.row_count if self.row_count else math.nan


@dataclass(frozen=True, slots=True)
class Point:
    """What is answered, and how well, at one precision that was asked for."""

    target: float
    answered: Answered


@dataclass(frozen=True, slots=True)
class Tuning:
    """What came out.

    Attributes:
        model: Name of the classifier that was tuned @ first 12 of its SHA-256.
        target: The precision that was asked for.
        labels: One entry per label of the classifier, in its order.
        table: Thresholds for a grid of precisions, `target` among them.
        before: What is answered on these rows at the bars that the classifier had.
        after: The same at the new bars, which were set on these very rows.
        checked: The same on rows that took no part in setting their bars: a fifth of the sources at a time,
            by bars from the others.
        points: What is answered at each precision of the grid that some label reaches.
        rows: What it was tuned on.
    """

    model: str
    target: float
    labels: tuple[TunedLabel, ...]
    table: PrecisionTable
    before: Answered
    after: Answered
    checked: Answered
    points: tuple[Point, ...]
    rows: ScoredRows

    @property
    def bars(self) -> dict[str, float]:
        """Label to its new bar."""
        return {each.label: each.threshold for each in self.labels}

    @property
    def never_given(self) -> tuple[str, ...]:
        """Labels that no bar brings to the precision."""
        return tuple(each.label for each in self.labels if each.threshold == NEVER)


def check_not_itself(model: Path, out: Path) -> None:
    """Refuse to replace the classifier that is tuned.

    Raises:
        UsageError: Both are one file.
    """
    if out.exists() and out.samefile(model):
        raise UsageError(
            f"{out} is the classifier that is to be tuned.",
            "Give --out another name, or --force if you do not need the old one.",
        )


def picture_beside(out: Path) -> Path:
    """Return where the picture of precision against coverage goes: `my_precision.png` beside `my.onnx`."""
    return out.with_name(f"{out.stem}_precision.png")


def tune_rows(classifier: Classifier, rows: ScoredRows, target: float) -> Tuning:
    """Find the bars at which a classifier reaches a precision.

    Args:
        classifier: Whose bars they are.
        rows: What it says to labelled rows.
        target: The precision, between 0 and 1.

    Raises:
        UsageError: No label reaches it on these rows, or there are too many labels.
    """
    labels, task = classifier.labels, classifier.task
    grid = tuple(sorted({*TARGETS, target}))
    table = fit_precision(
        rows.probabilities, rows.targets, labels, task, rows.groups, has_evidence=rows.has_evidence, grid=grid
    )
    if table is None:
        raise UsageError(
            f"{classifier.name} has {len(labels):,} labels, too many to keep thresholds by precision for.",
            "Give `vidclf classify` a --min-confidence instead.",
        )
    bars = table.bars(labels, target)
    if bars is None or all(bar == NEVER for bar in bars):
        raise none_reaches(table, labels, target, classifier.name)
    return Tuning(
        model=classifier.name,
        target=target,
        labels=tuple(_labels(rows, labels, bars)),
        table=table,
        before=_answered(rows, Decision.for_scorer(classifier, top_k=0).bars),
        after=_answered(rows, bars),
        checked=cross_checked(
            rows.probabilities,
            rows.targets,
            labels,
            task,
            rows.groups,
            target,
            has_evidence=rows.has_evidence,
        ),
        points=tuple(_points(rows, labels, table)),
        rows=rows,
    )


def tuned_card(card: ClassifierCard, tuning: Tuning, data: str) -> ClassifierCard:
    """Return the description of the tuned classifier; what was done to it before stays in it.

    Args:
        card: That of the classifier as it was.
        tuning: What came out.
        data: Name of the data, without its place.
    """
    checked = tuning.checked
    entry = {
        "from": tuning.model,
        "data": data,
        "split": tuning.rows.split,
        "rows": tuning.table.row_count,
        "sources": tuning.table.group_count,
        "failed": len(tuning.rows.failures),
        "target_precision": tuning.target,
        "precision": _rounded(checked.precision.to_dict()),
        "coverage": _rounded(checked.coverage),
        "never_given": len(tuning.never_given),
        "date": datetime.now(UTC).date().isoformat(),
        "vidclf": __version__,
    }
    history = card.recipe.get("tuned")
    earlier = history if isinstance(history, list) else []
    bars = tuning.bars
    return replace(
        card,
        thresholds={label: bar for label, bar in bars.items() if bar != card.min_confidence},
        precision=tuning.table,
        recipe={**card.recipe, "tuned": [*earlier, entry]},
    )


def one_bar_curve(rows: ScoredRows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coverage and precision of single bars for all labels, both of shape (bars,), the highest first.

    Up to 1,000 bars, each the confidence of some row in its surest label.
    """
    surest = np.sort(rows.probabilities.max(axis=1)[rows.has_evidence])
    if not surest.size:
        return np.empty(0), np.empty(0)
    bars = np.unique(surest[np.linspace(0, surest.size - 1, _MOST_BARS).astype(np.int64)])[::-1]
    if rows.targets.ndim == 1:
        scores = rows.probabilities.max(axis=1)[rows.has_evidence]
        right = (rows.probabilities.argmax(axis=1) == rows.targets)[rows.has_evidence]
    else:
        scores = rows.probabilities[rows.has_evidence].ravel()
        right = (rows.targets != 0)[rows.has_evidence].ravel()
    order = np.argsort(-scores, kind="stable")
    given = np.searchsorted(-scores[order], -bars, side="right")
    hits = np.cumsum(right[order])
    covered = surest.size - np.searchsorted(surest, bars, side="left")
    return covered / len(rows), hits[given - 1] / given


def _answered(rows: ScoredRows, bars: Sequence[float]) -> Answered:
    return answered(rows.probabilities, rows.targets, bars, rows.groups, has_evidence=rows.has_evidence)


def _labels(rows: ScoredRows, labels: Sequence[str], bars: Sequence[float]) -> Iterator[TunedLabel]:
    guesses = rows.probabilities.argmax(axis=1)
    for number, (label, bar) in enumerate(zip(labels, bars, strict=True)):
        given = (rows.probabilities[:, number] >= np.float32(bar)) & rows.has_evidence
        if rows.targets.ndim == 1:
            given &= guesses == number
            has = rows.targets == number
        else:
            has = rows.targets[:, number] != 0
        yield TunedLabel(label, int(has.sum()), bar, int(given.sum()), int((given & has).sum()))


def _points(rows: ScoredRows, labels: Sequence[str], table: PrecisionTable) -> Iterator[Point]:
    for target, bars in table.reached(labels):
        yield Point(target, _answered(rows, bars))


def _rounded(value: Any) -> Any:
    """Return numbers with six significant digits: the description of a file stays short."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) and math.isfinite(value) else value

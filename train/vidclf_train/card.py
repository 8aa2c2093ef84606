"""What a trained classifier says of itself: the document in its file, all of it measured or counted."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli import __version__
from vidclf_cli.classifier_card import ClassifierCard, ClassifierInput
from vidclf_cli.dataset import Dataset, Rows
from vidclf_cli.metrics import answered, calibration_error, confusion_counts, measure
from vidclf_cli.precision import NEVER, PrecisionTable, cross_checked
from vidclf_cli.scoring import Task
from vidclf_train.export import input_names
from vidclf_train.fitted import Fitted, HeldOut

NO_LICENCE = "not stated"

_PACKAGES = ("numpy", "onnx", "onnxruntime-gpu", "onnxruntime", "scikit-learn", "torch")
_MOST_CONFUSION_LABELS = 30
_MOST_DETAILED_LABELS = 1000
"""With more, figures per label stay out: the description of a file has an upper size."""

_DIGITS = 6
_BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the data comes from, as far as it does not show in a `Dataset`.

    Attributes:
        name: Of the file or folder, without its place.
        is_grouped: Whether somebody said which rows come from one source.
        failed_count: Videos that could not be read.
        notes: What was left out and what looks odd, a sentence each.
    """

    name: str
    is_grouped: bool
    failed_count: int = 0
    notes: tuple[str, ...] = ()


def build_card(
    fitted: Fitted,
    dataset: Dataset,
    source: Provenance,
    *,
    name: str,
    licence: str = NO_LICENCE,
    seed: int = 0,
) -> ClassifierCard:
    """Measure a trained classifier and describe it.

    The same data, recipe, seed and software give the same card: how long it took is told elsewhere.

    Args:
        fitted: What was trained.
        dataset: The rows that it was trained on.
        source: Where they come from.
        name: What its maker calls it.
        licence: Under which terms it may be used.
        seed: That it was trained with.
    """
    dimensions = [dataset.vectors[space].shape[1] for space in fitted.spaces]
    inputs = tuple(
        # All are optional: a video without sound gets an answer from its picture.
        ClassifierInput(*each, required=False)
        for each in zip(input_names(fitted.spaces), fitted.spaces, dimensions, strict=True)
    )
    return ClassifierCard(
        name=name,
        labels=fitted.labels,
        task=fitted.task,
        inputs=inputs,
        temperature=fitted.temperature,
        thresholds=dict(fitted.thresholds),
        min_confidence=fitted.min_confidence,
        metrics=_rounded(_metrics(fitted, dataset, source)),
        recipe=_rounded({"seed": seed, **without_seconds(fitted.report)}),
        versions=_versions(),
        licence=licence,
        precision=fitted.precision,
    )


def uncalibrated(probabilities: NDArray[np.float32], temperature: float, task: Task) -> NDArray[np.float64]:
    """Undo the division of the logits by a temperature.

    Args:
        probabilities: Shape (rows, labels).
        temperature: What the logits were divided by.
        task: Whether they are a softmax or sigmoids.
    """
    tiny = np.finfo(np.float32).tiny
    scores = np.clip(probabilities.astype(np.float64), tiny, 1)
    if task == "multi":
        # The largest float32 below 1: more than that is not known of what reads 1.
        scores = np.minimum(scores, 1 - 2.0**-24)
        odds = np.exp(temperature * (np.log(scores) - np.log1p(-scores)))
        return np.asarray(odds / (1 + odds))
    logs = temperature * np.log(scores)
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def without_seconds(report: Any) -> Any:
    """Return a JSON document without the entries that say how long something took."""
    if isinstance(report, Mapping):
        return {key: without_seconds(value) for key, value in report.items() if not _is_duration(key)}
    return [without_seconds(each) for each in report] if isinstance(report, list | tuple) else report


def _is_duration(key: str) -> bool:
    return key == "seconds" or key.endswith("_seconds")


def _metrics(fitted: Fitted, dataset: Dataset, source: Provenance) -> dict[str, Any]:
    metrics: dict[str, Any] = {"data": _data(fitted, dataset, source)}
    for key, part in (("held_out", fitted.held_out), ("test", fitted.test)):
        if part is not None and len(part.rows):
            metrics[key] = _measured(fitted, dataset, part)
    return metrics


def _data(fitted: Fitted, dataset: Dataset, source: Provenance) -> dict[str, Any]:
    targets = dataset.targets
    counts = np.bincount(targets, minlength=len(dataset.labels)) if targets.ndim == 1 else targets.sum(axis=0)
    data = {
        "name": source.name,
        "rows": len(dataset),
        "groups": len(set(dataset.groups)),
        "is_grouped": source.is_grouped,
        "failed": source.failed_count,
        "empty_rows": {space: count_empty(dataset.vectors[space]) for space in fitted.spaces},
        "notes": list(source.notes),
    }
    if len(dataset.labels) <= _MOST_DETAILED_LABELS:
        data["rows_per_label"] = dict(zip(dataset.labels, counts.tolist(), strict=True))
        data["sources_per_label"] = dict(zip(dataset.labels, _source_counts(dataset), strict=True))
    return data


def _source_counts(dataset: Dataset) -> list[int]:
    """Return of how many sources the rows of each label are."""
    numbers = np.unique(list(dataset.groups), return_inverse=True)[1]
    of_label = (
        numbers[dataset.targets == label if dataset.targets.ndim == 1 else dataset.targets[:, label] > 0]
        for label in range(len(dataset.labels))
    )
    return [len(np.unique(each)) for each in of_label]


def count_empty(table: Rows) -> int:
    """Return how many rows are all zeros: videos that have nothing there."""
    starts = range(0, table.shape[0], _BLOCK_ROWS)
    return sum(int((~table[start : start + _BLOCK_ROWS].any(axis=1)).sum()) for start in starts)


def _measured(fitted: Fitted, dataset: Dataset, part: HeldOut) -> dict[str, Any]:
    """Return the measures of some rows; figures per label only where they are not too many."""
    bars = np.array([fitted.thresholds.get(label, fitted.min_confidence) for label in fitted.labels])
    targets = dataset.targets[part.rows]
    groups = [dataset.groups[row] for row in part.rows]
    measures = measure(part.probabilities, targets, fitted.task, groups, bars=bars)
    # Of held-out rows only about what it was: each fold has been divided by a temperature of its own.
    raw = uncalibrated(part.probabilities, fitted.temperature, fitted.task)
    document = measures.to_dict() | {"calibration_error_before": calibration_error(raw, targets)}
    if len(fitted.labels) > _MOST_DETAILED_LABELS:
        del document["per_label"]
    else:
        document["per_label"] |= _at_bars(part.probabilities, targets, bars)
        document["per_label"]["threshold"] = bars.tolist()
    if fitted.precision is not None:
        document["at_precision"] = _at_precisions(fitted, fitted.precision, part, targets, groups)
    if fitted.task == "single" and len(fitted.labels) <= _MOST_CONFUSION_LABELS:
        document["confusion"] = confusion_counts(part.probabilities, targets).tolist()
    return document


def _at_precisions(
    fitted: Fitted,
    table: PrecisionTable,
    part: HeldOut,
    targets: NDArray[np.integer[Any]],
    groups: Sequence[str],
) -> list[dict[str, Any]]:
    """Return what is answered at the thresholds of each precision that some label reaches.

    On the held-out rows, which set the thresholds, a fifth of the sources at a time by those of the others.
    """
    found = []
    for target, bars in table.reached(fitted.labels):
        if part is fitted.held_out:
            at_bars = cross_checked(part.probabilities, targets, fitted.labels, fitted.task, groups, target)
        else:
            at_bars = answered(part.probabilities, targets, bars, groups)
        label_count = sum(bar != NEVER for bar in bars)
        found.append({"target": target, "labels": label_count, **at_bars.to_dict()})
    return found


def _at_bars(
    probabilities: NDArray[np.float32], targets: NDArray[np.integer[Any]], bars: NDArray[np.float64]
) -> dict[str, list[Any]]:
    """Return per label to how many rows it is given at its bar, and to how many of them rightly."""
    given = probabilities >= bars
    numbers = np.arange(len(bars))
    if targets.ndim == 1:
        given &= probabilities.argmax(axis=1)[:, None] == numbers
        right = given & (targets[:, None] == numbers)
    else:
        right = given & (targets != 0)
    return {"answered": given.sum(axis=0).tolist(), "right_of_answered": right.sum(axis=0).tolist()}


def _versions() -> dict[str, str]:
    versions = {"vidclf": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # One of the two ONNX Runtimes.
            continue
    return versions


def _rounded(value: Any) -> Any:
    """Return a JSON document with six significant digits, so that it stays short; NaN becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value

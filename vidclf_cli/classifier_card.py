"""What a classifier file says of itself: the JSON document in its metadata, checked value by value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vidclf_cli.errors import ClassifierError
from vidclf_cli.precision import NEVER, PrecisionTable
from vidclf_cli.scoring import Task

METADATA_KEY = "vidclf"
FORMAT_VERSION = 1
_TEXT_LIMIT = 4_000_000  # Characters; 100,000 labels of 40 characters.
_LABEL_LIMIT = 500  # Characters of one label.
UNKNOWN = "unknown"
"""No label: it is what a row says when no label is likely enough."""

_DAMAGED = "Make it again, or ask whoever made it."


@dataclass(frozen=True, slots=True)
class ClassifierInput:
    """One input of the graph.

    Attributes:
        name: Its name in the graph.
        space: Id of the space of its vectors.
        dimension: Length of a vector.
        required: Whether nothing can be said without it.
    """

    name: str
    space: str
    dimension: int
    required: bool


@dataclass(frozen=True, slots=True)
class ClassifierCard:
    """The document.

    Attributes:
        name: What its maker called it.
        labels: In the order of the output's columns; not empty, no duplicates.
        task: `single` or `multi`.
        inputs: One per space.
        temperature: What the graph divides its logits by, for the record: `probabilities` is calibrated.
        thresholds: Labels whose own bar differs from `min_confidence`; an infinite one: never given.
        min_confidence: Below it the answer is unknown.
        metrics: How well it does, and on which data.
        recipe: How it was made.
        versions: With which software.
        licence: Under which terms it may be used.
        precision: Thresholds by the precision that they reach; None in files that hold none.
    """

    name: str
    labels: tuple[str, ...]
    task: Task
    inputs: tuple[ClassifierInput, ...]
    temperature: float
    thresholds: Mapping[str, float]
    min_confidence: float
    metrics: Mapping[str, Any]
    recipe: Mapping[str, Any]
    versions: Mapping[str, Any]
    licence: str
    precision: PrecisionTable | None = None

    def to_json(self) -> str:
        """Return the document as it stands in a file's metadata."""
        inputs = [
            {"name": each.name, "space": each.space, "dimension": each.dimension, "required": each.required}
            for each in self.inputs
        ]
        document: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "name": self.name,
            "labels": list(self.labels),
            "task": self.task,
            "inputs": inputs,
            "temperature": self.temperature,
            "thresholds": {label: None if bar == NEVER else bar for label, bar in self.thresholds.items()},
            "min_confidence": self.min_confidence,
            "metrics": dict(self.metrics),
            "recipe": dict(self.recipe),
            "versions": dict(self.versions),
            "licence": self.licence,
        }
        if self.precision is not None:
            document["precision"] = self.precision.to_dict()
        return json.dumps(document, ensure_ascii=False, allow_nan=False)


def parse_card(text: str, file_name: str) -> ClassifierCard:
    """Read and check the document.

    Args:
        text: The JSON.
        file_name: For messages.

    Raises:
        ClassifierError: It is damaged, contradicts itself, or comes from a newer version.
    """
    return _Parser(file_name).parse(text)


def label_problem(label: str) -> str:
    """Return why a text cannot be a label, to be read after `the label ...`; empty when it can."""
    if not label.strip():
        return "is empty"
    if label.strip().casefold() == UNKNOWN:
        return "is what vidclf answers when no label is likely enough"
    too_long = len(label) > _LABEL_LIMIT
    return "is too long or has control characters" if too_long or not label.isprintable() else ""


class _Parser:
    """Checks values one by one; every complaint names the file and the key."""

    def __init__(self, file_name: str) -> None:
        self._file_name = file_name

    def parse(self, text: str) -> ClassifierCard:
        document = self._load(text)
        version = document.get("format")
        if isinstance(version, int) and not isinstance(version, bool) and version > FORMAT_VERSION:
            raise ClassifierError(
                f"{self._file_name} is of format {version}, and this vidclf reads up to {FORMAT_VERSION}.",
                "Upgrade vidclf: `pip install --upgrade vidclf`.",
            )
        if version != FORMAT_VERSION:
            raise self._refusal(f"its format is {version!r}")
        labels = self._labels(document)
        return ClassifierCard(
            name=self._text(document, "name"),
            labels=labels,
            task=self._task(document),
            inputs=self._inputs(document),
            temperature=self._number(document.get("temperature", 1.0), "temperature", 1e-6, 1e6),
            thresholds=self._thresholds(document, labels),
            min_confidence=self._number(document.get("min_confidence"), "min_confidence", 0.0, 1.0),
            metrics=self._mapping(document, "metrics"),
            recipe=self._mapping(document, "recipe"),
            versions=self._mapping(document, "versions"),
            licence=self._text(document, "licence"),
            precision=self._precision(document, labels),
        )

    def _load(self, text: str) -> dict[str, Any]:
        if len(text) > _TEXT_LIMIT:
            raise self._refusal("its description is absurdly long")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise self._refusal("its description is no JSON") from None
        if not isinstance(document, dict):
            raise self._refusal("its description is no JSON object")
        return document

    def _labels(self, document: dict[str, Any]) -> tuple[str, ...]:
        labels = document.get("labels")
        if not isinstance(labels, list) or len(labels) < 2:
            raise self._refusal("it has fewer than two labels")
        for label in labels:
            if not isinstance(label, str) or not label.strip():
                raise self._refusal("one of its labels is empty or no text")
            if problem := label_problem(label):
                raise self._refusal(f"its label {label[:40]!r} {problem}")
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise self._refusal(f"its label {twice!r} is there twice")
        return tuple(labels)

    def _task(self, document: dict[str, Any]) -> Task:
        match document.get("task"):
            case "single":
                return "single"
            case "multi":
                return "multi"
            case other:
                raise self._refusal(f"its task is {other!r:.60}, neither `single` nor `multi`")

    def _inputs(self, document: dict[str, Any]) -> tuple[ClassifierInput, ...]:
        entries = document.get("inputs")
        if not isinstance(entries, list) or not entries:
            raise self._refusal("it names no inputs")
        inputs = tuple(self._input(entry) for entry in entries)
        if len({each.name for each in inputs}) < len(inputs) or len({each.space for each in inputs}) < len(
            inputs
        ):
            raise self._refusal("one of its inputs is there twice")
        return inputs

    def _input(self, entry: Any) -> ClassifierInput:
        if not isinstance(entry, dict):
            raise self._refusal("one of its inputs is no JSON object")
        dimension, required = entry.get("dimension"), entry.get("required")
        if not isinstance(dimension, int) or isinstance(dimension, bool) or not 0 < dimension < 1 << 20:
            raise self._refusal(f"the dimension of an input is {dimension!r}")
        if not isinstance(required, bool):
            raise self._refusal(f"`required` of an input is {required!r}")
        return ClassifierInput(self._text(entry, "name"), self._text(entry, "space"), dimension, required)

    def _thresholds(self, document: dict[str, Any], labels: tuple[str, ...]) -> dict[str, float]:
        thresholds = self._mapping(document, "thresholds")
        self._check_known(thresholds, labels)
        return {
            label: NEVER if value is None else self._number(value, "thresholds", 0.0, 1.0)
            for label, value in thresholds.items()
        }

    def _precision(self, document: dict[str, Any], labels: tuple[str, ...]) -> PrecisionTable | None:
        if "precision" not in document:
            return None
        entry = self._mapping(document, "precision")
        thresholds = self._mapping(entry, "thresholds")
        self._check_known(thresholds, labels)
        targets = self._ascending(entry.get("targets"), "targets")
        if not targets or len(set(targets)) < len(targets) or not 0 < targets[0] <= targets[-1] < 1:
            raise self._refusal("its `targets` of precision are not between 0 and 1")
        bars = {label: self._ascending(values, "thresholds") for label, values in thresholds.items()}
        if any(len(values) > len(targets) for values in bars.values()):
            raise self._refusal("it has more thresholds by precision than precisions")
        counts = [int(self._number(entry.get(key), key, 0, 1e12)) for key in ("rows", "sources")]
        return PrecisionTable(targets, bars, *counts)

    def _check_known(self, thresholds: dict[str, Any], labels: tuple[str, ...]) -> None:
        if strange := set(thresholds) - set(labels):
            raise self._refusal(f"it has a threshold for {min(strange)!r}, which is none of its labels")

    def _ascending(self, values: Any, key: str) -> tuple[float, ...]:
        if not isinstance(values, list):
            raise self._refusal(f"its `{key}` is {values!r:.60}, not a list of numbers")
        numbers = tuple(self._number(value, key, 0.0, 1.0) for value in values)
        if list(numbers) != sorted(numbers):
            raise self._refusal(f"its `{key}` do not ascend")
        return numbers

    def _mapping(self, document: dict[str, Any], key: str) -> dict[str, Any]:
        value = document.get(key, {})
        if not isinstance(value, dict):
            raise self._refusal(f"its `{key}` is no JSON object")
        return value

    def _text(self, document: dict[str, Any], key: str) -> str:
        value = document.get(key)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self._refusal(f"its `{key}` is {value!r:.60}, not a line of text")
        return value

    def _number(self, value: Any, key: str, low: float, high: float) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            raise self._refusal(f"its `{key}` is {value!r:.60}, not a number from {low:g} to {high:g}")
        return float(value)

    def _refusal(self, problem: str) -> ClassifierError:
        return ClassifierError(f"{self._file_name} cannot be used: {problem}.", _DAMAGED)

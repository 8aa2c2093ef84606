"""A classifier's card as Markdown: the file beside it, else what stands in the file itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vidclf_cli.classifier import Classifier, load_classifier
from vidclf_cli.classifier_card import ClassifierCard
from vidclf_cli.precision import NEVER


def describe_classifier(model: str | Path) -> str:
    """Return a classifier's card as Markdown.

    Raises:
        ClassifierError: It cannot be used.
    """
    classifier = load_classifier(model)
    beside = classifier.path.with_suffix(".md")
    try:
        text = beside.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return _describe(classifier)
    # What was written beside it tells of the thresholds that it had then.
    later = [*_tuned(classifier.card)]
    return "\n".join([text.rstrip("\n"), *later, *_precision(classifier.card), ""]) if later else text


def _describe(classifier: Classifier) -> str:
    card = classifier.card
    inputs = (f"`{each.space}` ({'required' if each.required else 'optional'})" for each in card.inputs)
    lines = [
        f"# {card.name}",
        "",
        f"- labels: {', '.join(card.labels)}",
        f"- task: {card.task}",
        f"- inputs: {', '.join(inputs)}",
        f"- below {card.min_confidence:g} the answer is unknown, where a label has no threshold of its own",
        f"- licence: {card.licence}",
        *_tuned(card),
        *_precision(card),
    ]
    recipe = {key: value for key, value in card.recipe.items() if key != "tuned"}
    for title, values in (("metrics", card.metrics), ("recipe", recipe), ("versions", card.versions)):
        lines += ["", f"## {title}", "", *(f"- {key}: {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _tuned(card: ClassifierCard) -> Iterator[str]:
    """Yield what `vidclf tune` did, the last time last; the file may come from anybody."""
    history = card.recipe.get("tuned")
    entries = [each for each in history if isinstance(each, Mapping)] if isinstance(history, list) else []
    if entries:
        yield from ("", "## tuned", "")
    for entry in entries:
        told = {key: value for key, value in entry.items() if value is not None}
        yield "- " + ", ".join(f"{key.replace('_', ' ')} {_inline(value)}" for key, value in told.items())


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_inline(each)}" for key, each in value.items() if each is not None)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _precision(card: ClassifierCard) -> Iterator[str]:
    if card.precision is None:
        return
    yield from ("", "## thresholds by precision", "")
    for target, bars in card.precision.reached(card.labels):
        given = [f"{label} {bar:.2f}" for label, bar in zip(card.labels, bars, strict=True) if bar != NEVER]
        yield f"- {target:g}: {', '.join(given)}"
    if not card.precision.thresholds:
        yield f"- no label reaches {card.precision.targets[0]:g}"

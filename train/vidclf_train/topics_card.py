"""The Markdown card beside a topics classifier; every figure comes from the file itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidclf_cli.classifier import Classifier

_TEMPLATE = Path(__file__).with_name("topics_card.md")


def write_card(classifier: Classifier, counts: Sequence[str]) -> Path:
    """Write the card of a classifier beside it; `counts` are its entities and verticals."""
    card = classifier.card
    rows = [_row(key, value) for key, value in card.metrics.items() if "half" in key]
    text = card.metrics["text, cross-validation"]
    plain = card.metrics["text, cross-validation, plain recipe"]
    recipe = card.recipe["scales"]
    filled = _TEMPLATE.read_text(encoding="utf-8").format(
        name=card.name,
        labels=", ".join(card.labels),
        entities=counts[0],
        verticals=counts[1],
        names=text["names"],
        long_texts=text["names_with_descriptions"],
        plain_names=plain["names"],
        plain_long_texts=plain["names_with_descriptions"],
        bar=card.min_confidence,
        scales=", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in recipe.items()),
        rows="\n".join(rows) or "| not measured | | | | | |",
        licence=card.licence,
    )
    path = classifier.path.with_suffix(".md")
    path.write_text(filled, encoding="utf-8", newline="\n")
    return path


def _row(key: str, value: dict[str, Any]) -> str:
    accuracy = f"{value['accuracy']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
    cells = [
        key,
        str(value["count"]),
        accuracy,
        f"{value['calibration_error']:.3f}",
        f"{value['answered']:.3f}",
        f"{value['right_of_answered']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"

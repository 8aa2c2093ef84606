"""The Markdown card beside a trained classifier: what its file says, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from vidclf_cli.classifier_card import ClassifierCard
from vidclf_cli.wording import counted
from vidclf_train.figures import CONFUSION, LEARNING_CURVE, RELIABILITY, UMAP

MARK = "Made by `vidclf train`"
"""Stands in every card, and tells it from a text of the user's own that happens to have its name."""

FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "mean_average_precision": "mAP",
    "global_average_precision": "GAP@20",
    "micro_f1": "micro F1",
}
"""What the headline figures are called, in the order in which they are shown."""

CHOSEN_ON_THESE = (
    "There is no separate test set: the heads, their mix and the thresholds were chosen on these held-out "
    "predictions themselves, so the figures are a little too good."
)
UNMEASURED = "Not measured: there were too few rows, or sources, to hold any of them out."

FEW = 10
"""Videos of a label below which its figures are guesses."""

_PARTS = {"held_out": "held out", "test": "test"}
_FEW_GROUPS = 10
_MOST_LISTED = 200  # Labels that a table lists.
_ENGLISH_SPACE = "local/all-minilm"


def card_text(card: ClassifierCard, report: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """Return the whole card.

    Args:
        card: The document in the file.
        report: Of the training; only what took how long is not in the document.
        pictures: Name of a picture to where it is, relative to the card.
    """
    sections = [
        _head(card),
        _data(card, pictures),
        _figures(card),
        _labels(card),
        _confusion(card, pictures),
        _calibration(card, pictures),
        _precision(card),
        _limits(card),
        _making(card, report, pictures),
        f"Licence: {_cell(card.licence)}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def evaluated(card: ClassifierCard) -> Mapping[str, Any]:
    """Return the measures that tell best what to expect: of the test rows if any, else the held-out ones."""
    return card.metrics.get("test") or card.metrics.get("held_out") or {}


def interval_text(figure: Mapping[str, Any]) -> str:
    """Return `0.812 (0.750 to 0.871)`, or what is known of it."""
    if figure.get("value") is None:
        return "not defined"
    value = f"{figure['value']:.3f}"
    known = figure.get("low") is not None
    return f"{value} ({figure['low']:.3f} to {figure['high']:.3f})" if known else value


def _head(card: ClassifierCard) -> str:
    spaces = ", ".join(f"`{each.space}`" for each in card.inputs)
    kind = "one label per video" if card.task == "single" else "any number of labels per video"
    lines = [
        f"# {_cell(card.name)}",
        "",
        f"{len(card.labels)} labels, {kind}, from {spaces}; each input may be missing.",
        "",
        f"Labels: {', '.join(map(_cell, card.labels[:_MOST_LISTED]))}{_more(card.labels)}.",
    ]
    return "\n".join(lines)


def _data(card: ClassifierCard, pictures: Mapping[str, str]) -> str:
    data = card.metrics["data"]
    sources = f" of {counted(data['groups'], 'source')}" if data["is_grouped"] else ""
    lines = ["## Data", "", f"{_cell(data['name'])}: {counted(data['rows'], 'row')}{sources}."]
    empty = [f"{space}: {count:,}" for space, count in data["empty_rows"].items() if count]
    if empty:
        lines += ["", f"Rows that have nothing in a space: {', '.join(empty)}."]
    if data["failed"]:
        lines += ["", f"{counted(data['failed'], 'video')} could not be read and took no part."]
    if data["notes"]:
        lines += [
            "",
            "Left out, odd, or otherwise worth knowing:",
            "",
            *(f"- {_sentence(note)}" for note in data["notes"]),
        ]
    if UMAP in pictures:
        lines += ["", _picture("the embeddings, coloured by label", pictures[UMAP])]
    return "\n".join(lines)


def _figures(card: ClassifierCard) -> str:
    parts = [(title, card.metrics[key]) for key, title in _PARTS.items() if key in card.metrics]
    if not parts:
        return f"## How well it does\n\n{UNMEASURED}"
    rows = [
        [name, *(interval_text(part[key]) for _, part in parts)]
        for key, name in FIGURES.items()
        if key in parts[0][1]
    ]
    rows.append(
        ["answered (the rest is `unknown`)", *(f"{part['answered']['coverage']:.3f}" for _, part in parts)]
    )
    rows.append(["right of those answered", *(_number(part["answered"]["accuracy"]) for _, part in parts)])
    rows.append(["expected calibration error", *(_number(part["calibration_error"]) for _, part in parts)])
    heads = [f"{title}, {counted(part['row_count'], 'row')}" for title, part in parts]
    how = str(card.recipe.get("split", "")).strip()
    lines = ["## How well it does", "", *_table(["", *heads], rows), ""]
    lines.append("In brackets: 95 % intervals, by drawing sources with replacement (bootstrap).")
    if how:
        lines.append(f"How: {_cell(how)}.")
    if "test" in card.metrics:
        lines.append("Nothing was fitted or chosen on the test rows.")
    return "\n".join(lines)


def _labels(card: ClassifierCard) -> str:
    part = evaluated(card)
    table = part.get("per_label")
    if not table:
        return ""
    counts = card.metrics["data"].get("rows_per_label", {})
    rows = []
    for number, label in enumerate(card.labels[:_MOST_LISTED]):
        answered, right = table["answered"][number], table["right_of_answered"][number]
        rows.append(
            [
                _cell(label),
                f"{counts.get(label, 0):,}",
                *(_number(table[name][number]) for name in ("precision", "recall", "f1")),
                f"{table['threshold'][number]:.2f}",
                f"{right:,} of {answered:,}",
            ]
        )
    heads = ["label", "rows", "precision", "recall", "F1", "threshold", "right of those answered"]
    what = "test" if "test" in card.metrics else "held-out"
    lines = [f"## By label\n\nOn the {what} rows; a label is only given from its threshold on.\n"]
    return "\n".join([*lines, *_table(heads, rows)]) + _more_rows(card.labels)


def _confusion(card: ClassifierCard, pictures: Mapping[str, str]) -> str:
    counts = evaluated(card).get("confusion")
    if not counts and CONFUSION not in pictures:
        return ""
    lines = ["## What is taken for what"]
    if counts:
        heads = ["true \\ given", *map(_cell, card.labels)]
        rows = [[_cell(label), *map(str, row)] for label, row in zip(card.labels, counts, strict=True)]
        lines += ["", *_table(heads, rows)]
    if CONFUSION in pictures:
        lines += ["", _picture("confusion matrix", pictures[CONFUSION])]
    return "\n".join(lines)


def _calibration(card: ClassifierCard, pictures: Mapping[str, str]) -> str:
    lines = ["## Calibration", ""]
    part = evaluated(card)
    if part:
        lines.append(
            f"Expected calibration error: about {part['calibration_error_before']:.3f} before the logits are "
            f"divided by the temperature, {card.temperature:.3g}, and {part['calibration_error']:.3f} after. "
            f"Below {card.min_confidence:.2f}, or a label's own threshold, the answer is `unknown`."
        )
    if RELIABILITY in pictures:
        lines += ["", _picture("reliability diagram", pictures[RELIABILITY])]
    return "\n".join(lines)


def _precision(card: ClassifierCard) -> str:
    part = evaluated(card)
    points = part.get("at_precision")
    if card.precision is None or not points:
        return ""
    rows = [
        [
            f"{point['target']:g}",
            f"{point['labels']:,} of {len(card.labels):,}",
            f"{point['coverage']:.3f}",
            interval_text(
                {"value": point["accuracy"], "low": point["accuracy_low"], "high": point["accuracy_high"]}
            ),
        ]
        for point in points
    ]
    on_rows = "On the test rows:"
    if "test" not in card.metrics:
        on_rows = "On the same rows, a fifth of the sources at a time by thresholds from the others:"
    lines = [
        "## Fewer, surer labels",
        "",
        "`vidclf classify --target-precision` gives a label only from the threshold on at which it reached "
        f"that precision on {counted(card.precision.row_count, 'held-out row')}, chance considered; a label "
        f"that did not is never given. {on_rows}",
        "",
        *_table(["target", "labels that can be given", "answered", "right of the labels given"], rows),
    ]
    return "\n".join(lines)


def _limits(card: ClassifierCard) -> str:
    lines = (*cautions(card), *_untested(card))
    return "\n".join(["## What it was not tested on", "", *(f"- {_sentence(line)}" for line in lines)])


def cautions(card: ClassifierCard) -> list[str]:
    """Return why the figures may be wrong, a sentence or two each, as plain text."""
    data = card.metrics["data"]
    lines = []
    if not data["is_grouped"]:
        lines.append(
            "Nobody said which videos come from one source: parts of one recording may lie on both sides of "
            "the split, and the figures are then too good. A column `group` (in a packed file, `groups`) "
            "keeps them together."
        )
    elif (groups := evaluated(card).get("group_count", _FEW_GROUPS)) < _FEW_GROUPS:
        lines.append(
            f"The figures are of {counted(groups, 'source')} only: on another source it may do much worse."
        )
    what = "sources" if data["is_grouped"] else "rows"
    counts = data.get(f"{what}_per_label", {})
    if few := [f"{label} ({count})" for label, count in counts.items() if count < FEW]:
        shown = ", ".join(few[:_MOST_LISTED])
        lines.append(f"Labels with fewer than {FEW} {what}, whose figures are guesses: {shown}.")
    if evaluated(card) and "test" not in card.metrics:
        lines.append(CHOSEN_ON_THESE)
    return lines


def _untested(card: ClassifierCard) -> list[str]:
    """Return what kinds of videos the figures say nothing about."""
    data = card.metrics["data"]
    lines = []
    if data["is_grouped"] and data["groups"] >= _FEW_GROUPS:
        lines.append(f"Other sources than these {data['groups']:,}, in which light, place or style differ.")
    lines.append("Videos about none of its labels: they get one of them, or `unknown`.")
    if len(card.inputs) > 1:
        full = (each.name for each in card.inputs if not data["empty_rows"].get(each.space))
        lines += [f"Videos without {name}: every row had it." for name in full]
    if any(each.space.startswith(_ENGLISH_SPACE) for each in card.inputs):
        lines.append("Texts in other languages than those of the data; the text encoder knows English only.")
    return lines


def _making(card: ClassifierCard, report: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    versions = ", ".join(f"{package} {number}" for package, number in card.versions.items())
    lines = ["## How it was made", "", f"{MARK}.", ""]
    lines += _bullets({"seed": card.recipe.get("seed"), **report})
    lines += ["", f"Software: {versions}."]
    if LEARNING_CURVE in pictures:
        lines += ["", _picture("learning curve", pictures[LEARNING_CURVE])]
    return "\n".join(lines)


def _bullets(document: Mapping[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in document.items():
        title = f"{indent}- {_cell(str(key).replace('_', ' '))}"
        if isinstance(value, Mapping):
            lines += [f"{title}:", *_bullets(value, indent + "  ")]
        elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
            lines.append(f"{title}:")
            lines += [f"{indent}  - {_inline(each)}" for each in value]
        else:
            lines.append(f"{title}: {_inline(value)}")
    return lines


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{_cell(str(key).replace('_', ' '))} {_inline(each)}" for key, each in value.items()
        )
    if isinstance(value, list | tuple):
        return ", ".join(map(_inline, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.4g}" if isinstance(value, float) else _cell(str(value))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(heads), _row(["---"] * len(heads)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Return a text that Markdown shows as it stands."""
    return _sentence(text).replace("`", "\\`")


def _sentence(text: str) -> str:
    """Return a text that Markdown shows as it stands, but for code between backticks."""
    for char in "\\|<>*_[]":
        text = text.replace(char, f"\\{char}")
    return text


def _picture(what: str, path: str) -> str:
    return f"![{what}]({quote(path)})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _more(labels: Sequence[str]) -> str:
    return f" and {len(labels) - _MOST_LISTED:,} more" if len(labels) > _MOST_LISTED else ""


def _more_rows(labels: Sequence[str]) -> str:
    return f"\n\n{_more(labels).strip().capitalize()}." if len(labels) > _MOST_LISTED else ""

"""One result as a row: the same columns and meaning in every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidclf_cli.records import Prediction, Result, Status

Row = Mapping[str, Any]
"""Cells by column: text, numbers (None when not known), lists of mappings or of names."""

COLUMNS = (
    "path",
    "label",
    "confidence",
    "status",
    "reason",
    "alternatives",
    "evidence",
    "modalities",
    "duration_seconds",
    "segment_start_seconds",
    "segment_end_seconds",
    "model",
)
"""The columns, in this order, part of the output format."""

NUMBER_COLUMNS = frozenset({"confidence", "duration_seconds", "segment_start_seconds", "segment_end_seconds"})
LIST_COLUMNS = frozenset({"alternatives", "evidence", "modalities"})

_STATUSES = frozenset(Status)
_DIGITS = 4  # of a confidence: more would suggest a precision that is not there


class RowError(ValueError):
    """A row of a file that vidclf cannot have written; the text says what is wrong with it."""


def to_row(result: Result) -> Row:
    """Return a result's cells by column.

    Lists stay lists (of `{"label", "confidence"}`, of `{"source", "what", "weight"}`, of names); what is
    not known is None.
    """
    prediction = result.prediction
    start, end = result.segment or (None, None)
    return {
        "path": result.video.id,
        "label": "|".join(prediction.labels) if prediction else "",
        "confidence": round(prediction.confidence, _DIGITS) if prediction else None,
        "status": result.status.value,
        "reason": str(result.reason) if result.reason else "",
        "alternatives": _alternatives(prediction),
        "evidence": _evidence(prediction),
        "modalities": list(result.modalities),
        "duration_seconds": _round(result.duration_seconds),
        "segment_start_seconds": _round(start),
        "segment_end_seconds": _round(end),
        "model": result.model,
    }


def check_row(row: Row) -> Row:
    """Return a row that was read from a file, once its cells are what `to_row` makes.

    Raises:
        RowError: They are not.
    """
    for column in COLUMNS:
        value = row.get(column)
        if column in LIST_COLUMNS:
            is_right = isinstance(value, list)
        elif column in NUMBER_COLUMNS:
            is_right = value is None or isinstance(value, int | float)
        else:
            is_right = isinstance(value, str)
        if not is_right:
            raise RowError(f"{column} is {value!r}"[:200])
    if not row["path"] or row["status"] not in _STATUSES:
        raise RowError(f"path is {row['path']!r}, status is {row['status']!r}"[:200])
    return row


def _alternatives(prediction: Prediction | None) -> list[dict[str, Any]]:
    scores = prediction.alternatives if prediction else ()
    return [{"label": score.label, "confidence": round(score.confidence, _DIGITS)} for score in scores]


def _evidence(prediction: Prediction | None) -> list[dict[str, Any]]:
    found = prediction.evidence if prediction else ()
    return [
        {"source": item.source, "what": item.what, "weight": round(item.weight, _DIGITS)} for item in found
    ]


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)

"""What a fine-tuning gave, and the files that tell it."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.labelled import video_id
from vidclf_cli.metrics import Metrics
from vidclf_cli.writers.csv import csv_line
from vidclf_cli.writers.output import open_output
from vidclf_train.baselines.clip_table import ClipTable
from vidclf_train.fitted import Curve

METRICS_NAME, PREDICTIONS_NAME = "metrics.json", "predictions.csv"
COLUMNS = ("path", "label", "split", "prediction", "confidence", "status", "reason", "notes")


@dataclass(frozen=True, slots=True)
class VideoCost:
    """What one video costs, medians in seconds; None where nothing was done in this sitting.

    Attributes:
        decoding: In one worker with one thread.
        forward: From frames on the disk to logits.
        training: Forward, backward and its part of the optimiser's step.
    """

    decoding: float | None
    forward: float | None
    training: float | None

    @property
    def description(self) -> str:
        """For people."""
        parts = {"decoding": self.decoding, "forward": self.forward, "training step": self.training}
        return "cost per video (medians): " + ", ".join(
            f"{name} {seconds:.3g} s" for name, seconds in parts.items() if seconds is not None
        )


@dataclass(frozen=True, slots=True)
class FineTuned:
    """What a fine-tuning gave.

    Attributes:
        table: The videos, and on which side of the split each is.
        probabilities: Split to the network's probabilities, shape (videos of that split, labels): of
            `validation`, by which the epoch was chosen, and of `test`.
        metrics: The same held against the truth.
        curve: How training went.
        cost: What a video costs.
        training_seconds: What all epochs took, in all sittings.
        made_by: What decided the training.
    """

    table: ClipTable
    probabilities: Mapping[str, NDArray[np.float32]]
    metrics: Mapping[str, Metrics]
    curve: Curve
    cost: VideoCost
    training_seconds: float
    made_by: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            **{split: figures.to_dict() for split, figures in self.metrics.items()},
            "labels": list(self.table.labels),
            "split": self.table.split_counts,
            "failed_count": self.table.failed_count,
            "curve": asdict(self.curve),
            "cost_per_video_seconds": asdict(self.cost),
            "training_seconds": round(self.training_seconds, 1),
            "made_by": dict(self.made_by),
            "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        }


def median(seconds: Sequence[float]) -> float | None:
    """Return the median, None of nothing."""
    return statistics.median(seconds) if seconds else None


def write_outcome(outcome: FineTuned, folder: Path, root: Path | None) -> None:
    """Write predictions and figures.

    Args:
        outcome: What to write.
        folder: Where.
        root: What the paths in the predictions are relative to.

    Raises:
        OutputError: They cannot be written.
    """
    with open_output(str(folder / PREDICTIONS_NAME)) as stream:
        stream.write(csv_line(COLUMNS))
        for row in _rows(outcome, root):
            stream.write(csv_line(row))
    with open_output(str(folder / METRICS_NAME)) as stream:
        json.dump(outcome.to_dict(), stream, indent=2, ensure_ascii=False)
        stream.write("\n")


def _rows(outcome: FineTuned, root: Path | None) -> list[tuple[Any, ...]]:
    """Return one row per video, in the order of the data; `COLUMNS` names the cells."""
    table = outcome.table
    predicted = {
        row: scores
        for split, probabilities in outcome.probabilities.items()
        for row, scores in zip(table.rows(split), probabilities, strict=True)
    }
    rows = []
    for number, (video, reading) in enumerate(zip(table.videos, table.readings, strict=True)):
        scores = predicted.get(number)
        prediction = "" if scores is None else table.labels[int(scores.argmax())]
        confidence = None if scores is None else float(scores.max())
        status = "failed" if reading.failure else "ok"
        path, label, split = video_id(video.path, root), video.labels[0], table.splits[number]
        notes = "; ".join(reading.notes)
        rows.append((path, label, split, prediction, confidence, status, reading.failure, notes))
    return rows

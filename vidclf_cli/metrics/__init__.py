"""How good probabilities are, held against the truth: numpy only, pure functions.

Everywhere `probabilities` has the shape (rows, labels), and `targets` is what a `Dataset` holds: label
numbers of shape (rows,) where each row has one label, or zeros and ones of shape (rows, labels). Every
function raises a ValueError for arrays that do not fit each other, have no rows, or hold NaN.
"""

from __future__ import annotations

from vidclf_cli.metrics.bootstrap import Estimate, Resampling, bootstrap_interval
from vidclf_cli.metrics.calibration import Reliability, calibration_error, reliability
from vidclf_cli.metrics.decisions import (
    LabelTable,
    accuracy,
    balanced_accuracy,
    confusion_counts,
    macro_f1,
    micro_f1,
    per_label,
)
from vidclf_cli.metrics.measure import Answered, Metrics, answered, given_rows, measure
from vidclf_cli.metrics.ranking import average_precision, global_average_precision, mean_average_precision

__all__ = [
    "Answered",
    "Estimate",
    "LabelTable",
    "Metrics",
    "Reliability",
    "Resampling",
    "accuracy",
    "answered",
    "average_precision",
    "balanced_accuracy",
    "bootstrap_interval",
    "calibration_error",
    "confusion_counts",
    "given_rows",
    "global_average_precision",
    "macro_f1",
    "mean_average_precision",
    "measure",
    "micro_f1",
    "per_label",
    "reliability",
]

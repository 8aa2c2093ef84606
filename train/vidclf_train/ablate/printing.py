"""A table of an ablation as text: means and deviations over the seeds, and paired differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from vidclf_cli.dataset import Dataset, Split
from vidclf_train.ablate.outcome import RARE_COUNT, Outcome, frequent_labels
from vidclf_train.ablate.tables import Row, Table

Outcomes = Mapping[int, Outcome]
"""Seed to what it gave."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two configurations, over the seeds that both were run with.

    Attributes:
        mean: Of the differences.
        half_width: Of the 95 % interval of the mean (Student's t over the seeds); NaN for one seed.
    """

    mean: float
    half_width: float


def paired_difference(of: Sequence[float], reference: Sequence[float]) -> Difference:
    """Return the mean difference of figures of the same seeds, in the same order."""
    differences = [one - other for one, other in zip(of, reference, strict=True)]
    count = len(differences)
    if count < 2:
        return Difference(statistics.fmean(differences), math.nan)
    error = statistics.stdev(differences) / math.sqrt(count)
    return Difference(statistics.fmean(differences), float(stdtrit(count - 1, 0.975)) * error)


def describe_data(dataset: Dataset) -> str:
    """Return what the columns are measured on."""
    assert dataset.splits is not None
    train, validation, test, rest = (int((dataset.splits == split).sum()) for split in Split)
    frequent = frequent_labels(dataset)
    rare = [label for label, often in zip(dataset.labels, frequent, strict=True) if not often]
    without = f"without {', '.join(rare)}" if rare else "all"
    return f"""\
{train:,} videos train. Seed 0 has the data's own split; the others redraw it, each label with as many.
valid.     accuracy on {validation} validation videos, by which epochs are chosen (the paper's figure);
           `auto` predicts them by cross-validation
test       accuracy on {test} videos that nothing is chosen by
large      balanced accuracy on {test + rest:,} videos that nothing is chosen by
frequent   the same for labels with at least {RARE_COUNT} videos ({without})
difference to the reference row, seed by seed: mean and 95 % t-interval
ECE        15 bins; held: rows held out, by cross-fitting; large: as it is; weighted: large, its labels
           as frequent as among the rows held out
All but seconds and seeds in percent, mean ± standard deviation over the seeds."""


def render(table: Table, outcomes: Mapping[str, Outcomes]) -> str:
    """Return a table as aligned text.

    Args:
        table: Its rows.
        outcomes: Row name to what its runs gave; a row without any shows none.
    """
    head = ("", "paper", "valid.", "test", "large", "frequent", "difference: large", "frequent",
            "ECE held", "large", "weighted", "seconds", "seeds")  # fmt: skip
    lines = [head, *(_cells(row, outcomes) for row in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "  ".join(cell.rjust(width) if column else cell.ljust(width)
                  for column, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]  # fmt: skip
    return "\n".join([table.title, "", *(line.rstrip() for line in text)])


def _cells(row: Row, outcomes: Mapping[str, Outcomes]) -> tuple[str, ...]:
    runs = [outcomes[row.name][seed] for seed in sorted(outcomes[row.name])]
    reference = outcomes[row.reference] if row.reference else None
    return (
        row.name,
        "" if row.paper is None else f"{row.paper:.1f}",
        _spread([each.validation_accuracy for each in runs]),
        _spread([each.test_accuracy for each in runs]),
        _spread([each.balanced_accuracy for each in runs]),
        _spread([each.frequent_accuracy for each in runs]),
        _difference(outcomes[row.name], reference, "balanced_accuracy"),
        _difference(outcomes[row.name], reference, "frequent_accuracy"),
        _spread([each.held_out_error for each in runs]),
        _spread([each.large_error for each in runs]),
        _spread([each.weighted_error for each in runs]),
        f"{statistics.fmean(each.seconds for each in runs):.0f}" if runs else "-",
        str(len(runs)),
    )


def _spread(figures: Sequence[float | None]) -> str:
    shares = [each for each in figures if each is not None]
    if not shares:
        return "-"
    mean = f"{100 * statistics.fmean(shares):.1f}"
    return f"{mean} ± {100 * statistics.stdev(shares):.1f}" if len(shares) > 1 else mean


def _difference(outcomes: Outcomes, reference: Outcomes | None, figure: str) -> str:
    if reference is None:
        return ""
    seeds = sorted(outcomes.keys() & reference.keys())
    pairs = [(getattr(outcomes[seed], figure), getattr(reference[seed], figure)) for seed in seeds]
    if not pairs or None in pairs[0]:
        return "-"
    found = paired_difference(*zip(*pairs, strict=True))
    width = "" if math.isnan(found.half_width) else f" ± {100 * found.half_width:.1f}"
    return f"{100 * found.mean:+.1f}{width}"

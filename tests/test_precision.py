"""Thresholds by the precision that they reach: what is promised of them holds on rows never seen."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from vidclf_cli.errors import UsageError
from vidclf_cli.precision import (
    NEVER,
    TARGETS,
    PrecisionTable,
    bars_for,
    fit_precision,
    least_right,
)

LABELS = ("cat", "dog")


def of_one_label(
    confidence: NDArray[np.floating], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return rows whose guess is `cat`, with this confidence, and what is true of them."""
    scores = np.stack([confidence, 1 - confidence], axis=1).astype(np.float32)
    return scores, np.where(right, 0, 1).astype(np.int32)


def fitted(
    confidence: NDArray[np.floating],
    right: NDArray[np.bool_],
    grid: tuple[float, ...] = TARGETS,
    groups: NDArray[np.int64] | None = None,
) -> PrecisionTable:
    scores, targets = of_one_label(confidence, right)
    sources = np.arange(len(right)) if groups is None else groups
    table = fit_precision(scores, targets, LABELS, "single", sources, grid=grid)
    assert table is not None
    return table


@pytest.mark.parametrize("target", [0.5, 0.8, 0.9, 0.95, 0.98])
def test_as_many_right_rows_as_are_said_to_be_needed_are_enough_and_one_less_is_not(target: float) -> None:
    count = least_right(target)
    confidence = np.linspace(0.6, 0.9, count)
    all_right = np.ones(count, bool)
    assert fitted(confidence, all_right, (target,)).thresholds["cat"][0] <= 0.6
    assert "cat" not in fitted(confidence[1:], all_right[1:], (target,)).thresholds


@pytest.mark.parametrize(("count", "wrong"), [(20, 1), (40, 3), (200, 12), (500, 40)])
def test_a_precision_is_reached_when_chance_would_give_as_much_in_one_of_five_cases_at_most(
    count: int, wrong: int
) -> None:
    right = np.ones(count, bool)
    right[:wrong] = False  # the least sure ones, so that no higher bar is held back by them
    confidence = np.full(count, 0.9)  # all of one confidence: given together, or not at all
    for target in (0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.95):
        chance = sum(
            comb(count, number) * (1 - target) ** number * target ** (count - number)
            for number in range(wrong + 1)
        )
        assert ("cat" in fitted(confidence, right, (target,)).thresholds) == (chance <= 0.2), target


def test_rows_of_equal_confidence_are_given_together_or_not_at_all() -> None:
    confidence, right = np.full(60, 0.9), np.arange(60) < 40
    assert fitted(confidence, right, (0.9,)).thresholds == {}
    (bar,) = fitted(np.where(right, 0.9001, confidence), right, (0.9,)).thresholds["cat"]
    assert 0.9 < bar <= 0.9001


def test_the_threshold_is_the_lowest_and_lies_between_what_is_given_and_what_is_not() -> None:
    confidence = np.concatenate([np.linspace(0.9, 0.8, 40), np.linspace(0.7, 0.6, 40)])
    right = np.concatenate([np.ones(40, bool), np.arange(40) % 2 == 0])
    (bar,) = fitted(confidence, right, (0.9,)).thresholds["cat"]
    given = confidence >= bar
    assert 40 < given.sum() < 50  # the sure ones pay for a few of the others
    assert right[given].mean() > 0.9
    assert len(f"{bar:.9g}") <= 6


def test_rows_of_one_source_count_as_one() -> None:
    confidence, right = np.linspace(0.6, 0.9, 160), np.ones(160, bool)
    assert "cat" in fitted(confidence, right, (0.9,), np.arange(160) // 10).thresholds
    assert "cat" not in fitted(confidence, right, (0.9,), np.arange(160) // 11).thresholds


def test_higher_precisions_have_higher_thresholds_until_none_reaches_them() -> None:
    random = np.random.default_rng(3)
    confidence = random.uniform(0.5, 1, 4000)
    bars = fitted(confidence, random.random(4000) < confidence).thresholds["cat"]
    assert list(bars) == sorted(bars)
    assert 5 <= len(bars) <= len(TARGETS)
    # Of rows at least so sure, the mean confidence is (t + 1) / 2 and is their precision.
    assert bars[TARGETS.index(0.9)] == pytest.approx(0.8, abs=0.05)


def test_a_label_that_is_never_right_or_never_the_guess_has_no_threshold() -> None:
    assert fitted(np.full(50, 0.9), np.zeros(50, bool)).thresholds == {}


def test_rows_without_anything_to_go_by_are_not_counted() -> None:
    scores, targets = of_one_label(np.full(40, 0.9), np.arange(40) >= 8)
    fit = {"task": "single", "groups": np.arange(40), "grid": (0.9,)}
    assert fit_precision(scores, targets, LABELS, **fit).thresholds == {}  # type: ignore[arg-type, union-attr]
    table = fit_precision(scores, targets, LABELS, has_evidence=np.arange(40) >= 8, **fit)  # type: ignore[arg-type]
    assert table is not None
    assert set(table.thresholds) == {"cat"}


def test_where_rows_have_several_labels_each_is_held_against_all_rows() -> None:
    scores = np.tile(np.array([[0.9, 0.2], [0.3, 0.8]], np.float32), (40, 1))
    targets = (scores > 0.5).astype(np.uint8)
    targets[:60, 1] = 1  # so that `dog` is right whatever is said
    table = fit_precision(scores, targets, LABELS, "multi", np.arange(80), grid=(0.9,))
    assert table is not None
    assert 0.3 < table.thresholds["cat"][0] <= 0.9
    assert (table.row_count, table.group_count) == (80, 80)


@pytest.mark.parametrize("task", ["single", "multi"])
def test_few_of_many_rows_are_looked_at_and_give_the_same_as_all(task: str) -> None:
    random = np.random.default_rng(4)
    confidence = np.round(random.beta(1, 12, 30_000), 4)
    right = random.random(30_000) < confidence
    scores = np.stack([confidence, np.zeros(30_000)], axis=1).astype(np.float32)
    targets = (
        np.stack([right, ~right], axis=1).astype(np.uint8) if task == "multi" else (~right).astype(np.int32)
    )
    table = fit_precision(scores, targets, LABELS, task, np.arange(30_000), grid=(0.2,))  # type: ignore[arg-type]
    sure = np.argsort(-confidence)[:12_000]
    few = fit_precision(scores[sure], targets[sure], LABELS, task, sure, grid=(0.2,))  # type: ignore[arg-type]
    assert table is not None
    assert few is not None
    assert table.thresholds["cat"][0] == pytest.approx(few.thresholds["cat"][0], abs=0.002)


def short_shares(power: float, count: int, target: float) -> tuple[float, float]:
    """Return for which share of labels the true precision stays below the target: by the bound, and by the
    least conservative rule of conformal methods.

    A guess of confidence c is right with the probability c to the power.
    """
    random = np.random.default_rng(int(power * 1000 + count))
    short = np.zeros(2)
    for _ in range(300):
        confidence = random.uniform(1 / 3, 1, count)
        right = random.random(count) < confidence**power
        order = np.argsort(-confidence)
        numbers = np.arange(1, count + 1)
        passes = np.flatnonzero((np.cumsum(~right[order]) + 1) / (numbers + 1) <= 1 - target)
        bars = [
            fitted_bar(confidence, right, target),
            confidence[order][passes[-1]] if passes.size else NEVER,
        ]
        short += [bar < 1 and bool((np.linspace(bar, 1, 200) ** power).mean() < target) for bar in bars]
    by_bound, by_share = short / 300
    return by_bound, by_share


def fitted_bar(confidence: NDArray[np.floating], right: NDArray[np.bool_], target: float) -> float:
    scores = np.stack([confidence, np.zeros(len(confidence))], axis=1).astype(np.float32)
    table = fit_precision(
        scores, (~right).astype(np.int32), LABELS, "single", np.arange(len(right)), grid=(target,)
    )
    assert table is not None
    return table.thresholds.get("cat", (NEVER,))[0]


@pytest.mark.parametrize("power", [1.0, 3.0])
@pytest.mark.parametrize("count", [70, 330])
def test_the_true_precision_of_new_rows_is_seldom_below_what_was_asked_for(power: float, count: int) -> None:
    by_bound, by_share = short_shares(power, count, 0.8)
    assert by_bound <= 0.2
    assert by_share > 1.5 * by_bound


def test_a_precision_between_two_that_are_kept_takes_the_higher_one() -> None:
    table = PrecisionTable((0.5, 0.9), {"cat": (0.3, 0.8), "dog": (0.4,)}, 100, 50)
    assert table.bars(LABELS, 0.9) == (0.8, NEVER)
    assert table.bars(LABELS, 0.6) == (0.8, NEVER)
    assert table.bars(LABELS, 0.3) == (0.3, 0.4)
    assert table.bars(LABELS, 0.91) is None
    assert [target for target, _ in table.reached(LABELS)] == [0.5, 0.9]


def test_what_no_label_reaches_is_refused_with_what_it_would_take() -> None:
    table = PrecisionTable((0.5, 0.9, 0.95), {"cat": (0.3, 0.8)}, 100, 50)
    with pytest.raises(
        UsageError, match=r"None of the 2 labels of my reaches .* 0.95 on 100 rows of 50 sources"
    ):
        bars_for(table, LABELS, 0.95, "my")
    with pytest.raises(UsageError, match=r"0.9 is the highest that one does. For 0.95 a label needs 32 rows"):
        bars_for(table, LABELS, 0.95, "my")
    with pytest.raises(UsageError, match=r"None reaches 0.5 either"):
        bars_for(PrecisionTable((0.5,), {}, 3, 3), LABELS, 0.5, "my")


def test_a_classifier_without_thresholds_or_with_lower_ones_only_points_to_tune() -> None:
    with pytest.raises(UsageError, match=r"vidclf tune MODEL DATA --target-precision 0.9 --out tuned.onnx"):
        bars_for(None, LABELS, 0.9, "my")
    with pytest.raises(UsageError, match=r"up to 0.9, not for 0.99. `vidclf tune`"):
        bars_for(PrecisionTable((0.9,), {"cat": (0.3,)}, 9, 9), LABELS, 0.99, "my")


def test_without_rows_and_with_more_labels_than_a_file_can_describe_there_is_no_table() -> None:
    nothing = np.empty((0, 2), np.float32)
    assert fit_precision(nothing, np.empty(0, np.int32), LABELS, "single", []) is None
    many = [f"label {number}" for number in range(30_000)]
    one = np.zeros((1, 30_000), np.float32)
    assert fit_precision(one, np.zeros(1, np.int32), many, "single", ["a"]) is None

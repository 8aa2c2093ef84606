import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from vidclf_cli.metrics import (
    Resampling,
    accuracy,
    average_precision,
    balanced_accuracy,
    bootstrap_interval,
    calibration_error,
    confusion_counts,
    global_average_precision,
    macro_f1,
    mean_average_precision,
    measure,
    micro_f1,
    per_label,
    reliability,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def _single(seed: int, rows: int, labels: int, *, present: int | None = None) -> tuple[Floats, Ints]:
    """Probabilities with many ties, and targets of the first `present` labels only."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 4, (rows, labels)) + 0.25
    targets = generator.integers(0, present or labels, rows).astype(np.int32)
    scores[np.arange(rows), targets] += generator.integers(0, 3, rows)
    return scores / scores.sum(axis=1, keepdims=True), targets


def _multi(seed: int, rows: int, labels: int, *, share: float = 0.3) -> tuple[Floats, NDArray[np.uint8]]:
    generator = np.random.default_rng(seed)
    targets = (generator.random((rows, labels)) < share).astype(np.uint8)
    scores = np.clip(np.round(generator.random((rows, labels)) * 0.7 + 0.3 * targets, 2), 0, 1)
    return scores, targets


sizes = {"seed": st.integers(0, 10_000), "rows": st.integers(1, 60), "labels": st.integers(2, 8)}


@settings(max_examples=60, deadline=None)
@given(**sizes, present=st.integers(1, 8))
def test_figures_of_one_label_are_those_of_scikit_learn(
    seed: int, rows: int, labels: int, present: int
) -> None:
    scores, targets = _single(seed, rows, labels, present=min(present, labels))
    best = scores.argmax(axis=1)
    there = np.unique(targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = (
            reference.accuracy_score(targets, best),
            reference.balanced_accuracy_score(targets, best),
            reference.f1_score(targets, best, labels=there, average="macro"),
            reference.f1_score(targets, best, average="micro"),
        )
    found = (
        accuracy(scores, targets),
        balanced_accuracy(scores, targets),
        macro_f1(scores, targets),
        micro_f1(scores, targets),
    )
    assert found == pytest.approx(expected)
    matrix = reference.confusion_matrix(targets, best, labels=range(labels))
    assert (confusion_counts(scores, targets) == matrix).all()


@settings(max_examples=60, deadline=None)
@given(**sizes, share=st.sampled_from([0.05, 0.3, 0.9]))
def test_figures_of_several_labels_are_those_of_scikit_learn(
    seed: int, rows: int, labels: int, share: float
) -> None:
    scores, targets = _multi(seed, rows, labels, share=share)
    there = np.flatnonzero(targets.any(axis=0))
    if not there.size:
        assert math.isnan(mean_average_precision(scores, targets))
        assert math.isnan(macro_f1(scores, targets))
        return
    bars = np.linspace(0.3, 0.7, labels)
    answers = scores >= bars
    assert mean_average_precision(scores, targets) == pytest.approx(
        reference.average_precision_score(targets[:, there], scores[:, there], average="macro")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert macro_f1(scores, targets, bars) == pytest.approx(
            reference.f1_score(targets, answers, labels=there, average="macro")
        )
        assert micro_f1(scores, targets, bars) == pytest.approx(
            reference.f1_score(targets, answers, average="micro")
        )


@settings(max_examples=40, deadline=None)
@given(**sizes)
def test_the_table_of_labels_is_that_of_scikit_learn(seed: int, rows: int, labels: int) -> None:
    scores, targets = _single(seed, rows, labels, present=labels - 1)
    best = scores.argmax(axis=1)
    table = per_label(scores, targets)
    precision, recall, f1, count = reference.precision_recall_fscore_support(
        targets, best, labels=range(labels), zero_division=np.nan
    )
    assert (table.count == count).all()
    np.testing.assert_allclose(table.recall, recall)
    np.testing.assert_allclose(table.precision, precision)
    known = count > 0
    np.testing.assert_allclose(table.f1[known], f1[known])
    assert np.isnan(table.f1[~known]).all()
    for label in range(labels):
        if not known[label]:
            assert math.isnan(table.average_precision[label])
            continue
        expected = reference.average_precision_score(targets == label, scores[:, label])
        assert table.average_precision[label] == pytest.approx(expected)
        if table.given[label]:
            assert table.mean_confidence[label] == pytest.approx(scores[best == label, label].mean())


def _gap_as_defined(scores: Floats, targets: NDArray[np.uint8], top: int = 20) -> float:
    """GAP as the challenge words it: all rows' top predictions sorted by confidence, sum of p(i) dr(i)."""
    predictions = []
    for row, row_scores in enumerate(scores):
        best = sorted(range(len(row_scores)), key=lambda label: -row_scores[label])[:top]
        predictions += [(row_scores[label], targets[row][label]) for label in best]
    predictions.sort(key=lambda pair: -pair[0])
    positives = sum(int(row.sum()) for row in targets)
    gap, hits, last_recall = 0.0, 0, 0.0
    for number, (_, is_right) in enumerate(predictions, start=1):
        hits += int(is_right)
        recall = hits / positives
        gap += hits / number * (recall - last_recall)
        last_recall = recall
    return gap


@pytest.mark.parametrize(("rows", "labels", "top"), [(1, 3, 20), (40, 25, 20), (30, 60, 20), (50, 8, 3)])
def test_gap_is_what_its_definition_says(rows: int, labels: int, top: int) -> None:
    generator = np.random.default_rng(rows)
    targets = (generator.random((rows, labels)) < 0.2).astype(np.uint8)
    targets[0, 0] = 1
    scores = generator.permutation(rows * labels).reshape(rows, labels) / (rows * labels)  # no ties
    assert global_average_precision(scores, targets, top=top) == pytest.approx(
        _gap_as_defined(scores, targets, top)
    )


def test_gap_counts_labels_beyond_the_top_as_missed() -> None:
    scores = np.array([[0.9, 0.8, 0.1]])
    assert global_average_precision(scores, np.array([[1, 0, 1]], np.uint8), top=2) == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_ranking_depends_on_the_order_of_rows_with_equal_confidence(seed: int) -> None:
    scores, targets = _multi(seed, 30, 4)
    shuffled = np.random.default_rng(seed).permutation(30)
    for figure in (global_average_precision, mean_average_precision):
        assert figure(scores, targets) == pytest.approx(figure(scores[shuffled], targets[shuffled]))


def test_average_precision_of_all_equal_confidences_is_the_share_of_positives() -> None:
    assert average_precision([0.5] * 4, [1, 0, 0, 0]) == pytest.approx(0.25)
    assert math.isnan(average_precision([0.9, 0.5, 0.5], [0, 0, 0]))


def test_calibration_error_of_an_honest_classifier_is_small_and_of_a_boaster_is_its_boast() -> None:
    generator = np.random.default_rng(0)
    honest = generator.dirichlet(np.ones(4), 50_000)
    targets = (honest.cumsum(axis=1) > generator.random((50_000, 1))).argmax(axis=1)
    assert calibration_error(honest, targets) < 0.01
    boast = np.tile([0.9, 0.1], (10, 1))
    assert calibration_error(boast, np.array([0, 1] * 5)) == pytest.approx(0.4)


def test_calibration_error_is_the_weighted_gap_of_15_bins() -> None:
    scores, targets = _single(3, 200, 4)
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == targets
    expected = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert calibration_error(scores, targets) == pytest.approx(expected)


def test_calibration_of_several_labels_is_over_every_decision() -> None:
    bins = reliability([[0.95, 0.05], [0.95, 0.05]], np.array([[1, 0], [0, 0]], np.uint8))
    assert bins.counts.tolist() == [2, *[0] * 13, 2]
    assert bins.accuracy[0] == 0
    assert bins.accuracy[-1] == 0.5
    assert bins.error == pytest.approx(0.5 * 0.05 + 0.5 * 0.45)


def test_confidences_of_0_and_1_have_bins() -> None:
    assert reliability([[1.0, 0.0]], np.array([[1, 0]], np.uint8)).counts[[0, -1]].tolist() == [1, 1]


def _statistic(figure: Callable[..., float], scores: Floats, targets: Ints) -> Callable[..., float]:
    return lambda rows: figure(scores[rows], targets[rows])


def test_the_fast_intervals_of_one_label_are_those_of_the_plain_bootstrap() -> None:
    scores, targets = _single(1, 150, 5)
    groups = [f"source {number // 3}" for number in range(150)]
    found = measure(scores, targets, "single", groups, resample_count=60).figures
    for name, figure in (
        ("accuracy", accuracy), ("balanced_accuracy", balanced_accuracy), ("macro_f1", macro_f1),
    ):  # fmt: skip
        plain = bootstrap_interval(_statistic(figure, scores, targets), groups, resample_count=60)
        assert (found[name].value, found[name].low, found[name].high) == pytest.approx(
            (plain.value, plain.low, plain.high)
        )


def test_the_fast_intervals_of_several_labels_are_those_of_the_plain_bootstrap() -> None:
    scores, targets = _multi(2, 120, 4)
    groups = np.arange(120) // 2
    found = measure(scores, targets, "multi", groups, resample_count=60).figures
    for name, figure in (
        ("mean_average_precision", mean_average_precision),
        ("global_average_precision", global_average_precision),
        ("micro_f1", micro_f1),
        ("macro_f1", macro_f1),
    ):
        plain = bootstrap_interval(_statistic(figure, scores, targets), groups, resample_count=60)
        assert (found[name].value, found[name].low, found[name].high) == pytest.approx(
            (plain.value, plain.low, plain.high)
        ), name


def test_intervals_of_many_positives_and_many_groups_are_nearly_those_of_the_plain_bootstrap() -> None:
    scores, targets = _multi(4, 6000, 2)
    scores = np.random.default_rng(0).permutation(12_000).reshape(6000, 2) / 24_000 + targets * 0.25
    found = measure(scores, targets, "multi", resample_count=400).figures
    for name, figure in (
        ("mean_average_precision", mean_average_precision),
        ("global_average_precision", global_average_precision),
    ):
        samples = []
        for seed in range(100):
            rows = np.sort(np.random.default_rng(seed).integers(0, 6000, 6000))
            samples.append(figure(scores[rows], targets[rows]))
        width = found[name].high - found[name].low
        assert width == pytest.approx(2 * 1.96 * np.std(samples), rel=0.25)
        assert found[name].low < found[name].value < found[name].high


def test_intervals_draw_groups_and_not_rows() -> None:
    generator = np.random.default_rng(5)
    right_of_group = generator.random(40) < 0.6
    targets = np.zeros(400, np.int32)
    right = np.repeat(right_of_group, 10)
    scores = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    by_group = measure(scores, targets, "single", np.arange(400) // 10).figures["accuracy"]
    by_row = measure(scores, targets, "single").figures["accuracy"]
    assert by_group.high - by_group.low > 2.5 * (by_row.high - by_row.low)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        targets = (generator.random(150) < 0.7).astype(np.int32)
        found = measure(np.tile([0.4, 0.6], (150, 1)), targets, "single", resample_count=200)
        held += found.figures["accuracy"].low <= 0.7 <= found.figures["accuracy"].high
    assert 0.90 <= held / 200 <= 0.99


@pytest.mark.parametrize(
    ("row_count", "group_size", "end"), [(6, 1, 0.541), (60, 10, 0.541), (1200, 1, 0.997)]
)
def test_a_few_rows_that_are_all_right_do_not_promise_that_all_are(
    row_count: int, group_size: int, end: float
) -> None:
    targets = np.arange(row_count, dtype=np.int32) % 2
    right = np.where(targets[:, None] == [0, 1], 0.9, 0.1)
    groups = np.arange(row_count) // group_size
    for scores, low, high in ((right, end, 1.0), (1 - right, 0.0, 1 - end)):
        figures = measure(scores, targets, "single", groups).figures
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            assert (figures[name].low, figures[name].high) == pytest.approx((low, high), abs=6e-4)


def test_two_models_that_are_always_alike_differ_by_nothing() -> None:
    found = bootstrap_interval(lambda rows: float(np.zeros(9)[rows].mean()), np.arange(9))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_one_source_has_no_interval() -> None:
    found = measure([[0.9, 0.1], [0.2, 0.8]], np.array([0, 0]), "single", ["a", "a"])
    assert found.figures["accuracy"].to_dict() == {"value": 0.5, "low": None, "high": None}


def test_the_same_seed_gives_the_same_samples_and_groups_are_drawn_as_often_as_there_are() -> None:
    first, second = (Resampling(50, np.arange(50) // 5, seed=3).weights for _ in range(2))
    assert (first == second).all()
    assert (first.sum(axis=1) == 10).all()


def test_what_is_answered_at_the_bars() -> None:
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    targets = np.array([0, 0, 0, 1])
    found = measure(scores, targets, "single", bars=[0.7, 0.7]).answered
    assert (found.count, found.unknown_count, found.coverage) == (3, 1, 0.75)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.precision.low < found.accuracy < found.precision.high
    blind = measure(scores, targets, "single", bars=0.0, has_evidence=np.array([True, True, False, True]))
    assert (blind.answered.count, blind.answered.accuracy) == (3, 1.0)
    silent = measure(scores, targets, "single", bars=1.0)
    assert silent.to_dict()["answered"] == {
        "count": 0, "unknown_count": 4, "coverage": 0.0, "accuracy": None, "accuracy_low": None,
        "accuracy_high": None,
    }  # fmt: skip


def test_a_bar_is_reached_by_its_own_value_in_float32() -> None:
    scores = np.array([[0.7, 0.3]], np.float32)
    assert measure(scores, np.array([0]), "single", bars=(0.7, 0.7)).answered.count == 1
    assert measure(scores, np.array([[1, 0]]), "multi", bars=(0.7, 0.7)).answered.count == 1


def test_one_row_and_all_wrong_have_figures() -> None:
    found = measure([[0.1, 0.9]], np.array([0]), "single")
    assert found.figures["accuracy"].value == 0
    assert found.figures["balanced_accuracy"].value == 0
    assert found.figures["macro_f1"].value == 0
    assert found.to_dict()["per_label"]["f1"] == [0.0, None]


@pytest.mark.parametrize(
    ("scores", "targets", "says"),
    [
        ([[0.5, np.nan]], [0], "not finite"),
        ([[0.5, np.inf]], [0], "not finite"),
        (np.empty((0, 2)), np.empty(0, int), "shape"),
        ([0.5, 0.5], [0], "shape"),
        ([[0.5, 0.5]], [0, 1], "do not fit"),
        ([[0.5, 0.5]], [2], "may from 0 to 1"),
        ([[0.5, 0.5]], [-1], "may from 0 to 1"),
        ([[0.5, 0.5]], [[0, 2]], "may from 0 to 1"),
        ([[0.5, 0.5]], [0.0], "whole numbers"),
    ],
)
def test_what_cannot_be_measured_is_refused(scores: object, targets: object, says: str) -> None:
    for figure in (macro_f1, calibration_error, mean_average_precision, global_average_precision, per_label):
        with pytest.raises(ValueError, match=says):
            figure(np.asarray(scores), np.asarray(targets))


def test_measures_of_one_label_refuse_several_and_the_task_must_fit() -> None:
    scores, targets = _multi(0, 5, 3)
    for figure in (accuracy, balanced_accuracy, confusion_counts):
        with pytest.raises(ValueError, match="one label per row"):
            figure(scores, targets)
    with pytest.raises(ValueError, match="task"):
        measure(scores, targets, "single")
    with pytest.raises(ValueError, match="groups"):
        measure(scores, targets, "multi", ["a"])

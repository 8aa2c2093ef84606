"""Confidences mean what they say, and no row says so of itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from torch import Tensor, nn

from vidclf_cli.scoring import Task
from vidclf_train.calibrate import (
    SINGLE_BAR,
    Bars,
    cross_calibrated,
    fit_bars,
    fit_temperature,
    mix_logits,
    to_probabilities,
    total_loss,
)
from vidclf_train.model import Ensemble

LABELS = ("a", "b", "c")


def simulated(count: int, task: Task, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    """Return logits, and targets that are drawn from just their probabilities."""
    random = np.random.default_rng(seed)
    logits = random.standard_normal((count, 3)) * 2
    if task == "multi":
        return logits, (random.random(logits.shape) < expit(logits)).astype(np.uint8)
    drawn = random.random((count, 1)) > softmax(logits, axis=1).cumsum(axis=1)
    return logits, np.minimum(drawn.sum(axis=1), 2).astype(np.int32)


@pytest.mark.parametrize("task", ["single", "multi"])
@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_a_known_scaling(task: Task, scale: float) -> None:
    logits, targets = simulated(6000, task)
    assert fit_temperature(logits * scale, targets, task) == pytest.approx(scale, rel=0.05)


def test_a_handful_of_right_rows_does_not_ask_for_boundless_confidence() -> None:
    logits = np.eye(3)[np.arange(6) % 3] * 2.0
    temperature = fit_temperature(logits, np.arange(6) % 3, "single")
    assert 0.3 < temperature < 1
    # With many such rows it is another matter.
    many = np.tile(logits, (500, 1))
    assert fit_temperature(many, np.arange(3000) % 3, "single") < 0.25


def test_a_handful_of_wrong_rows_does_not_take_all_confidence_away() -> None:
    logits = np.eye(3)[np.arange(4) % 3] * 4.0
    assert 1 < fit_temperature(logits, (np.arange(4) + 1) % 3, "single") < 4


def test_without_rows_logits_stay_as_they_are() -> None:
    assert fit_temperature(np.empty((0, 3)), np.empty(0, np.int32), "single") == 1
    assert fit_temperature(np.empty((0, 3)), np.empty((0, 3), np.uint8), "multi") == 1
    nothing = cross_calibrated(np.empty((0, 3)), np.empty(0, np.int32), np.empty(0, np.int64), "single")
    assert nothing.shape == (0, 3)


def test_the_loss_is_the_sum_of_negative_log_probabilities() -> None:
    logits, targets = simulated(20, "single")
    expected = -np.log(softmax(logits, axis=1)[np.arange(20), targets]).sum()
    assert total_loss(logits, targets, "single") == pytest.approx(expected)
    logits, targets = simulated(20, "multi")
    chances = np.where(targets > 0, expit(logits), expit(-logits))
    assert total_loss(logits, targets, "multi") == pytest.approx(-np.log(chances).sum())


class Given(nn.Module):
    """Gives the same logits whatever it reads."""

    def __init__(self, logits: NDArray[np.floating]) -> None:
        super().__init__()
        self._logits = torch.from_numpy(logits.astype(np.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        return self._logits[: len(inputs)]


@pytest.mark.parametrize("task", ["single", "multi"])
@pytest.mark.parametrize("weights", [(0.7, 0.3), (0.2, 0.8), (1.0,)])
def test_the_mix_is_what_the_exported_model_computes(task: Task, weights: tuple[float, ...]) -> None:
    random = np.random.default_rng(1)
    # Very certain ones, too.
    logits = [random.standard_normal((40, 3)) * scale for scale in (30.0, 1.0)][: len(weights)]
    temperature = 1.7
    model = Ensemble([2], [Given(each) for each in logits], weights, task, temperature).eval()
    expected_logits, expected = model(torch.ones(40, 2))
    mixed = mix_logits(logits, weights, task) / temperature
    np.testing.assert_allclose(to_probabilities(mixed, task), expected.numpy(), atol=1e-5)
    if task == "multi":
        np.testing.assert_allclose(mixed, expected_logits.numpy(), rtol=1e-4, atol=1e-4)


def test_a_mix_of_one_and_nothing_is_the_one() -> None:
    one, other = np.ones((2, 3)), np.full((2, 3), np.nan)
    np.testing.assert_array_equal(mix_logits([one, other], (1.0, 0.0), "single"), one)


def test_no_row_has_a_say_in_its_own_calibration() -> None:
    logits, targets = simulated(90, "single")
    folds = np.arange(90) % 3
    before = cross_calibrated(logits, targets, folds, "single")
    wrong = np.where(folds == 1, (targets + 1) % 3, targets)
    after = cross_calibrated(logits, wrong, folds, "single")
    np.testing.assert_array_equal(before[folds == 1], after[folds == 1])
    assert (before[folds != 1] != after[folds != 1]).any(axis=1).all()
    for fold in range(3):
        temperature = fit_temperature(logits[folds != fold], targets[folds != fold], "single")
        expected = softmax(logits[folds == fold] / temperature, axis=1)
        np.testing.assert_allclose(before[folds == fold], expected, atol=1e-6)


def test_a_fold_without_others_keeps_its_logits() -> None:
    logits, targets = simulated(30, "single")
    found = cross_calibrated(logits * 5, targets, np.zeros(30, int), "single")
    np.testing.assert_allclose(found, softmax(logits * 5, axis=1), atol=1e-6)


def test_an_over_confident_label_gets_a_higher_bar_and_a_modest_one_a_lower() -> None:
    probabilities = np.repeat([[0.9, 0.05, 0.05], [0.2, 0.6, 0.2]], 100, axis=0).astype(np.float32)
    targets = np.concatenate([np.where(np.arange(100) < 50, 0, 2), np.full(100, 1)])
    bars = fit_bars(probabilities, targets, LABELS, "single")
    assert bars.otherwise == SINGLE_BAR
    # 100 guesses of `a` at 0.9 with half of them right; drawn towards 0.5 by ten rows.
    assert bars.per_label["a"] == pytest.approx(0.5 + 40 / 110, abs=1e-3)
    assert bars.per_label["b"] == pytest.approx(0.5 - 40 / 110, abs=0.07)
    assert bars.per_label["b"] < 0.5


def test_a_label_that_is_no_rows_guess_or_needs_no_bar_of_its_own_gets_none() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25]] * 10, np.float32)
    bars = fit_bars(probabilities, np.array([0, 1] * 5), LABELS, "single")
    assert bars == Bars({}, SINGLE_BAR)


def test_one_wrong_row_moves_a_bar_a_little() -> None:
    bars = fit_bars(np.array([[0.9, 0.1, 0.0]], np.float32), np.array([1]), LABELS, "single")
    assert 0.5 < bars.per_label["a"] < 0.6


def greatest_f1(probabilities: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Return the greatest F1 of all bars, by trying them."""
    return max(f1_at(bar, probabilities, truth) for bar in np.unique(probabilities))


def f1_at(bar: float, probabilities: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    given = probabilities >= bar
    return float(2 * (given & truth).sum() / (given.sum() + truth.sum()))


@pytest.mark.parametrize("seed", range(8))
def test_with_many_labels_a_bar_is_where_f1_is_greatest(seed: int) -> None:
    logits, targets = simulated(60, "multi", seed)
    probabilities = to_probabilities(logits * 0.7, "multi")
    if seed % 2:  # Many rows with the same probability.
        probabilities = np.round(probabilities * 5).astype(np.float32) / 5
    bars = fit_bars(probabilities, targets, LABELS, "multi")
    for number, label in enumerate(LABELS):
        column, truth = probabilities[:, number], targets[:, number] > 0
        found = f1_at(bars.per_label.get(label, bars.otherwise), column, truth)
        assert found == pytest.approx(greatest_f1(column, truth), abs=1e-9)
    everything = probabilities.ravel(), targets.ravel() > 0
    assert f1_at(bars.otherwise, *everything) == pytest.approx(greatest_f1(*everything))


def test_with_many_labels_a_rare_one_has_the_common_bar() -> None:
    logits, targets = simulated(60, "multi")
    targets[:, 1] = 0
    targets[:4, 1] = 1
    targets[:, 2] = 1
    bars = fit_bars(to_probabilities(logits, "multi"), targets, LABELS, "multi")
    assert set(bars.per_label) <= {"a"}


def test_without_rows_there_are_no_bars_but_the_common_one() -> None:
    nothing = np.empty((0, 3), np.float32)
    assert fit_bars(nothing, np.empty(0, np.int32), LABELS, "single") == Bars({}, SINGLE_BAR)
    assert fit_bars(nothing, np.empty((0, 3), np.uint8), LABELS, "multi") == Bars({}, SINGLE_BAR)
    none_right = np.full((8, 3), 0.5, np.float32)
    assert fit_bars(none_right, np.zeros((8, 3), np.uint8), LABELS, "multi") == Bars({}, SINGLE_BAR)


def test_bars_stay_where_something_can_pass_them() -> None:
    right = np.arange(60).reshape(20, 3) % 2
    sure = np.where(right, 0.999, 0.97).astype(np.float32)
    assert fit_bars(sure, right.astype(np.uint8), LABELS, "multi") == Bars({}, 0.9)
    wrong = np.tile(np.array([0.99, 0.005, 0.005], np.float32), (500, 1))
    assert fit_bars(wrong, np.ones(500, np.int32), LABELS, "single").per_label["a"] == 0.9


@pytest.mark.parametrize("count", [6, 30, 1000])
def test_right_answers_of_a_few_sources_are_no_certainty(count: int) -> None:
    """A network that tells ten clips apart perfectly says so with logits of 25."""
    logits = np.eye(3)[np.arange(count) % 3] * 25.0
    targets = np.arange(count) % 3
    confidence = to_probabilities(logits / fit_temperature(logits, targets, "single"), "single").max()
    assert 0.5 < confidence < 1 - 0.1 / count
    # Clips of one recording say it once, however many they are.
    sources = np.arange(count) % 6
    fewer = to_probabilities(logits / fit_temperature(logits, targets, "single", sources), "single").max()
    assert fewer < 0.995


def test_a_temperature_is_never_so_near_1_that_the_exporter_drops_it() -> None:
    found = {fit_temperature(*simulated(400, "single", seed), "single") for seed in range(5)}
    assert all(temperature == round(temperature, 4) for temperature in found)

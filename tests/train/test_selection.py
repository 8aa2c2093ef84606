"""The mix of heads: the better one alone where the other adds nothing, both where each adds something."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vidclf_cli.scoring import Task
from vidclf_train.calibrate import mix_logits
from vidclf_train.selection import calibrated_loss, choose_weights

Arrays = tuple[list[NDArray[np.float64]], NDArray[np.integer]]


def heads(*strengths: float, task: Task = "single", count: int = 600, seed: int = 0) -> Arrays:
    """Heads whose logits hold the truth so strongly, each with noise of its own."""
    random = np.random.default_rng(seed)
    marks = np.eye(3)[random.integers(3, size=count)]
    if task == "multi":
        marks = (random.random((count, 3)) < 0.4).astype(float)
    found = [strength * (2 * marks - 1) + random.standard_normal(marks.shape) for strength in strengths]
    return found, marks.astype(np.uint8) if task == "multi" else marks.argmax(axis=1).astype(np.int32)


@pytest.mark.parametrize("task", ["single", "multi"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_head_that_is_noise_gets_nothing(task: Task, order: int) -> None:
    logits, targets = heads(1.5, 0.0, task=task)
    assert choose_weights(logits[::order], targets, task) == (1.0, 0.0)[::order]


@pytest.mark.parametrize("task", ["single", "multi"])
def test_heads_that_err_on_different_rows_are_mixed_and_the_mix_is_better(task: Task) -> None:
    logits, targets = heads(1.0, 1.0, task=task)
    weights = choose_weights(logits, targets, task)
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0.3
    mixed = calibrated_loss(mix_logits(logits, weights, task), targets, task)
    assert mixed < 0.98 * min(calibrated_loss(each, targets, task) for each in logits)


def test_the_better_of_two_complementary_heads_counts_more() -> None:
    logits, targets = heads(1.4, 0.7)
    weights = choose_weights(logits, targets, "single")
    assert weights[0] > weights[1] > 0


def test_a_copy_adds_nothing_so_the_first_is_taken_alone() -> None:
    (one,), targets = heads(1.0)
    assert choose_weights([one, one.copy()], targets, "single") == (1.0, 0.0)


def test_a_mix_that_gains_next_to_nothing_is_not_worth_a_second_head() -> None:
    (one,), targets = heads(0.5)
    random = np.random.default_rng(1)
    logits = [one + 0.1 * random.standard_normal(one.shape) for _ in range(2)]
    half = calibrated_loss(mix_logits(logits, (0.5, 0.5), "single"), targets, "single")
    gain = 1 - half / min(calibrated_loss(each, targets, "single") for each in logits)
    assert 1e-4 < gain < 1e-3
    assert choose_weights(logits, targets, "single") == (1.0, 0.0)


def test_how_confident_a_head_is_does_not_matter() -> None:
    logits, targets = heads(1.5, 0.5)
    assert calibrated_loss(logits[0] * 4, targets, "single") == pytest.approx(
        calibrated_loss(logits[0], targets, "single"), rel=0.01
    )
    assert choose_weights([logits[0] * 4, logits[1]], targets, "single")[0] > 0.5


def test_the_same_predictions_give_the_same_weights() -> None:
    logits, targets = heads(1.0, 0.9, 0.8)
    assert choose_weights(logits, targets, "single") == choose_weights(logits, targets, "single")


def test_one_head_alone_and_no_rows_give_the_first_everything() -> None:
    logits, targets = heads(1.0)
    assert choose_weights(logits, targets, "single") == (1.0,)
    nothing = [np.empty((0, 3))] * 2
    assert choose_weights(nothing, np.empty(0, np.int32), "single") == (1.0, 0.0)
    assert np.isnan(calibrated_loss(nothing[0], np.empty(0, np.int32), "single"))

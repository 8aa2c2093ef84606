"""The linear head is logistic regression: scikit-learn's, however the rows are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from torch import nn

from tests.train.clusters import clusters
from vidclf_cli.dataset import Dataset
from vidclf_cli.errors import VidclfError
from vidclf_cli.scoring import Task
from vidclf_train.batches import MemoryBatches, StreamedBatches, make_batches, read_unit_rows
from vidclf_train.linear import LinearProblem, fit_linear

STRENGTHS = (1.0, 0.03, 0.3)


def problem_of(dataset: Dataset) -> LinearProblem:
    return LinearProblem(make_batches(dataset, np.arange(len(dataset))), len(dataset.labels), dataset.task)


def probabilities(layer: nn.Linear, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        logits = layer(read_unit_rows(dataset, rows))
    return np.asarray(logits.softmax(dim=1) if dataset.task == "single" else logits.sigmoid())


@pytest.mark.parametrize("task", ["single", "multi"])
@pytest.mark.parametrize("l2", STRENGTHS)
def test_it_predicts_what_scikit_learn_predicts(task: Task, l2: float) -> None:
    dataset = clusters(150, task=task, gap=2.0)
    train, others = np.arange(100), np.arange(100, 150)
    batches = make_batches(dataset, train)
    (layer,) = fit_linear(LinearProblem(batches, 3, task), [l2])
    reference = LogisticRegression(C=1 / l2, max_iter=5000, tol=1e-8)
    model = reference if task == "single" else OneVsRestClassifier(reference)
    model.fit(read_unit_rows(dataset, train).numpy(), dataset.targets[train])
    expected = model.predict_proba(read_unit_rows(dataset, others).numpy())
    assert np.ptp(expected) > 0.3  # Otherwise everything would agree.
    np.testing.assert_allclose(probabilities(layer, dataset, others), expected, atol=1e-2)


def test_two_labels_have_the_penalty_of_a_softmax_with_two_columns() -> None:
    """scikit-learn's two-label case has one column: half the penalty for the same difference."""
    dataset = clusters(60, label_count=2, gap=2.0)
    (layer,) = fit_linear(problem_of(dataset), [1.0])
    inputs = read_unit_rows(dataset, np.arange(60)).numpy()
    expected = LogisticRegression(C=2.0, max_iter=5000, tol=1e-8).fit(inputs, dataset.targets)
    found = probabilities(layer, dataset, np.arange(60))
    np.testing.assert_allclose(found, expected.predict_proba(inputs), atol=1e-2)


def test_several_strengths_give_what_each_alone_gives_in_their_order() -> None:
    dataset = clusters(90, gap=2.0)
    rows = np.arange(90)
    together = fit_linear(problem_of(dataset), STRENGTHS)
    norms = [float(layer.weight.detach().norm()) for layer in together]
    assert norms[0] < norms[2] < norms[1]
    for strength, layer in zip(STRENGTHS, together, strict=True):
        (alone,) = fit_linear(problem_of(dataset), [strength])
        found, expected = (probabilities(each, dataset, rows) for each in (layer, alone))
        np.testing.assert_allclose(found, expected, atol=5e-3)


def test_streamed_rows_give_the_weights_of_rows_in_memory() -> None:
    dataset = clusters(700, gap=2.0)  # More than two blocks.
    rows = np.flatnonzero(np.arange(700) % 7)
    streamed = StreamedBatches(dataset, rows)
    in_memory = make_batches(dataset, rows)
    assert isinstance(in_memory, MemoryBatches)
    found, expected = (
        fit_linear(LinearProblem(each, 3, "single"), [0.3])[0] for each in (streamed, in_memory)
    )
    np.testing.assert_allclose(found.weight.detach(), expected.weight.detach(), atol=0.02)
    np.testing.assert_allclose(
        probabilities(found, dataset, rows), probabilities(expected, dataset, rows), atol=2e-3
    )


def test_nothing_is_random() -> None:
    dataset = clusters(30)
    torch.manual_seed(1)
    (one,) = fit_linear(problem_of(dataset), [0.1])
    torch.manual_seed(2)
    (other,) = fit_linear(problem_of(dataset), [0.1])
    assert torch.equal(one.weight, other.weight)
    assert not one.training


def test_a_label_without_rows_gets_next_to_no_probability() -> None:
    dataset = clusters(60, label_count=3, targets=np.arange(60) % 2)
    (layer,) = fit_linear(problem_of(dataset), [0.1])
    assert probabilities(layer, dataset, np.arange(60))[:, 2].max() < 0.02


def test_numbers_that_are_none_end_the_training() -> None:
    inputs = torch.full((4, 2), float("nan"))
    batches = MemoryBatches(inputs, torch.tensor([0, 1, 0, 1]), (2,))
    with pytest.raises(VidclfError, match="no number"):
        fit_linear(LinearProblem(batches, 2, "single"), [1.0])


def test_weights_that_are_none_after_the_first_look_end_the_training_too() -> None:
    class Worsening(MemoryBatches):
        looks = 0

        def ordered(self, batch_size: int):  # type: ignore[no-untyped-def]
            self.looks += 1
            for inputs, targets in super().ordered(batch_size):
                yield inputs * (1 if self.looks == 1 else float("nan")), targets

    batches = Worsening(torch.eye(4), torch.tensor([0, 1, 0, 1]), (4,))
    with pytest.raises(VidclfError, match="no number"):
        fit_linear(LinearProblem(batches, 2, "single"), [1.0])


@pytest.mark.parametrize("copies", [1, 2])
def test_fewer_rows_than_dimensions_give_the_optimum_too(copies: int) -> None:
    random = np.random.default_rng(3)
    inputs = np.tile(random.standard_normal((20, 200), np.float32) / 14, (copies, 1))  # Rank 20 at most.
    targets = np.tile(np.arange(20) % 3, copies)
    others = random.standard_normal((30, 200), np.float32) / 14
    batches = MemoryBatches(torch.from_numpy(inputs), torch.from_numpy(targets), (150, 50))
    (layer,) = fit_linear(LinearProblem(batches, 3, "single"), [0.1])
    expected = LogisticRegression(C=10, max_iter=5000, tol=1e-8).fit(inputs, targets).predict_proba(others)
    with torch.inference_mode():
        found = layer(torch.from_numpy(others)).softmax(dim=1)
    assert np.ptp(expected) > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-2)

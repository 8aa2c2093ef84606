"""An ensemble mixes probabilities, whatever the logits, and exports to ONNX as it is."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from vidclf_cli.scoring import Task
from vidclf_train.model import Ensemble
from vidclf_train.networks import build_network


class Fixed(nn.Module):
    """Gives the same logits for whatever it gets."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = nn.Buffer(torch.tensor(logits))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits.expand(len(inputs), -1)


class Echo(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


def ensemble(
    *logits: list[float], weights: list[float], task: Task = "single", temperature: float = 1
) -> Ensemble:
    return Ensemble([2], [Fixed(each) for each in logits], weights, task, temperature)


def test_every_space_is_scaled_to_unit_length_and_zeros_stay_zeros() -> None:
    model = Ensemble([2, 3], [Echo()], [1], "single", 1)
    logits, _ = model(
        torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    )
    assert torch.allclose(logits, torch.tensor([[0.6, 0.8, 0, 0, 0], [0, 0, 0, 1, 0]]))


@pytest.mark.parametrize("task", ["single", "multi"])
def test_probabilities_are_mixed_by_weight(task: Task) -> None:
    a, b = [1.0, -2.0, 0.5], [-1.0, 3.0, 0.0]
    _, mixed = ensemble(a, b, weights=[1, 3], task=task)(torch.ones(1, 2))
    probabilities = torch.softmax if task == "single" else lambda each, dim: each.sigmoid()
    expected = 0.25 * probabilities(torch.tensor(a), dim=0) + 0.75 * probabilities(torch.tensor(b), dim=0)
    assert torch.allclose(mixed[0], expected, atol=1e-6)


@pytest.mark.parametrize("task", ["single", "multi"])
def test_one_members_logits_are_the_models(task: Task) -> None:
    logits, _ = ensemble([1.0, -2.0, 0.5], weights=[7], task=task)(torch.ones(2, 2))
    assert torch.equal(logits, torch.tensor([[1.0, -2.0, 0.5]] * 2))


@pytest.mark.parametrize("task", ["single", "multi"])
def test_the_temperature_divides_the_logits(task: Task) -> None:
    members = ([1.0, -2.0], [0.0, 2.0])
    plain, _ = ensemble(*members, weights=[1, 1], task=task)(torch.ones(1, 2))
    cooled, probabilities = ensemble(*members, weights=[1, 1], task=task, temperature=2)(torch.ones(1, 2))
    assert torch.allclose(cooled, plain / 2)
    expected = (plain / 2).softmax(dim=1) if task == "single" else (plain / 2).sigmoid()
    assert torch.allclose(probabilities, expected)


@pytest.mark.parametrize("task", ["single", "multi"])
def test_logits_of_any_size_give_numbers(task: Task) -> None:
    model = ensemble([1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], weights=[1, 1], task=task)
    logits, probabilities = model(torch.ones(1, 2))
    assert logits.isfinite().all()
    assert torch.allclose(probabilities[0, :2], torch.tensor([0.5, 0.5]), atol=1e-4)


@pytest.mark.parametrize(("weights", "temperature"), [([1.0], 0.0), ([0.0], 1.0), ([1.0, 1.0], 1.0)])
def test_weights_and_temperatures_that_mean_nothing_are_refused(
    weights: list[float], temperature: float
) -> None:
    with pytest.raises(ValueError, match=r"weights|temperature"):
        ensemble([1.0, 2.0], weights=weights, temperature=temperature)


def test_the_exported_graph_gives_the_same_for_any_number_of_rows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    members = [
        build_network("wide", 9, 4, hidden=(16,)),
        build_network("linear", 9, 4),
        Fixed([90.0, -90, 0, 1]),
    ]
    model = Ensemble([6, 3], members, [1, 2, 1], "multi", 1.3).eval()
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.randn(3, 6), torch.randn(3, 3)), path, input_names=["a", "b"],
            output_names=["logits", "probabilities"], dynamo=True, verbose=False,
            dynamic_shapes=(({0: "rows"}, {0: "rows"}),),
        )  # fmt: skip
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 2, 57):
        a, b = torch.randn(count, 6) * 100, torch.randn(count, 3)
        b[::2] = 0
        with torch.no_grad():
            expected = model(a, b)
        found = session.run(None, {"a": a.numpy(), "b": b.numpy()})
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(one.numpy(), other, atol=1e-5, rtol=1e-5)

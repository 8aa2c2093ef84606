"""The linear head: logistic regression, fitted to the end by L-BFGS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from vidclf_cli.errors import VidclfError
from vidclf_cli.scoring import Task
from vidclf_train.batches import Batches

_BATCH_ROWS = 4096
_STEP_COUNT = 60
_CHANGE = 1e-7
"""Fitting ends when a step changes the mean loss by less. On 1,166 rows of YouTube-8M probabilities are then
within 0.002 of the optimum; 1e-5 takes 1.3 s instead of 2.3 s, and is 0.03 off for the weakest penalty."""


@dataclass(frozen=True, slots=True)
class LinearProblem:
    """What is minimised: mean cross-entropy + l2 / (2 rows) |W|^2; the biases are free.

    l2 is 1 / C of scikit-learn's LogisticRegression.

    Attributes:
        batches: The rows, in memory or streamed; read through once per evaluation.
        label_count: Number of logits.
        task: One softmax over the labels, or a sigmoid for each of them.
    """

    batches: Batches
    label_count: int
    task: Task


def fit_linear(problem: LinearProblem, l2: Sequence[float], device: str = "cpu") -> list[nn.Linear]:
    """Fit one linear layer per strength of the penalty, each from where the next stronger one ended.

    Nothing is random: the same rows give the same weights.

    Args:
        problem: See there.
        l2: Strengths, above 0.
        device: Where the rows are.

    Returns:
        On the CPU, in the order of `l2`.

    Raises:
        VidclfError: The loss is no number.
    """
    layer = nn.Linear(sum(problem.batches.dimensions), problem.label_count, device=device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    fitted: dict[float, nn.Linear] = {}
    for strength in sorted(set(l2), reverse=True):
        _minimise(problem, layer, strength)
        copy = nn.Linear(layer.in_features, layer.out_features)
        copy.load_state_dict(layer.state_dict())
        fitted[strength] = copy.eval()
    return [fitted[strength] for strength in l2]


def _minimise(problem: LinearProblem, layer: nn.Linear, l2: float) -> None:
    optimiser = torch.optim.LBFGS(
        layer.parameters(),
        max_iter=_STEP_COUNT,
        tolerance_grad=1e-7,
        tolerance_change=_CHANGE,
        history_size=10,
        line_search_fn="strong_wolfe",
    )
    count = problem.batches.row_count

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        loss = 0.5 * l2 / count * layer.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped.
        total = loss.detach()
        for inputs, targets in problem.batches.ordered(_BATCH_ROWS):
            part = _loss(layer(inputs), targets, problem.task) / count
            part.backward()  # type: ignore[no-untyped-call]  # The same.
            total = total + part.detach()
        # The line search would go on, and end with an error of torch's own.
        if not bool(torch.isfinite(total)):
            raise VidclfError(
                "Training of the linear head failed: its loss is no number.",
                "Give larger values of `l2` in the recipe.",
            )
        return total

    optimiser.step(evaluate)  # type: ignore[no-untyped-call]  # The same.


def _loss(logits: Tensor, targets: Tensor, task: Task) -> Tensor:
    """Return the loss summed over the rows, and over the labels of each where there may be several."""
    if task == "single":
        return cross_entropy(logits, targets, reduction="sum")
    return binary_cross_entropy_with_logits(logits, targets, reduction="sum")

"""The linear head: logistic regression, fitted to the end by L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from vidclf_cli.errors import VidclfError
from vidclf_cli.scoring import Task
from vidclf_train.batches import Batches, MemoryBatches

_BATCH_ROWS = 4096
_STEP_COUNT = 60
_CHANGE = 3e-7
"""Fitting ends when a step changes the mean loss by less. On 1,166 rows of YouTube-8M probabilities are then
within 0.004 of the optimum; 1e-5 saves a fifth of the time, and is 0.02 off for the weakest penalty."""


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


def fit_linear(
    problem: LinearProblem,
    l2: Sequence[float],
    device: str = "cpu",
    on_step: Callable[[], None] | None = None,
) -> list[nn.Linear]:
    """Fit one linear layer per strength of the penalty, each from where the next stronger one ended.

    Nothing is random: the same rows give the same weights.

    Args:
        problem: See there.
        l2: Strengths, above 0.
        device: Where the rows are.
        on_step: Called after each evaluation of the loss; may raise to end it.

    Returns:
        On the CPU, in the order of `l2`.

    Raises:
        VidclfError: The loss is no number.
    """
    dimension = sum(problem.batches.dimensions)
    problem, basis = _within_span(problem)
    layer = nn.Linear(sum(problem.batches.dimensions), problem.label_count, device=device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    fitted: dict[float, nn.Linear] = {}
    for strength in sorted(set(l2), reverse=True):
        _minimise(problem, layer, strength, on_step)
        copy = nn.Linear(dimension, problem.label_count)
        weight = layer.weight.detach() if basis is None else layer.weight.detach() @ basis.T
        copy.load_state_dict({"weight": weight, "bias": layer.bias.detach()})
        fitted[strength] = copy.eval()
    return [fitted[strength] for strength in l2]


def _within_span(problem: LinearProblem) -> tuple[LinearProblem, Tensor | None]:
    """Express rows that are few for their dimension by an orthonormal basis of their span.

    The optimum lies in the span (the representer theorem: whatever is perpendicular to all rows changes no
    logit, and costs by the penalty), and an evaluation takes a fraction of the time.

    Returns:
        The same problem in the basis, and the basis, shape (dimension, rows); or as it was, and None.
    """
    batches = problem.batches
    if not isinstance(batches, MemoryBatches) or 2 * batches.row_count > sum(batches.dimensions):
        return problem, None
    inputs, targets = next(batches.ordered(batches.row_count))
    basis, triangle = torch.linalg.qr(inputs.T)
    reduced = MemoryBatches(triangle.T.contiguous(), targets, (len(inputs),))
    return replace(problem, batches=reduced), basis


def _minimise(
    problem: LinearProblem, layer: nn.Linear, l2: float, on_step: Callable[[], None] | None
) -> None:
    optimiser = torch.optim.LBFGS(
        layer.parameters(),
        max_iter=_STEP_COUNT,
        tolerance_grad=1e-7,
        tolerance_change=_CHANGE,
        history_size=10,
        line_search_fn="strong_wolfe",
    )
    count = problem.batches.row_count

    @torch.no_grad()
    def evaluate() -> Tensor:
        weight_gradient = l2 / count * layer.weight
        bias_gradient = torch.zeros_like(layer.bias)
        total = 0.5 * l2 / count * layer.weight.square().sum()
        for inputs, targets in problem.batches.ordered(_BATCH_ROWS):
            loss, slopes = _loss_and_slopes(layer(inputs), targets, problem.task)
            total += loss / count
            # torch's own backward step multiplies the other way round, which takes four times as long.
            weight_gradient += (slopes / count).T @ inputs
            bias_gradient += slopes.sum(dim=0) / count
        layer.weight.grad, layer.bias.grad = weight_gradient, bias_gradient
        # The line search would go on, and end with an error of torch's own.
        if not bool(torch.isfinite(total)):
            raise VidclfError(
                "Training of the linear head failed: its loss is no number.",
                "Give larger values of `l2` in the recipe.",
            )
        if on_step:
            on_step()
        return total

    optimiser.step(evaluate)  # type: ignore[no-untyped-call]  # torch leaves it untyped.


def _loss_and_slopes(logits: Tensor, targets: Tensor, task: Task) -> tuple[Tensor, Tensor]:
    """Return the loss summed over the rows, and over the labels of each where there may be several.

    The slopes are its derivatives by the logits, shape (rows, labels): probabilities less targets.
    """
    if task == "single":
        loss = cross_entropy(logits, targets, reduction="sum")
        return loss, logits.softmax(dim=1) - one_hot(targets, logits.shape[1])
    return binary_cross_entropy_with_logits(logits, targets, reduction="sum"), logits.sigmoid() - targets

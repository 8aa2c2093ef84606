"""Round weights to a few levels so that the layer's output changes least, not the weights themselves.

Source: Frantar et al., "GPTQ" (arXiv:2210.17323), section 3, here with one step size per output channel and
the inputs' mean handled by the bias (Nagel et al., "Data-Free Quantization", arXiv:1906.04721, section 4.2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

WEIGHT_LEVELS = 64
"""Weights are -64..64, not -127..127: on x86 without VNNI two products of an unsigned and a signed byte are
added in 16 bits, and 2 * 255 * 64 is the most that fits."""

# Step sizes tried per channel, as parts of the one that just reaches the largest weight.
_SHRINKS = np.linspace(0.6, 1.0, 21)
# Added to the diagonal of the inputs' covariance, as a part of its mean: the paper's value.
_DAMPING = 0.01


def round_weights(
    weights: Doubles, covariance: Doubles, least_steps: Doubles, levels: int = WEIGHT_LEVELS
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round each row of a matrix, given how the inputs vary together.

    Args:
        weights: Shape (rows, inputs).
        covariance: Of the inputs, shape (inputs, inputs).
        least_steps: No step size is smaller, shape (rows,): a channel that is all zeros needs one too.
        levels: The largest magnitude of an integer.

    Returns:
        The integers, shape (rows, inputs), and the step size of each row.
    """
    count = weights.shape[1]
    steps = np.maximum(_choose_steps(weights, covariance, levels), least_steps).astype(np.float32)
    damped = covariance + np.eye(count) * (_DAMPING * np.trace(covariance) / count + 1e-9)
    # Inputs that vary most are rounded first; the later ones take up the error that is left.
    order = np.argsort(-np.diag(damped), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    left = weights[:, order].copy()
    exact = steps.astype(np.float64)
    rounded = np.empty_like(left)
    for index in range(count):
        rounded[:, index] = np.rint(left[:, index] / exact).clip(-levels, levels)
        error = (left[:, index] - rounded[:, index] * exact) / upper[index, index]
        left[:, index + 1 :] -= np.outer(error, upper[index, index + 1 :])
    integers = np.empty(weights.shape, np.int8)
    integers[:, order] = rounded.astype(np.int8)
    return integers, steps


def _choose_steps(weights: Doubles, covariance: Doubles, levels: int) -> Doubles:
    """Return per row the step size with the least error of the output when rounding to the nearest."""
    largest = np.maximum(np.abs(weights).max(axis=1), 1e-9)
    best = np.full(len(weights), np.inf)
    steps: Doubles = largest / levels
    for shrink in _SHRINKS:
        # As float32, which is what the graph stores.
        tried = (largest * shrink / levels).astype(np.float32).astype(np.float64)
        error = np.rint(weights / tried[:, None]).clip(-levels, levels) * tried[:, None] - weights
        loss = np.einsum("ri,ri->r", error @ covariance, error)
        better = loss < best
        best[better], steps[better] = loss[better], tried[better]
    return steps

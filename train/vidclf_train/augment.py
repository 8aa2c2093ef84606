"""What is done to unit vectors in training so that a network does not learn them by heart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from vidclf_train.unit import present_rows, unit_rows


def add_noise(vectors: Tensor, strength: float, generator: Generator) -> Tensor:
    """Move unit vectors of one space in a random direction, and back onto the sphere.

    n = e / |e| with e from a normal distribution, x' = (x + strength n) / |x + strength n|: the paper,
    section 3.3. For a strength below 1 the cosine distance of x and x' is at most 1 - sqrt(1 - strength^2).

    Args:
        vectors: Unit vectors, shape (rows, dimension); rows of zeros stay zeros.
        strength: Length of what is added.
        generator: On the device of the vectors.
    """
    if strength == 0:
        return vectors
    noisy = torch.randn(vectors.shape, generator=generator, device=vectors.device, dtype=vectors.dtype)
    # In place: a pass over the numbers costs as much as a fifth of drawing them.
    noisy *= strength / _lengths(noisy)
    noisy += vectors
    noisy *= present_rows(vectors)[:, None] / _lengths(noisy)
    return noisy


def _lengths(vectors: Tensor) -> Tensor:
    """Return the lengths of rows, shape (rows, 1), never 0; their numbers are of ordinary size."""
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return lengths.clamp(min=1e-30)


def drop_modalities(parts: Sequence[Tensor], probability: float, generator: Generator) -> list[Tensor]:
    """Replace vectors by zeros at random, so that a missing modality is a normal case.

    Every vector of a row goes with the same probability, but never the last one that the row has.

    Args:
        parts: One tensor per space, shape (rows, dimension); a row of zeros is missing already.
        probability: Of each vector, below 1.
        generator: On the device of the vectors.
    """
    if probability == 0 or len(parts) < 2:
        return list(parts)
    present = torch.stack([present_rows(part) for part in parts], dim=1)
    draws = torch.rand(present.shape, generator=generator, device=present.device)
    draws = torch.where(present, draws, -1.0)
    # The vector with the luckiest draw stays in any case.
    kept = (draws >= probability) | (draws == draws.amax(dim=1, keepdim=True))
    return [part * kept[:, number, None] for number, part in enumerate(parts)]


def mix_rows(
    parts: Sequence[Tensor], targets: Tensor, concentration: float, generator: Generator
) -> tuple[list[Tensor], Tensor]:
    """Mix every row with another one of the minibatch, and their targets in the same proportion (mixup).

    The share of the row itself comes from Beta(concentration, concentration), drawn for each row (Zhang and
    others 2018, "mixup: Beyond Empirical Risk Minimization"). The mixed vectors are unit vectors again.

    Args:
        parts: One tensor of unit vectors per space, shape (rows, dimension).
        targets: Shares of the labels, shape (rows, labels).
        concentration: Below 1 most rows stay nearly as they are; 1 mixes evenly.
        generator: Of the CPU: the shares are drawn there.

    Returns:
        The mixed parts and targets.
    """
    count = len(targets)
    shares = _beta(concentration, count, generator).to(targets)[:, None]
    others = torch.randperm(count, generator=generator).to(targets.device)
    mixed = [unit_rows(shares * part + (1 - shares) * part[others]) for part in parts]
    return mixed, shares * targets + (1 - shares) * targets[others]


def _beta(concentration: float, count: int, generator: Generator) -> Tensor:
    """Draw from Beta(a, a) by Johnk's method, which needs nothing but uniform numbers.

    u^(1/a) / (u^(1/a) + v^(1/a)) for uniform u, v whose powers add up to at most 1 (Johnk 1964).
    """
    found = torch.empty(0, dtype=torch.float64)
    while len(found) < count:
        draws = torch.rand((2, 4 * count), generator=generator, dtype=torch.float64)
        powers = draws.log() / concentration
        fitting = torch.logsumexp(powers, dim=0) <= 0
        found = torch.cat([found, torch.sigmoid(powers[0] - powers[1])[fitting]])
    return found[:count].float()

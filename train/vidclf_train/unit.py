"""Unit length, once for all: training, the exported graph and augmentation use the same few operations."""

from __future__ import annotations

from torch import Tensor

_TINY = 1e-30


def unit_rows(vectors: Tensor) -> Tensor:
    """Return the rows scaled to length 1; rows of zeros stay zeros.

    Each row is divided by its largest number first: the square of a float32 beyond 1e19 is infinite.

    Args:
        vectors: Shape (rows, dimension).
    """
    scaled = vectors / vectors.abs().amax(dim=1, keepdim=True).clamp(min=_TINY)
    return scaled / (scaled * scaled).sum(dim=1, keepdim=True).sqrt().clamp(min=_TINY)


def present_rows(vectors: Tensor) -> Tensor:
    """Return which rows are not all zeros, shape (rows,).

    By the largest number: comparing every number with zero takes five times as long.

    Args:
        vectors: Shape (rows, dimension).
    """
    return vectors.abs().amax(dim=1) > 0

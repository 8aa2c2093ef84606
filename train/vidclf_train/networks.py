"""The architectures: from concatenated unit vectors to logits.

As in the paper, "layers" counts linear layers. A hidden layer is Linear, BatchNorm, SiLU, Dropout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Generator, Tensor, nn

NetworkKind = Literal["mlp-3", "mlp-4", "mlp-5", "attention", "wide"]
NETWORK_KINDS: tuple[NetworkKind, ...] = get_args(NetworkKind)

HIDDEN: dict[NetworkKind, tuple[int, ...]] = {
    "mlp-3": (1024, 512),
    "mlp-4": (2048, 1024, 256),
    "mlp-5": (4096, 2048, 1024, 512),
    "attention": (2048, 1024, 256),
    "wide": (),
}
DROPOUT: dict[NetworkKind, tuple[float, ...]] = {
    "mlp-3": (0.5, 0.3),
    "mlp-4": (0.5, 0.3, 0.2),
    "mlp-5": (0.5, 0.3, 0.2, 0.1),
    "attention": (0.5, 0.3, 0.2),
    "wide": (),
}
_ATTENTION_DROPOUT = 0.3
_QUERY_COUNT = 32  # 1,000 rows x 32 queries x 1,024 keys take 131 MB; all queries at once would take 4.2 GB.


def build_network(
    kind: NetworkKind | Literal["linear"],
    input_dimension: int,
    label_count: int,
    *,
    hidden: Sequence[int] = (),
    dropout: Sequence[float] = (),
) -> nn.Module:
    """Build a network with random weights, from (rows, input_dimension) to logits (rows, label_count).

    Args:
        kind: `linear` has no hidden layer, `wide` has those of `hidden`.
        input_dimension: Length of the concatenated vectors.
        label_count: Number of logits.
        hidden: Widths of the hidden layers of `wide`; the other kinds have theirs.
        dropout: One share per hidden layer; empty for the architecture's own (0.5 each for `wide`).

    Raises:
        ValueError: The shares are not one per hidden layer, or widths are given to a kind that has its own.
    """
    if kind == "linear":
        return nn.Linear(input_dimension, label_count)
    if (kind == "wide") != bool(hidden):
        raise ValueError(f"{kind} with the hidden widths {tuple(hidden)}")
    widths = tuple(hidden) or HIDDEN[kind]
    shares = tuple(dropout) or DROPOUT[kind] or (0.5,) * len(widths)
    if len(shares) != len(widths):
        raise ValueError(f"{len(shares)} dropout shares for {len(widths)} hidden layers")
    layers: list[nn.Module] = []
    width_before = input_dimension
    for number, (width, share) in enumerate(zip(widths, shares, strict=True)):
        layers += _hidden_layer(width_before, width, share)
        if kind == "attention" and number == 1:
            layers += [FeatureAttention(width), nn.BatchNorm1d(width), nn.SiLU()]
        width_before = width
    return nn.Sequential(*layers, nn.Linear(width_before, label_count))


def _hidden_layer(width_before: int, width: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(width_before, width), nn.BatchNorm1d(width), nn.SiLU(), Dropout(dropout)]


class Dropout(nn.Module):
    """Zeros a share of the features in training, and scales the others up for it.

    torch's own draws from the generator of the whole process, which trainings side by side would share.

    Args:
        share: Of the features, below 1.

    Attributes:
        generator: On the features' device; to be set before training.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: Generator | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Return the same shape."""
        if not self.training or not self.share:
            return features
        kept = torch.empty_like(features).bernoulli_(1 - self.share, generator=self.generator)
        return features * kept.mul_(1 / (1 - self.share))

    def extra_repr(self) -> str:
        """Return what torch prints of it."""
        return f"share={self.share}"


class FeatureAttention(nn.Module):
    """Self-attention over the features of each row, as the paper's attention variant has it.

    Query, key and value are linear functions of a row; the outer product of its query and its key gives the
    scores of (feature, feature), a softmax over the keys the weights; the weighted values go through a
    projection with a residual connection around it.

    Args:
        width: Features of a row.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.projection = nn.Linear(width, width)
        self.dropout = Dropout(_ATTENTION_DROPOUT)

    def forward(self, features: Tensor) -> Tensor:
        """Return shape (rows, width) for (rows, width).

        Queries are taken a few at a time, so that evaluation needs memory for those only; the loop unrolls
        into a graph that takes any number of rows.
        """
        keys = self.key(features)[:, None, :]
        values = self.value(features)[:, None, :]
        contexts = [
            ((queries[:, :, None] * keys).softmax(dim=2) * values).sum(dim=2)
            for queries in self.query(features).split(_QUERY_COUNT, dim=1)
        ]
        context = torch.cat(contexts, dim=1)
        result: Tensor = context + self.projection(self.dropout(context))
        return result

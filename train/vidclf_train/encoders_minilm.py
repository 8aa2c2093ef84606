"""all-MiniLM-L6-v2 in plain torch, with the layer names of its published weights.

Source of the architecture: Devlin et al., "BERT" (arXiv:1810.04805), and Reimers and Gurevych,
"Sentence-BERT" (arXiv:1908.10084), for the mean over the tokens; six layers, 384 wide, 12 heads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class TextShape:
    """The sizes of a text encoder; smaller ones make a quick network for tests."""

    vocabulary_size: int = 30522
    width: int = 384
    layer_count: int = 6
    head_count: int = 12
    feed_forward_width: int = 1536
    position_count: int = 512


class Embeddings(nn.Module):
    """The sum of a token's, its position's and the first segment's vector, normalised."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocabulary_size, shape.width)
        self.position_embeddings = nn.Embedding(shape.position_count, shape.width)
        self.token_type_embeddings = nn.Embedding(2, shape.width)
        self.LayerNorm = nn.LayerNorm(shape.width, eps=1e-12)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Map (N, L) token ids to (N, L, width)."""
        positions = self.position_embeddings.weight[: input_ids.shape[1]]
        # The segment is always the first one: a text is embedded alone.
        hidden = self.word_embeddings(input_ids) + (positions + self.token_type_embeddings.weight[0])
        normalised: Tensor = self.LayerNorm(hidden)
        return normalised


class Attention(nn.Module):
    """Multi-head self-attention with its residual and norm."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.head_count = shape.head_count
        self.self = nn.ModuleDict(
            {name: nn.Linear(shape.width, shape.width) for name in ("query", "key", "value")}
        )
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(shape.width, shape.width), "LayerNorm": nn.LayerNorm(shape.width, eps=1e-12)}
        )

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Attend within (N, L, width); `bias` (N, 1, 1, L) is very negative where there is no token."""
        rows, length, width = hidden.shape
        head_width = width // self.head_count

        def heads(name: str) -> Tensor:
            projected: Tensor = self.self[name](hidden)
            return projected.view(rows, length, self.head_count, head_width).transpose(1, 2)

        scores = heads("query") @ heads("key").transpose(2, 3) * (1.0 / math.sqrt(head_width)) + bias
        context = torch.softmax(scores, dim=-1) @ heads("value")
        joined = context.transpose(1, 2).reshape(rows, length, width)
        normalised: Tensor = self.output["LayerNorm"](self.output["dense"](joined) + hidden)
        return normalised


class Layer(nn.Module):
    """Attention, then a feed-forward network, each with its residual and norm."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(shape.width, shape.feed_forward_width)})
        self.output = nn.ModuleDict(
            {
                "dense": nn.Linear(shape.feed_forward_width, shape.width),
                "LayerNorm": nn.LayerNorm(shape.width, eps=1e-12),
            }
        )

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Map (N, L, width) to the same shape."""
        attended = self.attention(hidden, bias)
        expanded = functional.gelu(self.intermediate["dense"](attended))
        normalised: Tensor = self.output["LayerNorm"](self.output["dense"](expanded) + attended)
        return normalised


class MiniLM(nn.Module):
    """Tokens in, one vector of unit length per text out."""

    def __init__(self, shape: TextShape | None = None) -> None:
        super().__init__()
        shape = shape or TextShape()
        self.embeddings = Embeddings(shape)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(shape) for _ in range(shape.layer_count))})

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed texts.

        Args:
            input_ids: Token ids, int64, shape (N, L), L at most 512.
            attention_mask: 1 for a token and 0 for padding, int64, shape (N, L).

        Returns:
            The mean over each text's tokens, unit length, shape (N, width).
        """
        mask = attention_mask.to(torch.float32)
        bias = (1.0 - mask)[:, None, None, :] * -10000.0
        hidden = self.embeddings(input_ids)
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            hidden = layer(hidden, bias)
        weights = mask[:, :, None]
        mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
        return functional.normalize(mean, dim=1)


def load_minilm(weights: Mapping[str, Tensor]) -> MiniLM:
    """Return the network with published weights, in evaluation mode.

    The pooler and the constant position ids of the published weights have no use here; every other name
    must match.
    """
    unused = ("pooler.", "embeddings.position_ids")
    network = MiniLM()
    network.load_state_dict({name: value for name, value in weights.items() if not name.startswith(unused)})
    return network.eval()

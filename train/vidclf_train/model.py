"""The model that is exported: vectors of each space in, calibrated probabilities out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from vidclf_cli.scoring import Task
from vidclf_train.unit import unit_rows


class Ensemble(nn.Module):
    """Networks whose probabilities are mixed, with everything around them.

    Every space's vectors are scaled to unit length (zeros stay zeros) and concatenated in order; every member
    reads that. With p the weighted mean of the members' probabilities the logits are log p for one label per
    row, and log p - log(1 - p) for many, divided by the temperature. One member's logits are its own.

    Args:
        dimensions: Of the spaces, in the order of the inputs.
        members: Each from (rows, sum of dimensions) to logits (rows, labels).
        weights: Of the members' probabilities; above 0, scaled to the sum 1.
        task: `single` gives a softmax, `multi` a sigmoid per label.
        temperature: Above 0.

    Raises:
        ValueError: Weights or temperature are not above 0, or not one weight per member.
    """

    def __init__(
        self,
        dimensions: Sequence[int],
        members: Sequence[nn.Module],
        weights: Sequence[float],
        task: Task,
        temperature: float,
    ) -> None:
        super().__init__()
        if len(members) != len(weights) or not weights or min(weights) <= 0:
            raise ValueError(f"{len(members)} members with the weights {tuple(weights)}")
        if not temperature > 0:
            raise ValueError(f"a temperature of {temperature}")
        self.dimensions = tuple(dimensions)
        self.members = nn.ModuleList(members)
        self.weights = tuple(weight / sum(weights) for weight in weights)
        self.task: Task = task
        self.temperature = temperature

    def forward(self, *vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and probabilities, each (rows, labels), for one (rows, dimension) per space."""
        inputs = torch.cat([unit_rows(each) for each in vectors], dim=1)
        logits = self._mix([member(inputs) for member in self.members]) / self.temperature
        return logits, logits.softmax(dim=1) if self.task == "single" else logits.sigmoid()

    def _mix(self, logits: list[Tensor]) -> Tensor:
        if len(logits) == 1:
            return logits[0]
        if self.task == "single":
            return self._log_mean([each.log_softmax(dim=1) for each in logits])
        yes = self._log_mean([logsigmoid(each) for each in logits])
        no = self._log_mean([logsigmoid(-each) for each in logits])
        return yes - no

    def _log_mean(self, logs: list[Tensor]) -> Tensor:
        """Return the logarithm of the weighted mean of the exponentials, safe for any logarithms."""
        weights = torch.tensor(self.weights, dtype=logs[0].dtype, device=logs[0].device)
        weighted = torch.stack(logs) + weights.log()[:, None, None]
        # Written out: exported as one operator it overflows in some runtimes.
        largest = weighted.amax(dim=0)
        return largest + (weighted - largest).exp().sum(dim=0).log()

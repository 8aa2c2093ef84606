"""What flows through EfficientNet-lite0 on real frames: means, covariances and ranges.

In float64, so that a machine which sums in another order gets the same int8 encoder.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidclf_train.encoders_lite0 import EfficientNetLite0, SameConv

# Positions of a picture that are looked at: a covariance of 1,152 inputs needs no more.
_POSITIONS = 3136
_BATCH = 4


@dataclass(slots=True)
class LayerStatistics:
    """What one convolution saw and gave.

    Attributes:
        mean: Of its inputs, shape (groups, inputs of a group).
        covariance: Of its inputs, shape (groups, inputs of a group, inputs of a group).
        low: Least value of its output, before any activation.
        high: Greatest value of its output.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    low: float
    high: float


class _Sums:
    """Sums over the frames seen so far of one convolution."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | float = 0.0
        self.product: Tensor | float = 0.0
        self.low, self.high = 0.0, 0.0

    def add(self, conv: SameConv, images: Tensor, output: Tensor) -> None:
        patches = _patches(conv, images)
        self.count += patches.shape[2]
        self.mean = self.mean + patches.sum(dim=2)
        self.product = self.product + patches @ patches.transpose(1, 2)
        self.low, self.high = min(self.low, float(output.min())), max(self.high, float(output.max()))

    def result(self) -> LayerStatistics:
        assert isinstance(self.mean, Tensor)
        assert isinstance(self.product, Tensor)
        mean = (self.mean / self.count).numpy()
        covariance = (self.product / self.count).numpy() - mean[:, :, None] * mean[:, None, :]
        return LayerStatistics(mean, covariance, self.low, self.high)


def _patches(conv: SameConv, images: Tensor) -> Tensor:
    """Return what each output position reads, shape (groups, inputs of a group, positions)."""
    if conv.kernel_size[0] > 1:
        columns = functional.unfold(conv.pad(images), conv.kernel_size, stride=conv.stride)
    else:
        columns = images.flatten(2)
    columns = columns[:, :, :: max(1, columns.shape[2] // _POSITIONS)]
    grouped = columns.reshape(len(columns), conv.groups, -1, columns.shape[2])
    return grouped.permute(1, 2, 0, 3).flatten(2)


def measure(
    network: EfficientNetLite0, frames: NDArray[np.uint8]
) -> tuple[dict[str, LayerStatistics], dict[str, tuple[float, float]]]:
    """Run frames through a network with folded norms.

    Args:
        network: From `fold_norms`.
        frames: Shape (N, 224, 224, 3), RGB.

    Returns:
        Statistics by the name of the convolution; least and greatest output by the name of the block.
    """
    network = copy.deepcopy(network).double()
    sums: dict[str, _Sums] = {}
    ranges: dict[str, tuple[float, float]] = {}
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, SameConv):
            sums[name] = _Sums()
            handles.append(module.register_forward_hook(_add_to(sums[name])))
    for name, block in network.named_children():
        if isinstance(block, nn.ModuleList):
            for index, each in enumerate(block):
                handles.append(each.register_forward_hook(_widen(ranges, f"{name}.{index}")))
    with torch.inference_mode():
        for start in range(0, len(frames), _BATCH):
            network(torch.from_numpy(frames[start : start + _BATCH]))
    for handle in handles:
        handle.remove()
    return {name: each.result() for name, each in sums.items()}, ranges


def _add_to(sums: _Sums) -> Any:
    def hook(conv: SameConv, inputs: tuple[Tensor], output: Tensor) -> None:
        sums.add(conv, inputs[0], output)

    return hook


def _widen(ranges: dict[str, tuple[float, float]], name: str) -> Any:
    def hook(_: nn.Module, __: tuple[Tensor], output: Tensor) -> None:
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = (min(low, float(output.min())), max(high, float(output.max())))

    return hook

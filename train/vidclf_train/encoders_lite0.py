"""EfficientNet-lite0 in plain torch, with the layer names of its published weights.

Source of the architecture: Tan and Le, "EfficientNet" (arXiv:1905.11946), and the "lite" variant of
tensorflow/tpu: no squeeze-and-excitation, ReLU6 instead of swish, stem and head not scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

IMAGE_SIDE = 224


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of inverted residual blocks; the first one has the stride."""

    block_count: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME pads even sizes: stride 2 pads one more at the end."""

    @property
    def padding_amounts(self) -> tuple[int, int]:
        """Rows and columns of zeros before and after the picture."""
        total = self.kernel_size[0] - self.stride[0]
        return (total // 2, total - total // 2) if total > 0 else (0, 0)

    def pad(self, images: Tensor) -> Tensor:
        """Add the zeros to (N, C, H, W)."""
        before, after = self.padding_amounts
        if after == 0:
            return images
        padded: Tensor = functional.pad(images, (before, after, before, after))
        return padded

    def forward(self, images: Tensor) -> Tensor:
        """Convolve (N, C, H, W), H and W even where the stride is 2, to (N, C', H / stride, W / stride)."""
        return super().forward(self.pad(images))


def _conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> SameConv:
    return SameConv(channels_in, channels_out, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Expand, convolve each channel alone, project; the input is added where the shape allows."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = channels_in * expansion
        self.expands = expansion > 1
        self.residual = stride == 1 and channels_in == channels_out
        if self.expands:
            self._expand_conv: nn.Module = _conv(channels_in, width, 1)
            self._bn0: nn.Module = _norm(width)
        self._depthwise_conv: nn.Module = _conv(width, width, kernel, stride, groups=width)
        self._bn1: nn.Module = _norm(width)
        self._project_conv: nn.Module = _conv(width, channels_out, 1)
        self._bn2: nn.Module = _norm(channels_out)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride)."""
        hidden: Tensor = images
        if self.expands:
            hidden = functional.relu6(self._bn0(self._expand_conv(hidden)))
        hidden = functional.relu6(self._bn1(self._depthwise_conv(hidden)))
        hidden = self._bn2(self._project_conv(hidden))
        return hidden + images if self.residual else hidden


class EfficientNetLite0(nn.Module):
    """Frames in, pooled features and class probabilities out.

    Args:
        stages: The blocks; smaller ones make a quick network for tests.
        stem_channels: Width of the first convolution.
        head_channels: Width of the features.
        class_count: Number of classes.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...] = STAGES,
        stem_channels: int = 32,
        head_channels: int = 1280,
        class_count: int = 1000,
    ) -> None:
        super().__init__()
        self._conv_stem: nn.Module = _conv(3, stem_channels, 3, 2)
        self._bn0: nn.Module = _norm(stem_channels)
        blocks, channels = [], stem_channels
        for stage in stages:
            for index in range(stage.block_count):
                stride = stage.stride if index == 0 else 1
                blocks.append(Block(channels, stage.channels, stage.kernel, stride, stage.expansion))
                channels = stage.channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head: nn.Module = _conv(channels, head_channels, 1)
        self._bn1: nn.Module = _norm(head_channels)
        self._fc = nn.Linear(head_channels, class_count)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Encode frames.

        Args:
            frames: RGB, uint8, shape (N, 224, 224, 3).

        Returns:
            Features (N, head_channels), averaged over the picture, and probabilities (N, class_count).
        """
        # The weights' own normalisation: (x - 127) / 128, not ImageNet's mean and deviation.
        images = (frames.to(self._fc.weight.dtype).permute(0, 3, 1, 2) - 127.0) * (1.0 / 128.0)
        hidden = functional.relu6(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            hidden = block(hidden)
        hidden = functional.relu6(self._bn1(self._conv_head(hidden)))
        features = hidden.mean(dim=(2, 3))
        return features, functional.softmax(self._fc(features), dim=1)


def load_lite0(weights: Mapping[str, Tensor]) -> EfficientNetLite0:
    """Return the network with published weights, in evaluation mode; every name must match."""
    network = EfficientNetLite0()
    network.load_state_dict(weights)
    return network.eval()


def fold_norms(network: EfficientNetLite0) -> EfficientNetLite0:
    """Fold each batch norm into the convolution before it, in place, as quantisation needs it."""
    pairs: list[tuple[nn.Module, str, str]] = [
        (network, "_conv_stem", "_bn0"),
        (network, "_conv_head", "_bn1"),
    ]
    for block in network._blocks:
        assert isinstance(block, Block)
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        if block.expands:
            pairs.append((block, "_expand_conv", "_bn0"))
    for owner, conv_name, norm_name in pairs:
        setattr(owner, conv_name, fuse_conv_bn_eval(getattr(owner, conv_name), getattr(owner, norm_name)))
        setattr(owner, norm_name, nn.Identity())
    return network

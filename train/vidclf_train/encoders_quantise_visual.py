"""The visual encoder in int8: a QDQ graph, weights per channel, activations per tensor, all ranges fixed.

Written node by node from the folded torch network, because the integers of the weights are chosen here
(`encoders_rounding`) and a generic quantiser would round them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vidclf_train.encoders_export import IR_VERSION, OPSET
from vidclf_train.encoders_lite0 import IMAGE_SIDE, Block, EfficientNetLite0, SameConv
from vidclf_train.encoders_rounding import round_weights
from vidclf_train.encoders_statistics import LayerStatistics

# Of the range seen where nothing bounds it: finer steps are worth more than the few greatest values.
# Mean cosine on street clips: 0.9926 with 1.0, 0.9931 with 0.9, 0.9936 with 0.8 and with 0.7.
_RANGE_KEPT = 0.8


@dataclass(frozen=True, slots=True)
class Quantised:
    """A uint8 tensor of the graph: real value = (integer - zero) * scale."""

    name: str
    scale: float
    zero: int


class _GraphBuilder:
    """Appends nodes; every activation lives as uint8, and is real only between a DQ and a Q."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.constant("six", np.float32(6.0))
        self.constant("zero", np.float32(0.0))

    def constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def dequantise(self, tensor: Quantised) -> str:
        """Return the name of the real tensor; every reader gets a DQ of its own, as ONNX Runtime fuses it."""
        name = f"{tensor.name}_real{len(self.nodes)}"
        scale, zero = f"{tensor.name}_scale", f"{tensor.name}_zero"
        return self.add("DequantizeLinear", [tensor.name, scale, zero], name)

    def declare(self, name: str, scale: float, zero: int) -> Quantised:
        """Add the constants of a uint8 tensor that something else makes."""
        tensor = Quantised(name, float(np.float32(scale)), zero)
        self.constant(f"{name}_scale", np.float32(scale))
        self.constant(f"{name}_zero", np.uint8(zero))
        return tensor

    def quantise(self, real: str, name: str, low: float, high: float) -> Quantised:
        """Quantise a real tensor to 256 steps over low..high, which are widened to hold 0."""
        low, high = min(low, 0.0), max(high, 1e-6)
        scale = (high - low) / 255.0
        tensor = self.declare(name, scale, round(-low / scale))
        self.add("QuantizeLinear", [real, f"{name}_scale", f"{name}_zero"], name)
        return tensor

    def convolve(
        self, name: str, conv: SameConv, images: Quantised, seen: LayerStatistics, *, activates: bool
    ) -> Quantised:
        """Add a convolution, with ReLU6 after it or not."""
        weights = conv.weight.detach().double().numpy()
        matrix = weights.reshape(conv.groups, -1, weights[0].size)
        integers, steps, bias = _round_groups(matrix, conv.bias, seen, images.scale)
        self.constant(f"{name}_weight_int8", integers.reshape(weights.shape))
        self.constant(f"{name}_weight_scale", steps)
        self.constant(f"{name}_weight_zero", np.zeros(len(weights), np.int8))
        bias_scale = (np.float32(images.scale) * steps).astype(np.float32)
        self.constant(f"{name}_bias_int32", np.rint(bias / bias_scale.astype(np.float64)).astype(np.int32))
        self.constant(f"{name}_bias_scale", bias_scale)
        self.constant(f"{name}_bias_zero", np.zeros(len(weights), np.int32))
        inputs = [self.dequantise(images)]
        for part in ("weight_int8", "bias_int32"):
            kind = part.partition("_")[0]
            parts = [f"{name}_{part}", f"{name}_{kind}_scale", f"{name}_{kind}_zero"]
            inputs.append(self.add("DequantizeLinear", parts, f"{name}_{kind}", axis=0))
        before, after = conv.padding_amounts
        real = self.add(
            "Conv",
            inputs,
            f"{name}_conv",
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=[before, before, after, after],
            group=conv.groups,
        )
        if activates:
            real = self.add("Clip", [real, "zero", "six"], f"{name}_relu6")
            return self.quantise(real, name, 0.0, min(seen.high, 6.0))
        return self.quantise(real, name, _RANGE_KEPT * seen.low, _RANGE_KEPT * seen.high)


def _round_groups(
    matrix: NDArray[np.float64], bias: Any, seen: LayerStatistics, input_scale: float
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float64]]:
    """Round the weights of each group, shape (groups, outputs of a group, inputs), and correct the bias."""
    exact_bias = bias.detach().double().numpy()
    # The bias is an integer too, in steps of the input's times the weights' step: it must fit 32 bits.
    least_steps = (np.abs(exact_bias) + 1.0) / (input_scale * 2.0**30)
    groups = zip(matrix, seen.covariance, least_steps.reshape(matrix.shape[:2]), strict=True)
    parts = [round_weights(*group) for group in groups]
    integers = np.stack([part[0] for part in parts])
    steps = np.stack([part[1] for part in parts])
    lost = matrix - integers * steps[:, :, None].astype(np.float64)
    shift = np.einsum("goi,gi->go", lost, seen.mean).reshape(-1)
    return integers, steps.reshape(-1), exact_bias + shift


def _block(
    builder: _GraphBuilder,
    name: str,
    block: Block,
    images: Quantised,
    layers: dict[str, LayerStatistics],
    output_range: tuple[float, float],
) -> Quantised:
    hidden = images
    steps = [("_expand_conv", True)] if block.expands else []
    for part, activates in [*steps, ("_depthwise_conv", True), ("_project_conv", False)]:
        conv = getattr(block, part)
        layer = f"{name}.{part}"
        hidden = builder.convolve(layer, conv, hidden, layers[layer], activates=activates)
    if not block.residual:
        return hidden
    real = builder.add("Add", [builder.dequantise(hidden), builder.dequantise(images)], f"{name}_sum")
    low, high = output_range
    return builder.quantise(real, name, _RANGE_KEPT * low, _RANGE_KEPT * high)


def quantise_visual_encoder(
    network: EfficientNetLite0,
    layers: dict[str, LayerStatistics],
    block_ranges: dict[str, tuple[float, float]],
) -> onnx.ModelProto:
    """Return the int8 graph of a network with folded norms.

    Args:
        network: From `fold_norms`.
        layers: What its convolutions saw, by name, from `measure`.
        block_ranges: Least and greatest output of its blocks, by name, from `measure`.
    """
    builder = _GraphBuilder()
    # A frame's bytes are the quantised input already: (x - 127) / 128.
    builder.declare("images", 1.0 / 128.0, 127)
    builder.add("Transpose", ["frames"], "images", perm=[0, 3, 1, 2])
    hidden = Quantised("images", 1.0 / 128.0, 127)
    stem, head = network._conv_stem, network._conv_head
    assert isinstance(stem, SameConv)
    assert isinstance(head, SameConv)
    hidden = builder.convolve("_conv_stem", stem, hidden, layers["_conv_stem"], activates=True)
    for index, block in enumerate(network._blocks):
        assert isinstance(block, Block)
        name = f"_blocks.{index}"
        hidden = _block(builder, name, block, hidden, layers, block_ranges[name])
    hidden = builder.convolve("_conv_head", head, hidden, layers["_conv_head"], activates=True)
    builder.add(
        "ReduceMean",
        [builder.dequantise(hidden), builder.constant("picture_axes", np.array([2, 3]))],
        "features",
        keepdims=0,
    )
    _classify(builder, network)
    return _model(builder, head.out_channels, network._fc.out_features)


def _classify(builder: _GraphBuilder, network: EfficientNetLite0) -> None:
    """Add the classifier: bytes in the file, real numbers when it runs (it is 0.3 % of the work)."""
    weights = network._fc.weight.detach().numpy()
    scales = (np.abs(weights).max(axis=1) / np.float32(127)).astype(np.float32)
    builder.constant("classifier_int8", np.rint(weights / scales[:, None]).astype(np.int8))
    builder.constant("classifier_scale", scales)
    builder.constant("classifier_zero", np.zeros(len(scales), np.int8))
    builder.constant("classifier_bias", network._fc.bias.detach().numpy())
    parts = ["classifier_int8", "classifier_scale", "classifier_zero"]
    matrix = builder.add("DequantizeLinear", parts, "classifier_weight", axis=0)
    logits = builder.add("Gemm", ["features", matrix, "classifier_bias"], "logits", transB=1)
    builder.add("Softmax", [logits], "probabilities", axis=1)


def _model(builder: _GraphBuilder, feature_count: int, class_count: int) -> onnx.ModelProto:
    frames = helper.make_tensor_value_info(
        "frames", TensorProto.UINT8, ["frame_count", IMAGE_SIDE, IMAGE_SIDE, 3]
    )
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["frame_count", size])
        for name, size in (("features", feature_count), ("probabilities", class_count))
    ]
    graph = helper.make_graph(builder.nodes, "encoder", [frames], outputs, builder.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="vidclf")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model

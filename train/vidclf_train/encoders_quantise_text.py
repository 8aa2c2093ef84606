"""The text encoder in int8: every matrix by column, every token by itself.

ONNX Runtime's own dynamic quantisation takes one range over a whole batch, padding included: the vector of a
text then depends on what stands beside it. Here each
token's activations have their own range, so that a text has one vector, and a better one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from vidclf_train.encoders_export import drop_unused
from vidclf_train.encoders_rounding import WEIGHT_LEVELS

_ACTIVATION_LEVELS = 127


def quantise_columns(
    weights: NDArray[np.float32], levels: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantise a matrix by column, symmetrically.

    Returns:
        The integers, shape of `weights`, and the scale of each column.
    """
    scales = np.maximum(np.abs(weights).max(axis=0), 1e-12).astype(np.float32) / np.float32(levels)
    return np.rint(weights / scales).clip(-levels, levels).astype(np.int8), scales


class _Rewriter:
    """Builds the new node list of a graph, and quantises each activation once for all its readers."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.weights = {t.name: t for t in model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.quantised: dict[str, tuple[str, str]] = {}
        self.constant("quantise_levels", np.array(_ACTIVATION_LEVELS, np.float32))
        self.constant("quantise_zero_point", np.array(128, np.uint8))
        self.constant("quantise_offset", np.array(128, np.float32))
        self.constant("quantise_floor", np.array(1e-12, np.float32))
        self.constant("quantise_axis", np.array([-1], np.int64))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def add(self, op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def quantise_rows(self, tensor: str) -> tuple[str, str]:
        """Return the names of the uint8 tensor around 128 and of its scale per row (last axis 1)."""
        if tensor not in self.quantised:
            magnitude = self.add("Abs", [tensor], f"{tensor}_abs")
            peak = self.add("ReduceMax", [magnitude, "quantise_axis"], f"{tensor}_peak", keepdims=1)
            peak = self.add("Max", [peak, "quantise_floor"], f"{tensor}_peak_floor")
            scale = self.add("Div", [peak, "quantise_levels"], f"{tensor}_scale")
            steps = self.add(
                "Round", [self.add("Div", [tensor, scale], f"{tensor}_steps")], f"{tensor}_rounded"
            )
            shifted = self.add("Add", [steps, "quantise_offset"], f"{tensor}_shifted")
            self.quantised[tensor] = (
                self.add("Cast", [shifted], f"{tensor}_uint8", to=onnx.TensorProto.UINT8),
                scale,
            )
        return self.quantised[tensor]

    def multiply(self, node: onnx.NodeProto) -> None:
        """Replace a MatMul by a constant with MatMulInteger and the two scales."""
        tensor, weight = node.input
        result = node.output[0]
        integers, scales = quantise_columns(numpy_helper.to_array(self.weights[weight]), WEIGHT_LEVELS)
        rows, row_scale = self.quantise_rows(tensor)
        weight_name = self.constant(f"{result}_weight", integers)
        product = self.add("MatMulInteger", [rows, weight_name, "quantise_zero_point"], f"{result}_int32")
        as_float = self.add("Cast", [product], f"{result}_float", to=onnx.TensorProto.FLOAT)
        by_column = self.add(
            "Mul", [as_float, self.constant(f"{result}_columns", scales)], f"{result}_by_column"
        )
        self.add("Mul", [by_column, row_scale], result)

    def look_up(self, node: onnx.NodeProto) -> None:
        """Replace the look-up in the table of words with bytes and one scale per word."""
        table, ids = node.input
        result = node.output[0]
        integers, scales = quantise_columns(numpy_helper.to_array(self.weights[table]).T, 127)
        table_name = self.constant(f"{result}_table", np.ascontiguousarray(integers.T))
        steps = self.add("Gather", [table_name, ids], f"{result}_int8")
        as_float = self.add("Cast", [steps], f"{result}_float", to=onnx.TensorProto.FLOAT)
        scale_table = self.constant(f"{result}_scales", scales[:, None])
        self.add("Mul", [as_float, self.add("Gather", [scale_table, ids], f"{result}_scale")], result)


def quantise_text_encoder(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose constant matrices and word table are int8; attention itself stays float."""
    quantised: onnx.ModelProto = onnx.ModelProto.FromString(model.SerializeToString())
    rewriter = _Rewriter(quantised)
    for node in quantised.graph.node:
        if node.op_type == "MatMul" and node.input[1] in rewriter.weights:
            rewriter.multiply(node)
        elif node.op_type == "Gather" and node.input[0] in rewriter.weights:
            rewriter.look_up(node)
        else:
            rewriter.nodes.append(node)
    nodes = list(rewriter.nodes)
    del quantised.graph.node[:]
    quantised.graph.node.extend(nodes)
    drop_unused(quantised)
    onnx.checker.check_model(quantised, full_check=True)
    return quantised

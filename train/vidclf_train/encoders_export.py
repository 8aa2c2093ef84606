"""PyTorch to ONNX: one clean, reproducible graph per encoder."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

OPSET = 18
"""Has LayerNormalization and uint8 QDQ per channel, and is old enough for every ONNX Runtime >= 1.20."""

IR_VERSION = 8
"""The IR that belongs to the opset: ONNX Runtime refuses a newer IR than it knows."""


def export(
    network: nn.Module,
    examples: Sequence[Tensor],
    input_names: Sequence[str],
    output_names: Sequence[str],
    axes: Sequence[dict[int, str]],
) -> onnx.ModelProto:
    """Trace a network and return a cleaned ONNX model.

    Args:
        network: In evaluation mode.
        examples: One input tensor each, with at least 2 rows (1 would be taken for a constant).
        input_names: Names of the inputs.
        output_names: Names of the outputs.
        axes: Per input the axes of any size, with their names.
    """
    dims = {name: torch.export.Dim(name, min=1, max=1 << 16) for axis in axes for name in axis.values()}
    shapes = [{index: dims[name] for index, name in axis.items()} for axis in axes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for noisy in ("onnxscript", "torch.onnx._internal.exporter._registration"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            tuple(examples),
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=tuple(shapes),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return clean(program.model_proto)


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter adds and a rebuild would change: stack traces, paths, versions."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.producer_name, model.producer_version, model.doc_string = "vidclf", "", ""
    model.ir_version = IR_VERSION
    del model.metadata_props[:]
    del model.functions[:]
    graph = model.graph
    graph.name, graph.doc_string = "encoder", ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model


def merge_pads(model: onnx.ModelProto) -> onnx.ModelProto:
    """Move each Pad with zeros into the convolution that reads it, in place.

    A Pad between a quantised tensor and its convolution would keep ONNX Runtime from fusing the two.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    pads = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    for node in graph.node:
        pad = pads.get(node.input[0]) if node.op_type == "Conv" else None
        if pad is None:
            continue
        amounts = constants[pad.input[1]]  # (begin of N, C, H, W, end of N, C, H, W)
        if amounts[[0, 1, 4, 5]].any() or (
            len(pad.input) > 2 and pad.input[2] and constants[pad.input[2]].any()
        ):
            raise ValueError(f"{pad.name} pads more than the borders of a picture with zeros")
        kept = [attribute for attribute in node.attribute if attribute.name not in ("pads", "auto_pad")]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.append(helper.make_attribute("pads", [int(amounts[i]) for i in (2, 3, 6, 7)]))
        node.input[0] = pad.input[0]
        del pads[pad.output[0]]
        graph.node.remove(pad)
    drop_unused(model)
    return model


def drop_unused(model: onnx.ModelProto) -> None:
    """Remove constants that no node reads, in place."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def run(model: onnx.ModelProto, inputs: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Run a model on the CPU and return its outputs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(None, inputs)
    return outputs


def largest_difference(ours: Iterable[NDArray[np.float32]], reference: Iterable[Tensor]) -> float:
    """Return the largest absolute difference between ONNX outputs and the torch outputs."""
    return max(float(np.abs(a - b.detach().numpy()).max()) for a, b in zip(ours, reference, strict=True))

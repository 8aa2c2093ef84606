"""The graph of a topics classifier: concepts and text to calibrated probabilities; either may be missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vidclf_cli.classifier_card import METADATA_KEY, ClassifierCard

OPSET = 17
_IR_VERSION = 8  # What ONNX Runtime 1.20, the oldest that is supported, reads without doubt.
_TINY = 1e-6
_LEAST = 1e-9  # Keeps the logarithm of a concept score finite.


@dataclass(frozen=True, slots=True)
class Scales:
    """What log scores are multiplied by (inverse temperatures), by what a video has.

    Attributes:
        picture_alone: Of the picture's log scores when there is no text.
        text_alone: Of the text's when there is no picture.
        picture_with_text: Of the picture's when there are both.
        text_with_picture: Of the text's when there are both.
    """

    picture_alone: float = 1.0
    text_alone: float = 1.0
    picture_with_text: float = 1.0
    text_with_picture: float = 1.0


@dataclass(frozen=True, slots=True)
class TopicWeights:
    """The numbers of the graph.

    Attributes:
        table: Score of each label given each concept, shape (1000, labels).
        weights: Text to logits, shape (384, labels).
        bias: Shape (labels,).
        scales: See there.
    """

    table: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    scales: Scales


class _Graph:
    """Collects nodes and constants; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: float | NDArray[np.generic], kind: type = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name


def build_model(weights: TopicWeights, card: ClassifierCard) -> bytes:
    """Return the ONNX file of a classifier with the inputs `concepts` and `metadata`.

    label log scores = scale * log(concepts @ table) + scale * log_softmax(text @ weights + bias), where a
    row of zeros takes its term out, and the scales depend on whether the other one is there.
    """
    graph = _Graph()
    has_picture, picture = _picture_scores(graph, weights)
    has_text, text = _text_scores(graph, weights)
    scales = weights.scales
    pictured = _weigh(graph, picture, has_picture, has_text, (scales.picture_alone, scales.picture_with_text))
    texted = _weigh(graph, text, has_text, has_picture, (scales.text_alone, scales.text_with_picture))
    logits = graph.add("Add", pictured, texted, output="logits")
    graph.add("Softmax", logits, output="probabilities", axis=1)
    return _serialise(graph, card)


def _picture_scores(graph: _Graph, weights: TopicWeights) -> tuple[str, str]:
    """Return whether there is a picture (rows, 1), and the log scores of the labels (rows, labels)."""
    tiny = graph.constant("tiny", _TINY)
    columns = graph.constant("columns", np.array([1]), np.int64)
    total = graph.add("ReduceSum", "concepts", columns, keepdims=1)
    shares = graph.add("Div", "concepts", graph.add("Max", total, tiny))
    scores = graph.add("MatMul", shares, graph.constant("concept_table", weights.table))
    logs = graph.add("Log", graph.add("Max", scores, graph.constant("least", _LEAST)))
    present = graph.add("Cast", graph.add("Greater", total, tiny), to=TensorProto.FLOAT)
    return present, graph.add("LogSoftmax", logs, axis=1)


def _text_scores(graph: _Graph, weights: TopicWeights) -> tuple[str, str]:
    """Return whether there is a text (rows, 1), and the log scores of the labels (rows, labels)."""
    length = graph.add("Sqrt", graph.add("ReduceSum", graph.add("Mul", "metadata", "metadata"), "columns"))
    unit = graph.add("Div", "metadata", graph.add("Max", length, "tiny"))
    products = graph.add("MatMul", unit, graph.constant("text_weights", weights.weights))
    logits = graph.add("Add", products, graph.constant("text_bias", weights.bias))
    present = graph.add("Cast", graph.add("Greater", length, "tiny"), to=TensorProto.FLOAT)
    return present, graph.add("LogSoftmax", logits, axis=1)


def _weigh(graph: _Graph, scores: str, present: str, other: str, scales: tuple[float, float]) -> str:
    """Multiply log scores by 0 without the modality, by one scale alone and another with the other one."""
    alone, together = scales
    extra = graph.add("Mul", other, graph.constant(f"{scores}_extra", together - alone))
    scale = graph.add("Add", extra, graph.constant(f"{scores}_alone", alone))
    return graph.add("Mul", scores, graph.add("Mul", present, scale))


def _serialise(graph: _Graph, card: ClassifierCard) -> bytes:
    inputs = [
        helper.make_tensor_value_info(each.name, TensorProto.FLOAT, ["rows", each.dimension])
        for each in card.inputs
    ]
    shape: list[str | int | None] = ["rows", len(card.labels)]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("logits", "probabilities")
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, card.name, inputs, outputs, graph.constants),
        producer_name="vidclf",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data

"""Classifier files for tests: a small right one, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONCEPTS = "local/efficientnet-lite0@1/concepts"
METADATA = "local/all-minilm-l6-v2@1/metadata"


def document(**changes: Any) -> dict[str, Any]:
    """The description of a right file, with changes."""
    right = {
        "format": 1,
        "name": "small",
        "labels": ["cat", "dog", "car"],
        "task": "single",
        "inputs": [
            {"name": "concepts", "space": CONCEPTS, "dimension": 1000, "required": False},
            {"name": "metadata", "space": METADATA, "dimension": 384, "required": False},
        ],
        "temperature": 1.0,
        "thresholds": {},
        "min_confidence": 0.4,
        "metrics": {"accuracy": 0.5},
        "recipe": {},
        "versions": {},
        "licence": "Apache-2.0",
    }
    return right | changes


def small_model(task: str = "single", label_count: int = 3, concept_dimension: int = 1000) -> onnx.ModelProto:
    """Concept i and the text's number i speak for label i."""
    weights = np.zeros((concept_dimension, label_count), np.float32)
    text_weights = np.zeros((384, label_count), np.float32)
    weights[range(label_count), range(label_count)] = 5
    text_weights[range(label_count), range(label_count)] = 5
    nodes = [
        helper.make_node("MatMul", ["concepts", "w"], ["a"]),
        helper.make_node("MatMul", ["metadata", "t"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)
        if task == "single"
        else helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "small",
        [
            value("concepts", TensorProto.FLOAT, ["rows", concept_dimension]),
            value("metadata", TensorProto.FLOAT, ["rows", 384]),
        ],
        [value(name, TensorProto.FLOAT, ["rows", label_count]) for name in ("logits", "probabilities")],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(text_weights, "t")],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def write(
    folder: Path,
    text: str | None,
    model: onnx.ModelProto | None = None,
    spoil: Callable[[onnx.ModelProto], None] | None = None,
) -> Path:
    """Write a model with a description; return its path."""
    model = model or small_model()
    if text is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = "vidclf", text
    if spoil:
        spoil(model)
    path = folder / "small.onnx"
    path.write_bytes(model.SerializeToString())
    return path

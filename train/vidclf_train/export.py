"""From a trained model to one ONNX file: held against torch, loaded once, and only then in place."""

from __future__ import annotations

import copy
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from vidclf_cli.classifier import SIZE_LIMIT, Classifier
from vidclf_cli.classifier_card import METADATA_KEY, ClassifierCard, ClassifierInput
from vidclf_cli.classifier_file import save_classifier
from vidclf_cli.errors import ClassifierError
from vidclf_cli.runtime import Device, open_session
from vidclf_cli.scoring import Vectors
from vidclf_train.fitted import Fitted

OUTPUTS = ("logits", "probabilities")
TOLERANCE = 1e-4
"""Largest difference between torch and ONNX Runtime, of a logit as of a probability."""

_OPSET = 18  # The oldest that torch's exporter writes without a conversion.
_IR_VERSION = 8  # What ONNX Runtime 1.20, the oldest that is supported, reads without doubt.
_BATCHES = (1, 2, 257)  # A lone row, the rows of the export itself, and more than any kernel's block.
_REAL_COUNT = 128
_SEED = 0
_MOST_NAME = 64


def export_classifier(fitted: Fitted, card: ClassifierCard, path: Path, samples: Vectors) -> Classifier:
    """Write the classifier file; it appears, or replaces an older one, only when it passed every check.

    Args:
        fitted: The model.
        card: What the file shall say of itself; its inputs are the graph's.
        path: Where it goes.
        samples: Real rows of the spaces, of which up to 128 are compared.

    Returns:
        The file as the loader sees it.

    Raises:
        ClassifierError: ONNX Runtime gives other numbers than torch, the file is too large, or the loader
            refuses it.
        OutputError: The file cannot be written.
    """
    _check_size(fitted.model, path)
    data = to_onnx(fitted.model, card)
    compare(fitted.model, data, _probe_rows(card.inputs, samples), path)
    return save_classifier(data, path)


def _check_size(model: torch.nn.Module, path: Path) -> None:
    size = 4 * sum(weights.numel() for weights in model.parameters())
    if size > SIZE_LIMIT:
        raise ClassifierError(
            f"{path} was not written: it would have {size >> 20} MB, and a classifier at most "
            f"{SIZE_LIMIT >> 20} MB.",
            "Train smaller networks or fewer of them, or on fewer embedding spaces.",
        )


def input_names(spaces: Sequence[str]) -> tuple[str, ...]:
    """Name the inputs of spaces: the last part of the id (`visual`), numbered where two are alike.

    >>> input_names(["local/efficientnet-lite0@1/visual", "openai/text-embedding-3-large", "b/visual"])
    ('visual', 'text_embedding_3_large', 'visual_2')
    """
    taken = set(OUTPUTS)
    names = []
    for space in spaces:
        last = re.sub(r"[^A-Za-z0-9]+", "_", space.rpartition("/")[2]).strip("_")[:_MOST_NAME] or "input"
        candidates = (last, *(f"{last}_{number}" for number in range(2, len(spaces) + len(taken) + 2)))
        name = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(name)
        names.append(name)
    return tuple(names)


def to_onnx(model: torch.nn.Module, card: ClassifierCard) -> bytes:
    """Return the file's bytes: the same model and card give the same bytes, and no path of this machine."""
    model = copy.deepcopy(model).to("cpu", torch.float32).eval()
    # Two rows: of one, the exporter would conclude that there is never more than one.
    example = tuple(torch.zeros(2, each.dimension) for each in card.inputs)
    with _quiet_exporter():
        program = torch.onnx.export(
            model,
            example,
            dynamo=True,
            input_names=[each.name for each in card.inputs],
            output_names=list(OUTPUTS),
            # One entry per vector of `forward(*vectors)`.
            dynamic_shapes=(tuple({0: torch.export.Dim.DYNAMIC} for _ in card.inputs),),
            opset_version=_OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    proto = program.model_proto
    _make_plain(proto, card)
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _make_plain(proto: onnx.ModelProto, card: ClassifierCard) -> None:
    """Take out what tells of this machine (stack traces at every node) or may come in any order."""
    graph = proto.graph
    proto.ir_version, proto.producer_name, proto.producer_version = _IR_VERSION, "vidclf", ""
    graph.name = card.name
    del proto.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("doc_string")
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
    for node in graph.node:
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "rows"
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep back what the exporter says of packages that are not there and of its own old calls."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def compare(
    model: torch.nn.Module, data: bytes, rows: Mapping[str, NDArray[np.float32]], path: Path
) -> float:
    """Hold ONNX Runtime against torch, in batches of 1, 2 and 257 rows.

    Args:
        model: The torch side.
        data: The ONNX file.
        rows: Input name to shape (n, dimension), in the order in which the model takes them.
        path: For messages.

    Returns:
        The largest difference of a logit or a probability.

    Raises:
        ClassifierError: It is past `TOLERANCE`, or a number is none.
    """
    model = copy.deepcopy(model).to("cpu", torch.float32).eval()
    session = open_session(data, Device("cpu", "to be compared"), thread_count=1)
    count = len(next(iter(rows.values())))
    worst = 0.0
    for size in _BATCHES:
        # Small batches cover the first rows only: a run per row of everything would take seconds.
        for start in range(0, min(count, 4 * size), size):
            feeds = {name: table[start : start + size] for name, table in rows.items()}
            with torch.inference_mode():
                wanted = model(*(torch.from_numpy(table) for table in feeds.values()))
            for name, expected, found in zip(OUTPUTS, wanted, session.run(list(OUTPUTS), feeds), strict=True):
                difference = float(np.abs(expected.numpy() - found).max())
                if not difference <= TOLERANCE:  # Not so for NaN, too.
                    raise ClassifierError(
                        f"{path} was not written: ONNX Runtime's {name} differ from torch's by "
                        f"{difference:.2g}, and {TOLERANCE:g} is allowed.",
                        "Train with a lower learning rate or more weight decay; with the shipped recipes "
                        "this is a fault of vidclf: please report it.",
                    )
                worst = max(worst, difference)
    return worst


def _probe_rows(inputs: Sequence[ClassifierInput], samples: Vectors) -> dict[str, NDArray[np.float32]]:
    """Return rows to compare on: nothing at all, one space missing at a time, real ones, and random ones."""
    random = np.random.default_rng(_SEED)
    real_count = min(_REAL_COUNT, *(len(table) for table in samples.values()))
    missing_count = 1 + len(inputs)
    count = missing_count + real_count + max(_BATCHES)
    present = np.ones((count, len(inputs)), bool)
    present[0] = False
    present[range(1, missing_count), range(len(inputs))] = len(inputs) == 1
    tables = {}
    for column, each in enumerate(inputs):
        # Of lengths from 0.001 to 1,000: the graph itself brings them to length 1.
        table = random.standard_normal((count, each.dimension)) * 10.0 ** random.uniform(-3, 3, (count, 1))
        table[missing_count : missing_count + real_count] = samples[each.space][:real_count]
        tables[each.name] = (table * present[:, column : column + 1]).astype(np.float32)
    return tables

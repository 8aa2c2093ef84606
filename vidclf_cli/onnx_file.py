"""Look into an ONNX file without trusting it: what it refers to and declares, before any session is made.

A walk over protobuf's wire format, of the few messages in which a reference to another file, a foreign
operator or a number that is none can stand. Field numbers: onnx.proto of ONNX 1.23, which adds fields and
never renumbers them. It goes by an explicit stack, so that nesting cannot exhaust Python's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

_FIELD_LIMIT = 2_000_000
"""Fields looked at: a classifier has some hundred; a file of millions is there to keep us busy."""

_VARINT, _I64, _BYTES, _I32 = 0, 1, 2, 5
_EXTERNAL = 1  # TensorProto.DataLocation
_FLOAT = 1  # TensorProto.DataType
_METADATA = 14  # ModelProto.metadata_props


class NotOnnxError(Exception):
    """The bytes are no ONNX model; the text says why."""


@dataclass(slots=True)
class OnnxSummary:
    """What a file declares.

    Attributes:
        metadata: The model's `metadata_props`.
        domains: Operator domains imported or used anywhere; the empty one is ONNX's own.
        has_graph: Whether there is a graph at all.
        has_external_data: Whether some tensor's numbers stand in another file.
        has_bad_numbers: Whether some float32 weight is NaN or infinite.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    has_graph: bool = False
    has_external_data: bool = False
    has_bad_numbers: bool = False


class _Kind(Enum):
    MODEL = auto()
    GRAPH = auto()
    NODE = auto()
    ATTRIBUTE = auto()
    TENSOR = auto()
    SPARSE_TENSOR = auto()
    OPERATOR_SET = auto()
    FUNCTION = auto()
    TRAINING = auto()
    ENTRY = auto()


_CHILDREN: dict[_Kind, dict[int, _Kind]] = {
    _Kind.MODEL: {
        7: _Kind.GRAPH, 8: _Kind.OPERATOR_SET, 14: _Kind.ENTRY, 20: _Kind.TRAINING, 25: _Kind.FUNCTION
    },
    _Kind.GRAPH: {1: _Kind.NODE, 5: _Kind.TENSOR, 15: _Kind.SPARSE_TENSOR},
    _Kind.NODE: {5: _Kind.ATTRIBUTE},
    _Kind.ATTRIBUTE: {
        5: _Kind.TENSOR, 6: _Kind.GRAPH, 10: _Kind.TENSOR, 11: _Kind.GRAPH,
        22: _Kind.SPARSE_TENSOR, 23: _Kind.SPARSE_TENSOR,
    },
    _Kind.TENSOR: {},
    _Kind.SPARSE_TENSOR: {1: _Kind.TENSOR, 2: _Kind.TENSOR},
    _Kind.OPERATOR_SET: {},
    _Kind.FUNCTION: {7: _Kind.NODE, 9: _Kind.OPERATOR_SET, 11: _Kind.ATTRIBUTE},
    _Kind.TRAINING: {1: _Kind.GRAPH, 2: _Kind.GRAPH},
    _Kind.ENTRY: {},
}  # fmt: skip

_DOMAIN_FIELD = {_Kind.NODE: 7, _Kind.OPERATOR_SET: 1, _Kind.FUNCTION: 10}


def summarize(data: bytes) -> OnnxSummary:
    """Walk over a file.

    Raises:
        NotOnnxError: It is no protobuf message of ONNX's shape, or holds more than a classifier can.
    """
    summary = OnnxSummary()
    view = memoryview(data)
    budget = _FIELD_LIMIT
    stack = [(_Kind.MODEL, view)]
    while stack:
        kind, message = stack.pop()
        fields = []
        for number, value, _ in _fields(message):
            budget -= 1
            if budget < 0:
                raise NotOnnxError("it has more parts than any classifier")
            child = _CHILDREN[kind].get(number)
            if child is not None:
                if not isinstance(value, memoryview):
                    raise NotOnnxError("its structure is not that of ONNX")
                stack.append((child, value))
            fields.append((number, value))
        _note(summary, kind, fields)
    if not summary.has_graph or not summary.domains:
        raise NotOnnxError("it has no graph")
    return summary


def replace_metadata(data: bytes, key: str, value: str) -> bytes:
    """Return a model with another text under one key of its metadata; every other byte stays as it is.

    Args:
        data: A file that `summarize` accepts.
        key: Whose entries are replaced by one.
        value: The new text.

    Raises:
        NotOnnxError: It is no protobuf message.
    """
    view = memoryview(data)
    kept, position = bytearray(), 0
    for number, content, end in _fields(view):
        is_replaced = number == _METADATA and isinstance(content, memoryview) and _key_of(content) == key
        if not is_replaced:
            kept += view[position:end]
        position = end
    entry = _entry(1, key.encode()) + _entry(2, value.encode())
    return bytes(kept + _entry(_METADATA, entry))


def _key_of(entry: memoryview) -> str:
    return next((_text(value) for number, value, _ in _fields(entry) if number == 1), "")


def _entry(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + _written(len(content)) + content


def _written(number: int) -> bytes:
    """Return a number as protobuf writes it: seven bits to a byte, the lowest first."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _note(summary: OnnxSummary, kind: _Kind, fields: list[tuple[int, int | memoryview]]) -> None:
    if kind is _Kind.GRAPH:
        summary.has_graph = True
    elif kind is _Kind.ENTRY:
        texts = {number: _text(value) for number, value in fields}
        summary.metadata[texts.get(1, "")] = texts.get(2, "")
    elif kind is _Kind.TENSOR:
        _note_tensor(summary, fields)
    elif kind in _DOMAIN_FIELD:
        named = [_text(value) for number, value in fields if number == _DOMAIN_FIELD[kind]]
        summary.domains.add(named[-1] if named else "")


def _note_tensor(summary: OnnxSummary, fields: list[tuple[int, int | memoryview]]) -> None:
    data_type = next((value for number, value in fields if number == 2), 0)
    for number, value in fields:
        if number == 13 or (number == 14 and value == _EXTERNAL):
            summary.has_external_data = True
        # Raw bytes, or a packed list of floats: little endian both.
        elif number in {4, 9} and data_type == _FLOAT and isinstance(value, memoryview):
            if len(value) % 4:
                raise NotOnnxError("a tensor breaks off")
            summary.has_bad_numbers |= not np.isfinite(np.frombuffer(value, "<f4")).all()


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview, int]]:
    """Yield field number, value and end of each field of one message.

    Fixed-width numbers come as their bytes' value.
    """
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value, position
            continue
        if wire == _BYTES:
            length, position = _varint(message, position)
        elif wire in {_I32, _I64}:
            length = 4 if wire == _I32 else 8
        else:
            raise NotOnnxError("it is no ONNX file")
        if number == 0 or length > end - position:
            raise NotOnnxError("it is no ONNX file, or breaks off")
        content = message[position : position + length]
        position += length
        yield number, content if wire == _BYTES else int.from_bytes(content, "little"), position


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):  # At most 10 bytes.
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise NotOnnxError("it is no ONNX file, or breaks off")


def _text(value: int | memoryview) -> str:
    if isinstance(value, int):
        raise NotOnnxError("its structure is not that of ONNX")
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise NotOnnxError("a text in it is no UTF-8") from error

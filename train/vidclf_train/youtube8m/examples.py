"""Parse `tf.train.Example` messages of YouTube-8M's video level, without TensorFlow.

The message types are described here as in TensorFlow's `example.proto` and `feature.proto`, and parsed by
the `protobuf` package, which `onnx` brings along.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from numpy.typing import NDArray

VISUAL_DIMENSION = 1024
AUDIO_DIMENSION = 128

_PACKAGE = "vidclf.example"
_FIELD = descriptor_pb2.FieldDescriptorProto
_KINDS = {"bytes": _FIELD.TYPE_BYTES, "float": _FIELD.TYPE_FLOAT, "int64": _FIELD.TYPE_INT64}


class UnusableVideoError(Exception):
    """A record that holds no usable video; the text says why."""


@dataclass(frozen=True, slots=True)
class Video:
    """One video of YouTube-8M.

    Attributes:
        id: Its anonymous id of 4 characters.
        labels: `Index` numbers of the vocabulary; empty in the test partition.
        visual: Mean of the PCA-whitened Inception features of one frame per second, shape (1024,).
        audio: Mean of the VGGish features, shape (128,).
    """

    id: str
    labels: tuple[int, ...]
    visual: NDArray[np.float32]
    audio: NDArray[np.float32]


def parse_video(data: bytes) -> Video:
    """Parse one record.

    Raises:
        UnusableVideoError: It is no `tf.train.Example`, has no id, or a feature is missing, has another
            length or holds numbers that are not finite.
    """
    try:
        features = _example_class().FromString(data).features.feature
    except message.DecodeError as error:
        raise UnusableVideoError("it is no tf.train.Example") from error
    ids = features["id"].bytes_list.value if "id" in features else []
    if len(ids) != 1 or not ids[0]:
        raise UnusableVideoError(f"it has {len(ids)} ids" if ids else "it has no id")
    labels = tuple(features["labels"].int64_list.value) if "labels" in features else ()
    return Video(
        id=_id_text(ids[0]),
        labels=labels,
        visual=_vector(features, "mean_rgb", VISUAL_DIMENSION),
        audio=_vector(features, "mean_audio", AUDIO_DIMENSION),
    )


def _id_text(raw: bytes) -> str:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text.strip():
        raise UnusableVideoError(f"its id is {raw[:20]!r}")
    return text


def _vector(features: Any, name: str, dimension: int) -> NDArray[np.float32]:
    # A map of messages makes an entry when a missing one is read: ask first.
    if name not in features:
        raise UnusableVideoError(f"it has no {name}")
    values = np.array(features[name].float_list.value, np.float32)
    if len(values) != dimension:
        raise UnusableVideoError(f"its {name} has {len(values)} numbers, not {dimension}")
    if not np.isfinite(values).all():
        raise UnusableVideoError(f"its {name} holds numbers that are not finite")
    return values


@cache
def _example_class() -> Any:
    """Describe the messages and return the class of the outermost one."""
    file = descriptor_pb2.FileDescriptorProto(name="vidclf_example.proto", package=_PACKAGE, syntax="proto3")
    feature = file.message_type.add(name="Feature")
    for number, (kind, code) in enumerate(_KINDS.items(), start=1):
        values = file.message_type.add(name=f"{kind.title()}List")
        values.field.add(name="value", number=1, label=_FIELD.LABEL_REPEATED, type=code)
        _add_message(feature, f"{kind}_list", number, f"{kind.title()}List")
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_STRING)
    _add_message(entry, "value", 2, "Feature")
    _add_message(features, "feature", 1, "Features.FeatureEntry", _FIELD.LABEL_REPEATED)
    _add_message(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


def _add_message(owner: Any, name: str, number: int, kind: str, label: int = _FIELD.LABEL_OPTIONAL) -> None:
    owner.field.add(
        name=name, number=number, label=label, type=_FIELD.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{kind}"
    )

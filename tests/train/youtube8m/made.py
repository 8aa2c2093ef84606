"""Makes TFRecord files and messages byte by byte, with none of the code that is tested."""

from __future__ import annotations

import csv
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

GAMES, SPORTS, PETS, UNKNOWN = 0, 1, 2, 3
VERTICALS = {0: "Games", 1: "Sports", 2: "Pets & Animals", 3: "(Unknown)", 4: "Games", 5: "Travel"}


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """RFC 3720, B.4: the polynomial 0x1EDC6F41, reflected."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    value = crc32c(data)
    return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def bytes_feature(*values: bytes) -> bytes:
    return field(1, b"".join(field(1, value) for value in values))


def float_feature(values: Sequence[float], packed: bool = True) -> bytes:
    numbers = [struct.pack("<f", value) for value in values]
    inner = field(1, b"".join(numbers)) if packed else b"".join(b"\x0d" + number for number in numbers)
    return field(2, inner)


def labels_feature(values: Iterable[int]) -> bytes:
    return field(3, field(1, b"".join(_varint(value) for value in values)))


def example(features: dict[str, bytes]) -> bytes:
    entries = [field(1, field(1, name.encode()) + field(2, value)) for name, value in features.items()]
    return field(1, b"".join(entries))


def vectors(video_id: str) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(list(video_id.encode()))
    values = random.normal(size=1152).astype(np.float32).tolist()
    return values[:1024], values[1024:]


def features(video_id: str, labels: Iterable[int]) -> dict[str, bytes]:
    visual, audio = vectors(video_id)
    return {
        "id": bytes_feature(video_id.encode()),
        "labels": labels_feature(labels),
        "mean_rgb": float_feature(visual),
        "mean_audio": float_feature(audio),
    }


def video(video_id: str, labels: Iterable[int], /, **changed: bytes | None) -> bytes:
    parts = {**features(video_id, labels), **changed}
    return example({name: value for name, value in parts.items() if value is not None})


def write_shard(path: Path, messages: Iterable[bytes]) -> list[int]:
    """Write a shard and return where each record begins."""
    offsets, data = [], b""
    for message in messages:
        offsets.append(len(data))
        data += record(message)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return offsets


def write_vocabulary(path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Index", "TrainVideoCount", "Name", "Vertical1", "WikiDescription"])
        # Entity 4 has no name, as some real ones: its vertical counts all the same.
        rows.writerows(
            [index, 9, "" if index == 4 else f"e{index}", name, ""] for index, name in VERTICALS.items()
        )
    return path

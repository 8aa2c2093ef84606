"""Read TFRecord files, and go on after damage.

A record is `uint64 length | uint32 masked CRC of the length | data | uint32 masked CRC of the data`, little
endian; the CRC is CRC-32C, masked as in TensorFlow's `tensorflow/core/lib/hash/crc32c.h`. Nothing else
marks where a record begins, so after damage the next place is looked for whose length has the right CRC.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np

MOST_DATA_BYTES = 64 << 20
"""A record of YouTube-8M has 5 KB at the level of videos, and 0.4 MB at the level of frames."""

MOST_DAMAGES = 1000
"""In one file; what has more is no record file, and reading on would take for ever."""

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CRC.size
_WINDOW_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """One record whose bytes are right.

    Attributes:
        offset: Where it begins in the file, in bytes.
        data: What it holds.
    """

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where no record can be read.

    Attributes:
        offset: Where it begins in the file, in bytes.
        reason: What is wrong there, and where reading goes on.
    """

    offset: int
    reason: str


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C of some bytes, masked as TFRecord wants it."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(path: Path) -> Iterator[Record | Damage]:
    """Yield the records of one file in order, and the places where there should be one and is not.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        if not size:
            yield Damage(0, "the file is empty")
        offset, damages = 0, 0
        while offset < size:
            found = _read_one(file, offset)
            if isinstance(found, Record):
                yield found
                offset += _HEADER_BYTES + len(found.data) + _CRC.size
                continue
            damages += 1
            following = _find_header(file, offset + 1, size) if damages < MOST_DAMAGES else size
            yield Damage(offset, f"{found}; {_going_on(offset, following, size, damages)}")
            offset = following


def _read_one(file: BinaryIO, offset: int) -> Record | str:
    """Return the record at an offset, or what is wrong with it."""
    file.seek(offset)
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return f"the file breaks off in a record's header ({len(header)} of {_HEADER_BYTES} bytes)"
    (length,) = _LENGTH.unpack_from(header)
    if _CRC.unpack_from(header, _LENGTH.size)[0] != masked_crc(header[: _LENGTH.size]):
        return "the CRC of a record's length is wrong"
    if length > MOST_DATA_BYTES:
        return f"a record claims {length} bytes"
    body = file.read(length + _CRC.size)
    if len(body) < length + _CRC.size:
        return f"the file breaks off in a record ({len(body)} of {length + _CRC.size} bytes)"
    if _CRC.unpack_from(body, length)[0] != masked_crc(body[:length]):
        return "the CRC of a record's data is wrong"
    return Record(offset, body[:length])


def _find_header(file: BinaryIO, begin: int, size: int) -> int:
    """Return the first place from `begin` on whose length has the right CRC; the file's end if there is none.

    It does not trust the damaged record's length: where bytes are missing, the next record is nearer.
    """
    while begin + _HEADER_BYTES <= size:
        file.seek(begin)
        window = file.read(_WINDOW_BYTES)
        for position in _plausible(window):
            length = window[position : position + _LENGTH.size]
            if _CRC.unpack_from(window, position + _LENGTH.size)[0] == masked_crc(length):
                return begin + position
        if len(window) < _WINDOW_BYTES:
            break
        begin += len(window) - _HEADER_BYTES + 1
    return size


def _plausible(window: bytes) -> list[int]:
    """Return where a length of at most 4 GiB could stand: its upper four bytes are zero."""
    count = len(window) - _HEADER_BYTES + 1
    if count < 1:
        return []
    values = np.frombuffer(window, np.uint8)
    zero = np.ones(count, bool)
    for byte in range(4, 8):
        zero &= values[byte : byte + count] == 0
    return [int(position) for position in np.flatnonzero(zero)]


def _going_on(offset: int, following: int, size: int, damages: int) -> str:
    if damages == MOST_DAMAGES:
        return f"this is the {damages}th damage, and the rest of the file is given up ({size - offset} bytes)"
    if following == size:
        return f"no record follows, {size - offset} bytes are lost"
    return f"{following - offset} bytes are skipped"

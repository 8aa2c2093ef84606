"""TFRecord files: whole ones, broken ones, and what else may have such a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.train.youtube8m.made import crc32c, record
from vidclf_train.youtube8m import tfrecord
from vidclf_train.youtube8m.tfrecord import Damage, Record, masked_crc, read_records

MESSAGES = [b"first " * 30, b"", b"third \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" * 9, b"last"]
WHOLE = b"".join(record(message) for message in MESSAGES)


def read(path: Path, data: bytes) -> tuple[list[bytes], list[Damage]]:
    path.write_bytes(data)
    found = list(read_records(path))
    return (
        [each.data for each in found if isinstance(each, Record)],
        [each for each in found if isinstance(each, Damage)],
    )


def test_the_checksum_is_that_of_the_standard(tmp_path: Path) -> None:
    # RFC 3720, B.4, and the check value of CRC-32C's catalogue entry.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert masked_crc(b"123456789") == (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_whole_file_gives_every_record_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(WHOLE)
    found = list(read_records(path))
    assert [each.data for each in found if isinstance(each, Record)] == MESSAGES
    assert [each.offset for each in found] == [0, 196, 212, 212 + 16 + len(MESSAGES[2])]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(WHOLE) - 1), flip=st.integers(1, 255))
def test_one_wrong_byte_costs_one_record(tmp_path: Path, position: int, flip: int) -> None:
    data = bytearray(WHOLE)
    data[position] ^= flip
    records, damages = read(tmp_path / "a.tfrecord", bytes(data))
    assert len(records) == len(MESSAGES) - 1
    assert all(each in MESSAGES for each in records)
    assert len(damages) == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(begin=st.integers(0, len(WHOLE) - 1), length=st.integers(1, 60))
def test_missing_bytes_cost_only_the_records_that_they_are_missing_from(
    tmp_path: Path, begin: int, length: int
) -> None:
    places, at = [], 0
    for message in MESSAGES:
        places.append((at, at + len(message) + 16))
        at += len(message) + 16
    end = min(begin + length, len(WHOLE))
    untouched = [
        message
        for message, place in zip(MESSAGES, places, strict=True)
        if place[1] <= begin or end <= place[0]
    ]
    records, _ = read(tmp_path / "a.tfrecord", WHOLE[:begin] + WHOLE[end:])
    assert records == untouched


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (len(WHOLE) - 1, "breaks off in a record (7 of 8"),
        (len(WHOLE) - 15, "breaks off in a record's header (5 of 12"),
    ],
)
def test_a_truncated_file_says_where_it_breaks_off(tmp_path: Path, cut: int, reason: str) -> None:
    records, damages = read(tmp_path / "a.tfrecord", WHOLE[:cut])
    assert records == MESSAGES[:3]
    (damage,) = damages
    assert damage.offset == len(WHOLE) - 20
    assert reason in damage.reason
    assert "no record follows" in damage.reason


@pytest.mark.parametrize(
    "data", [b"<html>404</html>" * 40, bytes(5000), b"\x1f\x8b" + bytes(range(256)) * 9, b"x"]
)
def test_something_else_is_one_damage_and_no_record(tmp_path: Path, data: bytes) -> None:
    records, damages = read(tmp_path / "a.tfrecord", data)
    assert records == []
    assert [each.offset for each in damages] == [0]


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "a.tfrecord", b"")[1] == [Damage(0, "the file is empty")]


def test_a_huge_length_with_a_right_checksum_takes_no_memory(tmp_path: Path) -> None:
    header = (1 << 40).to_bytes(8, "little")
    forged = header + masked_crc(header).to_bytes(4, "little")
    records, damages = read(tmp_path / "a.tfrecord", forged + WHOLE)
    assert records == MESSAGES
    assert "claims 1099511627776 bytes" in damages[0].reason


def test_a_record_behind_a_long_stretch_of_rubbish_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfrecord, "_WINDOW_BYTES", 64)
    for length in range(60, 140):  # The header falls on every place of a window's edge.
        records, damages = read(tmp_path / "a.tfrecord", bytes([7]) * length + WHOLE)
        assert records == MESSAGES, length
        assert f"{length} bytes are skipped" in damages[0].reason


def test_a_file_of_nothing_but_damage_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecord, "MOST_DAMAGES", 3)
    wrong = record(b"abc")[:-1] + b"?"
    records, damages = read(tmp_path / "a.tfrecord", wrong * 10 + WHOLE)
    assert records == []
    assert len(damages) == 3
    assert "the rest of the file is given up" in damages[-1].reason

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidclf_cli.cache.fingerprint import BLOCK_BYTES, BLOCK_COUNT, _blocks, fingerprint

SAMPLED = BLOCK_BYTES * BLOCK_COUNT


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    file = tmp_path / "large.bin"
    file.write_bytes(bytes(index % 251 for index in range(4096)) * (3 * SAMPLED // 4096))
    return file


def _flip(file: Path, offset: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte[0] ^ 1]))


def test_same_content_under_another_name_has_the_same_fingerprint(large_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(large_file.read_bytes())
    assert fingerprint(copy) == fingerprint(large_file)


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_change_in_the_first_or_last_byte_is_seen(large_file: Path, place: str) -> None:
    before = fingerprint(large_file)
    _flip(large_file, 0 if place == "first" else large_file.stat().st_size - 1)
    assert fingerprint(large_file) != before


def test_one_byte_more_is_seen(large_file: Path) -> None:
    before = fingerprint(large_file)
    with large_file.open("ab") as stream:
        stream.write(b"x")
    assert fingerprint(large_file) != before


def test_only_the_whole_hash_sees_a_change_between_the_blocks(large_file: Path) -> None:
    sampled, whole = fingerprint(large_file), fingerprint(large_file, whole=True)
    _flip(large_file, _blocks(large_file.stat().st_size)[0][1] + 10)
    assert fingerprint(large_file) == sampled
    assert fingerprint(large_file, whole=True) != whole


def test_every_byte_of_a_small_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "small.bin"
    file.write_bytes(bytes(1000))
    seen = {fingerprint(file)}
    for offset in range(0, 1000, 99):
        _flip(file, offset)
        seen.add(fingerprint(file))
    assert len(seen) == 12


def test_sampled_and_whole_hashes_of_one_file_differ(large_file: Path) -> None:
    assert fingerprint(large_file) != fingerprint(large_file, whole=True)


@given(size=st.integers(min_value=0, max_value=1 << 45))
def test_blocks_lie_inside_the_file_from_its_first_to_its_last_byte(size: int) -> None:
    blocks = _blocks(size)
    assert blocks[0][0] == 0
    assert sum(blocks[-1]) == size
    assert all(offset >= 0 and offset + length <= size for offset, length in blocks)
    assert sum(length for _, length in blocks) == min(size, SAMPLED)

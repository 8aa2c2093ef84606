"""A video's identity: a fingerprint of its content, so that its name does not matter."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

BLOCK_BYTES = 64 * 1024
BLOCK_COUNT = 16
DIGEST_BYTES = 20
_FINGERPRINT = re.compile(f"[0-9a-f]{{{2 * DIGEST_BYTES}}}")
_READ_BYTES = 1 << 20


def fingerprint(path: Path, *, whole: bool = False) -> str:
    """Hash a file's content.

    BLAKE2b over the size and 16 blocks of 64 KiB spread evenly from the first byte to the last; files of
    up to 1 MiB are hashed whole. Sampled on purpose: hashing a 4 GB film whole takes longer than reading
    its keyframes does, and every re-encode, trim or download differs in size or in a block.

    Args:
        path: A regular file.
        whole: Hash every byte instead. Such fingerprints are a namespace of their own.

    Returns:
        40 hexadecimal digits.

    Raises:
        OSError: The file cannot be read, or got shorter while it was read.
    """
    # BLAKE2's personalisation keeps sampled and whole hashes of one file apart.
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES, person=b"vidclf-whole" if whole else b"vidclf-blocks")
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(size.to_bytes(8, "little"))
        if whole:
            while block := file.read(_READ_BYTES):
                digest.update(block)
            return digest.hexdigest()
        for offset, length in _blocks(size):
            file.seek(offset)
            digest.update(_read_exactly(file.fileno(), length, path))
    return digest.hexdigest()


def is_fingerprint(text: str) -> bool:
    """Tell whether a text can be a fingerprint; they become file names, so others are not believed."""
    return _FINGERPRINT.fullmatch(text) is not None


def _blocks(size: int) -> list[tuple[int, int]]:
    """Return (offset, length) of what is hashed of a file of `size` bytes."""
    if size <= BLOCK_BYTES * BLOCK_COUNT:
        return [(0, size)]
    last = size - BLOCK_BYTES
    return [(last * index // (BLOCK_COUNT - 1), BLOCK_BYTES) for index in range(BLOCK_COUNT)]


def _read_exactly(descriptor: int, length: int, path: Path) -> bytes:
    parts = []
    while length:
        part = os.read(descriptor, length)
        if not part:
            raise OSError(f"{path} got shorter while it was read")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)

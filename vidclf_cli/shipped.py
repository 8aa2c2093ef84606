"""The files that ship with the package: where they are, and that they are what was shipped.

Each folder below `exported/` has a `SHA256SUMS` over its files. A file is hashed when it is first asked for,
once per process: all encoder files together are 48 MB and take 0.03 s.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from vidclf_cli.errors import EncoderError

SUMS_NAME = "SHA256SUMS"

_ADVICE = "Install vidclf again; in a checkout, `git checkout exported` brings the file back."


def shipped_folder() -> Path:
    """Return `exported` beside the package's modules (installed), else that of the checkout."""
    package = Path(__file__).parent
    inside = package / "exported"
    return inside if inside.is_dir() else package.parent / "exported"


@cache
def encoder_file(name: str) -> Path:
    """Return a file of `exported/encoders` after checking its hash.

    Raises:
        EncoderError: It is missing, not listed, or altered.
    """
    return verified_file(shipped_folder() / "encoders" / name)


def shipped_classifiers() -> tuple[str, ...]:
    """Return the names of the classifiers that ship with vidclf.

    Raises:
        EncoderError: The list of what is shipped is missing.
    """
    names = (Path(name) for name in read_sums(shipped_folder() / "classifiers"))
    found = (name.stem for name in names if name.suffix == ".onnx")
    return tuple(sorted(found, key=lambda name: (len(name), name)))


def verified_file(path: Path) -> Path:
    """Return `path` after checking it against the SHA256SUMS beside it.

    Raises:
        EncoderError: The file or its SHA256SUMS is missing, it is not listed, or it was altered.
    """
    expected = read_sums(path.parent).get(path.name)
    if expected is None:
        raise EncoderError(f"{path} is not listed in the {SUMS_NAME} beside it.", _ADVICE)
    if hash_file(path) != expected:
        raise EncoderError(f"{path} is not the file that was shipped: its SHA-256 differs.", _ADVICE)
    return path


def verify_all() -> int:
    """Check every listed file of every shipped folder; return how many there are.

    Raises:
        EncoderError: One is missing or altered, or none is listed at all.
    """
    count = 0
    for sums in sorted(shipped_folder().glob(f"*/{SUMS_NAME}")):
        for name in read_sums(sums.parent):
            verified_file(sums.parent / name)
            count += 1
    if count == 0:
        raise EncoderError(f"{shipped_folder()} holds no shipped files.", _ADVICE)
    return count


def read_sums(folder: Path) -> dict[str, str]:
    """Return file name to SHA-256 (hex) of a folder's SHA256SUMS.

    Raises:
        EncoderError: It cannot be read.
    """
    try:
        lines = (folder / SUMS_NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{folder / SUMS_NAME} cannot be read ({error}).", _ADVICE) from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, hex.

    Raises:
        EncoderError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EncoderError(f"{path} cannot be read ({error.strerror}).", _ADVICE) from error

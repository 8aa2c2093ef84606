"""Write a classifier file: it appears, or replaces an older one, only when the loader takes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidclf_cli.classifier import SUFFIX, Classifier, load_classifier
from vidclf_cli.classifier_card import METADATA_KEY, ClassifierCard
from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.onnx_file import replace_metadata
from vidclf_cli.writers.output import check_writable


def check_classifier_target(out: Path) -> None:
    """Find out before a long run whether a classifier can be written.

    Raises:
        UsageError: It cannot.
    """
    if out.suffix != SUFFIX:
        raise UsageError(
            f"Cannot write {out}: a classifier file ends with {SUFFIX}.", f"E.g. --out my{SUFFIX}."
        )
    if out.exists() and not out.is_file():
        raise UsageError(f"Cannot write {out}: it is no file.", "Give --out another name.")
    check_writable(str(out))


def save_classifier(data: bytes, path: Path) -> Classifier:
    """Write a classifier beside its place, load it there, and rename it; a link is followed.

    Args:
        data: The ONNX file.
        path: Where it goes.

    Returns:
        The file as the loader sees it.

    Raises:
        ClassifierError: The loader refuses it.
        OutputError: It cannot be written.
    """
    with _whole_file(path, data) as temporary:
        classifier = load_classifier(temporary)
    classifier.path = path
    return classifier


def save_with_card(classifier: Classifier, card: ClassifierCard, path: Path) -> Classifier:
    """Write a classifier with another description; its graph stays the same to the byte.

    Raises:
        ClassifierError: The loader refuses the file, or it is no longer what was loaded.
        OutputError: It cannot be written.
    """
    return save_classifier(replace_metadata(classifier.read_bytes(), METADATA_KEY, card.to_json()), path)


@contextmanager
def _whole_file(path: Path, data: bytes) -> Iterator[Path]:
    """Write beside the place, behind a link what it leads to, and rename when the block ends well."""
    path = path.resolve() if path.is_symlink() else path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _writing(path), temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        yield temporary
        with _writing(path):
            if path.exists():
                temporary.chmod(path.stat().st_mode & 0o777)
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror or error}.",
            "Give --out a place that exists, can be written and has free space; what was embedded is cached.",
        ) from error

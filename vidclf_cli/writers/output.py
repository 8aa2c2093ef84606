r"""The output: UTF-8 with `\n`, and a file appears under its name only when it is whole."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vidclf_cli.errors import OutputError, UsageError

STDOUT = "-"


@contextmanager
def open_output(target: str, option: str = "--out") -> Iterator[TextIO]:
    """Open a text output for writing.

    A file is written beside its place under a temporary name and renamed when the block ends well; on any
    exception nothing is left and an older file stays as it was.

    Args:
        target: A path, or `-` for standard output.
        option: What the user gave the target with, for messages.

    Raises:
        OutputError: The file cannot be made or written.
    """
    if target == STDOUT:
        with _open_stdout(option) as stream:
            yield stream
        return
    path = place_of(target, option)
    if path.exists() and not path.is_file():
        # A device or a pipe (`--out /dev/stderr`) is written to, never replaced.
        with writing(path, option):
            stream = _FileStream(path, path, option)
        with stream, writing(path, option):
            yield stream
        return
    with replacing(path, option) as temporary:
        with writing(path, option):
            stream = _FileStream(path, temporary, option)
        try:
            yield stream
            with writing(path, option):
                stream.flush()
        finally:
            # After a full disk, closing tries once more to write what is left, and fails again.
            with contextlib.suppress(OSError, OutputError):
                stream.close()


@contextmanager
def replacing(path: Path, option: str = "--out") -> Iterator[Path]:
    """Give a name beside a file: what is written there takes the file's place when the block ends well.

    On any exception it is removed, and the file stays as it was.

    Args:
        path: The file, which need not be there yet.
        option: What the user gave it with, for messages.

    Raises:
        OutputError: It cannot be put into place.
    """
    with temporary_beside(path) as temporary:
        yield temporary
        put_in_place(temporary, path, option)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Give the name of a file that is not there, in the same folder; what is there at the end is removed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # of a process of this number that was killed
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, path: Path, option: str = "--out") -> None:
    """Let a file that is finished take another's place, and its permissions.

    Raises:
        OutputError: The system refuses.
    """
    with writing(path, option):
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            # Whoever could read the file that is replaced can go on reading it.
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)


def check_writable(target: str, option: str = "--out") -> None:
    """Find out before a long run whether its output can be written.

    Args:
        target: A path, or `-` for standard output.
        option: What the user gave the target with, for messages.

    Raises:
        UsageError: It cannot.
    """
    if target == STDOUT:
        return
    path = place_of(target, option)
    probe = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and not path.is_file():
            return
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _no_place(path, error, option) from error


def place_of(target: str, option: str = "--out") -> Path:
    """Return where the output goes: behind a symbolic link what it leads to.

    Raises:
        UsageError: There is a folder, or nobody can tell.
    """
    path = Path(target)
    try:
        # `/dev/stdout` leads to a pipe, whose name behind the link is none that could be opened.
        if path.is_symlink() and (path.is_file() or not path.exists()):
            path = path.resolve()
        is_folder = path.is_dir()
    except (OSError, RuntimeError) as error:
        raise _no_place(path, error, option) from error
    if is_folder or not target:
        raise UsageError(f"Cannot write {target!r}: it is no file.", f"Name a file with {option}.")
    return path


def _no_place(path: Path, error: Exception, option: str) -> UsageError:
    return UsageError(
        f"Cannot write {path}: {getattr(error, 'strerror', None) or error}.",
        f"Give {option} a place that exists and can be written.",
    )


class _FileStream(io.TextIOWrapper):
    """A text file whose failed writes say what to do (most of all on a full disk)."""

    def __init__(self, path: Path, temporary: Path, option: str) -> None:
        super().__init__(temporary.open("wb"), encoding="utf-8", newline="")
        self._path = path
        self._option = option

    def write(self, text: str, /) -> int:
        with writing(self._path, self._option):
            return super().write(text)


@contextmanager
def writing(path: Path, option: str) -> Iterator[None]:
    """Turn what the system says in this block into an error that says what to do.

    Raises:
        OutputError: The system refused something.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror or error}.",
            f"Give {option} a place that exists, can be written and has free space; "
            "what was computed is cached.",
        ) from error


@contextmanager
def _open_stdout(option: str) -> Iterator[TextIO]:
    if sys.stdout is None:
        raise UsageError("Standard output is closed.", f"Name a file with {option}.")
    # A wrapper of our own: the console's encoding and line ends must not change the data.
    binary = io.BufferedWriter(io.FileIO(sys.stdout.fileno(), "w", closefd=False))
    stream = io.TextIOWrapper(binary, encoding="utf-8", newline="")
    try:
        yield stream
        stream.flush()
    finally:
        with contextlib.suppress(OSError, ValueError):
            stream.close()

"""Write a packed dataset block by block; the file appears only when it is whole."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import OutputError
from vidclf_cli.scoring import Task

if TYPE_CHECKING:
    from typing_extensions import Buffer

FORMAT_VERSION = 1
VERSION_KEY = "vidclf_dataset"
_CHUNK_BYTES, _CHUNK_ROWS = 1 << 18, 1 << 14
_LIBRARY_VERSIONS = ("v110", "v110")
"""Not `latest`: an older HDF5 on the machine where the file is used could not read it."""


class _Target(io.RawIOBase):
    """The file that HDF5 writes to. After a write that failed it takes everything and keeps nothing.

    HDF5 crashes the process when the disk is full as it closes a file (2.0.0, seen with h5py 3.16), so it
    must never hear of a full disk; `check` tells of it instead.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._problem: OSError | None = None

    def check(self) -> None:
        """Tell whether everything was written.

        Raises:
            OSError: What the system said when a write failed.
        """
        if self._problem is not None:
            raise self._problem

    def write(self, data: Buffer, /) -> int:
        """Write all of it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while len(rest) and self._problem is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._problem = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Change the file's size."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._problem = error
            return size or 0

    def readinto(self, buffer: Buffer, /) -> int:
        """Read what was written; where a write failed, zeros."""
        target = memoryview(buffer).cast("B")
        count = self._file.readinto(target)
        target[count:] = bytes(len(target) - count)
        return len(target)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class DatasetWriter:
    """Writes a packed file block by block; made by `write_dataset`.

    Args:
        file: Open for writing.
        target: What it writes to.
        path: Where it will appear, for messages.
        dimensions: Space id to the length of its vectors.
        task: `single` or `multi`.
        labels: In the order of the targets' numbers.
        has_splits: Whether each block says what its rows are for.
    """

    def __init__(
        self,
        file: h5py.File,
        target: _Target,
        path: Path,
        dimensions: Mapping[str, int],
        task: Task,
        labels: Sequence[str],
        *,
        has_splits: bool,
    ) -> None:
        self._file = file
        self._target = target
        self._path = path
        self._spaces = tuple(dimensions)
        self._has_splits = has_splits
        file.attrs[VERSION_KEY] = FORMAT_VERSION
        file.attrs["task"] = np.bytes_(task)
        # As a dataset of bytes: an attribute holds 64 KiB at most.
        encoded = np.frombuffer(json.dumps(list(labels), ensure_ascii=False).encode(), np.uint8)
        file.create_dataset("labels", data=encoded, chunks=True, fletcher32=True)
        for space, dimension in dimensions.items():
            self._make(f"vectors/{space}", np.float32, dimension)
        if task == "multi":
            self._make("targets", np.uint8, len(labels))
        else:
            self._make("targets", np.int32)
        for name in ("ids", "groups"):
            self._make(f"{name}/text", np.uint8)
            self._make(f"{name}/ends", np.int64)
        if has_splits:
            self._make("splits", np.uint8)

    def _make(self, name: str, kind: type[np.generic], *shape: int) -> None:
        chunk = min(_CHUNK_ROWS, max(1, _CHUNK_BYTES // (np.dtype(kind).itemsize * math.prod(shape))))
        self._file.create_dataset(
            name, (0, *shape), kind, maxshape=(None, *shape), chunks=(chunk, *shape), fletcher32=True
        )

    def append(
        self,
        vectors: Mapping[str, NDArray[np.float32]],
        targets: NDArray[np.generic],
        ids: Sequence[str],
        groups: Sequence[str],
        splits: NDArray[np.uint8] | None = None,
    ) -> None:
        """Add rows; every array has as many.

        Raises:
            ValueError: They differ in length, or a space or the splits are missing or too many.
            UnicodeEncodeError: An id or a group is no valid Unicode.
            OutputError: The disk is full.
        """
        if set(vectors) != set(self._spaces) or (splits is not None) != self._has_splits:
            raise ValueError(f"a block needs the spaces {self._spaces}, and splits: {self._has_splits}")
        block: dict[str, Any] = {f"vectors/{space}": vectors[space] for space in self._spaces}
        block["targets"] = targets
        if splits is not None:
            block["splits"] = splits
        counts = {name: len(values) for name, values in {**block, "ids": ids, "groups": groups}.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f"a block has {counts} rows")
        for name, values in block.items():
            self._extend(name, values)
        for name, texts in (("ids", ids), ("groups", groups)):
            # Not HDF5's own texts of any length: their heap has no checksum, and reading a damaged one
            # may never end.
            encoded = [text.encode() for text in texts]
            begin = len(self._file[f"{name}/text"])
            ends = begin + np.cumsum([len(text) for text in encoded], dtype=np.int64)
            self._extend(f"{name}/text", np.frombuffer(b"".join(encoded), np.uint8))
            self._extend(f"{name}/ends", ends)
        try:
            self._target.check()
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def _extend(self, name: str, values: NDArray[np.generic]) -> None:
        table = self._file[name]
        begin = len(table)
        table.resize(begin + len(values), axis=0)
        table[begin:] = values


@contextmanager
def write_dataset(
    path: Path, dimensions: Mapping[str, int], task: Task, labels: Sequence[str], *, has_splits: bool = False
) -> Iterator[DatasetWriter]:
    """Write a packed file; it appears only when the block ends well.

    Raises:
        OutputError: The file cannot be made or written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        target = _Target(temporary)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with contextlib.closing(target), h5py.File(target, "w", libver=_LIBRARY_VERSIONS) as file:
            yield DatasetWriter(file, target, path, dimensions, task, labels, has_splits=has_splits)
        try:
            target.check()
            temporary.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written ({error.strerror or error}).", "Free space, or write elsewhere."
    )

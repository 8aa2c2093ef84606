"""One video's vectors in an HDF5 file as the cache writes it; nothing in it is believed unchecked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.cache.content import SCHEMA
from vidclf_cli.errors import UsageError

SUFFIXES = (".h5", ".hdf5")

_ROOT = "embedded_features"
_MOST_DIMENSIONS = 1 << 20
_MOST_LEVELS = 8
_MOST_PARTS = 1000
_ADVICE = "Embed the video again, or leave the file out."


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector that a file holds.

    Attributes:
        space: Id of its space.
        sampling: How the video was sampled for it.
        dimension: Its length; 0 says that the video has nothing there.
    """

    space: str
    sampling: str
    dimension: int


class VectorFile:
    """An open file; made by `open_vector_file`.

    Args:
        path: For messages.
        file: Open for reading.

    Attributes:
        path: Where it is.
        vectors: What it holds.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        self._part_count = 0
        schema = file.attrs.get("schema", SCHEMA)
        if np.ndim(schema) or not isinstance(schema, int | np.integer) or schema > SCHEMA:
            raise UsageError(
                f"{path} is of schema {schema!r:.40}, and this vidclf reads up to {SCHEMA}.",
                "Upgrade vidclf: `pip install --upgrade vidclf`.",
            )
        if file.get(_ROOT, getlink=True) is None:
            raise UsageError(
                f"{path} is HDF5, but has no `{_ROOT}`.", "docs/formats.md describes the cache's files."
            )
        self.vectors = tuple(self._find(_ROOT))

    def read(self, vector: Vector, dimension: int) -> NDArray[np.float32]:
        """Read a vector of this length.

        Raises:
            UsageError: It has another length, or holds numbers that are not finite.
        """
        name = f"{_ROOT}/{vector.space}/{vector.sampling}"
        with np.errstate(over="ignore"):  # What float32 cannot hold becomes infinite, and is refused.
            values = np.asarray(self._table(name)[:], np.float32)
        if values.shape != (dimension,):
            raise self._refusal(f"`{name}` has {len(values)} numbers instead of {dimension}")
        if not np.isfinite(values).all():
            raise self._refusal(f"`{name}` holds numbers that are not finite")
        return values

    def _find(self, name: str) -> Iterator[Vector]:
        self._part_count += 1
        if self._part_count > _MOST_PARTS or name.count("/") > _MOST_LEVELS:
            raise self._refusal(f"it has more than {_MOST_PARTS:,} parts or {_MOST_LEVELS} levels")
        if not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
            raise self._refusal(f"`{name}` is a link, which is never followed")
        if self._file.get(name, getclass=True) is h5py.Group:
            for part in self._file[name]:
                yield from self._find(f"{name}/{part}")
            return
        space, _, sampling = name.removeprefix(f"{_ROOT}/").rpartition("/")
        if not space:
            raise self._refusal(f"`{name}` does not stand at {_ROOT}/<space>/<sampling>")
        yield Vector(space, sampling, len(self._table(name)))

    def _table(self, name: str) -> h5py.Dataset:
        table = self._file[name]
        if not isinstance(table, h5py.Dataset) or table.shape is None or table.ndim != 1:
            raise self._refusal(f"`{name}` is no vector")
        if table.is_virtual or table.external:
            raise self._refusal(f"`{name}` stands in another file, which is never followed")
        if table.dtype.kind != "f" or len(table) > _MOST_DIMENSIONS:
            raise self._refusal(f"`{name}` is a vector of {len(table)} {table.dtype}")
        return table

    def _refusal(self, problem: str) -> UsageError:
        return UsageError(f"{self.path} cannot be used: {problem}.", _ADVICE)


@contextmanager
def open_vector_file(path: Path) -> Iterator[VectorFile]:
    """Open a file and find what it holds.

    Raises:
        UsageError: It cannot be read, is damaged, has a part elsewhere, or is of a newer vidclf.
    """
    try:
        with h5py.File(path, "r") as file:
            yield VectorFile(path, file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        brief = " ".join(str(error).split())[:120] or type(error).__name__
        raise UsageError(f"{path} cannot be read as HDF5 ({brief}).", _ADVICE) from error

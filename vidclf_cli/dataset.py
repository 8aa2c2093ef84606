"""Labelled vectors: what a classifier is trained and measured on, in memory or in one packed HDF5 file.

The packed file:

/                     attributes `vidclf_dataset` (1), `task`, `labels` (JSON)
/vectors/<space id>   float32, shape (rows, dimension); a row of zeros: the video has nothing there
/targets              int32 (rows,) for `single`: the label's number; uint8 (rows, labels) for `multi`
/ids                  UTF-8, shape (rows,)
/groups               UTF-8, shape (rows,); rows of one group are never split
/splits               uint8, shape (rows,), optional: a `Split` per row
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.scoring import Task

FORMAT_VERSION = 1
_VERSION_KEY = "vidclf_dataset"
_CHUNK_BYTES = 1 << 20
_MOST_LABELS = 100_000
_MAKE_AGAIN = "Make it again, or ask whoever made it."


class Split(IntEnum):
    """What a row is for, where the maker of the data says so."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    REST = 3
    """Not among the balanced subset; with `TEST` it is the large test set."""


class Rows(Protocol):
    """A table of vectors of which parts can be read: an array, or a dataset in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, dimension)."""

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> NDArray[np.float32]:
        """Return some rows: a slice, or ascending row numbers without duplicates."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled vectors.

    Attributes:
        labels: At least two, in the order of the targets' numbers.
        task: One label per row, or any number of them.
        ids: What each row is called, in messages and lists of mistakes.
        targets: Label numbers, shape (rows,), for `single`; zeros and ones (rows, labels) for `multi`.
        groups: The source of each row; rows of one source stay on one side of a split.
        vectors: Space id to its rows; a row of zeros says that the video has nothing there.
        splits: A `Split` per row, or None where the maker of the data did not say.
    """

    labels: tuple[str, ...]
    task: Task
    ids: Sequence[str]
    targets: NDArray[np.int32] | NDArray[np.uint8]
    groups: Sequence[str]
    vectors: Mapping[str, Rows]
    splits: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)

    @property
    def byte_count(self) -> int:
        """How much memory all vectors take as float32."""
        return sum(4 * math.prod(rows.shape) for rows in self.vectors.values())

    def load(self, rows: slice | NDArray[np.int64] | None = None) -> Dataset:
        """Return these rows (all by default; ascending) with vectors that are arrays in memory."""
        chosen: slice | NDArray[np.int64] = slice(None) if rows is None else rows
        numbers = np.arange(len(self))[chosen]
        return Dataset(
            labels=self.labels,
            task=self.task,
            ids=[self.ids[number] for number in numbers],
            targets=self.targets[numbers],
            groups=[self.groups[number] for number in numbers],
            vectors={space: np.asarray(table[chosen], np.float32) for space, table in self.vectors.items()},
            splits=None if self.splits is None else self.splits[numbers],
        )

    def of_spaces(self, spaces: Sequence[str]) -> Dataset:
        """Return the same rows with the vectors of these spaces only, in this order.

        Raises:
            UsageError: One of them is not there.
        """
        for space in spaces:
            if space not in self.vectors:
                raise UsageError(
                    f"There are no vectors of {space!r} in the data.",
                    f"It holds {', '.join(self.vectors)}.",
                )
        chosen = {space: self.vectors[space] for space in spaces}
        return Dataset(self.labels, self.task, self.ids, self.targets, self.groups, chosen, self.splits)


@contextmanager
def open_dataset(path: Path) -> Iterator[Dataset]:
    """Open a packed file; its vectors are read only where they are asked for.

    Raises:
        UsageError: It cannot be read, is no dataset of vidclf's, is damaged, or has a part elsewhere.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
        except OSError as error:
            raise UsageError(f"{path} cannot be opened as HDF5 ({_brief(error)}).", _MAKE_AGAIN) from error
        try:
            dataset = _Reader(path, file).read()
        except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is damaged ({_brief(error)}).", _MAKE_AGAIN) from error
        yield dataset


class DatasetWriter:
    """Writes a packed file block by block; made by `write_dataset`.

    Args:
        file: Open for writing.
        dimensions: Space id to the length of its vectors.
        task: `single` or `multi`.
        labels: In the order of the targets' numbers.
        has_splits: Whether each block says what its rows are for.
    """

    def __init__(
        self,
        file: h5py.File,
        dimensions: Mapping[str, int],
        task: Task,
        labels: Sequence[str],
        *,
        has_splits: bool,
    ) -> None:
        self._file = file
        self._spaces = tuple(dimensions)
        file.attrs[_VERSION_KEY] = FORMAT_VERSION
        file.attrs["task"] = task
        # As a dataset of bytes: an attribute holds 64 KiB at most.
        file["labels"] = np.frombuffer(json.dumps(list(labels), ensure_ascii=False).encode(), np.uint8)
        for space, dimension in dimensions.items():
            self._make(f"vectors/{space}", (dimension,), np.float32)
        self._make(
            "targets", (len(labels),) if task == "multi" else (), np.uint8 if task == "multi" else np.int32
        )
        for name in ("ids", "groups"):
            self._make(name, (), h5py.string_dtype())
        if has_splits:
            self._make("splits", (), np.uint8)

    def _make(self, name: str, shape: tuple[int, ...], kind: Any) -> None:
        row_bytes = 4 * math.prod(shape)
        chunk = (max(1, _CHUNK_BYTES // max(row_bytes, 16)), *shape)
        self._file.create_dataset(
            name, (0, *shape), kind, maxshape=(None, *shape), chunks=chunk, fletcher32=kind is np.float32
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
            ValueError: They differ in length, or a space is missing.
        """
        block: dict[str, Any] = {f"vectors/{space}": vectors[space] for space in self._spaces}
        block |= {"targets": targets, "ids": list(ids), "groups": list(groups)}
        if splits is not None:
            block["splits"] = splits
        if len({len(values) for values in block.values()}) != 1:
            raise ValueError(f"a block has { ({name: len(values) for name, values in block.items()}) } rows")
        for name, values in block.items():
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
        with h5py.File(temporary, "w", libver="latest") as file:
            yield DatasetWriter(file, dimensions, task, labels, has_splits=has_splits)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({_brief(error)}).", "Free space, or write elsewhere."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


class _PackedRows:
    """Vectors in a file; rows of numbers that are not finite are refused when they are read."""

    def __init__(self, path: Path, space: str, table: h5py.Dataset) -> None:
        self._path = path
        self._space = space
        self._table = table
        self.shape: tuple[int, ...] = table.shape

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> NDArray[np.float32]:
        try:
            values = np.asarray(self._table[rows], np.float32)
        except (OSError, RuntimeError) as error:
            raise UsageError(f"{self._path} is damaged ({_brief(error)}).", _MAKE_AGAIN) from error
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if bad.size:
            number = np.arange(self.shape[0])[rows][bad[0]]
            raise UsageError(
                f"{self._path}: row {number} of {self._space!r} holds numbers that are not finite.",
                "Leave such rows out, or embed them again.",
            )
        return values


class _Reader:
    """Checks a file part by part; every complaint names the file."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self._path = path
        self._file = file

    def read(self) -> Dataset:
        version = self._file.attrs.get(_VERSION_KEY)
        if version is None:
            raise UsageError(
                f"{self._path} is HDF5, but no dataset of vidclf's.",
                "docs/formats.md describes what is read.",
            )
        if int(version) > FORMAT_VERSION:
            raise UsageError(
                f"{self._path} is a dataset of format {version}, "
                f"and this vidclf reads up to {FORMAT_VERSION}.",
                "Upgrade vidclf: `pip install --upgrade vidclf`.",
            )
        labels, task = self._labels(), self._task()
        targets = self._targets(labels, task)
        count = len(targets)
        splits = self._table("splits", (count,))[:].astype(np.uint8) if "splits" in self._file else None
        if splits is not None and splits.size and splits.max() > max(Split):
            raise self._refusal(f"`splits` holds {splits.max()}")
        return Dataset(labels, task, self._texts("ids", count), targets, self._texts("groups", count),
                       self._vectors(count), splits)  # fmt: skip

    def _labels(self) -> tuple[str, ...]:
        labels = json.loads(self._table("labels")[:].tobytes())
        if not isinstance(labels, list) or not 2 <= len(labels) <= _MOST_LABELS:
            raise self._refusal("it needs at least two labels")
        if not all(isinstance(label, str) and label for label in labels) or len(set(labels)) < len(labels):
            raise self._refusal("a label is empty, no text, or there twice")
        return tuple(labels)

    def _task(self) -> Task:
        match self._file.attrs.get("task"):
            case "single":
                return "single"
            case "multi":
                return "multi"
            case other:
                raise self._refusal(f"its task is {other!r:.60}, neither `single` nor `multi`")

    def _targets(self, labels: Sequence[str], task: Task) -> NDArray[np.int32] | NDArray[np.uint8]:
        table = self._table("targets")
        if task == "multi":
            if table.ndim != 2 or table.shape[1] != len(labels):
                raise self._refusal(
                    f"`targets` has the shape {table.shape}, and there are {len(labels)} labels"
                )
            marks = table[:].astype(np.uint8)
            if marks.size and marks.max() > 1:
                raise self._refusal("`targets` holds other numbers than 0 and 1")
            return np.asarray(marks, np.uint8)
        if table.ndim != 1:
            raise self._refusal(f"`targets` has the shape {table.shape}, not (rows,)")
        numbers = table[:].astype(np.int32)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(labels)):
            raise self._refusal("`targets` names labels that are not there")
        return np.asarray(numbers, np.int32)

    def _texts(self, name: str, count: int) -> list[str]:
        return [str(text) for text in self._table(name, (count,)).asstr(errors="replace")[:]]

    def _vectors(self, count: int) -> dict[str, Rows]:
        found: dict[str, Rows] = {}
        if self._file.get("vectors", getclass=True) is not h5py.Group:
            raise self._refusal("it holds no `vectors`")
        self._refuse_links("vectors")
        self._collect("vectors", count, found)
        if not found:
            raise self._refusal("it holds no `vectors`")
        return found

    def _collect(self, name: str, count: int, found: dict[str, Rows]) -> None:
        for part in self._file[name]:
            inner = f"{name}/{part}"
            self._refuse_links(inner)
            if isinstance(self._file[inner], h5py.Group):
                self._collect(inner, count, found)
                continue
            table = self._table(inner)
            if table.ndim != 2 or table.shape[0] != count or not table.shape[1] or table.dtype.kind != "f":
                raise self._refusal(f"`{inner}` is no table of numbers with {count} rows")
            space = inner.removeprefix("vectors/")
            found[space] = _PackedRows(self._path, space, table)

    def _table(self, name: str, shape: tuple[int, ...] | None = None) -> h5py.Dataset:
        self._refuse_links(name)
        table = self._file[name]
        if not isinstance(table, h5py.Dataset):
            raise self._refusal(f"`{name}` is no table")
        if table.is_virtual or table.external:
            raise self._refusal(f"`{name}` stands in another file, which is never followed")
        if shape is not None and table.shape != shape:
            raise self._refusal(f"`{name}` has the shape {table.shape}, and there are {shape[0]} rows")
        return table

    def _refuse_links(self, name: str) -> None:
        if name not in self._file and self._file.get(name, getlink=True) is None:
            raise self._refusal(f"it has no `{name}`")
        if not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
            raise self._refusal(f"`{name}` is a link, which is never followed")

    def _refusal(self, problem: str) -> UsageError:
        return UsageError(f"{self._path} cannot be used: {problem}.", _MAKE_AGAIN)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__

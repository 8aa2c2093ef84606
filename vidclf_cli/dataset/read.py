"""Open a packed dataset: every part is checked before it is believed, and vectors stay in the file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.classifier_card import label_problem
from vidclf_cli.dataset.table import Dataset, Rows, Split
from vidclf_cli.dataset.write import FORMAT_VERSION, VERSION_KEY
from vidclf_cli.errors import UsageError
from vidclf_cli.scoring import Task

_MOST_LABELS = 100_000
_MOST_LABEL_BYTES = 64 << 20
_MOST_ROWS = 50_000_000
_MOST_DIMENSIONS = 1 << 20
_MOST_CHUNK_BYTES = 64 << 20
_MOST_LEVELS = 8
_MOST_PARTS = 1000
"""Of groups and tables below `vectors`: groups that hold each other would have no end."""

_MAKE_AGAIN = "Make it again, or ask whoever made it."
_FILTERS = frozenset({h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_SHUFFLE})


@contextmanager
def open_dataset(path: Path) -> Iterator[Dataset]:
    """Open a packed file; its vectors are read only where they are asked for.

    Raises:
        UsageError: It cannot be read, is no dataset of vidclf's, is damaged, or has a part elsewhere.
    """
    if not path.is_file():  # HDF5 would wait for somebody to write to a pipe.
        raise UsageError(f"There is no file {path}.", "Check the spelling.")
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
        except OSError as error:
            raise UsageError(f"{path} cannot be opened as HDF5 ({_brief(error)}).", _MAKE_AGAIN) from error
        try:
            dataset = _Reader(path, file).read()
        except MemoryError as error:
            raise UsageError(f"{path} needs more memory than there is.", "Pack fewer rows.") from error
        except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is damaged ({_brief(error)}).", _MAKE_AGAIN) from error
        yield dataset


class _PackedRows:
    """Vectors in a file; rows of numbers that are not finite are refused when they are read."""

    def __init__(self, path: Path, space: str, table: h5py.Dataset, ids: Sequence[str]) -> None:
        self._path = path
        self._space = space
        self._table = table
        self._ids = ids
        self.shape: tuple[int, ...] = table.shape

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> NDArray[np.float32]:
        try:
            with np.errstate(over="ignore"):  # What float32 cannot hold becomes infinite, and is refused.
                read = self._table[rows] if isinstance(rows, slice) else self._read_rows(np.asarray(rows))
                values = np.asarray(read, np.float32)
        except (OSError, RuntimeError) as error:
            raise UsageError(f"{self._path} is damaged ({_brief(error)}).", _MAKE_AGAIN) from error
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if bad.size:
            number = int(np.arange(self.shape[0])[rows][bad[0]])
            raise UsageError(
                f"{self._path}: row {number} ({self._ids[number]}) of {self._space!r} holds numbers that are "
                "not finite.",
                "Leave such rows out, or embed them again.",
            )
        return values

    def _read_rows(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Read chunk by chunk: HDF5's own selection of single rows is up to 20 times slower."""
        if numbers.ndim != 1 or np.any(np.diff(numbers) <= 0):
            raise ValueError("row numbers must ascend")
        if numbers.size and not 0 <= numbers[0] <= numbers[-1] < self.shape[0]:
            raise IndexError(f"rows {numbers[0]} to {numbers[-1]} of {self.shape[0]}")
        step = self._table.chunks[0] if self._table.chunks else max(1, (1 << 18) // self.shape[1])
        values = np.empty((numbers.size, self.shape[1]), self._table.dtype)
        at = 0
        while at < numbers.size:
            begin = numbers[at] // step * step
            end = int(np.searchsorted(numbers, begin + step))
            wanted = numbers[at:end]
            first, last = int(wanted[0]), int(wanted[-1])
            values[at:end] = self._table[first : last + 1][wanted - first]
            at = end
        return values


class _Reader:
    """Checks a file part by part; every complaint names the file."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self._path = path
        self._file = file
        self._part_count = 0

    def read(self) -> Dataset:
        self._check_version()
        labels, task = self._labels(), self._task()
        targets = self._targets(labels, task)
        count = len(targets)
        if not count:
            raise self._refusal("it holds no rows")
        ids = self._texts("ids", count)
        return Dataset(
            labels=labels,
            task=task,
            ids=ids,
            targets=targets,
            groups=self._texts("groups", count),
            vectors=self._vectors(ids),
            splits=None if self._file.get("splits", getlink=True) is None else self._splits(count),
        )

    def _check_version(self) -> None:
        version = self._file.attrs.get(VERSION_KEY)
        if version is None:
            raise UsageError(
                f"{self._path} is HDF5, but no dataset of vidclf's.",
                "docs/formats.md (Dataset file) describes what is read.",
            )
        if np.ndim(version) or not isinstance(version, int | np.integer) or version < 1:
            raise self._refusal(f"its format is {version!r:.60}")
        if version > FORMAT_VERSION:
            raise UsageError(
                f"{self._path} is a dataset of format {version}, and this vidclf reads up to "
                f"{FORMAT_VERSION}.",
                "Upgrade vidclf: `pip install --upgrade vidclf`.",
            )

    def _labels(self) -> tuple[str, ...]:
        table = self._table("labels", "u", dimension_count=1)
        if table.nbytes > _MOST_LABEL_BYTES:
            raise self._refusal("its labels are absurdly long")
        labels = json.loads(table[:].tobytes())
        if not isinstance(labels, list) or not 2 <= len(labels) <= _MOST_LABELS:
            raise self._refusal("it needs at least two labels")
        for label in labels:
            if not isinstance(label, str):
                raise self._refusal(f"its label {label!r:.40} is no text")
            if problem := label_problem(label):
                raise self._refusal(f"its label {label[:40]!r} {problem}")
        if len(set(labels)) < len(labels):
            raise self._refusal("one of its labels is there twice")
        return tuple(labels)

    def _task(self) -> Task:
        task = self._file.attrs.get("task")
        match task.decode("utf-8", "replace") if isinstance(task, bytes) else task:
            case "single":
                return "single"
            case "multi":
                return "multi"
            case other:
                raise self._refusal(f"its task is {other!r:.60}, neither `single` nor `multi`")

    def _targets(self, labels: Sequence[str], task: Task) -> NDArray[np.int32] | NDArray[np.uint8]:
        is_multi = task == "multi"
        table = self._table("targets", "iub" if is_multi else "iu", dimension_count=2 if is_multi else 1)
        if table.shape[0] > _MOST_ROWS:
            raise self._refusal(f"it has {table.shape[0]:,} rows, and {_MOST_ROWS:,} are read at most")
        if is_multi and table.shape[1] != len(labels):
            raise self._refusal(f"`targets` has the shape {table.shape}, and there are {len(labels)} labels")
        numbers = table[:]
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < (2 if is_multi else len(labels))):
            wrong = "holds other numbers than 0 and 1" if is_multi else "names labels that are not there"
            raise self._refusal(f"`targets` {wrong}")
        return np.asarray(numbers, np.uint8) if is_multi else np.asarray(numbers, np.int32)

    def _splits(self, count: int) -> NDArray[np.uint8]:
        splits = self._table("splits", "iu", dimension_count=1, row_count=count)[:]
        if splits.min() < 0 or splits.max() > max(Split):
            raise self._refusal(f"`splits` holds other numbers than 0 to {max(Split):d}")
        return np.asarray(splits, np.uint8)

    def _texts(self, name: str, count: int) -> list[str]:
        self._refuse_links(name)
        ends = self._table(f"{name}/ends", "iu", dimension_count=1, row_count=count)[:]
        data = self._table(f"{name}/text", "u", dimension_count=1)[:].tobytes()
        if ends[0] < 0 or np.any(ends[1:] < ends[:-1]) or ends[-1] != len(data):
            raise self._refusal(f"`{name}/ends` does not fit `{name}/text`")
        same: dict[str, str] = {}  # Rows of one source share one text in memory.
        begin, texts = 0, []
        for end in ends.tolist():
            text = data[begin:end].decode("utf-8", "replace")
            texts.append(same.setdefault(text, text))
            begin = end
        return texts

    def _vectors(self, ids: Sequence[str]) -> dict[str, Rows]:
        self._refuse_links("vectors")
        group = self._file["vectors"]
        if not isinstance(group, h5py.Group):
            raise self._refusal("`vectors` is no group of tables")
        found: dict[str, Rows] = {}
        self._collect(group, "", ids, found)
        if not found:
            raise self._refusal("it holds no vectors")
        return found

    def _collect(self, group: h5py.Group, prefix: str, ids: Sequence[str], found: dict[str, Rows]) -> None:
        for part in group:
            self._part_count += 1
            if self._part_count > _MOST_PARTS or prefix.count("/") >= _MOST_LEVELS:
                raise self._refusal(f"`vectors` has more than {_MOST_PARTS:,} parts or {_MOST_LEVELS} levels")
            space = f"{prefix}{part}"
            name = f"vectors/{space}"
            self._refuse_links(name)
            inner = self._file[name]
            if isinstance(inner, h5py.Group):
                self._collect(inner, f"{space}/", ids, found)
                continue
            table = self._table(name, "f", dimension_count=2, row_count=len(ids))
            if not 0 < table.shape[1] <= _MOST_DIMENSIONS or table.dtype.itemsize > 8:
                raise self._refusal(f"`{name}` has vectors of {table.shape[1]} {table.dtype}")
            found[space] = _PackedRows(self._path, space, table, ids)

    def _table(
        self, name: str, kinds: str, *, dimension_count: int, row_count: int | None = None
    ) -> h5py.Dataset:
        """Return a table that stands in this file, wholly, and has the kind of numbers that it should.

        Args:
            name: Where it is.
            kinds: Allowed kinds of numpy's data types.
            dimension_count: 1 or 2.
            row_count: How many rows it must have.
        """
        self._refuse_links(name)
        table = self._file[name]
        if not isinstance(table, h5py.Dataset):
            raise self._refusal(f"`{name}` is no table")
        if table.is_virtual or table.external:
            raise self._refusal(f"`{name}` stands in another file, which is never followed")
        if table.shape is None or table.ndim != dimension_count or table.dtype.kind not in kinds:
            raise self._refusal(f"`{name}` is a table of {table.dtype} with the shape {table.shape}")
        if row_count is not None and table.shape[0] != row_count:
            raise self._refusal(f"`{name}` has {table.shape[0]} rows, and `targets` {row_count}")
        self._check_storage(name, table)
        return table

    def _check_storage(self, name: str, table: h5py.Dataset) -> None:
        """Refuse what is declared and not there: a few bytes can announce a million million rows."""
        filters = table.id.get_create_plist()
        used = {filters.get_filter(number)[0] for number in range(filters.get_nfilters())}
        if not used <= _FILTERS:
            raise self._refusal(f"`{name}` is compressed, which is not read")
        if table.id.get_storage_size() < table.size * table.id.get_type().get_size():
            raise self._refusal(f"`{name}` breaks off: rows that it declares are not there")
        if table.chunks and np.prod(table.chunks, dtype=object) * table.dtype.itemsize > _MOST_CHUNK_BYTES:
            raise self._refusal(f"`{name}` is cut into pieces of more than {_MOST_CHUNK_BYTES >> 20} MB")

    def _refuse_links(self, name: str) -> None:
        link = self._file.get(name, getlink=True)
        if link is None:
            raise self._refusal(f"it has no `{name}`")
        if not isinstance(link, h5py.HardLink):
            raise self._refusal(f"`{name}` is a link, which is never followed")

    def _refusal(self, problem: str) -> UsageError:
        return UsageError(f"{self._path} cannot be used: {problem}.", _MAKE_AGAIN)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__

"""Minibatches of unit vectors: from memory, or from a packed file of any size with bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidclf_cli.dataset import Dataset
from vidclf_train.unit import unit_rows

MEMORY_BYTES = 1 << 30
"""Data up to this size is held in memory as a whole."""

_BUFFER_BYTES = 1 << 28
_BLOCK_ROWS = 256  # About one chunk of a packed file: 1 MiB holds 256 vectors of 1,024 numbers.

Pair = tuple[Tensor, Tensor]
"""Inputs (rows, sum of dimensions), unit length per space; targets: label numbers, or zeros and ones."""


class Batches(Protocol):
    """Rows to train on or to predict for.

    Attributes:
        row_count: How many there are.
        dimensions: Of the spaces, in the order in which they are concatenated.
    """

    row_count: int
    dimensions: tuple[int, ...]

    def shuffled(self, batch_size: int, seed: int) -> Iterator[Pair]:
        """Yield every row once, in an order that the seed decides.

        The last minibatch is smaller, or takes one row more: one row alone has no variance to normalise by.
        """

    def ordered(self, batch_size: int) -> Iterator[Pair]:
        """Yield every row once, in its order."""


def make_batches(
    dataset: Dataset, rows: NDArray[np.int64], device: str = "cpu", memory_bytes: int = MEMORY_BYTES
) -> Batches:
    """Choose between memory and streaming by the size of these rows.

    Args:
        dataset: In memory or in a file.
        rows: Ascending row numbers.
        device: Where minibatches shall be.
        memory_bytes: What may be held in memory as a whole.
    """
    dimensions = tuple(table.shape[1] for table in dataset.vectors.values())
    if 4 * len(rows) * sum(dimensions) > memory_bytes:
        return StreamedBatches(dataset, rows, device)
    inputs = torch.empty(len(rows), sum(dimensions))
    begin = 0
    for block in row_blocks(rows):
        inputs[begin : begin + len(block)] = read_unit_rows(dataset, block)
        begin += len(block)
    return MemoryBatches(inputs.to(device), _targets(dataset, rows).to(device), dimensions)


class MemoryBatches:
    """Minibatches of tensors that are there as a whole.

    Args:
        inputs: Shape (rows, sum of dimensions), unit length per space.
        targets: One per row.
        dimensions: Of the spaces.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, dimensions: tuple[int, ...]) -> None:
        self._inputs = inputs
        self._targets = targets
        self.row_count = len(inputs)
        self.dimensions = dimensions

    def shuffled(self, batch_size: int, seed: int) -> Iterator[Pair]:
        """Yield every row once, in random order."""
        order = torch.from_numpy(np.random.default_rng(seed).permutation(self.row_count))
        order = order.to(self._inputs.device)
        for chosen in torch.split(order, batch_sizes(self.row_count, batch_size)):
            yield self._inputs.index_select(0, chosen), self._targets.index_select(0, chosen)

    def ordered(self, batch_size: int) -> Iterator[Pair]:
        """Yield every row once, in its order."""
        yield from zip(
            torch.split(self._inputs, batch_size), torch.split(self._targets, batch_size), strict=True
        )


class StreamedBatches:
    """Minibatches read block by block.

    An epoch reads the blocks in random order into a buffer, and shuffles that: rows that lie together in the
    file do not come together, and memory stays at the buffer whatever the size of the file.

    Args:
        dataset: Usually in a file.
        rows: Ascending row numbers.
        device: Where minibatches shall be.
        buffer_bytes: Size of the buffer.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        device: str = "cpu",
        buffer_bytes: int = _BUFFER_BYTES,
    ) -> None:
        self._dataset = dataset
        self._blocks = row_blocks(rows)
        self._device = device
        self.row_count = len(rows)
        self.dimensions = tuple(table.shape[1] for table in dataset.vectors.values())
        self._buffer_rows = max(buffer_bytes // (4 * sum(self.dimensions)), _BLOCK_ROWS)

    def shuffled(self, batch_size: int, seed: int) -> Iterator[Pair]:
        """Yield every row once: blocks in random order, mixed within the buffer."""
        random = np.random.default_rng(seed)
        sizes = iter(batch_sizes(self.row_count, batch_size))
        size = next(sizes, 0)
        buffer = torch.empty(self._buffer_rows + batch_size + 1, sum(self.dimensions))
        rest: Pair | None = None
        for blocks in self._fillings(
            [self._blocks[number] for number in random.permutation(len(self._blocks))]
        ):
            inputs, targets = self._fill(buffer, blocks, rest)
            order = torch.from_numpy(random.permutation(len(inputs)))
            begin = 0
            while size and begin + size <= len(order):
                chosen = order[begin : begin + size]
                yield inputs[chosen].to(self._device), targets[chosen].to(self._device)
                begin += size
                size = next(sizes, 0)
            rest = inputs[order[begin:]], targets[order[begin:]]

    def ordered(self, batch_size: int) -> Iterator[Pair]:
        """Yield every row once, in its order; a block's last minibatch may be smaller."""
        for block in self._blocks:
            inputs, targets = read_unit_rows(self._dataset, block), _targets(self._dataset, block)
            for pair in zip(torch.split(inputs, batch_size), torch.split(targets, batch_size), strict=True):
                yield pair[0].to(self._device), pair[1].to(self._device)

    def _fillings(self, blocks: Sequence[NDArray[np.int64]]) -> Iterator[list[NDArray[np.int64]]]:
        """Yield blocks that fit into the buffer together, about the same number of rows each time."""
        filling_count = math.ceil(self.row_count / max(self._buffer_rows - _BLOCK_ROWS, 1))
        least_rows = math.ceil(self.row_count / max(filling_count, 1))
        filling: list[NDArray[np.int64]] = []
        row_count = 0
        for block in blocks:
            filling.append(block)
            row_count += len(block)
            if row_count >= least_rows:
                yield filling
                filling, row_count = [], 0
        if filling:
            yield filling

    def _fill(self, buffer: Tensor, blocks: Sequence[NDArray[np.int64]], rest: Pair | None) -> Pair:
        targets = [] if rest is None else [rest[1]]
        end = 0
        if rest is not None:
            end = len(rest[0])
            buffer[:end] = rest[0]
        for block in blocks:
            buffer[end : end + len(block)] = read_unit_rows(self._dataset, block)
            targets.append(_targets(self._dataset, block))
            end += len(block)
        return buffer[:end], torch.cat(targets)


def read_unit_rows(dataset: Dataset, rows: NDArray[np.int64]) -> Tensor:
    """Read some rows, each space scaled to unit length and all concatenated: (rows, sum of dimensions).

    Args:
        dataset: In memory or in a file.
        rows: Ascending row numbers.
    """
    if not rows.size:
        return torch.empty(0, sum(table.shape[1] for table in dataset.vectors.values()))
    is_whole = rows[-1] - rows[0] + 1 == len(rows)
    chosen = slice(int(rows[0]), int(rows[-1]) + 1) if is_whole else rows
    # A part of an array may not be writable, and torch wants to be sure.
    parts = [np.require(table[chosen], np.float32, "W") for table in dataset.vectors.values()]
    return torch.cat([unit_rows(torch.from_numpy(part)) for part in parts], dim=1)


def _targets(dataset: Dataset, rows: NDArray[np.int64]) -> Tensor:
    chosen = dataset.targets[rows]
    return torch.from_numpy(chosen.astype(np.int64 if dataset.task == "single" else np.float32))


def row_blocks(rows: NDArray[np.int64], size: int = _BLOCK_ROWS) -> list[NDArray[np.int64]]:
    """Cut ascending row numbers into stretches of the file of `size` rows; those without any are left out."""
    numbers = rows // size
    return [block for block in np.split(rows, np.flatnonzero(np.diff(numbers)) + 1) if block.size]


def sampled_blocks(rows: NDArray[np.int64], row_limit: int) -> list[NDArray[np.int64]]:
    """Return so many blocks, spread evenly, that they have about `row_limit` rows."""
    blocks = row_blocks(rows)
    count = max(1, row_limit * len(blocks) // max(len(rows), 1))
    return blocks[:: max(1, -(-len(blocks) // count))]


def batch_sizes(row_count: int, batch_size: int) -> list[int]:
    """Return the sizes of the minibatches; a last row that would be alone joins the one before."""
    full, rest = divmod(row_count, batch_size)
    sizes = [batch_size] * full + ([rest] if rest else [])
    if rest == 1 and full:
        sizes[-2:] = [batch_size + 1]
    return sizes

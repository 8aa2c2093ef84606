"""Every row comes once, well mixed, in unit length, and a file of any size takes no more than the buffer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset, open_dataset, write_dataset
from vidclf_train.batches import Batches, MemoryBatches, StreamedBatches, batch_sizes, make_batches


def numbered_rows(count: int) -> Dataset:
    """Rows whose direction tells their number, and that has to be made unit length first."""
    angles = np.linspace(0, 3, count)
    lengths = np.random.default_rng(0).uniform(0.1, 100, (count, 1))
    vectors = (np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths).astype(np.float32)
    extra = np.zeros((count, 3), np.float32)
    extra[::2, 1] = 7
    names = [str(number) for number in range(count)]
    targets = (np.arange(count) * 4 // max(count, 1)).astype(np.int32)  # Sorted by label, as files often are.
    return Dataset(("a", "b", "c", "d"), "single", names, targets, names, {"v": vectors, "e": extra})


def numbers_of(inputs: torch.Tensor, count: int) -> NDArray[np.int64]:
    angles = torch.atan2(inputs[:, 1], inputs[:, 0]).double()
    return (angles / 3 * (count - 1)).round().long().numpy()


def both_kinds(dataset: Dataset, rows: NDArray[np.int64]) -> list[Batches]:
    """Memory, and streaming with a buffer of about 300 rows."""
    found = [make_batches(dataset, rows), StreamedBatches(dataset, rows, buffer_bytes=300 * 4 * 5)]
    assert isinstance(found[0], MemoryBatches)
    return found


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("batch_size", [8, 100, 5000])
def test_every_row_comes_once_with_its_target(kind: int, batch_size: int) -> None:
    dataset = numbered_rows(2001)
    rows = np.setdiff1d(np.arange(2001), np.arange(300, 700))  # Whole blocks of the file are not wanted.
    batches = both_kinds(dataset, rows)[kind]
    assert batches.row_count == 1601
    for pairs in (list(batches.shuffled(batch_size, seed=1)), list(batches.ordered(batch_size))):
        inputs, targets = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        found = numbers_of(inputs, 2001)
        assert np.array_equal(np.sort(found), rows)
        assert np.array_equal(targets.numpy(), dataset.targets[found])
    assert np.array_equal(found, rows)  # The last of the two is in order.


@pytest.mark.parametrize("kind", [0, 1])
def test_vectors_have_unit_length_per_space_and_zeros_stay_zeros(kind: int) -> None:
    dataset = numbered_rows(900)
    for inputs, _ in both_kinds(dataset, np.arange(900))[kind].shuffled(64, seed=0):
        assert torch.allclose(inputs[:, :2].norm(dim=1), torch.ones(len(inputs)))
        even = torch.from_numpy(numbers_of(inputs, 900) % 2 == 0)
        assert torch.equal(inputs[:, 2:].norm(dim=1), even.float())


@pytest.mark.parametrize("kind", [0, 1])
def test_the_seed_decides_the_order(kind: int) -> None:
    batches = both_kinds(numbered_rows(1000), np.arange(1000))[kind]
    first, again, other = (torch.cat([x for x, _ in batches.shuffled(8, seed)]) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("kind", [0, 1])
def test_a_file_sorted_by_label_comes_mixed(kind: int) -> None:
    batches = both_kinds(numbered_rows(20_000), np.arange(20_000))[kind]
    if kind:
        batches = StreamedBatches(numbered_rows(20_000), np.arange(20_000), buffer_bytes=4000 * 4 * 5)
    labels = [targets for _, targets in batches.shuffled(100, seed=0)]
    assert all(len(torch.unique(each)) >= 3 for each in labels)


@pytest.mark.parametrize(("rows", "size", "expected"), [
    (17, 8, [8, 9]), (16, 8, [8, 8]), (18, 8, [8, 8, 2]), (9, 8, [9]), (2, 8, [2]), (1, 8, [1]), (0, 8, []),
])  # fmt: skip
def test_no_row_is_alone_in_a_minibatch_where_there_are_others(
    rows: int, size: int, expected: list[int]
) -> None:
    assert batch_sizes(rows, size) == expected
    dataset = numbered_rows(max(rows, 2))
    for batches in both_kinds(dataset, np.arange(rows)):
        assert [len(inputs) for inputs, _ in batches.shuffled(size, seed=0)] == expected


def test_large_data_is_streamed() -> None:
    dataset = numbered_rows(100)
    assert isinstance(make_batches(dataset, np.arange(100), memory_bytes=100 * 5 * 4), MemoryBatches)
    assert isinstance(make_batches(dataset, np.arange(100), memory_bytes=100 * 5 * 4 - 1), StreamedBatches)
    assert isinstance(make_batches(dataset, np.arange(50), memory_bytes=100 * 5 * 4 - 1), MemoryBatches)


def test_multi_label_targets_are_numbers_to_compare_with_probabilities() -> None:
    marks = np.array([[1, 0], [1, 1], [0, 0]], np.uint8)
    dataset = Dataset(
        ("a", "b"), "multi", list("xyz"), marks, list("xyz"), {"v": np.ones((3, 2), np.float32)}
    )
    ((_, targets),) = make_batches(dataset, np.arange(3)).ordered(8)
    assert targets.dtype == torch.float32
    assert torch.equal(targets, torch.from_numpy(marks).float())


def test_arrays_that_may_not_be_written_to_are_read_without_a_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    dataset = numbered_rows(10)
    for table in dataset.vectors.values():
        np.asarray(table).flags.writeable = False
    list(make_batches(dataset, np.arange(10)).ordered(8))
    assert not recwarn.list


def test_a_file_and_memory_give_the_same_rows(tmp_path: Path) -> None:
    dataset = numbered_rows(700)
    path = tmp_path / "packed.h5"
    with write_dataset(path, {"v": 2, "e": 3}, "single", dataset.labels) as writer:
        vectors = {space: np.asarray(table[:]) for space, table in dataset.vectors.items()}
        writer.append(vectors, dataset.targets, dataset.ids, dataset.groups)
    rows = np.arange(0, 700, 3)
    with open_dataset(path) as packed:
        in_memory = dataset.of_spaces(list(packed.vectors))
        pairs = [list(make_batches(each, rows).ordered(50)) for each in (packed, in_memory)]
        for one, other in zip(*pairs, strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])


MEMORY_CODE = """
import resource, sys
import numpy as np
from pathlib import Path
from vidclf_cli.dataset import open_dataset
from vidclf_train.batches import StreamedBatches, make_batches
with open_dataset(Path(sys.argv[1])) as dataset:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    batches = make_batches(dataset, np.arange(len(dataset)), memory_bytes=16 << 20)
    assert isinstance(batches, StreamedBatches)
    batches = StreamedBatches(dataset, np.arange(len(dataset)), buffer_bytes=16 << 20)
    count = sum(len(inputs) for inputs, _ in batches.shuffled(256, 0))
    assert count == len(dataset), count
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_stays_at_the_buffer_whatever_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.h5"
    block = np.random.default_rng(0).standard_normal((5000, 1024)).astype(np.float32)
    names = ["x"] * 5000
    with write_dataset(path, {"v": 1024}, "single", ("a", "b")) as writer:
        for _ in range(8):  # 164 MB
            writer.append({"v": block}, np.zeros(5000, np.int32), names, names)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_CODE, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 70  # MB: the buffer of 16, and what HDF5 and torch take for a block.

"""The packed dataset file: what is written is read, and whatever else a file may hold is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidclf_cli.dataset import Dataset, Split, empty_rows, open_dataset, write_dataset
from vidclf_cli.errors import OutputError, UsageError

VISUAL = "toy/a@1/visual"
AUDIO = "toy/b@1/audio"
LABELS = ("cat", "dog", "Fußball")


def make(path: Path, count: int = 50, *, task: str = "single", seed: int = 0, splits: bool = True) -> Dataset:
    """Write rows in three blocks; return them as they were."""
    random = np.random.default_rng(seed)
    targets: Any = random.integers(0, len(LABELS), count).astype(np.int32)
    if task == "multi":
        targets = random.integers(0, 2, (count, len(LABELS))).astype(np.uint8)
    dataset = Dataset(
        labels=LABELS,
        task=task,  # type: ignore[arg-type]
        ids=[f"ordner/vidéo {number}.mp4" for number in range(count)],
        targets=targets,
        groups=[f"source {number // 3}" for number in range(count)],
        vectors={
            VISUAL: random.standard_normal((count, 5)).astype(np.float32),
            AUDIO: random.standard_normal((count, 2)).astype(np.float32),
        },
        splits=random.integers(0, 4, count).astype(np.uint8) if splits else None,
    )
    with write_dataset(path, {VISUAL: 5, AUDIO: 2}, dataset.task, LABELS, has_splits=splits) as writer:
        for rows in (slice(0, 7), slice(7, 7), slice(7, count)):
            writer.append(
                {space: table[rows] for space, table in dataset.vectors.items()},
                dataset.targets[rows],
                dataset.ids[rows],
                dataset.groups[rows],
                dataset.splits[rows] if dataset.splits is not None else None,
            )
    return dataset


def refusal(path: Path) -> str:
    """Open a file and read all of it; return the one line with which it is refused."""
    with pytest.raises(UsageError) as caught, open_dataset(path) as dataset:
        dataset.load()
    assert str(path) in caught.value.message
    assert caught.value.advice
    assert "\n" not in str(caught.value)
    return str(caught.value)


def spoiled(tmp_path: Path, spoil: Callable[[h5py.File], None], **made: Any) -> Path:
    path = tmp_path / "spoiled.h5"
    make(path, **made)
    with h5py.File(path, "r+") as file:
        spoil(file)
    return path


def replaced(name: str, values: Any, **options: Any) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=values, **options)

    return spoil


@pytest.mark.parametrize("task", ["single", "multi"])
@pytest.mark.parametrize("splits", [True, False])
def test_what_was_written_is_read(tmp_path: Path, task: str, splits: bool) -> None:
    written = make(tmp_path / "a.h5", task=task, splits=splits)
    with open_dataset(tmp_path / "a.h5") as opened:
        assert (opened.labels, opened.task, len(opened)) == (LABELS, task, 50)
        assert list(opened.ids) == written.ids
        assert list(opened.groups) == written.groups
        assert opened.targets.dtype == written.targets.dtype
        np.testing.assert_array_equal(opened.targets, written.targets)
        assert opened.byte_count == 50 * 7 * 4
        loaded = opened.load()
    for space in (VISUAL, AUDIO):
        np.testing.assert_array_equal(loaded.vectors[space], written.vectors[space])
    if splits:
        np.testing.assert_array_equal(loaded.splits, written.splits)
    else:
        assert loaded.splits is None


def test_rows_and_spaces_are_chosen(tmp_path: Path) -> None:
    written = make(tmp_path / "a.h5")
    with open_dataset(tmp_path / "a.h5") as opened:
        rows = np.array([3, 4, 40], np.int64)
        some = opened.of_spaces([AUDIO]).load(rows)
        with pytest.raises(UsageError, match="no vectors of 'toy/c@1/x'"):
            opened.of_spaces(["toy/c@1/x"])
    assert list(some.vectors) == [AUDIO]
    assert some.ids == [written.ids[row] for row in rows]
    assert some.groups == ["source 1", "source 1", "source 13"]
    np.testing.assert_array_equal(some.vectors[AUDIO], written.vectors[AUDIO][rows])
    np.testing.assert_array_equal(some.targets, written.targets[rows])


@pytest.fixture(scope="module")
def in_chunks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A table of 1,000 rows in chunks of 16 of them."""
    path = tmp_path_factory.mktemp("chunks") / "a.h5"
    with write_dataset(path, {VISUAL: 4096}, "single", LABELS) as writer:
        values = np.repeat(np.arange(1000, dtype=np.float32)[:, None], 4096, axis=1)
        writer.append({VISUAL: values}, np.zeros(1000, np.int32), ["i"] * 1000, ["g"] * 1000)
    with h5py.File(path) as file:
        assert file[f"vectors/{VISUAL}"].chunks == (16, 4096)
    return path, values[:, 0]


@given(rows=st.sets(st.integers(0, 999), max_size=300))
@settings(max_examples=40, deadline=None)
def test_any_ascending_rows_are_read_as_an_array_gives_them(
    in_chunks: tuple[Path, np.ndarray], rows: set[int]
) -> None:
    path, values = in_chunks
    numbers = np.array(sorted(rows), np.int64)
    with open_dataset(path) as dataset:
        found = dataset.vectors[VISUAL][numbers]
    assert found.shape == (len(rows), 4096)
    np.testing.assert_array_equal(found[:, 17], values[numbers])


@pytest.mark.parametrize("rows", [[2, 1], [1, 1], [-1, 0], [999, 1000]])
def test_rows_that_do_not_ascend_or_are_not_there_are_a_mistake_of_the_caller(
    in_chunks: tuple[Path, np.ndarray], rows: list[int]
) -> None:
    with open_dataset(in_chunks[0]) as dataset, pytest.raises((ValueError, IndexError)):
        dataset.vectors[VISUAL][np.array(rows)]


def test_opening_loads_no_vectors(tmp_path: Path) -> None:
    with write_dataset(tmp_path / "a.h5", {VISUAL: 2000}, "single", LABELS) as writer:
        for _ in range(5):
            block = np.ones((1000, 2000), np.float32)
            writer.append({VISUAL: block}, np.zeros(1000, np.int32), ["i"] * 1000, ["g"] * 1000)
    tracemalloc.start()
    try:
        with open_dataset(tmp_path / "a.h5") as dataset:
            assert dataset.byte_count == 40_000_000
            dataset.vectors[VISUAL][:10]
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_rows_with_nothing_in_any_space_are_found(tmp_path: Path) -> None:
    made = make(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file[f"vectors/{VISUAL}"][[3, 9, 49]] = 0
        file[f"vectors/{AUDIO}"][[4, 9, 49]] = 0
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert empty_rows(dataset).tolist() == [9, 49]
    assert empty_rows(made).tolist() == []


def test_numbers_that_are_not_finite_are_refused_where_they_are_read(tmp_path: Path) -> None:
    def spoil(file: h5py.File) -> None:
        file[f"vectors/{VISUAL}"][[7, 30], 2] = np.nan

    path = spoiled(tmp_path, spoil)
    with open_dataset(path) as dataset:
        assert dataset.vectors[VISUAL][:7].shape == (7, 5)
        assert dataset.vectors[AUDIO][:].shape == (50, 2)
        for rows, row in ((slice(0, 50), 7), (np.array([1, 8, 30, 31]), 30), (slice(8, 40), 30)):
            with pytest.raises(
                UsageError, match=rf"row {row} \(ordner/vidéo {row}.mp4\) of 'toy/a@1/visual'"
            ):
                dataset.vectors[VISUAL][rows]


def test_float64_that_float32_cannot_hold_is_refused(tmp_path: Path) -> None:
    values = np.ones((50, 5))
    values[11] = 1e300
    path = spoiled(tmp_path, replaced(f"vectors/{VISUAL}", values))
    assert "row 11 " in refusal(path)


def test_tables_of_other_makers_are_read(tmp_path: Path) -> None:
    """Fixed-length texts, 64-bit numbers, whole tables instead of chunks, marks as booleans."""
    path = tmp_path / "theirs.h5"
    with h5py.File(path, "w") as file:
        file.attrs["vidclf_dataset"] = np.uint8(1)
        file.attrs["task"] = np.bytes_("multi")
        file["labels"] = np.frombuffer(b'["a", "b"]', np.uint8)
        file[f"vectors/{VISUAL}"] = np.eye(3)
        file["targets"] = np.array([[True, False], [True, True], [False, False]])
        file["ids/text"], file["ids/ends"] = np.frombuffer("xé".encode(), np.uint8), [1, 1, 3]
        file["groups/text"], file["groups/ends"] = (
            np.frombuffer(b"ggh", np.uint8),
            np.arange(1, 4, dtype=np.uint8),
        )
    with open_dataset(path) as dataset:
        loaded = dataset.load(np.array([0, 2]))
    assert (loaded.task, loaded.ids, loaded.groups) == ("multi", ["x", "é"], ["g", "h"])
    assert loaded.targets.tolist() == [[1, 0], [0, 0]]
    assert loaded.vectors[VISUAL].dtype == np.float32
    np.testing.assert_array_equal(loaded.vectors[VISUAL], np.eye(3)[[0, 2]])


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda file: file.attrs.__delitem__("vidclf_dataset"), "no dataset of vidclf's"),
        (lambda file: file.attrs.__setitem__("vidclf_dataset", 2), "of format 2"),
        (lambda file: file.attrs.__setitem__("vidclf_dataset", 0), "its format is"),
        (lambda file: file.attrs.__setitem__("vidclf_dataset", "1"), "its format is"),
        (lambda file: file.attrs.__setitem__("vidclf_dataset", [1, 1]), "its format is"),
        (lambda file: file.attrs.__setitem__("task", "both"), "its task is 'both'"),
        (lambda file: file.attrs.__delitem__("task"), "its task is None"),
        (lambda file: file.__delitem__("labels"), "it has no `labels`"),
        (lambda file: file.__delitem__("targets"), "it has no `targets`"),
        (lambda file: file.__delitem__("ids"), "it has no `ids`"),
        (lambda file: file.__delitem__("vectors"), "it has no `vectors`"),
        (lambda file: file["vectors"].__delitem__("toy"), "it holds no vectors"),
        (lambda file: file[f"vectors/{VISUAL}"].resize(49, axis=0), "has 49 rows, and `targets` 50"),
        (lambda file: file["ids/ends"].resize(49, axis=0), "has 49 rows, and `targets` 50"),
        (lambda file: file["groups/ends"].resize(10, axis=0), "has 10 rows"),
        (lambda file: file["ids/text"].resize(100, axis=0), "`ids/ends` does not fit"),
        (lambda file: file["ids/ends"].__setitem__(3, 0), "`ids/ends` does not fit"),
        (lambda file: file["ids/ends"].__setitem__(0, -1), "`ids/ends` does not fit"),
        (lambda file: file["ids"].__delitem__("text"), "it has no `ids/text`"),
        (lambda file: file["splits"].resize(10, axis=0), "has 10 rows"),
        (lambda file: file["splits"].__setitem__(3, 4), "`splits` holds other numbers"),
        (lambda file: file["targets"].__setitem__(3, 3), "`targets` names labels that are not there"),
        (lambda file: file["targets"].__setitem__(3, -1), "`targets` names labels that are not there"),
        (replaced("targets", np.full(50, 2**40)), "`targets` names labels that are not there"),
        (replaced("targets", np.full(50, 0.5)), "`targets` is a table of float64"),
        (replaced("targets", np.zeros((50, 3), np.uint8)), "with the shape (50, 3)"),
        (replaced("targets", 1), "with the shape ()"),
        (replaced("targets", h5py.Empty("i4")), "with the shape None"),
        (replaced("ids", np.arange(50)), "it has no `ids/ends`"),
        (replaced("ids/text", np.arange(50)), "`ids/text` is a table of int64"),
        (replaced("ids/ends", np.zeros((10, 5), int)), "with the shape (10, 5)"),
        (replaced(f"vectors/{VISUAL}", np.ones((50, 5), np.int32)), "is a table of int32"),
        (replaced(f"vectors/{VISUAL}", np.ones((50, 5), np.complex64)), "is a table of complex64"),
        (replaced(f"vectors/{VISUAL}", np.ones(50, np.float32)), "with the shape (50,)"),
        (replaced(f"vectors/{VISUAL}", np.ones((50, 0), np.float32)), "has vectors of 0"),
        (replaced("vectors", np.ones((50, 5), np.float32)), "`vectors` is no group"),
        (
            replaced(f"vectors/{VISUAL}", np.ones((50, 5), np.float32), compression="gzip"),
            "is compressed, which is not read",
        ),
        (replaced("labels", np.frombuffer(b'["a"]', np.uint8)), "at least two labels"),
        (replaced("labels", np.frombuffer(b'["a", "b", 3]', np.uint8)), "its label 3 is no text"),
        (replaced("labels", np.frombuffer(b'["a", "b", "a"]', np.uint8)), "there twice"),
        (
            replaced("labels", np.frombuffer(b'["a", "b", "Unknown"]', np.uint8)),
            "when no label is likely enough",
        ),
        (replaced("labels", np.frombuffer(b'["a", "b", " "]', np.uint8)), "is empty"),
        (replaced("labels", np.frombuffer(b'["a", "b", "\\n"]', np.uint8)), "is empty"),
        (replaced("labels", np.frombuffer(b'["a", "b", "c\\u0007"]', np.uint8)), "control characters"),
        (replaced("labels", np.frombuffer(b"[" * 100_000, np.uint8)), "damaged"),
        (replaced("labels", np.frombuffer(b"\xff\xfe", np.uint8)), "damaged"),
        (replaced("labels", "cat, dog"), "`labels` is a table of object"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, spoil: Callable[[h5py.File], None], problem: str
) -> None:
    assert problem in refusal(spoiled(tmp_path, spoil))


def test_marks_other_than_0_and_1_are_refused(tmp_path: Path) -> None:
    path = spoiled(tmp_path, lambda file: file["targets"].__setitem__((3, 1), 2), task="multi")
    assert "other numbers than 0 and 1" in refusal(path)
    path = spoiled(tmp_path, replaced("targets", np.zeros((50, 2), np.uint8)), task="multi")
    assert "there are 3 labels" in refusal(path)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with write_dataset(tmp_path / "a.h5", {VISUAL: 3}, "single", LABELS):
        pass
    assert "it holds no rows" in refusal(tmp_path / "a.h5")


def soft_link(file: h5py.File) -> None:
    file.move(f"vectors/{VISUAL}", "elsewhere")
    file[f"vectors/{VISUAL}"] = h5py.SoftLink("/elsewhere")


def soft_link_to_the_group(file: h5py.File) -> None:
    file.move("vectors", "elsewhere")
    file["vectors"] = h5py.SoftLink("/elsewhere")


def dangling_link(file: h5py.File) -> None:
    del file["splits"]
    file["splits"] = h5py.SoftLink("/nowhere")


def external_link(file: h5py.File) -> None:
    del file["targets"]
    file["targets"] = h5py.ExternalLink("other.h5", "/targets")


def external_link_to_texts(file: h5py.File) -> None:
    del file["ids"]
    file["ids"] = h5py.ExternalLink("other.h5", "/ids")


def external_link_within_vectors(file: h5py.File) -> None:
    file["vectors/toy/c@1"] = h5py.ExternalLink("other.h5", "/vectors/toy")


def virtual(file: h5py.File) -> None:
    del file[f"vectors/{AUDIO}"]
    layout = h5py.VirtualLayout((50, 2), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", f"vectors/{AUDIO}", (50, 2))
    file.create_virtual_dataset(f"vectors/{AUDIO}", layout)


def external_storage(file: h5py.File) -> None:
    del file[f"vectors/{AUDIO}"]
    file.create_dataset(
        f"vectors/{AUDIO}", (50, 2), np.float32, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (soft_link, "is a link, which is never followed"),
        (soft_link_to_the_group, "`vectors` is a link"),
        (dangling_link, "`splits` is a link"),
        (external_link, "`targets` is a link"),
        (external_link_to_texts, "`ids` is a link"),
        (external_link_within_vectors, "`vectors/toy/c@1` is a link"),
        (virtual, "stands in another file"),
        (external_storage, "stands in another file"),
    ],
)
def test_what_stands_elsewhere_is_never_followed(
    tmp_path: Path, spoil: Callable[[h5py.File], None], problem: str
) -> None:
    make(tmp_path / "other.h5")
    assert problem in refusal(spoiled(tmp_path, spoil))


def test_groups_that_hold_each_other_come_to_an_end(tmp_path: Path) -> None:
    def spoil(file: h5py.File) -> None:
        file["vectors/toy/again"] = file["vectors"]
        file["vectors/toy/and_again"] = file["vectors"]

    path = spoiled(tmp_path, spoil)
    begun = time.process_time()
    assert "1,000 parts or 8 levels" in refusal(path)
    assert time.process_time() - begun < 3  # 0.1 s; without a limit of levels 8 s


@pytest.mark.parametrize("name", ["targets", f"vectors/{VISUAL}", "ids/ends", "ids/text", "labels"])
def test_rows_that_are_declared_and_not_there_are_refused_at_once(tmp_path: Path, name: str) -> None:
    def spoil(file: h5py.File) -> None:
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        file.create_dataset(name, (10**12, *shape[1:]), kind, chunks=(1000, *shape[1:]))

    path = spoiled(tmp_path, spoil)
    assert path.stat().st_size < 2_000_000
    tracemalloc.start()
    try:
        text = refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert "breaks off" in text or "rows, and" in text


def test_a_table_cut_into_huge_pieces_is_refused(tmp_path: Path) -> None:
    def spoil(file: h5py.File) -> None:
        del file[f"vectors/{AUDIO}"]
        file.create_dataset(
            f"vectors/{AUDIO}", data=np.ones((50, 2)), maxshape=(None, 2), chunks=(1 << 23, 2), shuffle=True
        )

    path = spoiled(tmp_path, spoil)
    assert "pieces of more than 64 MB" in refusal(path)


@pytest.mark.parametrize(
    "data", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\xff" * 500]
)
def test_what_is_no_hdf5_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(data)
    assert "cannot be opened as HDF5" in refusal(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "no file" in refusal(tmp_path / "none.h5")
    assert "no file" in refusal(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "no file" in refusal(tmp_path / "pipe")


def test_a_file_that_breaks_off_is_refused_wherever_it_does(tmp_path: Path) -> None:
    make(tmp_path / "whole.h5")
    whole = (tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "cut.h5"
    for end in range(1, len(whole), len(whole) // 60):
        path.write_bytes(whole[:end])
        refusal(path)


def test_flipped_bytes_of_vectors_are_noticed(tmp_path: Path) -> None:
    make(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        at = file[f"vectors/{VISUAL}"].id.get_chunk_info(0).byte_offset
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[at + 40] ^= 1
    (tmp_path / "a.h5").write_bytes(data)
    assert "damaged" in refusal(tmp_path / "a.h5")


def test_the_file_appears_only_when_whole(tmp_path: Path) -> None:
    make(tmp_path / "a.h5", seed=1)
    before = (tmp_path / "a.h5").read_bytes()
    with (
        pytest.raises(ConnectionResetError, match="the maker's own trouble"),
        write_dataset(tmp_path / "a.h5", {VISUAL: 3}, "single", LABELS) as writer,
    ):
        writer.append({VISUAL: np.ones((1, 3), np.float32)}, np.zeros(1, np.int32), ["i"], ["g"])
        raise ConnectionResetError("the maker's own trouble")
    assert (tmp_path / "a.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_block_that_contradicts_itself_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    one, two = np.ones((1, 3), np.float32), np.ones((2, 3), np.float32)
    targets = np.zeros(1, np.int32)
    with write_dataset(tmp_path / "a.h5", {VISUAL: 3}, "single", LABELS) as writer:
        with pytest.raises(ValueError, match="rows"):
            writer.append({VISUAL: two}, targets, ["i"], ["g"])
        with pytest.raises(ValueError, match="spaces"):
            writer.append({VISUAL: one, AUDIO: one}, targets, ["i"], ["g"])
        with pytest.raises(ValueError, match="splits"):
            writer.append({VISUAL: one}, targets, ["i"], ["g"], np.array([Split.TEST], np.uint8))
        writer.append({VISUAL: one}, targets, ["i"], ["g"])
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert len(dataset) == 1


def test_an_id_that_is_no_unicode_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with (
        pytest.raises(UnicodeEncodeError),
        write_dataset(tmp_path / "a.h5", {VISUAL: 3}, "single", LABELS) as writer,
    ):
        writer.append({VISUAL: np.ones((1, 3), np.float32)}, np.zeros(1, np.int32), ["\udce9"], ["g"])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="cannot be written"),
        write_dataset(tmp_path / "none" / "a.h5", {VISUAL: 3}, "single", LABELS),
    ):
        pass
    (tmp_path / "folder.h5").mkdir()
    with (
        pytest.raises(OutputError, match="cannot be written"),
        write_dataset(tmp_path / "folder.h5", {VISUAL: 3}, "single", LABELS),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder.h5"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from vidclf_cli.dataset import write_dataset
from vidclf_cli.errors import OutputError
for limit in map(int, sys.argv[2:]):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # a file cannot grow further: as on a full disk
    try:
        with write_dataset(Path(sys.argv[1]), {"toy/a@1/visual": 64}, "single", ["a", "b"]) as writer:
            for _ in range(10):
                rows = np.ones((1000, 64), np.float32)
                texts = ["i" * 40] * 1000
                writer.append({"toy/a@1/visual": rows}, np.zeros(1000, np.int32), texts, texts)
    except OutputError as error:
        assert "File too large" in str(error), error
    else:
        raise SystemExit(f"{limit} bytes were enough")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_is_an_error_and_no_crash(tmp_path: Path) -> None:
    limits = ["10", "3000", "100000", "1000000", "2000000", "2500000", "3000000"]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.h5"), *limits],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_labels_of_any_number_and_length_fit(tmp_path: Path) -> None:
    labels = [f"{'x' * 100} {number}" for number in range(5000)]
    with write_dataset(tmp_path / "a.h5", {VISUAL: 3}, "single", labels) as writer:
        writer.append({VISUAL: np.ones((1, 3), np.float32)}, np.array([4999], np.int32), ["i"], ["g"])
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert list(dataset.labels) == labels
    assert len(json.dumps(labels)) > 1 << 16

"""Files of single videos become a dataset, or one clear message; nothing is lost on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from vidclf_cli.cache.store import EmbeddingStore
from vidclf_cli.dataset import Dataset, open_dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.spaces import Embedding, Modality, Space
from vidclf_train.__main__ import main
from vidclf_train.dataset import read_individual, usable_rows

VISUAL = "some/network@1/visual"
AUDIO = "some/network@1/audio"
DIMENSIONS = {VISUAL: 4, AUDIO: 3}


def space_of(name: str, sampling: str = "", dimension: int | None = None) -> Space:
    modality: Modality = "visual" if name == VISUAL else "audio"
    return Space(name, name, modality, dimension or DIMENSIONS[name], sampling)


def write_file(path: Path, vectors: Mapping[Space, float | None]) -> Path:
    """Write a file as the cache does: a vector of one number repeated, or None for nothing there."""
    store = EmbeddingStore(path.parent / "store")
    embeddings = {
        space: None if value is None else Embedding(np.full(space.dimension, value, np.float32), 1)
        for space, value in vectors.items()
    }
    store.write(path.stem, {"duration": 1.0}, embeddings)
    path.parent.mkdir(parents=True, exist_ok=True)
    return store.path(path.stem).rename(path)


def both(value: float) -> dict[Space, float | None]:
    return {space_of(VISUAL, "frames-8"): value, space_of(AUDIO): value}


def write_table(folder: Path, *lines: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(["path,label,group", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for number, name in enumerate(("a", "b", "c"), start=1):
        write_file(tmp_path / f"{name}.h5", both(number))
    return write_table(tmp_path, "a.h5,cat,film 1", "b.h5,dog,film 2", "c.h5,cat,film 1")


def pack(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["pack", *map(str, arguments)], catch_exceptions=False)


def test_files_of_the_cache_become_rows(table: Path) -> None:
    dataset, notes = read_individual(table)
    assert notes == ("1 label with one video only, too few to learn from and test with: dog.",)
    assert dataset.labels == ("cat", "dog")
    assert dataset.ids == ["a.h5", "b.h5", "c.h5"]
    assert dataset.groups == ["film 1", "film 2", "film 1"]
    assert dataset.targets.tolist() == [0, 1, 0]
    assert dataset.vectors[VISUAL][:].tolist() == [[1] * 4, [2] * 4, [3] * 4]
    assert dataset.vectors[AUDIO][:].tolist() == [[1] * 3, [2] * 3, [3] * 3]


def test_several_labels_make_a_multi_label_dataset(tmp_path: Path) -> None:
    for name in "ab":
        write_file(tmp_path / f"{name}.h5", both(1))
    dataset, _ = read_individual(write_table(tmp_path, "a.h5,cat|dog,", "b.h5,dog,"))
    assert dataset.task == "multi"
    assert dataset.targets.tolist() == [[1, 1], [0, 1]]


def test_a_folder_per_label_is_read_without_a_table(tmp_path: Path) -> None:
    for place in ("cat/a.h5", "cat/inner/b.hdf5", "dog/a.h5"):
        write_file(tmp_path / place, both(1))
    for store in tmp_path.rglob("store"):
        assert not list(store.rglob("*.h5"))
    dataset, _ = read_individual(tmp_path)
    assert dataset.ids == ["cat/a.h5", "cat/inner/b.hdf5", "dog/a.h5"]
    assert dataset.targets.tolist() == [0, 0, 1]


def test_what_else_lies_in_a_folder_of_vectors_is_said(tmp_path: Path) -> None:
    for place in ("cat/a.H5", "dog/a.h5"):
        write_file(tmp_path / place, both(1))
    for store in list(tmp_path.rglob("store")):
        shutil.rmtree(store)
    (tmp_path / "cat" / "notes.txt").touch()
    dataset, notes = read_individual(tmp_path)
    assert dataset.ids == ["cat/a.H5", "dog/a.h5"]
    assert notes == ("Other files passed over (1): cat/notes.txt.",)


def test_videos_beside_files_of_vectors_are_not_dropped_in_silence(tmp_path: Path) -> None:
    for place in ("cat/a.h5", "dog/a.h5"):
        write_file(tmp_path / place, both(1))
    (tmp_path / "dog" / "b.MP4").touch()
    with pytest.raises(
        UsageError, match=r"both HDF5 files, such as cat/a\.h5, and videos, such as dog/b\.MP4"
    ):
        read_individual(tmp_path)


@pytest.mark.parametrize("name", ["unknown", "a\tb", "a|b"])
def test_a_folder_whose_name_is_no_label_is_refused(tmp_path: Path, name: str) -> None:
    for place in (f"{name}/a.h5", "dog/a.h5"):
        write_file(tmp_path / place, both(1))
    with pytest.raises(UsageError, match="cannot be a label"):
        read_individual(tmp_path)


def test_a_folder_of_one_label_is_refused(tmp_path: Path) -> None:
    write_file(tmp_path / "cat/a.h5", both(1))
    with pytest.raises(UsageError, match=r"HDF5 files of 1 label\(s\)"):
        read_individual(tmp_path)


def test_a_space_that_a_file_lacks_is_a_row_of_zeros_and_a_note(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5", both(1))
    write_file(tmp_path / "b.h5", {space_of(VISUAL, "frames-8"): 2})
    write_file(tmp_path / "c.h5", {space_of(VISUAL, "frames-8"): 3, space_of(AUDIO): None})
    dataset, notes = read_individual(write_table(tmp_path, "a.h5,cat,", "b.h5,dog,", "c.h5,cat,"))
    assert dataset.vectors[AUDIO][:].tolist() == [[1] * 3, [0] * 3, [0] * 3]
    assert notes[-1] == f"2 of 3 files have nothing in {AUDIO}: b.h5, c.h5."


def test_vectors_of_different_lengths_name_both_files(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5", both(1))
    write_file(tmp_path / "b.h5", {space_of(VISUAL, "frames-8", dimension=5): 1})
    with pytest.raises(UsageError, match=r"b\.h5 has 5 numbers in .*visual', and .*a\.h5 has 4"):
        read_individual(write_table(tmp_path, "a.h5,cat,", "b.h5,dog,"))


def test_several_samplings_of_a_space_need_a_name(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5", {space_of(VISUAL, "frames-8"): 1, space_of(VISUAL, "frames-4"): 2})
    write_file(tmp_path / "b.h5", {space_of(VISUAL, "frames-8"): 3})
    table = write_table(tmp_path, "a.h5,cat,", "b.h5,dog,")
    with pytest.raises(
        UsageError, match=rf"a\.h5 has .* frames-4, frames-8\. .*--sampling {VISUAL}=frames-4"
    ):
        read_individual(table)
    dataset, notes = read_individual(table, samplings={VISUAL: "frames-4"})
    assert dataset.vectors[VISUAL][:][:, 0].tolist() == [2, 0]
    assert notes[-1] == f"1 of 2 files have nothing in {VISUAL}: b.h5."


def test_files_sampled_differently_are_taken_together_and_said(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5", {space_of(VISUAL, "frames-8"): 1})
    write_file(tmp_path / "b.h5", {space_of(VISUAL, "frames-4"): 2})
    dataset, notes = read_individual(write_table(tmp_path, "a.h5,cat,", "b.h5,dog,"))
    assert dataset.vectors[VISUAL][:][:, 0].tolist() == [1, 2]
    assert notes[-1] == f"The vectors of {VISUAL} come from different samplings: frames-4 (1), frames-8 (1)."


def test_a_missing_file_is_counted_and_said(table: Path) -> None:
    (table.parent / "c.h5").unlink()
    dataset, notes = read_individual(table)
    assert len(dataset) == 2
    assert any("1 labelled file not there, or no regular file" in note and "c.h5" in note for note in notes)


def vector_place(sampling: str = "frames-8") -> str:
    return f"embedded_features/{VISUAL}/{sampling}"


def replace_vector(file: h5py.File, values: object) -> None:
    del file[vector_place()]
    file[vector_place()] = values


def make_link(file: h5py.File, link: object) -> None:
    del file[vector_place()]
    file[vector_place()] = link


def make_external(file: h5py.File) -> None:
    del file[vector_place()]
    file.create_dataset(vector_place(), (4,), "f4", external=[("/etc/hostname", 0, 16)])


def set_schema(file: h5py.File) -> None:
    file.attrs["schema"] = 99


def drop_features(file: h5py.File) -> None:
    del file["embedded_features"]


BAD: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "not finite": (lambda file: replace_vector(file, np.array([1, np.nan, 1, 1], np.float32)), "not finite"),
    "too large": (lambda file: replace_vector(file, np.array([1, 1e300, 1, 1])), "not finite"),
    "whole numbers": (lambda file: replace_vector(file, np.ones(4, np.int32)), "is a vector of 4 int32"),
    "a matrix": (lambda file: replace_vector(file, np.ones((2, 2), np.float32)), "is no vector"),
    "an external link": (lambda file: make_link(file, h5py.ExternalLink("x.h5", "/y")), "is a link"),
    "a soft link": (lambda file: make_link(file, h5py.SoftLink("/raw_features/probe")), "is a link"),
    "numbers elsewhere": (make_external, "stands in another file"),
    "a newer schema": (set_schema, "Upgrade vidclf"),
    "no features": (drop_features, "has no `embedded_features`"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_cannot_be_trusted_is_named(table: Path, kind: str) -> None:
    spoil, message = BAD[kind]
    with h5py.File(table.parent / "b.h5", "a") as file:
        spoil(file)
    with pytest.raises(UsageError, match=message) as caught:
        read_individual(table)
    assert "b.h5" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", None])
def test_a_damaged_file_is_named(table: Path, content: bytes | None) -> None:
    path = table.parent / "b.h5"
    path.write_bytes(path.read_bytes()[:900] if content is None else content)
    with pytest.raises(UsageError, match=r"b\.h5 cannot be read as HDF5"):
        read_individual(table)


def test_a_flipped_bit_in_a_vector_is_found(table: Path) -> None:
    path = table.parent / "b.h5"
    content = bytearray(path.read_bytes())
    at = content.find(np.full(4, 2, np.float32).tobytes())
    content[at + 5] ^= 4
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"b\.h5 cannot be read as HDF5"):
        read_individual(table)


def test_files_without_any_vector_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        write_file(tmp_path / f"{name}.h5", {space_of(AUDIO): None})
    with pytest.raises(UsageError, match="None of the 2 files holds a vector"):
        read_individual(write_table(tmp_path, "a.h5,cat,", "b.h5,dog,"))


def test_an_unknown_space_lists_what_is_there(table: Path) -> None:
    with pytest.raises(UsageError, match=rf"No file .* 'other'.*{VISUAL}"):
        read_individual(table, spaces=("other",))


def test_packing_gives_the_same_rows(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed.h5"
    result = pack(table, "--out", out)
    assert result.exit_code == 0, result.output
    assert "3 rows, 2 labels" in result.output
    expected, _ = read_individual(table)
    with open_dataset(out) as packed:
        assert (packed.labels, packed.task, packed.ids, packed.groups) == (
            expected.labels, expected.task, expected.ids, expected.groups,
        )  # fmt: skip
        assert packed.targets.tolist() == expected.targets.tolist()
        assert packed.vectors.keys() == expected.vectors.keys()
        for space, rows in expected.vectors.items():
            np.testing.assert_array_equal(packed.vectors[space][:], rows[:])


def test_packing_takes_the_spaces_and_samplings_that_are_named(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5", {space_of(VISUAL, "frames-8"): 1, space_of(VISUAL, "frames-4"): 2})
    write_file(tmp_path / "b.h5", both(3))
    table, out = write_table(tmp_path, "a.h5,cat,", "b.h5,dog,"), tmp_path / "packed.h5"
    result = pack(table, "--out", out, "--space", VISUAL, "--sampling", f"{VISUAL}=frames-8")
    assert result.exit_code == 0, result.output
    with open_dataset(out) as packed:
        assert list(packed.vectors) == [VISUAL]
        assert packed.vectors[VISUAL][:][:, 0].tolist() == [1, 3]


def test_a_file_that_fails_leaves_nothing_behind(table: Path, tmp_path: Path) -> None:
    with h5py.File(table.parent / "b.h5", "a") as file:
        replace_vector(file, np.array([1, np.nan, 1, 1], np.float32))
    result = pack(table, "--out", tmp_path / "packed.h5")
    assert result.exit_code == 2
    assert "b.h5 cannot be used" in result.output
    assert not list(tmp_path.glob("*packed*"))


def test_rows_with_nothing_in_any_space_are_left_out_and_named() -> None:
    visual, audio = np.ones((5, 2), np.float32), np.zeros((5, 3), np.float32)
    visual[[1, 3]] = 0
    audio[3] = 1
    dataset = Dataset(("x", "y"), "single", list("abcde"), np.zeros(5, np.int32), list("abcde"),
                      {"v": visual, "a": audio})  # fmt: skip
    rows, notes = usable_rows(dataset)
    assert rows.tolist() == [0, 2, 3, 4]
    assert notes == ("1 of 5 rows have nothing in any space and are left out: b.",)

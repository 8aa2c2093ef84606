"""From shards to one dataset, through the command."""

from __future__ import annotations

import hashlib
import math
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.train.youtube8m.made import (
    GAMES,
    PETS,
    SPORTS,
    UNKNOWN,
    bytes_feature,
    float_feature,
    vectors,
    video,
    write_shard,
    write_vocabulary,
)
from vidclf_cli.dataset import Split, open_dataset
from vidclf_train.__main__ import main
from vidclf_train.youtube8m import build as build_module
from vidclf_train.youtube8m.build import AUDIO_SPACE, VISUAL_SPACE
from vidclf_train.youtube8m.sampling import split_sizes

TRAVEL, FOREIGN = 5, 99


def run(folder: Path, *arguments: object, out: str = "out.h5") -> Result:
    write_vocabulary(folder / "vocabulary.csv")
    command = [
        "youtube8m", "build", "--vocabulary", folder / "vocabulary.csv", "--out", folder / out,
        "--classes", "Games, Sports,Pets & Animals", *arguments,
    ]  # fmt: skip
    if "--shards" not in arguments:
        command += ["--shards", folder / "shards"]
    if "--per-class" not in arguments:
        command += ["--per-class", 10]
    return CliRunner().invoke(main, [str(each) for each in command], catch_exceptions=False)


def ids_of(class_number: int, count: int) -> list[str]:
    return [f"{'GSP'[class_number]}{number:03d}" for number in range(count)]


def write_three_classes(folder: Path, counts: tuple[int, int, int] = (25, 12, 4)) -> None:
    messages = [
        video(video_id, [number])
        for number, count in enumerate(counts)
        for video_id in ids_of(number, count)
    ]  # fmt: skip
    for shard in range(3):
        write_shard(folder / "shards" / f"train{shard:04d}.tfrecord", messages[shard::3])


def splits_of(path: Path) -> dict[str, Split]:
    with open_dataset(path) as dataset:
        assert dataset.splits is not None
        return {video_id: Split(split) for video_id, split in zip(dataset.ids, dataset.splits, strict=True)}


def test_each_class_gives_its_sample_and_keeps_all_others(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    splits = splits_of(tmp_path / "out.h5")
    found = {
        letter: [
            Counter(split for video_id, split in splits.items() if video_id[0] == letter)[s] for s in Split
        ]
        for letter in "GSP"
    }
    assert found == {"G": [8, 1, 1, 15], "S": [8, 1, 1, 2], "P": [2, 1, 1, 0]}
    assert "Pets & Animals: only 4 videos are there, fewer than 10: all are taken" in result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert ["Games", "25", "10", "8", "1", "1", "15"] in rows
    assert ["all", "41", "24", "18", "3", "3", "17"] in rows


def test_every_row_is_the_video_that_it_says(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    run(tmp_path)
    with open_dataset(tmp_path / "out.h5") as dataset:
        assert dataset.labels == ("Games", "Sports", "Pets & Animals")
        assert dataset.task == "single"
        assert list(dataset.groups) == list(dataset.ids)
        whole = dataset.load()
        for row, video_id in enumerate(whole.ids):
            visual, audio = vectors(video_id)
            assert "GSP"[whole.targets[row]] == video_id[0]
            np.testing.assert_array_equal(whole.vectors[VISUAL_SPACE][row], np.array(visual, np.float32))
            np.testing.assert_array_equal(whole.vectors[AUDIO_SPACE][row], np.array(audio, np.float32))


def test_the_same_shards_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    run(tmp_path, out="a.h5")
    time.sleep(1.1)  # HDF5 keeps whole seconds where it keeps times.
    run(tmp_path, out="b.h5")
    run(tmp_path, "--seed", 1, out="c.h5")
    digests = [
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.h5", "b.h5", "c.h5")
    ]
    assert digests[0] == digests[1]
    assert splits_of(tmp_path / "a.h5") != splits_of(tmp_path / "c.h5")


def test_the_sample_does_not_depend_on_how_the_shards_are_cut(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    run(tmp_path)
    before = splits_of(tmp_path / "out.h5")
    messages = [video(video_id, ["GSP".index(video_id[0])]) for video_id in sorted(before, reverse=True)]
    write_shard(tmp_path / "other" / "one.tfrecord", messages)
    run(tmp_path, "--shards", tmp_path / "other")
    assert splits_of(tmp_path / "out.h5") == before


def test_zero_takes_all_videos_of_a_class(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    run(tmp_path, "--per-class", 0)
    counts = Counter(splits_of(tmp_path / "out.h5").values())
    assert counts == {Split.TRAIN: 19 + 10 + 2, Split.VALIDATION: 5, Split.TEST: 5}


def test_a_video_belongs_to_a_class_only_with_all_its_labels(tmp_path: Path) -> None:
    messages = [
        video("gam1", [GAMES, 4]),  # 4 is an entity of Games without a name
        video("gam2", [GAMES]),
        video("spo1", [SPORTS, SPORTS]),
        video("both", [GAMES, SPORTS]),
        video("unkn", [GAMES, UNKNOWN]),
        video("trav", [TRAVEL]),
        video("fore", [GAMES, FOREIGN]),
        video("none", [], labels=None),
    ]
    write_shard(tmp_path / "shards" / "a.tfrecord", messages)
    result = run(tmp_path)
    assert result.exit_code == 0
    assert set(splits_of(tmp_path / "out.h5")) == {"gam1", "gam2", "spo1"}
    for line in (
        "3 of the classes", "2 with labels of several verticals", "1 of another vertical",
        "1 without labels", "1 with labels that the vocabulary lacks",
    ):  # fmt: skip
        assert f"       {line}\n" in result.output
    assert "Pets & Animals: no video is there, so it is no label of the dataset" in result.output
    with open_dataset(tmp_path / "out.h5") as dataset:
        assert dataset.labels == ("Games", "Sports")


def test_damage_is_said_with_its_place_and_the_rest_is_used(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    shard = tmp_path / "shards" / "train0001.tfrecord"
    data = bytearray(shard.read_bytes())
    length = len(data) // 14  # 14 videos of the same length, apart from their ids' bytes
    data[3 * length + 500] ^= 1
    shard.write_bytes(bytes(data[: 13 * length + 700]))
    (tmp_path / "shards" / "train0009.tfrecord").write_bytes(b"")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert f"{shard} at byte {3 * length}: the CRC of a record's data is wrong" in result.stderr
    assert f"{shard} at byte {13 * length}: the file breaks off in a record" in result.stderr
    assert "train0009.tfrecord at byte 0: the file is empty" in result.stderr
    assert "damaged: 3 places" in result.output
    assert len(splits_of(tmp_path / "out.h5")) == 39


def test_a_shard_that_cannot_be_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_three_classes(tmp_path)
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == "train0001.tfrecord":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)
    result = run(tmp_path)
    monkeypatch.undo()
    assert result.exit_code == 1
    assert "train0001.tfrecord cannot be read (Permission denied)." in result.stderr
    assert "shards that could not be read: 1" in result.output
    assert len(splits_of(tmp_path / "out.h5")) == 27


def test_unusable_videos_are_counted_and_said(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    bad = [
        video(f"n{number:03d}", [GAMES], mean_rgb=float_feature([math.nan] * 1024)) for number in range(25)
    ]
    bad.append(video("shor", [GAMES], mean_audio=float_feature([0.0] * 127)))
    offsets = write_shard(tmp_path / "shards" / "z.tfrecord", bad)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert (
        f"z.tfrecord at byte {offsets[1]}: a video is left out, its mean_rgb holds numbers" in result.stderr
    )
    assert result.stderr.count("a video is left out") == 20
    assert "from here on they are only counted" in result.stderr
    assert "26 unusable, left out" in result.output


def test_an_id_that_comes_again_is_kept_once_and_said(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    write_shard(tmp_path / "again" / "a.tfrecord", [video("G003", [SPORTS]), video("G030", [GAMES])])
    result = run(tmp_path, "--shards", tmp_path / "shards", "--shards", tmp_path / "again")
    assert result.exit_code == 0
    assert "'G003' was there before, and is kept once" in result.stderr
    assert "1 there more than once, kept once" in result.output
    with open_dataset(tmp_path / "out.h5") as dataset:
        ids = list(dataset.ids)
        assert len(ids) == len(set(ids)) == 42
        assert dataset.labels[dataset.targets[ids.index("G003")]] == "Games"


@pytest.mark.parametrize(
    "changed", [[("last", PETS)], [("last", GAMES), ("more", GAMES)], [("else", GAMES)], []]
)
def test_shards_that_change_between_the_passes_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: list[tuple[str, int]]
) -> None:
    write_three_classes(tmp_path)
    write_shard(tmp_path / "shards" / "z.tfrecord", [video("last", [GAMES])])
    assign = build_module.assign_splits

    def change_a_shard(*arguments: Any) -> Any:
        messages = [video(video_id, [number]) for video_id, number in changed]
        write_shard(tmp_path / "shards" / "z.tfrecord", messages)
        return assign(*arguments)

    monkeypatch.setattr(build_module, "assign_splits", change_a_shard)
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "The shards changed while they were read." in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shards", "vocabulary.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "Games,Gamez"], "The vocabulary has no vertical 'Gamez'"),
        (["--classes", "Games"], "At least two classes"),
        (["--classes", "Games,Games"], "At least two classes"),
        (
            ["--classes", "Pets & Animals,Travel"],
            "No class has a video in these shards (read: 41 of another vertical)",
        ),
        (["--classes", "Sports,Travel"], "Only 'Sports' has a video in these shards"),
        (["--shards", "tests"], "holds no *.tfrecord file"),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    write_three_classes(tmp_path, (25, 16, 0))
    result = run(tmp_path, *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.splitlines()) == 1
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize(
    "content",
    [b"Index,Name\n0,Game\n", b"", b"Index,Vertical1\nzero,Games\n", b"Index,Vertical1\n0,\xff\xfe\n"],
)
def test_another_table_than_the_vocabulary_is_refused(tmp_path: Path, content: bytes) -> None:
    write_three_classes(tmp_path)
    (tmp_path / "other.csv").write_bytes(content)
    result = run(tmp_path, "--vocabulary", tmp_path / "other.csv")
    assert result.exit_code == 2
    assert "other.csv" in result.output


def test_a_hostile_id_reaches_the_terminal_as_text(tmp_path: Path) -> None:
    write_three_classes(tmp_path)
    write_shard(tmp_path / "shards" / "z.tfrecord", [video("x", [GAMES], id=bytes_feature(b"\x1b[2J"))])
    result = run(tmp_path)
    assert "\x1b" not in result.output + result.stderr
    assert "1 unusable, left out" in result.output


def test_tenths_are_for_validation_and_test() -> None:
    assert split_sizes(180) == (144, 18, 18)
    assert [split_sizes(count) for count in (0, 1, 2, 3, 14, 15, 23)] == [
        (0, 0, 0), (1, 0, 0), (2, 0, 0), (1, 1, 1), (12, 1, 1), (11, 2, 2), (19, 2, 2)
    ]  # fmt: skip
    for count in range(3, 2000):
        train, validation, test = split_sizes(count)
        assert train + validation + test == count
        assert validation == test >= 1
        assert train >= 1
        assert abs(validation - count / 10) <= 0.7


@pytest.fixture(scope="module")
def real_shards(shared_data: Path) -> Path:
    folder = shared_data / "youtube8m"
    if not folder.is_dir():
        pytest.skip(f"real shards are not at {folder}")
    return folder


def test_the_real_shards_give_the_papers_ten_classes(real_shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "yt8m10.h5"
    arguments = ["--shards", real_shards, "--vocabulary", real_shards / "vocabulary.csv", "--per-class", 180]
    command = ["youtube8m", "build", "--out", out, *arguments]
    result = CliRunner().invoke(main, [str(each) for each in command], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = [line.rsplit(maxsplit=6) for line in result.output.splitlines()]
    assert ["Reference", "23", "23", "19", "2", "2", "0"] in rows
    assert ["Law & Government", "44", "44", "36", "4", "4", "0"] in rows
    assert ["Arts & Entertainment", "4301", "180", "144", "18", "18", "4121"] in rows
    assert ["all", "8467", "1456", "1166", "145", "145", "7011"] in rows
    with h5py.File(out) as file:
        assert file[f"vectors/{VISUAL_SPACE}"].shape == (8467, 1024)
        assert file[f"vectors/{AUDIO_SPACE}"].shape == (8467, 128)


def test_memory_does_not_grow_with_the_vectors(
    real_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "_BLOCK_ROWS", 64)
    (tmp_path / "shards").mkdir()
    for shard in sorted(real_shards.glob("*.tfrecord"))[:8]:
        (tmp_path / "shards" / shard.name).symlink_to(shard)
    command = [
        "youtube8m", "build", "--shards", tmp_path / "shards", "--per-class", 180,
        "--vocabulary", real_shards / "vocabulary.csv", "--out", tmp_path / "out.h5",
    ]  # fmt: skip
    tracemalloc.start()
    CliRunner().invoke(main, [str(each) for each in command], catch_exceptions=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with open_dataset(tmp_path / "out.h5") as dataset:
        assert peak < dataset.byte_count / 2, (peak, dataset.byte_count)

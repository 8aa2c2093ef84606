"""`vidclf evaluate` from outside: real videos, real encoders, a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.classifier_files import CONCEPTS, document, small_model, write
from tests.cli.conftest import Run
from tests.media.odd_videos import encode
from vidclf_cli.cli.app import vidclf as vidclf_command
from vidclf_cli.dataset import Split, write_dataset
from vidclf_cli.errors import UsageError

CLIP = ("-c:v", "libx264", "-g", "25")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled videos: two that are read, one that is empty, one of a label that no classifier here has."""
    folder = tmp_path_factory.mktemp("clips")
    for name in ("Sports", "Food & Drink", "zebra [red]"):
        (folder / name).mkdir()
    encode(*CLIP, source="testsrc2=size=160x90", seconds=2)(folder / "Sports" / "football match final.mp4")
    encode(*CLIP, source="mandelbrot=size=160x90", seconds=2)(folder / "Food & Drink" / "espresso recipe.mp4")
    encode(*CLIP, source="smptebars=size=160x90", seconds=2)(folder / "zebra [red]" / "herd.mp4")
    (folder / "Sports" / "empty.mp4").write_bytes(b"")
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path, json.dumps(document()))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    vectors = np.zeros((40, 1000), np.float32)
    truth = np.arange(40, dtype=np.int32) % 3
    vectors[np.arange(40), np.where(np.arange(40) % 5, truth, (truth + 1) % 3)] = 1
    splits = np.where(np.arange(40) < 30, Split.TEST, Split.REST).astype(np.uint8)
    with write_dataset(
        tmp_path / "packed.h5", {CONCEPTS: 1000}, "single", ("cat", "dog", "car"), has_splits=True
    ) as writer:
        ids = [f"{number}\x1b[31m.mp4" for number in range(40)]
        writer.append({CONCEPTS: vectors}, truth, ids, [f"{number // 2}" for number in range(40)], splits)
    return tmp_path / "packed.h5"


def test_a_folder_of_labelled_videos_is_measured_and_what_could_not_be_is_listed(
    vidclf: Run, clips: Path, tmp_path: Path
) -> None:
    done = vidclf("evaluate", "topics-10", clips, "--json", "figures.json", "--figures", "a/pictures")
    assert done.returncode == 1, done.stderr
    first, *_ = done.stderr.splitlines()
    assert all(word in first for word in ("topics-10@", "10 labels", "cpu", "cache"))
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures["metrics"]["row_count"] == 2
    assert figures["failed"] == [{"path": "Sports/empty.mp4", "reason": "empty-file: the file is empty"}]
    assert figures["left_out"] == {"paths": ["zebra [red]/herd.mp4"], "labels": {"zebra [red]": 1}}
    assert sum(each["count"] for each in figures["confusion"]) == 2
    for text in (
        "accuracy",
        "macro-F1",
        "calibration error",
        "Sports/empty.mp4: empty-file",
        "zebra [red] (1)",
    ):
        assert text in done.stdout
    assert "\x1b" not in done.stdout
    for name in ("confusion.png", "reliability.png"):
        with Image.open(tmp_path / "a" / "pictures" / name) as picture:
            picture.load()
    again = vidclf("evaluate", "topics-10", clips, "--json", "-")
    assert "2 from the cache" in again.stderr
    assert json.loads(again.stdout) == figures


def test_a_table_of_labels_with_root_and_groups(vidclf: Run, clips: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "path,label,filmed\nSports/football match final.mp4,Sports,a\n"
        "Food & Drink/espresso recipe.mp4,Sports,a\ngone.mp4,Sports,b\n",
        encoding="utf-8",
    )
    done = vidclf("evaluate", "topics-10", table, "--root", clips, "--group-column", "filmed", "--json", "-")
    assert done.returncode == 1, done.stderr
    figures = json.loads(done.stdout)
    assert figures["metrics"]["group_count"] == 1
    assert figures["metrics"]["accuracy"]["low"] is None
    assert [each["path"] for each in figures["failed"]] == ["gone.mp4"]
    assert len(figures["labels_without_examples"]) == 9


def test_a_packed_file_needs_no_video_and_no_torch(packed: Path, small: Path, tmp_path: Path) -> None:
    script = """
import sys
for name in ("torch", "sklearn", "onnx", "umap", "vidclf_train"):
    sys.modules[name] = None
from vidclf_cli.cli import main
sys.argv[0] = "vidclf"
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "evaluate", small, packed, "--figures", tmp_path / "pictures"],
        capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "30 videos of 15 sources" in done.stdout
    assert "split test" in done.stdout
    assert "0.800" in done.stdout
    assert "\\x1b[31m" in done.stdout
    assert "\x1b" not in done.stdout
    assert (tmp_path / "pictures" / "confusion.png").is_file()


def test_another_split_and_fewer_mistakes(vidclf: Run, packed: Path, small: Path) -> None:
    done = vidclf("evaluate", small, packed, "--split", "large-test", "--worst", "2", "--json", "-")
    figures = json.loads(done.stdout)
    assert (figures["split"], figures["metrics"]["row_count"], len(figures["mistakes"])) == (
        "large-test",
        40,
        2,
    )
    assert figures["mistakes"][0]["confidence"] == pytest.approx(0.987, abs=0.01)


def test_many_labels_show_the_most_confused_pairs_and_the_worst_labels(vidclf: Run, tmp_path: Path) -> None:
    names = [f"label {number}" for number in range(200)]
    model = write(tmp_path, json.dumps(document(labels=names)), small_model(label_count=200))
    truth = np.arange(400, dtype=np.int32) % 200
    vectors = np.zeros((400, 1000), np.float32)
    vectors[np.arange(400), np.where(truth == 7, 8, truth)] = 1
    with write_dataset(tmp_path / "many.h5", {CONCEPTS: 1000}, "single", names) as writer:
        ids = [f"{number}.mp4" for number in range(400)]
        writer.append({CONCEPTS: vectors}, truth, ids, ids)
    done = vidclf("evaluate", model, "many.h5", "--figures", "pictures")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) < 70
    assert "The 30 labels of 200 with the lowest F1" in done.stdout
    confused = next(line for line in done.stdout.splitlines() if line.count("label") == 2 and "│" in line)
    assert [cell.strip() for cell in confused.split("│")] == ["label 7", "label 8", "2"]


def test_a_classifier_of_several_labels(vidclf: Run, tmp_path: Path) -> None:
    model = write(tmp_path, json.dumps(document(task="multi")), small_model("multi"))
    targets = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 0]], np.uint8)
    with write_dataset(tmp_path / "multi.h5", {CONCEPTS: 1000}, "multi", ("cat", "dog", "car")) as writer:
        vectors = np.pad(targets.astype(np.float32) * 2 - 1, ((0, 0), (0, 997)))
        writer.append({CONCEPTS: vectors}, targets, ["a", "b", "c"], ["a", "b", "c"])
    done = vidclf("evaluate", model, "multi.h5", "--figures", "pictures")
    assert done.returncode == 0, done.stderr
    for text in ("mAP", "GAP@20", "micro-F1", "macro-F1"):
        assert text in done.stdout
    assert "Drawn: reliability.png" in done.stderr
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["reliability.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("topics-10", "missing.csv"), "missing.csv"),
        (("topics-10", "missing.h5"), "missing.h5"),
        (("nonsense", "packed.h5"), "topics-10"),
        (("topics-10", "packed.h5"), "none of the labels"),
        (("small.onnx", "strange"), "none of the labels of the data (horse)"),
        (("small.onnx", "packed.h5", "--split", "train"), "It has test, rest"),
        (("small.onnx", "packed.h5", "--root", "."), "--root"),
        (("small.onnx", "packed.h5", "--exclude", "x"), "--exclude"),
        (("small.onnx", "strange", "--split", "test"), "--split"),
        (("small.onnx", "packed.h5", "--json", "no/such/a.json"), "--json"),
        (("small.onnx", "packed.h5", "--figures", "small.onnx/a"), "--figures"),
        (("small.onnx", "two.csv"), "has 2 labels"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(
    packed: Path, small: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    folder = packed.parent
    (folder / "strange" / "horse").mkdir(parents=True)
    (folder / "strange" / "horse" / "a.mp4").write_bytes(b"")
    (folder / "two.csv").write_text("path,label\nstrange/horse/a.mp4,cat|dog\n")
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(vidclf_command, ["evaluate", *arguments], standalone_mode=False)
    assert isinstance(done.exception, UsageError | click.UsageError), done.exception
    assert done.exception.exit_code == 2
    assert says in str(done.exception)
    assert done.stdout == ""


def test_videos_of_which_none_can_be_read_end_in_one_line(vidclf: Run, small: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    (tmp_path / "empty" / "cat" / "a.mp4").write_bytes(b"")
    done = vidclf("evaluate", small, "empty", "--quiet")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: None of the 1 videos could be read; cat/a.mp4: empty-file")
    assert len(done.stderr.splitlines()) == 1

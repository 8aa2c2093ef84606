"""`vidclf train` from outside: videos in, a file out that `vidclf classify` takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run, read_rows
from tests.media.odd_videos import encode
from tests.train.fitted_models import DIMENSIONS, some_rows
from vidclf_cli.cli.train import train
from vidclf_cli.dataset import write_dataset
from vidclf_cli.errors import UsageError

QUICK = """
name = "quick"
folds = 3
[split]
shares = [1, 0, 0]
[[heads]]
kind = "linear"
l2 = [1.0]
"""
SOURCES = {"colours": "smptebars=size=160x90", "shapes": "mandelbrot=size=160x90"}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two labels with three clips each, and one that cannot be read."""
    for label, source in SOURCES.items():
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(3):
            encode("-c:v", "libx264", source=f"{source}:rate={10 + number}", seconds=1)(
                tmp_path / "clips" / label / f"take {number}.mp4"
            )
    (tmp_path / "clips" / "shapes" / "broken.mp4").write_bytes(b"")
    (tmp_path / "quick.toml").write_text(QUICK)
    return tmp_path / "clips"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    dataset = some_rows(30)
    with write_dataset(tmp_path / "rows.h5", DIMENSIONS, "single", dataset.labels) as writer:
        vectors = {space: np.asarray(table[:]) for space, table in dataset.vectors.items()}
        writer.append(vectors, dataset.targets, dataset.ids, dataset.groups)
    (tmp_path / "quick.toml").write_text(QUICK)
    return tmp_path / "rows.h5"


def test_two_labels_with_three_clips_each_become_a_classifier_that_classify_takes(
    vidclf: Run, clips: Path, tmp_path: Path
) -> None:
    done = vidclf("train", "clips", "--out", "my.onnx", "--recipe", "quick.toml", "--no-figures")
    assert done.returncode == 1, done.stderr  # broken.mp4
    assert done.stdout == ""
    first, *others = done.stderr.splitlines()
    assert all(word in first for word in ("2 labels", "local/visual", "local/metadata", "cpu", "cache"))
    assert "shapes/broken.mp4 failed: empty-file: " in done.stderr
    assert "Training: recipe quick on cpu" in done.stderr
    assert "  accuracy             1.000 (0.541 to 1.000)" in others
    assert "whose figures are guesses: colours (3), shapes (3)" in done.stderr
    assert others[-1] == "Next: vidclf classify ./videos --model my.onnx"
    assert sorted(path.name for path in tmp_path.glob("my*")) == ["my.md", "my.onnx"]

    labelled = vidclf(
        "classify", "clips/colours", "--model", "my.onnx", "--min-confidence", "0", "-o", "out.csv"
    )
    assert labelled.returncode == 0, labelled.stderr
    assert "3 from the cache" in labelled.stderr
    assert {row["label"] for row in read_rows(tmp_path / "out.csv").values()} == {"colours"}
    assert "shapes/broken.mp4" in vidclf("models", "show", "my.onnx").stdout


def test_without_the_training_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["torch"] = None
sys.argv = ["vidclf", "train", "no such data", "--out", "my.onnx"]
from vidclf_cli.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "Error: `vidclf train` needs torch, which is not installed. Install the extra: "
        "`pip install 'vidclf[train]'`; with pipx: `pipx inject vidclf 'vidclf[train]'`."
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("clips",), "Missing option '--out'"),
        (("clips", "-o", "my.onnx", "--seed", "-1"), "-1 is not in the range"),
        (("clips", "-o", "my.onnx", "--embeddings", " , "), "names no space"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    vidclf: Run, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    done = vidclf("train", *arguments)
    assert done.returncode == 2, done.stderr
    assert problem in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("my*"))


def test_a_classifier_of_vectors_that_vidclf_cannot_make_is_not_offered_for_videos(
    vidclf: Run, packed: Path, tmp_path: Path
) -> None:
    done = vidclf("train", packed, "--out", "my.onnx", "--recipe", "quick.toml", "--no-figures")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("Next: vidclf evaluate my.onnx DATASET.h5 (not classify")


def test_quiet_says_nothing(packed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [
        packed,
        "-o",
        tmp_path / "my.onnx",
        "--recipe",
        tmp_path / "quick.toml",
        "--no-figures",
        "-q",
    ]
    assert train.main(list(map(str, arguments)), standalone_mode=False) == 0
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "my.onnx").exists()


def test_wrong_places_and_names_end_before_anything_is_read(packed: Path, tmp_path: Path) -> None:
    for out, options, problem in (
        ("my.csv", (), "ends with .onnx"),
        ("gone/my.onnx", (), "Cannot write"),
        ("my.onnx", ("--recipe", "secret"), "There is no recipe 'secret'"),
        ("my.onnx", ("--embeddings", "local/smell"), "no vectors of 'local/smell'"),
    ):
        with pytest.raises(UsageError, match=problem):
            train.main([str(packed), "-o", str(tmp_path / out), *options], standalone_mode=False)
    with pytest.raises(UsageError, match="There is no file or folder"):
        train.main([str(tmp_path / "gone"), "-o", str(tmp_path / "my.onnx")], standalone_mode=False)
    assert not list(tmp_path.glob("my*"))

"""`vidclf tune` from outside: a process of its own, no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.classifier_files import CONCEPTS
from tests.cli.conftest import Run, read_rows
from tests.media.odd_videos import encode
from tests.synthetic import LABELS, known_rows, small_classifier
from vidclf_cli.classifier_file import save_with_card
from vidclf_cli.cli.app import vidclf as vidclf_command
from vidclf_cli.dataset import write_dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.scored_rows import score_dataset
from vidclf_cli.tuning import tune_rows, tuned_card

_WITHOUT_TORCH = """
import sys
for name in ("torch", "sklearn", "onnx", "umap", "scipy", "vidclf_train"):
    sys.modules[name] = None
from vidclf_cli.cli import main
sys.argv[0] = "vidclf"
main()
"""


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    dataset = known_rows(900, 1)
    with write_dataset(tmp_path / "rows.h5", {CONCEPTS: 1000}, "single", LABELS) as writer:
        vectors = {CONCEPTS: np.asarray(dataset.vectors[CONCEPTS][:])}
        writer.append(vectors, dataset.targets, dataset.ids, dataset.groups)
    return tmp_path / "rows.h5"


def test_a_tuned_file_a_table_and_a_picture_come_out_without_torch(packed: Path, tmp_path: Path) -> None:
    model = small_classifier(tmp_path).path
    arguments = ["tune", model, packed, "--target-precision", "0.9", "--out", tmp_path / "tuned.onnx"]
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, *map(str, arguments)],
        capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for text in (
        "900 videos of 900 sources",
        "threshold",
        "coverage",
        "never given",
        "checked",
        "95 % interval",
    ):
        assert text in done.stdout, text
    for text in ("1 label of 3 never given", "car", "Answered", "Written: ", "tuned_precision.png", "Next: "):
        assert text in done.stderr, text
    assert "\x1b" not in done.stdout + done.stderr
    with Image.open(tmp_path / "tuned_precision.png") as picture:
        picture.load()


def test_videos_are_tuned_on_and_the_result_classifies_with_the_reason_of_what_is_never_given(
    vidclf: Run, packed: Path, tmp_path: Path
) -> None:
    model = small_classifier(tmp_path).path
    assert (
        vidclf("tune", model, packed, "--target-precision", "0.9", "-o", "tuned.onnx", "-q").returncode == 0
    )
    for label in LABELS[:2]:
        (tmp_path / "clips" / label).mkdir(parents=True)
    encode("-c:v", "libx264", source="testsrc2=size=160x90", seconds=1)(tmp_path / "clips" / "cat" / "a.mp4")
    (tmp_path / "clips" / "dog" / "b.mp4").write_bytes(b"")
    few = vidclf("tune", "tuned.onnx", "clips", "--target-precision", "0.5", "--out", "again.onnx")
    assert few.returncode == 2
    assert "needs 10 rows" in few.stderr
    assert not (tmp_path / "again.onnx").exists()
    labelled = vidclf("classify", "clips", "--model", "tuned.onnx", "--out", "labels.csv")
    assert "of which 1 never given: car" in labelled.stderr
    (row,) = [row for row in read_rows(tmp_path / "labels.csv").values() if row["status"] == "unknown"]
    assert row["reason"].startswith("low-confidence: best guess")
    at_half = vidclf(
        "classify", "clips", "-m", "tuned.onnx", "--target-precision", "0.5", "--out", "half.csv"
    )
    assert "right in 0.5 of the cases" in at_half.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-m", "tuned.onnx", "--target-precision", "0.5", "--min-confidence", "0.4"), "Give one"),
        (("--labels", "a,b", "--target-precision", "0.5"), "Labels given as words"),
        (("--target-precision", "0.5"), "vidclf tune"),
        (("-m", "tuned.onnx", "--target-precision", "0.995"), "not for 0.995"),
        (("-m", "tuned.onnx", "--target-precision", "nan"), "no number"),
    ],
)
def test_a_precision_that_cannot_be_had_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    classifier = small_classifier(tmp_path)
    tuning = tune_rows(classifier, score_dataset(classifier, known_rows(600, 1)), 0.9)
    save_with_card(classifier, tuned_card(classifier.card, tuning, "a.h5"), tmp_path / "tuned.onnx")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(vidclf_command, ["classify", ".", *arguments], standalone_mode=False)
    assert isinstance(done.exception, UsageError | click.UsageError), done.exception
    assert says in str(done.exception)

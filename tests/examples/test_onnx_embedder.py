"""The example of an embedder package: really installed, and used from the first frame to the last row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.cli.conftest import COMMAND, read_rows
from tests.media.odd_videos import encode
from vidclf_cli.classifier import load_classifier

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "onnx_embedder"
SETTINGS = """
name = "tiny"
file = "tiny.onnx"
dimension = 12
size = 32
output = "means"
"""
RECIPE = """
name = "quick"
folds = 3
[split]
shares = [1, 0, 0]
[[heads]]
kind = "linear"
l2 = [1.0]
"""


def tiny_model(path: Path, batch: int | str = "n", layout: str = "nchw", file_size: int = 32) -> None:
    """An encoder that gives the mean of each quarter of the picture, per channel."""
    value, shape = helper.make_tensor_value_info, [batch, 3, file_size, file_size]
    nodes = [
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
    ]
    if layout == "nhwc":
        shape = [batch, file_size, file_size, 3]
        nodes.insert(0, helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]))
    else:
        nodes.insert(0, helper.make_node("Identity", ["pixels"], ["planes"]))
    outputs = [value("pooled", TensorProto.FLOAT, None), value("means", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "tiny", [value("pixels", TensorProto.FLOAT, shape)], outputs)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip put the package into; no network, and nothing is left beside the sources."""
    folder = tmp_path_factory.mktemp("site")
    before = sorted(EXAMPLE.rglob("*"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--target", folder, EXAMPLE],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert sorted(path for path in EXAMPLE.rglob("*") if "__pycache__" not in path.parts) == [
        path for path in before if "__pycache__" not in path.parts
    ]
    return folder


@pytest.fixture
def home(tmp_path: Path, installed: Path) -> Path:
    """A folder with settings, a network and a few clips."""
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    (tmp_path / "quick.toml").write_text(RECIPE)
    tiny_model(tmp_path / "tiny.onnx")
    for label, colour in (("red", "0xd02020"), ("blue", "0x2020d0")):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(3):
            source = f"testsrc2=size=160x90:rate={10 + number},drawbox=color={colour}:t=fill:w=110"
            encode("-c:v", "libx264", source=source, seconds=1)(tmp_path / "clips" / label / f"{number}.mp4")
    return tmp_path


def run(home: Path, installed: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {
        "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT), str(ROOT / "train")]),
        "VIDCLF_CACHE_DIR": str(home / "cache"),
        "VIDCLF_ONNX_EMBEDDER": str(home / "tiny.toml"),
    }
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, cwd=home, env=os.environ | environment,
    )  # fmt: skip


def test_embed_train_and_classify_with_the_space_of_the_package(home: Path, installed: Path) -> None:
    filled = run(home, installed, "embed", "clips", "--embeddings", "onnx/tiny")
    assert filled.returncode == 0, filled.stderr
    assert "onnx/tiny" in filled.stderr
    spaces = "local/metadata,onnx/tiny"
    trained = run(home, installed, "train", "clips", "-o", "my.onnx", "--embeddings", spaces,
                  "--recipe", "quick.toml", "--no-figures")  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert "6 from the cache" in trained.stderr
    assert "Next: vidclf classify" in trained.stderr
    inputs = {each.space.split("@")[0]: each for each in load_classifier(home / "my.onnx").card.inputs}
    assert inputs["onnx/tiny"].dimension == 12
    labelled = run(
        home, installed, "classify", "clips", "-m", "my.onnx", "-o", "rows.csv", "--min-confidence", "0"
    )
    assert labelled.returncode == 0, labelled.stderr
    rows = read_rows(home / "rows.csv")
    assert {path.split("/")[0] == row["label"] for path, row in rows.items()} == {True}
    assert all("visual" in row["modalities"] for row in rows.values())


def test_without_the_package_its_classifier_says_what_is_missing(home: Path, installed: Path) -> None:
    from tests.classifier_files import document, small_model, write

    inputs = document()["inputs"]
    inputs[0] |= {"space": "onnx/tiny@0123456789ab/visual"}
    write(home, json.dumps(document(inputs=inputs)), small_model())
    with_another = run(home, installed, "classify", "clips", "-m", "small.onnx")
    assert with_another.returncode == 2
    assert "needs vectors of 'onnx/tiny@0123456789ab/visual'" in with_another.stderr
    assert "Installed packages add those of onnx" in with_another.stderr
    without = run(home, home, "classify", "clips", "-m", "small.onnx")
    assert without.returncode == 2
    assert "Installed packages" not in without.stderr


def test_doctor_lists_the_space_or_what_is_wrong_with_the_settings(home: Path, installed: Path) -> None:
    listed = run(home, installed, "doctor")
    assert listed.returncode == 0, listed.stdout
    assert "the package vidclf-onnx-embedder 0.1.0: onnx/tiny@" in listed.stdout
    (home / "tiny.toml").write_text(SETTINGS + "colour = 1\n")
    broken = run(home, installed, "doctor")
    assert broken.returncode == 1
    assert "there is no key 'colour'" in broken.stdout


def test_a_network_that_is_not_what_the_settings_say_ends_the_run_in_one_line(
    home: Path, installed: Path
) -> None:
    (home / "tiny.toml").write_text(SETTINGS.replace("12", "13"))
    done = run(home, installed, "embed", "clips", "--embeddings", "onnx/tiny", "-q")
    assert done.returncode == 1
    assert "its output has 12 numbers, not 13" in done.stderr
    assert len(done.stderr.splitlines()) == 1

"""The classifier file: the same numbers as torch's, whatever is missing, and nothing of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.train.fitted_models import AUDIO, VISUAL, some_fitted, some_model, some_rows
from vidclf_cli.classifier import load_classifier
from vidclf_cli.errors import ClassifierError, OutputError
from vidclf_cli.onnx_file import summarize
from vidclf_cli.scoring import Task
from vidclf_train import export
from vidclf_train.card import Provenance, build_card
from vidclf_train.export import compare, export_classifier, input_names, to_onnx
from vidclf_train.fitted import Fitted

SOURCE = Provenance("labels.csv", is_grouped=True)


def _vectors(rows: int = 5) -> dict[str, np.ndarray]:
    dataset = some_rows(rows)
    return {space: np.asarray(table[:]) for space, table in dataset.vectors.items()}


@pytest.mark.parametrize("task", ["single", "multi"])
def test_the_file_gives_torchs_numbers_whatever_is_missing(tmp_path: Path, task: Task) -> None:
    dataset = some_rows(task=task)
    fitted = some_fitted(dataset)
    card = build_card(fitted, dataset, SOURCE, name="small")
    written = export_classifier(fitted, card, tmp_path / "small.onnx", _vectors())
    assert written.path == tmp_path / "small.onnx"
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
    loaded = load_classifier(tmp_path / "small.onnx")
    assert (loaded.labels, loaded.task, loaded.spaces) == (("cat", "dog", "car"), task, (VISUAL, AUDIO))
    assert loaded.name == written.name
    for rows in (1, 2, 300):
        vectors = {space: table[np.arange(rows) % 5] for space, table in _vectors().items()}
        for absent in (None, VISUAL, AUDIO):
            inputs = {
                space: np.zeros_like(table) if space == absent else table for space, table in vectors.items()
            }
            with torch.inference_mode():
                expected = fitted.model(*map(torch.from_numpy, inputs.values()))[1].numpy()
            given = {space: table for space, table in vectors.items() if space != absent}
            np.testing.assert_allclose(loaded.probabilities(given), expected, atol=1e-5)


def make_bytes() -> bytes:
    """One small classifier."""
    dataset = some_rows()
    return to_onnx(some_linear().model, build_card(some_linear(), dataset, SOURCE, name="small"))


def some_linear() -> Fitted:
    """Quick to compare: its logits are a product and a sum."""
    return some_fitted(some_rows(), model=some_model(kinds=("linear",), temperature=1.0))


@pytest.fixture(scope="module")
def data() -> bytes:
    return make_bytes()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Exporting takes seconds; what these tests are about comes before or after it."""
    monkeypatch.setattr(export, "to_onnx", lambda *_: data)


def test_the_same_model_gives_the_same_bytes_in_another_process_too(tmp_path: Path, data: bytes) -> None:
    script = """
import sys
from pathlib import Path
from tests.train.test_export import make_bytes
Path(sys.argv[1]).write_bytes(make_bytes())
"""
    there = tmp_path / "there.onnx"
    subprocess.run([sys.executable, "-c", script, there], check=True, cwd=Path(__file__).parents[2])
    assert data == there.read_bytes()


def test_the_file_tells_nothing_of_this_machine_and_needs_only_old_standard_operators(data: bytes) -> None:
    for place in (Path(__file__).parents[2], Path(torch.__file__).parents[1], Path.home()):
        assert str(place).encode() not in data
    assert not re.search(rb"\.py\b|forward", data)
    summary = summarize(data)
    assert (summary.domains, summary.has_external_data) == ({""}, False)
    model = onnx.load_from_string(data)
    assert model.ir_version <= 8
    assert [each.version for each in model.opset_import] == [18]
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "rows"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("wrong", [2e-4, float("nan")])
def test_a_file_unlike_torch_is_refused_and_the_old_one_stays(tmp_path: Path, wrong: float) -> None:
    fitted = some_linear()
    with torch.no_grad():
        fitted.model.members[0].bias += wrong
    out = tmp_path / "small.onnx"
    out.write_bytes(b"old")
    with pytest.raises(ClassifierError, match="logits differ from torch's"):
        export_classifier(fitted, build_card(fitted, some_rows(), SOURCE, name="small"), out, _vectors())
    assert out.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]


def test_a_difference_below_the_limit_is_no_reason_to_refuse(data: bytes) -> None:
    model = some_linear().model
    with torch.no_grad():
        model.members[0].bias += 5e-5
    vectors = dict(zip(("visual", "audio"), _vectors().values(), strict=True))
    assert compare(model, data, vectors, Path("small.onnx")) == pytest.approx(5e-5, rel=0.1)


def test_what_the_loader_refuses_is_never_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    fitted = some_linear()
    card = replace(build_card(fitted, some_rows(), SOURCE, name="small"), labels=("cat", "cat", "car"))
    model = onnx.load_from_string(data)
    model.metadata_props[0].value = card.to_json()
    monkeypatch.setattr(export, "to_onnx", lambda *_: model.SerializeToString())
    with pytest.raises(ClassifierError, match="twice"):
        export_classifier(fitted, card, tmp_path / "small.onnx", _vectors())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_once")
def test_a_model_too_large_to_be_loaded_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "SIZE_LIMIT", 1 << 20)
    fitted = some_fitted(some_rows())
    card = build_card(fitted, some_rows(), SOURCE, name="small")
    with pytest.raises(ClassifierError, match="2 MB, and a classifier at most 1 MB"):
        export_classifier(fitted, card, tmp_path / "small.onnx", _vectors())


@pytest.mark.usefixtures("at_once")
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    fitted = some_linear()
    card = build_card(fitted, some_rows(), SOURCE, name="small")
    with pytest.raises(OutputError, match="Cannot write"):
        export_classifier(fitted, card, tmp_path / "gone" / "small.onnx", _vectors())


@pytest.mark.usefixtures("at_once")
@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_behind_a_link_the_file_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real.onnx").write_bytes(b"old")
    (tmp_path / "link.onnx").symlink_to("real.onnx")
    fitted = some_linear()
    card = build_card(fitted, some_rows(), SOURCE, name="small")
    export_classifier(fitted, card, tmp_path / "link.onnx", _vectors())
    assert (tmp_path / "link.onnx").is_symlink()
    assert (tmp_path / "real.onnx").read_bytes() != b"old"


def test_inputs_are_named_by_modality_and_never_twice() -> None:
    spaces = ["a/b@1/visual", "a/c@1/visual", "openai/text-embedding-3-large", "x/logits", "x/logits_2", "x/"]
    names = input_names(spaces)
    assert names[:3] == ("visual", "visual_2", "text_embedding_3_large")
    assert len(set(names) | {"logits", "probabilities"}) == len(spaces) + 2

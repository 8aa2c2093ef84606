"""The pictures: drawn whatever the labels are, and only those that there is something to draw for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.train.fitted_models import some_fitted, some_rows
from vidclf_cli.scoring import Task
from vidclf_train import figures
from vidclf_train.figures import PICTURES, draw_figures, figures_folder, lay_out, remove_figures
from vidclf_train.fitted import HeldOut


@pytest.fixture
def without_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    """UMAP compiles for seconds; where the layout does not matter principal components do."""
    monkeypatch.setattr(figures, "_LEAST_FOR_UMAP", 10_000)


def _draw(
    tmp_path: Path, task: Task = "single", labels: tuple[str, ...] = ("cat", "dog", "car"), **changes: object
):
    dataset = some_rows(task=task, labels=labels)
    return draw_figures(some_fitted(dataset, **changes), dataset, tmp_path / "my_figures")


@pytest.mark.usefixtures("without_umap")
def test_every_picture_is_drawn_for_one_label_per_row(tmp_path: Path) -> None:
    written = _draw(tmp_path)
    assert [path.name for path in written] == list(PICTURES)
    assert sorted(path.name for path in (tmp_path / "my_figures").iterdir()) == sorted(PICTURES)
    for path in written:
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 300


@pytest.mark.usefixtures("without_umap")
def test_only_what_there_is_gets_drawn(tmp_path: Path) -> None:
    nothing = HeldOut(np.empty(0, np.int64), np.empty((0, 3), np.float32))
    assert [path.name for path in _draw(tmp_path, "multi", curves=())] == ["reliability.png", "umap.png"]
    assert [path.name for path in _draw(tmp_path, held_out=nothing)] == ["learning_curve.png", "umap.png"]


@pytest.mark.usefixtures("without_umap")
def test_odd_labels_are_drawn_without_a_word(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    _draw(tmp_path, labels=("cash $100$ \\frac", "_hidden", "视频" * 40))
    assert [str(warning.message) for warning in recwarn] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("without_umap")
def test_curves_without_validation_rows_and_many_of_them_are_drawn(tmp_path: Path) -> None:
    curve = some_fitted(some_rows()).curves[0]
    blind = replace(curve, validation_loss=[float("nan")] * 3, validation_accuracy=[float("nan")] * 3)
    assert len(_draw(tmp_path, curves=(blind, *[curve] * 40))) == 4


def test_a_layout_is_the_same_every_time_and_takes_rows_of_zeros() -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((12, 20)).astype(np.float32)
    vectors[0] = 0
    (first, how), (second, _) = lay_out(vectors, 1), lay_out(vectors, 1)
    assert how.startswith("UMAP")
    assert first.shape == (12, 2)
    np.testing.assert_array_equal(first, second)


def test_torch_has_as_many_threads_after_a_layout_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # numba would give it one per core.
    try:
        lay_out(np.random.default_rng(0).standard_normal((20, 8), np.float32), seed=0)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_too_few_rows_for_umap_are_laid_out_by_principal_components(count: int) -> None:
    points, how = lay_out(np.eye(9, 5, dtype=np.float32)[:count], 0)
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()
    assert "too few for UMAP" in how


def test_removing_old_pictures_leaves_what_somebody_else_put_there(tmp_path: Path) -> None:
    folder = figures_folder(tmp_path / "my.onnx")
    assert folder.name == "my_figures"
    remove_figures(folder)  # nothing there: nothing to do
    folder.mkdir()
    for name in (*PICTURES, "notes.txt"):
        (folder / name).write_text("old")
    remove_figures(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    remove_figures(folder)
    assert not folder.exists()

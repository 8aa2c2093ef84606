"""Real clips are tested by classifiers that saw none of their source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vidclf_cli.errors import UsageError
from vidclf_train.clips_report import nested_cross_validation, read_labelled_clips, real_clips
from vidclf_train.real_clips import WELL_FITTING
from vidclf_train.recipe import load_recipe

RECIPE = """
name = "quick"
folds = 3
[split]
shares = [1, 0, 0]
[[heads]]
kind = "linear"
l2 = [0.1]
"""
SOURCES, CLIPS_PER_SOURCE = 48, 4


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(RECIPE)
    return path


def _clips(path: Path, *, told_by: str) -> Path:
    """Clips whose vectors tell their label, or their source alone."""
    random = np.random.default_rng(2)
    source = np.repeat(np.arange(SOURCES), CLIPS_PER_SOURCE)
    label = (np.arange(SOURCES) % 2)[source]
    told = {"label": label, "source": source}[told_by]
    places = random.standard_normal((SOURCES, 24))
    vectors = places[told] + 0.05 * random.standard_normal((len(source), 24))
    np.savez(
        path,
        visual=vectors[:, :16].astype(np.float16),
        title=vectors[:, 16:].astype(np.float16),
        vertical=np.array([*WELL_FITTING[:2], "Reference"])[np.where(source == 0, 2, label)],
        category=np.array(["cooking", "football"])[label],
        group=np.array([f"s{each}" for each in source]),
    )
    return path


def test_figures_of_both_label_lists_are_printed(tmp_path: Path, recipe: Path) -> None:
    clips = _clips(tmp_path / "clips.npz", told_by="label")
    done = CliRunner().invoke(real_clips, ["--clips", str(clips), "--recipe", str(recipe), "--seeds", "1"])
    assert done.exit_code == 0, done.output
    verticals, categories = done.stdout.splitlines()[1:]
    # The clips of one source are of a vertical that fits badly.
    assert verticals.startswith("2 verticals that fit well: accuracy 1.000 (1.000 to 1.000; by seed 1.000)")
    assert verticals.endswith("188 clips of 47 sources")
    assert categories.startswith("2 categories: accuracy 1.000")
    assert categories.endswith("192 clips of 48 sources")


def test_no_clip_is_tested_by_what_saw_its_source(tmp_path: Path, recipe: Path) -> None:
    dataset = read_labelled_clips(_clips(tmp_path / "clips.npz", told_by="source"))["categories"]
    found = nested_cross_validation(dataset, load_recipe(str(recipe)), 4, [0])
    assert found.accuracy.value < 0.75  # Whoever saw the source is always right.
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high


def test_a_file_without_the_features_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", visual=np.zeros((2, 3)))
    done = CliRunner().invoke(real_clips, ["--clips", str(tmp_path / "other.npz")])
    assert "holds no features of clips" in str(done.exception)


def test_a_file_that_is_empty_or_of_unequal_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.npz").touch()
    (tmp_path / "cut.npz").write_bytes(_clips(tmp_path / "whole.npz", told_by="label").read_bytes()[:500])
    arrays = dict(np.load(tmp_path / "whole.npz"))
    np.savez(tmp_path / "unequal.npz", **{**arrays, "title": arrays["title"][:5]})
    for name in ("empty", "cut", "unequal"):
        with pytest.raises(UsageError, match="holds no features of clips"):
            read_labelled_clips(tmp_path / f"{name}.npz")

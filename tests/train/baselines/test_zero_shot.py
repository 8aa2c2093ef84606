"""The nearest label's name: only in a space that both share, and with nothing left out in silence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from vidclf_cli.dataset import write_dataset
from vidclf_cli.embedders.local import LocalMetadata
from vidclf_cli.errors import UsageError
from vidclf_train.__main__ import main
from vidclf_train.baselines.zero_shot import LabelVectors, measure_zero_shot, share_space

METADATA = "local/all-minilm-l6-v2@1/metadata"
VISUAL = "twelvelabs/marengo@3.0/visual"
TITLES = {
    "cooking": ["How to bake sourdough bread", "Five minute tomato pasta", "Chocolate cake recipe"],
    "football": ["The best goals of the season", "Penalty shootout in the cup final", "Goalkeeper training"],
    "cats": ["My kitten meets a vacuum cleaner", "Two cats on the sofa", "Why does a cat purr?"],
}


def _pack(
    path: Path,
    vectors: Mapping[str, NDArray[np.float32]],
    targets: Sequence[int],
    labels: Sequence[str],
    splits: NDArray[np.uint8] | None = None,
) -> Path:
    dimensions = {space: rows.shape[1] for space, rows in vectors.items()}
    with write_dataset(path, dimensions, "single", labels, has_splits=splits is not None) as writer:
        ids = [f"{row}.mp4" for row in range(len(targets))]
        writer.append(vectors, np.array(targets, np.int32), ids, ids, splits)
    return path


@pytest.fixture(scope="module")
def titles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [title for each in TITLES.values() for title in each]
    rows = LocalMetadata(1).embed(texts)
    rows = np.concatenate([rows, np.zeros((1, 384), np.float32)])  # a video without any text
    targets = [*np.repeat(np.arange(3), 3).tolist(), 0]
    splits = np.array([0, 0, 2, 0, 0, 2, 0, 0, 2, 2], np.uint8)
    path = tmp_path_factory.mktemp("titles") / "titles.h5"
    visual = np.ones((10, 4), np.float32)
    return _pack(path, {METADATA: rows, VISUAL: visual}, targets, list(TITLES), splits)


def _figures(tmp_path: Path, *arguments: str | Path) -> dict[str, Any]:
    out = tmp_path / "figures.json"
    result = _run(*arguments, "--json", out)
    assert result.exit_code == 0, result.output
    return dict(json.loads(out.read_text()))


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["baselines", "zero-shot", *map(str, arguments)], catch_exceptions=False)


def test_titles_are_nearest_to_the_names_of_their_labels(titles: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    result = _run(titles, "--space", "local/metadata", "--text-embedder", "local/metadata", "--json", out)
    assert result.exit_code == 0, result.output
    assert "9 videos; 1 have nothing there and are left out" in result.output
    document = json.loads(out.read_text())
    assert (document["row_count"], document["left_out_count"]) == (9, 1)
    assert document["accuracy"]["value"] >= 7 / 9
    assert document["per_label"]["count"] == [3, 3, 3]
    assert document["space"] == METADATA


def test_a_split_and_a_template_can_be_chosen(titles: Path, tmp_path: Path) -> None:
    chosen = ("--split", "test", "--template", "a video of {}", "--template", "{}")
    document = _figures(tmp_path, titles, "--space", METADATA, "--text-embedder", METADATA, *chosen)
    assert (document["row_count"], document["left_out_count"]) == (3, 1)
    assert "'a video of {}', '{}'" in document["labels_from"]


def test_spaces_are_shared_by_one_id_or_one_joint_model() -> None:
    assert share_space(METADATA, METADATA)
    assert share_space("twelvelabs/marengo@3.0/visual", "twelvelabs/marengo@3.0/text")
    assert not share_space("twelvelabs/marengo@3.0/visual", "twelvelabs/marengo@2.7/text")
    assert not share_space("twelvelabs/marengo@3.0/visual", "openai/marengo@3.0/text")
    assert not share_space("local/efficientnet-lite0@1/visual", "local/efficientnet-lite0@1/concepts")
    assert not share_space("local/efficientnet-lite0@1/visual", METADATA)


def test_spaces_that_are_not_one_are_refused_by_name(titles: Path) -> None:
    result = _run(titles, "--space", VISUAL, "--text-embedder", "local/metadata")
    assert result.exit_code == 2
    assert f"Vectors of '{VISUAL}' and of '{METADATA}'" in result.output
    assert "do not lie in one space" in result.output


@pytest.mark.parametrize("kind", ["npz", "packed"])
def test_label_vectors_come_out_of_a_file(kind: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    anchors = generator.normal(size=(3, 16)).astype(np.float32)
    targets = np.repeat(np.arange(3), 5)
    videos = anchors[targets] + 0.1 * generator.normal(size=(15, 16)).astype(np.float32)
    data = _pack(tmp_path / "videos.h5", {VISUAL: videos}, targets.tolist(), ["a", "b", "c"])
    text_space = "twelvelabs/marengo@3.0/text"
    if kind == "npz":
        path = tmp_path / "labels.npz"
        np.savez(path, labels=["c", "b", "a"], vectors=anchors[::-1] * 7, space=text_space)
    else:  # two texts about each label, in another order, beside vectors of a space that is not shared
        rows = np.repeat(anchors[::-1], 2, axis=0) * generator.uniform(1, 9, (6, 1)).astype(np.float32)
        spaces = {METADATA: np.ones((6, 384), np.float32), text_space: rows}
        path = _pack(tmp_path / "labels.h5", spaces, [0, 0, 1, 1, 2, 2], ["c", "b", "a"])
    document = _figures(tmp_path, data, "--space", VISUAL, "--label-vectors", path)
    assert document["accuracy"]["value"] == 1.0
    assert document["label_space"] == text_space


def test_label_vectors_that_cannot_be_used_are_one_line(titles: Path, tmp_path: Path) -> None:
    def refusal(**arrays: object) -> str:
        path = tmp_path / "labels.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        result = _run(titles, "--space", "local/metadata", "--label-vectors", path)
        assert result.exit_code == 2
        return result.output

    rows = np.ones((3, 384), np.float32)
    assert "has no vector for 1 of 3 labels: 'cats'" in refusal(
        labels=["cooking", "football", "dogs"], vectors=rows, space=METADATA
    )
    assert "have 5 numbers, the videos' 384" in refusal(
        labels=list(TITLES), vectors=np.ones((3, 5), np.float32), space=METADATA
    )
    assert "is zero, or holds numbers that are not finite" in refusal(
        labels=list(TITLES), vectors=np.zeros((3, 384), np.float32), space=METADATA
    )
    assert "cannot be read as label vectors" in refusal(labels=list(TITLES), vectors=rows)
    assert "(3,) labels and vectors of the shape (2, 384)" in refusal(
        labels=list(TITLES), vectors=rows[:2], space=METADATA
    )
    own = _run(titles, "--space", "local/metadata", "--label-vectors", titles)
    assert (own.exit_code, "are no zero-shot" in own.output) == (2, True)
    (tmp_path / "text.npz").write_text("no archive")
    result = _run(titles, "--space", "local/metadata", "--label-vectors", tmp_path / "text.npz")
    assert (result.exit_code, "Traceback" in result.output) == (2, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--space", "local/metadata"), "Give either --text-embedder or --label-vectors"),
        (("--space", "local/visual", "--text-embedder", "local/metadata"), "no vectors of 'local/visual'"),
        (("--space", "local/metadata", "--text-embedder", "local/audio"), "turns no text into vectors"),
        (
            ("--space", "local/metadata", "--text-embedder", "local/metadata", "--template", "video"),
            "has no {}",
        ),
    ],
)
def test_wrong_arguments_are_said(arguments: tuple[str, ...], message: str, titles: Path) -> None:
    result = _run(titles, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_dataset_in_which_nothing_is_there_is_refused(tmp_path: Path) -> None:
    from vidclf_cli.dataset import open_dataset

    path = _pack(tmp_path / "empty.h5", {VISUAL: np.zeros((2, 4), np.float32)}, [0, 1], ["a", "b"])
    labels = LabelVectors(VISUAL, dict.fromkeys("ab", np.ones(4, np.float32)), "here")
    with open_dataset(path) as dataset, pytest.raises(UsageError, match="No video has anything"):
        measure_zero_shot(dataset, VISUAL, labels)


def test_real_titles_against_names(shared_data: Path, tmp_path: Path) -> None:
    """As docs/baselines.md prints it; a title is no picture, so this bounds nothing but this code."""
    with np.load(shared_data / "topics" / "real_clips.npz", allow_pickle=False) as data:
        labels, targets = np.unique(data["category"].astype(str), return_inverse=True)
        title = data["title"].astype(np.float32)
    path = _pack(tmp_path / "clips.h5", {METADATA: title}, targets.tolist(), labels.tolist())
    names = ("--text-embedder", "local/metadata")
    document = _figures(tmp_path, path, "--space", "local/metadata", *names)
    assert document["accuracy"]["value"] > 0.3

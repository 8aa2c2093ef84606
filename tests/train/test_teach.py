"""From labelled data to files: what appears, what is said, what is refused before anything is read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.media.odd_videos import encode
from tests.train.fitted_models import AUDIO, DIMENSIONS, VISUAL, some_rows
from vidclf_cli.cache.prune import Limits, prune
from vidclf_cli.classifier import load_classifier
from vidclf_cli.classifier_text import describe_classifier
from vidclf_cli.dataset import Dataset, write_dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.pipeline.options import RunOptions
from vidclf_cli.pipeline.run import Job
from vidclf_train.card_text import MARK
from vidclf_train.sources import SourceOptions, open_source
from vidclf_train.teach import TeachOptions, teach

LINEAR = """
name = "quick"
folds = 3
[split]
shares = [1, 0, 0]
[[heads]]
kind = "linear"
l2 = [1.0]
"""
NETWORK = (
    LINEAR
    + """
[[heads]]
kind = "wide"
hidden = [8]
epochs = 3
"""
)


class Listener:
    """Writes down what it is told, and may stop the training."""

    def __init__(self, stop_at: str = "") -> None:
        self.notes: list[str] = []
        self.parts: list[str] = []
        self._stop_at = stop_at

    def note(self, text: str) -> None:
        self.notes.append(text)

    def embedding(self, job: Job) -> AbstractContextManager[None]:
        self.notes.append(job.description)
        return nullcontext()

    def training(self, what: str, done: int, total: int) -> None:
        self.parts.append(f"{what} {done}/{total}")
        if self._stop_at and self._stop_at in self.parts[-1]:
            raise KeyboardInterrupt


def _pack(path: Path, dataset: Dataset) -> Path:
    with write_dataset(path, DIMENSIONS, dataset.task, dataset.labels) as writer:
        vectors = {space: np.asarray(table[:]) for space, table in dataset.vectors.items()}
        writer.append(vectors, dataset.targets, dataset.ids, dataset.groups)
    return path


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return _pack(tmp_path / "rows.h5", some_rows(30, group_size=2))


@pytest.fixture
def quick(tmp_path: Path) -> TeachOptions:
    (tmp_path / "quick.toml").write_text(LINEAR)
    return TeachOptions(recipe=str(tmp_path / "quick.toml"), figures=False)


@pytest.fixture
def slower(tmp_path: Path) -> TeachOptions:
    (tmp_path / "slower.toml").write_text(NETWORK)
    return TeachOptions(recipe=str(tmp_path / "slower.toml"), figures=False)


def test_a_dataset_file_becomes_a_classifier_with_its_card_in_place_of_an_older_one(
    tmp_path: Path, packed: Path, quick: TeachOptions
) -> None:
    out, listener = tmp_path / "my cats.onnx", Listener()
    out.write_bytes(b"of the older one")
    (tmp_path / "my cats.md").write_text(f"{MARK}: the older one.")
    (tmp_path / "my cats_figures").mkdir()
    (tmp_path / "my cats_figures" / "umap.png").write_bytes(b"of the older one")
    taught = teach(packed, out, replace(quick, licence="CC0-1.0", seed=7), RunOptions(), listener)
    classifier = load_classifier(out)
    assert (taught.out, taught.card_file, taught.figures) == (out, tmp_path / "my cats.md", ())
    assert (taught.classifier, taught.card) == (classifier.name, classifier.card)
    assert (classifier.card.name, classifier.card.licence) == ("my cats", "CC0-1.0")
    assert classifier.card.metrics["data"]["name"] == "rows.h5"
    assert classifier.card.metrics["data"]["is_grouped"]
    text = describe_classifier(out)
    assert text == (tmp_path / "my cats.md").read_text()
    assert str(tmp_path) not in text + classifier.card.to_json()
    assert "3-fold cross-validation" in text
    assert "- seed: 7" in text
    assert "older" not in text
    assert not (tmp_path / "my cats_figures").exists()
    assert "30 rows" in listener.notes[0]
    assert "recipe quick on cpu" in listener.notes[1]
    assert "writing the classifier 1/1" in listener.parts
    rows = some_rows(30)
    found = classifier.probabilities({VISUAL: rows.vectors[VISUAL][:], AUDIO: rows.vectors[AUDIO][:]})
    assert (found.argmax(axis=1) == rows.targets).mean() > 0.9


def test_an_interrupted_training_goes_on_and_ends_as_if_nothing_had_been(
    tmp_path: Path, packed: Path, slower: TeachOptions
) -> None:
    options = replace(slower, name="same", checkpoint_folder=tmp_path / "state")
    with pytest.raises(KeyboardInterrupt):
        teach(packed, tmp_path / "my.onnx", options, RunOptions(), Listener(stop_at="wide 2/"))
    assert not (tmp_path / "my.onnx").exists()
    assert list((tmp_path / "state").rglob("*.pt"))
    listener = Listener()
    teach(packed, tmp_path / "my.onnx", options, RunOptions(), listener)
    assert any("finished before are taken over" in note for note in listener.notes)
    assert list((tmp_path / "state").rglob("*.pt")) == []
    teach(packed, tmp_path / "undisturbed.onnx", options, RunOptions())
    assert (tmp_path / "my.onnx").read_bytes() == (tmp_path / "undisturbed.onnx").read_bytes()


def test_other_seeds_have_their_own_checkpoints(tmp_path: Path, packed: Path, slower: TeachOptions) -> None:
    options = replace(slower, checkpoint_folder=tmp_path / "state")
    for each in (options, replace(options, seed=1)):
        with pytest.raises(KeyboardInterrupt):
            teach(packed, tmp_path / "my.onnx", each, RunOptions(), Listener(stop_at="wide 1/"))
    assert len(list((tmp_path / "state").iterdir())) == 2


def test_pruning_the_cache_leaves_a_training_that_runs_and_removes_it_when_it_was_interrupted(
    tmp_path: Path, packed: Path, slower: TeachOptions
) -> None:
    cache, found = tmp_path / "cache", []

    class Pruner(Listener):
        def training(self, what: str, done: int, total: int) -> None:
            found.append(prune(cache, Limits(unused_seconds=-1)).busy_count)
            super().training(what, done, total)

    with pytest.raises(KeyboardInterrupt):
        teach(packed, tmp_path / "my.onnx", slower, RunOptions(cache_folder=cache), Pruner(stop_at="wide 2/"))
    assert list((cache / "training").rglob("*.pt"))
    assert found[-1] == 1
    assert prune(cache, Limits(unused_seconds=-1)).busy_count == 0
    assert list((cache / "training").rglob("*.pt")) == []


def test_several_labels_per_row_are_trained_as_such_and_empty_rows_are_left_out_and_said(
    tmp_path: Path, quick: TeachOptions
) -> None:
    dataset, listener = some_rows(40, task="multi"), Listener()
    for table in dataset.vectors.values():
        np.asarray(table)[3] = 0
    teach(_pack(tmp_path / "rows.h5", dataset), tmp_path / "my.onnx", quick, RunOptions(), listener)
    classifier = load_classifier(tmp_path / "my.onnx")
    assert classifier.task == "multi"
    assert classifier.card.metrics["held_out"]["mean_average_precision"]["value"] > 0.5
    text = describe_classifier(tmp_path / "my.onnx")
    assert "mAP" in text
    said = [note for note in listener.notes if "nothing in any space" in note]
    assert len(said) == 1
    assert "3.mp4" in said[0]
    assert said[0] in text


def test_spaces_are_chosen_by_name(packed: Path) -> None:
    with open_source(packed, SourceOptions((AUDIO,)), RunOptions(), Listener()) as source:
        assert list(source.dataset.vectors) == [AUDIO]
    with (
        pytest.raises(UsageError, match="no vectors of 'local/efficientnet"),
        open_source(packed, SourceOptions(("local/visual",)), RunOptions(), Listener()),
    ):
        pass


def test_files_of_single_videos_are_read_from_a_table_and_from_folders(tmp_path: Path) -> None:
    dataset = some_rows(12)
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "label"])
        for number, target in enumerate(dataset.targets):
            label = dataset.labels[target]
            path = tmp_path / "clips" / label / f"{number}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(path, "w") as file:
                file.attrs["schema"] = 1
                for space, rows in dataset.vectors.items():
                    file[f"embedded_features/{space}/frames-8"] = rows[number]
            table.writerow([path.relative_to(tmp_path), label])
    for data in (tmp_path / "labels.csv", tmp_path / "clips"):
        listener = Listener()
        with open_source(data, SourceOptions(), RunOptions(), listener) as source:
            assert source.dataset.labels == ("car", "cat", "dog")
            assert (len(source.dataset), set(source.dataset.vectors)) == (12, {VISUAL, AUDIO})
            assert (source.provenance.name, source.provenance.is_grouped) == (data.name, False)
            assert str(tmp_path) not in "".join(source.provenance.notes)
        assert "12 rows" in listener.notes[0]


def test_options_that_say_nothing_about_vectors_are_refused(
    tmp_path: Path, packed: Path, quick: TeachOptions
) -> None:
    for source, name in (
        (SourceOptions(multi=True), "--multi"),
        (SourceOptions(root=tmp_path), "--root"),
        (SourceOptions(group_column="x"), "--group-column"),
    ):
        with pytest.raises(UsageError, match=name):
            teach(packed, tmp_path / "my.onnx", replace(quick, source=source), RunOptions())
    with pytest.raises(UsageError, match="--exclude"):
        teach(packed, tmp_path / "my.onnx", quick, RunOptions(exclude=("x",)))


@pytest.fixture
def blocked(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "a folder.onnx").mkdir()
    (tmp_path / "notes.md").write_text("My own notes.")
    (tmp_path / "pictures_figures").write_text("no folder")
    yield tmp_path
    assert (tmp_path / "notes.md").read_text() == "My own notes."


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("my.txt", "ends with .onnx"),
        ("a folder.onnx", "no file"),
        ("gone/my.onnx", "Cannot write"),
        ("notes.onnx", "notes.md is in the way"),
        ("pictures.onnx", "pictures_figures is in the way"),
    ],
)
def test_places_that_cannot_be_written_are_refused_before_the_data_is_read(
    blocked: Path, quick: TeachOptions, name: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        teach(blocked / "no such data.csv", blocked / name, quick, RunOptions())


@pytest.mark.parametrize("changes", [{"name": ""}, {"name": "two\nlines"}, {"licence": " "}])
def test_texts_that_the_card_cannot_hold_are_refused(
    tmp_path: Path, packed: Path, quick: TeachOptions, changes: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="not a line of text"):
        teach(packed, tmp_path / "my.onnx", replace(quick, **changes), RunOptions())


def test_videos_that_cannot_be_read_take_no_part_and_are_named_without_their_place(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    for label, source in (("bars", "smptebars=size=64x48"), ("noise", "mandelbrot=size=64x48")):
        (clips / label).mkdir(parents=True)
        encode("-c:v", "libx264", source=source, seconds=1)(clips / label / "0.mp4")
    (clips / "bars" / "broken.mp4").write_bytes(b"")
    table = tmp_path / "labels.csv"
    table.write_text(
        f"path,label\nclips/bars/0.mp4,bars\n{clips}/noise/0.mp4,noise\nclips/bars/broken.mp4,bars\n"
        "clips/bars/gone.mp4,bars\nclips/noise/0.mp4,noise\nclips/noise/1.mp4,\n"
    )
    options = SourceOptions(embeddings=("local/visual",))
    for data, failed in (
        (clips, ["bars/broken.mp4"]),
        (table, ["clips/bars/broken.mp4", "clips/bars/gone.mp4"]),
    ):
        listener = Listener()
        with open_source(data, options, RunOptions(), listener) as source:
            assert len(source.dataset) == 2
            assert [failure.video.id for failure in source.failures] == failed
            assert source.provenance.failed_count == len(failed)
            assert any(note.startswith(f"{failed[0]} failed: empty-file") for note in listener.notes)
            assert f"{failed[0]} failed: empty-file" in "".join(source.provenance.notes)
            assert str(tmp_path) not in "".join(source.provenance.notes)
    said = "".join(source.provenance.notes)
    away = tmp_path / "tables" / "labels.csv"
    away.parent.mkdir()
    away.write_text(
        f"path,label\n{clips}/bars/0.mp4,bars\n{clips}/noise/0.mp4,noise\n{clips}/bars/broken.mp4,bars\n"
    )
    with open_source(away, options, RunOptions(), Listener()) as source:
        assert source.provenance.notes[-1].startswith("broken.mp4 failed")
    assert "1 row without a label left out: clips/noise/1.mp4" in said
    assert "1 file named more than once, counted once: clips/noise/0.mp4" in said


def test_vectors_of_another_length_than_their_space_are_refused_before_training(
    tmp_path: Path, quick: TeachOptions
) -> None:
    space = "local/efficientnet-lite0@1/visual"
    data, listener = tmp_path / "short.h5", Listener()
    targets = np.arange(12, dtype=np.int32) % 2
    names = [str(number) for number in range(12)]
    with write_dataset(data, {space: 100}, "single", ("a", "b")) as writer:
        writer.append({space: np.eye(12, 100, dtype=np.float32)}, targets, names, names)
    with pytest.raises(UsageError, match=r"short.h5 has vectors of 100 numbers of .*, which has 1280"):
        teach(data, tmp_path / "my.onnx", quick, RunOptions(), listener)
    assert not listener.parts


def test_clips_that_are_told_apart_with_ease_become_a_classifier_too(tmp_path: Path) -> None:
    """Their temperature is nearly 1, and their logits are large: an exporter may take the division out."""
    space = "made/space@1/visual"
    random = np.random.default_rng(0)
    centres = 30 * np.eye(3, 40, dtype=np.float32)
    targets = np.arange(18, dtype=np.int32) % 3
    names = [str(number) for number in range(18)]
    for seed in range(2):
        data = tmp_path / f"easy{seed}.h5"
        with write_dataset(data, {space: 40}, "single", ("a", "b", "c")) as writer:
            rows = centres[targets] + random.standard_normal((18, 40), np.float32)
            writer.append({space: rows}, targets, names, names)
        out = tmp_path / f"easy{seed}.onnx"
        taught = teach(data, out, TeachOptions(seed=seed, figures=False), RunOptions())
        assert out.is_file()
        # Eighteen right answers are no certainty.
        found = load_classifier(out).probabilities({space: centres})
        assert (found.argmax(axis=1) == np.arange(3)).all()
        assert found.max() < 0.999
        assert taught.card.metrics["held_out"]["row_count"] == 18

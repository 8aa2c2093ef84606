"""From labelled vectors to a classifier: what is said of held-out rows is true, whatever the data."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.train.clusters import SPACES, clusters
from vidclf_cli.classifier import load_classifier
from vidclf_cli.dataset import Dataset, Split, open_dataset, write_dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.scoring import Task
from vidclf_train import calibrate, fit, heads, train
from vidclf_train.batches import make_batches
from vidclf_train.card import Provenance, build_card
from vidclf_train.export import export_classifier
from vidclf_train.fitted import Fitted, HeldOut
from vidclf_train.recipe import LinearHead, NetworkHead, Recipe, load_recipe
from vidclf_train.train import predict, train_classifier


def with_networks(recipe: Recipe, **changes: Any) -> Recipe:
    """Return a recipe with other settings of its networks."""
    return replace(
        recipe,
        heads=tuple(
            replace(head, **changes) if isinstance(head, NetworkHead) else head for head in recipe.heads
        ),
    )


AUTO = with_networks(
    load_recipe("auto"), hidden=(16,), epochs=8, batch_size=16, least_steps=0, peak_learning_rate=1e-2
)
PAPER = with_networks(
    load_recipe("paper"), kind="wide", hidden=(32, 16, 8), epochs=8, peak_learning_rate=1e-2
)
LINEAR = Recipe("linear", "", (1, 0, 0), 4, (LinearHead((1.0, 0.1, 0.01)),))
WIDE = replace(LINEAR, heads=tuple(head for head in AUTO.heads if isinstance(head, NetworkHead)))
RECIPES = pytest.mark.parametrize("recipe", [AUTO, PAPER], ids=lambda recipe: recipe.name)
TASKS = pytest.mark.parametrize("task", ["single", "multi"])


def accuracy(found: NDArray[np.float32], targets: NDArray[np.integer]) -> float:
    """Return the share of rows, or of decisions about labels, that are right."""
    if targets.ndim == 1:
        return float((found.argmax(axis=1) == targets).mean())
    return float(((found > 0.5) == (targets > 0)).mean())


def held_out_accuracy(fitted: Fitted, dataset: Dataset) -> float:
    return accuracy(fitted.held_out.probabilities, dataset.targets[fitted.held_out.rows])


def are_equal(one: Fitted, other: Fitted) -> bool:
    """Return whether weights, temperature, bars and held-out probabilities are the same to the bit."""
    found, expected = one.model.state_dict(), other.model.state_dict()
    return (
        found.keys() == expected.keys()
        and all(torch.equal(found[name], expected[name]) for name in found)
        and one.model.weights == other.model.weights
        and (one.temperature, one.thresholds) == (other.temperature, other.thresholds)
        and np.array_equal(one.held_out.probabilities, other.held_out.probabilities)
    )


@RECIPES
@TASKS
def test_a_recipe_learns_clusters_and_keeps_the_contract_of_what_it_gives(recipe: Recipe, task: Task) -> None:
    dataset = clusters(120, task=task, gap=4.0)
    fitted = train_classifier(dataset, recipe, device="cpu")
    fresh = clusters(300, task=task, gap=4.0, seed=1)
    assert accuracy(predict(fitted.model, fresh, np.arange(300)), fresh.targets) > 0.8
    assert held_out_accuracy(fitted, dataset) > 0.75
    assert (fitted.spaces, fitted.labels, fitted.task) == (tuple(SPACES), dataset.labels, task)
    assert fitted.temperature == fitted.model.temperature
    assert not fitted.model.training
    assert set(fitted.thresholds) <= set(dataset.labels)
    assert fitted.min_confidence not in fitted.thresholds.values()
    assert fitted.precision is not None
    assert fitted.precision.row_count == fitted.precision.group_count == len(fitted.held_out.rows)
    if recipe.folds:  # of 120 rows, each held out once
        assert set(fitted.precision.thresholds) == set(dataset.labels)
    parts = [part for part in (fitted.held_out, fitted.test) if part]
    for part in parts:
        assert (np.diff(part.rows) > 0).all()
        assert part.probabilities.shape == (len(part.rows), 3)
        assert part.probabilities.dtype == np.float32
        assert 0 <= part.probabilities.min() <= part.probabilities.max() <= 1
        if task == "single":
            np.testing.assert_allclose(part.probabilities.sum(axis=1), 1, atol=1e-5)
    if recipe.folds:
        assert fitted.test is None
        assert np.array_equal(fitted.held_out.rows, np.arange(120))
    else:
        assert [len(part.rows) for part in parts] == [12, 12]
        assert not set(parts[0].rows) & set(parts[1].rows)
    for curve in fitted.curves:
        lengths = {len(curve.train_loss), len(curve.validation_loss), len(curve.validation_accuracy)}
        assert len(lengths) == 1
        assert 0 <= curve.best_epoch < lengths.pop()
    report = json.loads(json.dumps(dict(fitted.report), allow_nan=False))
    assert set(report) == {"recipe", "split", "heads", "device", "seconds", "notes"}
    assert (report["recipe"], report["notes"]) == (recipe.name, [])
    assert sum(head["weight"] for head in report["heads"]) == pytest.approx(1)


@pytest.mark.parametrize("recipe", [LINEAR, WIDE, replace(PAPER, split_shares=(1, 1, 0))],
                         ids=["linear", "wide", "paper"])  # fmt: skip
def test_random_labels_are_learnt_by_heart_and_held_out_rows_show_that_it_is_nothing(recipe: Recipe) -> None:
    """Every row is there twice, from one source: if sources were torn apart, held-out rows would be known."""
    random = np.random.default_rng(3)
    once = clusters(60, gap=0)
    targets = np.repeat(random.permutation(np.arange(60) % 3), 2).astype(np.int32)
    dataset = replace(
        clusters(120, targets=targets, group_size=2),
        vectors={space: np.repeat(table, 2, axis=0) for space, table in once.vectors.items()},
    )
    eager = with_networks(recipe, epochs=30, noise=0, modality_dropout=0, keep_best=False)
    fitted = train_classifier(dataset, eager, device="cpu")
    seen = np.setdiff1d(np.arange(120), fitted.held_out.rows) if not recipe.folds else np.arange(120)
    assert accuracy(predict(fitted.model, dataset, seen), targets[seen]) > 0.75
    assert held_out_accuracy(fitted, dataset) < 0.55
    # And nobody is promised more: chance is a third.
    assert fitted.held_out.probabilities.max(axis=1).mean() < 0.6


@RECIPES
def test_labels_of_test_rows_change_nothing(recipe: Recipe) -> None:
    splits = np.array(
        [Split.TRAIN] * 60 + [Split.VALIDATION] * 15 + [Split.TEST] * 15 + [Split.REST] * 15, np.uint8
    )
    dataset = clusters(105, splits=splits)
    wrong = dataset.targets.copy()
    wrong[75:] = (wrong[75:] + 1) % 3
    noise = {space: np.array(table[:]) for space, table in dataset.vectors.items()}
    for table in noise.values():
        table[75:] = np.random.default_rng(8).standard_normal(table[75:].shape)
    one = train_classifier(dataset, recipe, device="cpu")
    other = train_classifier(replace(dataset, targets=wrong, vectors=noise), recipe, device="cpu")
    assert are_equal(one, other)
    assert one.test is not None
    assert np.array_equal(one.test.rows, np.arange(75, 105))
    np.testing.assert_array_equal(one.test.probabilities, predict(one.model, dataset, one.test.rows))


def test_with_one_validation_part_no_row_calibrates_itself_nor_its_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[NDArray[np.integer]] = []

    def spy(*arguments: NDArray[np.integer]) -> NDArray[np.float32]:
        seen.append(arguments[2])
        return calibrate.cross_calibrated(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(train, "cross_calibrated", spy)
    dataset = clusters(120, group_size=3)
    fitted = train_classifier(dataset, replace(LINEAR, folds=0, split_shares=(1, 1, 0)), device="cpu")
    (parts,) = seen
    assert set(parts) == set(range(5))
    sources = [dataset.groups[row] for row in fitted.held_out.rows]
    assert len(set(zip(sources, parts.tolist(), strict=True))) == len(set(sources))
    # Held-out rows are in order here: what the model says of them differs by the temperature alone.
    said = predict(fitted.model, dataset, fitted.held_out.rows)
    assert np.array_equal(said.argmax(axis=1), fitted.held_out.probabilities.argmax(axis=1))
    assert not np.array_equal(said, fitted.held_out.probabilities)


@pytest.mark.parametrize(("task", "count"), [("single", 300), ("multi", 200)])
def test_confidences_of_new_rows_are_about_as_high_as_the_share_that_is_right(task: Task, count: int) -> None:
    recipe = replace(LINEAR, heads=(LinearHead((1e-3,)),))  # Over-confident by itself.
    fitted = train_classifier(clusters(count, gap=1.5, task=task), recipe, device="cpu")
    fresh = clusters(1000, gap=1.5, task=task, seed=1)

    def excess(found: NDArray[np.float32]) -> float:
        confidence = found.max(axis=1) if task == "single" else np.maximum(found, 1 - found)
        return float(confidence.mean()) - accuracy(found, fresh.targets)

    assert abs(excess(predict(fitted.model, fresh, np.arange(1000)))) < 0.075
    fitted.model.temperature = 1.0
    assert excess(predict(fitted.model, fresh, np.arange(1000))) > 0.09


def without(dataset: Dataset, space: str, rows: slice) -> Dataset:
    """Return the data with nothing in some rows of one space."""
    vectors = {name: np.array(table[:]) for name, table in dataset.vectors.items()}
    vectors[space][rows] = 0
    return replace(dataset, vectors=vectors)


VISUAL, AUDIO = SPACES


@RECIPES
def test_rows_without_one_modality_are_trained_on_and_predicted(recipe: Recipe) -> None:
    dataset = without(without(clusters(150, gap=6.0), AUDIO, slice(0, None, 5)), VISUAL, slice(1, None, 5))
    fitted = train_classifier(dataset, recipe, device="cpu")
    assert fitted.report["notes"] == []
    fresh = clusters(150, gap=6.0, seed=1)
    for missing in SPACES:
        found = predict(fitted.model, without(fresh, missing, slice(None)), np.arange(150))
        assert np.isfinite(found).all()
        assert accuracy(found, fresh.targets) > (0.8 if missing == AUDIO else 0.5)


def test_rows_with_nothing_at_all_are_left_out_and_it_is_said() -> None:
    dataset = without(without(clusters(60), AUDIO, slice(10, 14)), VISUAL, slice(12, 40, 20))
    fitted = train_classifier(dataset, LINEAR, device="cpu")
    assert np.array_equal(fitted.held_out.rows, [row for row in range(60) if row != 12])
    assert fitted.report["notes"] == ["1 of 60 rows have nothing in any space and are left out: 12.mp4."]


def test_data_without_any_vector_is_refused() -> None:
    dataset = without(without(clusters(6), AUDIO, slice(None)), VISUAL, slice(None))
    with pytest.raises(UsageError, match="No row has anything in any space"):
        train_classifier(dataset, LINEAR, device="cpu")


@pytest.mark.parametrize("number", [np.nan, np.inf])
@RECIPES
def test_numbers_that_are_not_finite_are_refused_by_row_and_space(recipe: Recipe, number: float) -> None:
    dataset = clusters(60)
    np.asarray(dataset.vectors[AUDIO])[17, 2] = number
    with pytest.raises(
        UsageError, match=r"17\.mp4 in 'some/network@1/audio' holds numbers that are not finite"
    ):
        train_classifier(dataset, recipe, device="cpu")


@RECIPES
def test_the_seed_decides_every_bit(recipe: Recipe) -> None:
    # Where the data says what rows are for, the seed still decides how networks begin.
    dataset = clusters(60, splits=np.repeat([Split.TRAIN, Split.VALIDATION], [48, 12]).astype(np.uint8))
    one = train_classifier(dataset, recipe, seed=4, device="cpu")
    torch.manual_seed(12)
    assert are_equal(one, train_classifier(dataset, recipe, seed=4, device="cpu"))
    assert not are_equal(one, train_classifier(dataset, recipe, seed=5, device="cpu"))


CODE = """
import sys
from pathlib import Path
from tests.train import test_train
from vidclf_train import fit
from vidclf_train.train import train_classifier

fit.CHECKPOINT_SECONDS = 0.0
run_epoch, count = fit._Training.run_epoch, 0

def counted(training, on_step):
    global count
    if count == 19:  # In the third network, after its third epoch.
        print("now", flush=True)
        input()
    run_epoch(training, on_step)
    count += 1

fit._Training.run_epoch = counted
folder = Path(sys.argv[1])
train_classifier(test_train.clusters(60), test_train.AUTO, seed=3, device="cpu", checkpoint_folder=folder)
"""


FINISH = """
import hashlib
import sys
from pathlib import Path
from tests.train import test_train
from vidclf_train.train import train_classifier

folder = Path(sys.argv[1])
fitted = train_classifier(
    test_train.clusters(60), test_train.AUTO, seed=3, device="cpu", checkpoint_folder=folder
)
digest = hashlib.sha256(fitted.held_out.probabilities.tobytes())
for weights in fitted.model.state_dict().values():
    digest.update(weights.numpy().tobytes())
print(digest.hexdigest(), fitted.temperature, *fitted.report["notes"])
"""


def test_a_training_that_was_killed_goes_on_and_gives_the_same_bits(tmp_path: Path) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(killed)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "now"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    # Processes of their own, as whoever types the command again has: what other tests loaded may change
    # how the last bit is rounded.
    ends = [
        subprocess.run(
            [sys.executable, "-c", FINISH, str(folder)], capture_output=True, text=True, check=True
        )
        for folder in (killed, undisturbed)
    ]
    resumed, fresh = (end.stdout.split(maxsplit=2) for end in ends)
    assert "after epoch 3," in resumed[2]
    assert "part-2" in resumed[2]
    assert resumed[:2] == fresh[:2]


def test_heads_are_mixed_as_they_were_judged_and_the_exported_file_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "choose_weights", lambda *_: (0.3, 0.7))
    dataset = clusters(90, gap=2.0)
    fitted = train_classifier(dataset, AUTO, device="cpu")
    assert [round(weight, 6) for weight in fitted.model.weights] == [0.3, 0.7]
    assert [head["weight"] for head in fitted.report["heads"]] == [0.3, 0.7]
    assert len(fitted.curves) == 5
    card = build_card(fitted, dataset, Provenance("labels.csv", is_grouped=False), name="small")
    vectors = {space: np.asarray(table[:]) for space, table in dataset.vectors.items()}
    export_classifier(fitted, card, tmp_path / "small.onnx", vectors)
    loaded = load_classifier(tmp_path / "small.onnx")
    found = loaded.probabilities(vectors)
    np.testing.assert_allclose(found, predict(fitted.model, dataset, np.arange(90)), atol=1e-5)
    assert (loaded.thresholds, loaded.min_confidence) == (dict(fitted.thresholds), fitted.min_confidence)


def test_a_head_that_counts_nothing_is_not_in_the_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "choose_weights", lambda *_: (1.0, 0.0))
    fitted = train_classifier(clusters(60), AUTO, device="cpu")
    assert len(fitted.model.members) == 1
    assert fitted.curves == ()
    assert len(fitted.report["heads"]) == 2


@pytest.mark.parametrize("seed", [0, 1])
def test_two_labels_with_three_clips_of_noise_do_not_make_an_over_confident_classifier(seed: int) -> None:
    fitted = train_classifier(clusters(6, label_count=2, gap=0, seed=seed), load_recipe("auto"), device="cpu")
    fresh = clusters(400, label_count=2, gap=0, seed=100 + seed)
    assert predict(fitted.model, fresh, np.arange(400)).max(axis=1).mean() < 0.85


@RECIPES
def test_two_labels_with_three_clips_each_are_enough(recipe: Recipe) -> None:
    fitted = train_classifier(clusters(6, label_count=2, gap=8.0), recipe, device="cpu")
    fresh = clusters(100, label_count=2, gap=8.0, seed=1)
    found = predict(fitted.model, fresh, np.arange(100))
    # Four rows and a validation row teach the paper's network nothing; it must not claim otherwise.
    assert accuracy(found, fresh.targets) > (0.9 if recipe.folds else 0.4)
    assert fitted.held_out.probabilities.max() < (0.999 if recipe.folds else 0.7)


def test_where_nothing_can_be_held_out_nothing_is_claimed() -> None:
    dataset = replace(clusters(6, label_count=2), groups=[f"source {row % 2}" for row in range(6)])
    fitted = train_classifier(dataset, AUTO, device="cpu")
    assert not len(fitted.held_out.rows)
    assert (fitted.temperature, fitted.thresholds, fitted.min_confidence) == (1.0, {}, 0.5)
    assert fitted.test is None
    assert any("No row could be held out" in note for note in fitted.report["notes"])
    assert {head["held_out_loss"] for head in fitted.report["heads"]} == {None}
    card = build_card(fitted, dataset, Provenance("labels.csv", is_grouped=True), name="small")
    assert "held_out" not in card.metrics
    card.to_json()


@RECIPES
@TASKS
def test_a_label_without_any_row_is_hardly_ever_given_and_that_is_said(recipe: Recipe, task: Task) -> None:
    targets = np.arange(60) % 3
    marks = targets.astype(np.int32) if task == "single" else np.eye(4, dtype=np.uint8)[targets]
    dataset = clusters(60, label_count=4, targets=marks, task=task)
    fitted = train_classifier(dataset, with_networks(recipe, epochs=40), device="cpu")
    assert any("hardly ever given: label 3." in note for note in fitted.report["notes"])
    found = predict(fitted.model, dataset, np.arange(60))
    assert found[:, 3].mean() < 0.8 * found[:, :3].mean(axis=0).min()
    assert "label 3" not in fitted.thresholds


def packed(dataset: Dataset, path: Path) -> Path:
    dimensions = {space: table.shape[1] for space, table in dataset.vectors.items()}
    with write_dataset(path, dimensions, dataset.task, dataset.labels) as writer:
        vectors = {space: np.asarray(table[:]) for space, table in dataset.vectors.items()}
        writer.append(vectors, dataset.targets, dataset.ids, dataset.groups)
    return path


def held_out_of(dataset: Dataset, recipe: Recipe) -> HeldOut:
    return train_classifier(dataset, recipe, device="cpu").held_out


def test_a_file_larger_than_the_memory_is_streamed_and_gives_about_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = clusters(600, gap=2.0)
    expected = {recipe: held_out_of(dataset, recipe) for recipe in (LINEAR, WIDE)}
    for module in (heads, fit):
        monkeypatch.setattr(module, "make_batches", partial(make_batches, memory_bytes=1000))
    with open_dataset(packed(dataset, tmp_path / "rows.h5")) as stored:
        linear, wide = held_out_of(stored, LINEAR), held_out_of(stored, WIDE)
    np.testing.assert_allclose(linear.probabilities, expected[LINEAR].probabilities, atol=5e-3)
    rights = [accuracy(each.probabilities, dataset.targets) for each in (wide, expected[WIDE])]
    assert rights[0] == pytest.approx(rights[1], abs=0.04)
    assert rights[0] > 0.5


@RECIPES
def test_progress_is_told_per_head(recipe: Recipe) -> None:
    seen: list[tuple[str, int, int]] = []
    train_classifier(clusters(60), recipe, device="cpu", progress=lambda *step: seen.append(step))
    names = [f"{number}/{len(recipe.heads)} {getattr(head, 'kind', 'linear')}"
             for number, head in enumerate(recipe.heads, start=1)]  # fmt: skip
    total = 6 if recipe.folds else 1
    assert seen == [(name, done, total) for name in names for done in range(1, total + 1)]


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no device 'tpu'"):
        train_classifier(clusters(6), LINEAR, device="tpu")

"""Tuning: the bars keep what they promise on rows never seen, and the file changes in nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import vidclf_cli
from tests.classifier_files import CONCEPTS, document, small_model, write
from tests.synthetic import LABELS, known_rows, small_classifier
from vidclf_cli.classifier import Classifier, load_classifier
from vidclf_cli.classifier_file import save_with_card
from vidclf_cli.classifier_text import describe_classifier
from vidclf_cli.dataset import Dataset, Split, write_dataset
from vidclf_cli.decide import Decision
from vidclf_cli.errors import ClassifierError, OutputError, UsageError
from vidclf_cli.evaluation import evaluate_dataset
from vidclf_cli.precision import NEVER
from vidclf_cli.scored_rows import score_dataset
from vidclf_cli.tuning import Tuning, one_bar_curve, tune_rows, tuned_card


def tuned(classifier: Classifier, dataset: Dataset, target: float) -> Tuning:
    return tune_rows(classifier, score_dataset(classifier, dataset), target)


@pytest.mark.parametrize(("target", "seed"), [(0.8, 1), (0.9, 2), (0.95, 3), (0.9, 4)])
def test_the_tuned_file_reaches_the_precision_on_rows_never_seen(
    tmp_path: Path, target: float, seed: int
) -> None:
    classifier = small_classifier(tmp_path)
    tuning = tuned(classifier, known_rows(1200, seed), target)
    after = save_with_card(classifier, tuned_card(classifier.card, tuning, "a.h5"), tmp_path / "tuned.onnx")
    fresh = evaluate_dataset(after, known_rows(6000, seed + 100)).metrics.answered
    assert fresh.precision.high >= target
    assert fresh.coverage == pytest.approx(tuning.after.coverage, abs=0.05)
    # What was said beforehand of new rows is what came.
    assert tuning.checked.precision.low <= fresh.accuracy <= max(tuning.checked.precision.high, target)


def test_each_label_has_a_bar_of_its_own_and_one_that_is_never_right_enough_is_never_given(
    tmp_path: Path,
) -> None:
    tuning = tuned(small_classifier(tmp_path), known_rows(1200, 1), 0.9)
    cat, dog, car = tuning.labels
    assert 0.5 < cat.threshold < 1
    assert cat.threshold < dog.threshold + 0.1
    assert (car.threshold, car.given_count, tuning.never_given) == (NEVER, 0, ("car",))
    assert math.isnan(car.precision)
    assert car.coverage == 0
    assert cat.precision == cat.right_count / cat.given_count
    assert cat.coverage == cat.right_count / cat.row_count
    assert tuning.after.coverage < tuning.before.coverage
    assert [point.target for point in tuning.points] == sorted(point.target for point in tuning.points)


def test_only_the_description_of_the_file_changes(tmp_path: Path) -> None:
    classifier = small_classifier(tmp_path, thresholds={"cat": 0.7}, recipe={"seed": 4})
    tuning = tuned(classifier, known_rows(600, 1), 0.93)
    after = save_with_card(classifier, tuned_card(classifier.card, tuning, "a.h5"), tmp_path / "tuned.onnx")
    old, new = (onnx.load(each.path) for each in (classifier, after))
    del old.metadata_props[:], new.metadata_props[:]
    assert old.SerializeToString(deterministic=True) == new.SerializeToString(deterministic=True)
    graph = old.graph.SerializeToString()
    assert graph in after.path.read_bytes()
    kept = replace(
        after.card, thresholds=classifier.card.thresholds, precision=None, recipe=classifier.card.recipe
    )
    assert kept == classifier.card
    assert Decision.for_scorer(after, 0).bars == tuple(each.threshold for each in tuning.labels)
    # The precision that it was tuned for is one of those that it keeps.
    assert after.bars_at(0.93) == Decision.for_scorer(after, 0).bars
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_the_card_keeps_what_was_done_to_it_time_after_time(tmp_path: Path) -> None:
    classifier = small_classifier(tmp_path, recipe={"seed": 4})
    for number, target in enumerate((0.8, 0.9), start=1):
        tuning = tuned(classifier, known_rows(600, number, group_size=2), target)
        card = tuned_card(classifier.card, tuning, f"{number}.h5")
        before, classifier = classifier, save_with_card(classifier, card, tmp_path / f"{number}.onnx")
    first, second = classifier.card.recipe["tuned"]
    assert classifier.card.recipe["seed"] == 4
    assert (first["data"], first["target_precision"], first["rows"], first["sources"]) == (
        "1.h5",
        0.8,
        600,
        300,
    )
    assert second["from"] == before.name
    assert second["precision"]["low"] < second["precision"]["value"] < second["precision"]["high"]
    assert 0 < second["coverage"] < 1
    text = describe_classifier(classifier.path)
    for part in ("data 2.h5", "target precision 0.9", "0.9: cat 0.", before.name):
        assert part in text, part


def test_a_card_that_was_written_before_the_tuning_is_shown_with_what_came_later(tmp_path: Path) -> None:
    classifier = small_classifier(tmp_path)
    classifier.path.with_suffix(".md").write_text("# The card of the training\n")
    assert describe_classifier(classifier.path) == "# The card of the training\n"
    tuning = tuned(classifier, known_rows(600, 1), 0.9)
    save_with_card(classifier, tuned_card(classifier.card, tuning, "a.h5"), classifier.path)
    text = describe_classifier(classifier.path)
    assert text.startswith("# The card of the training\n")
    assert "## tuned" in text
    assert "- 0.9: cat 0." in text


def test_an_evaluation_at_a_precision_uses_its_thresholds(tmp_path: Path) -> None:
    classifier = small_classifier(tmp_path)
    tuning = tuned(classifier, known_rows(1200, 1), 0.95)
    after = save_with_card(classifier, tuned_card(classifier.card, tuning, "a.h5"), tmp_path / "tuned.onnx")
    own, lower = (
        evaluate_dataset(after, known_rows(1200, 2), target_precision=target).metrics.answered
        for target in (0.95, 0.7)
    )
    assert own == evaluate_dataset(after, known_rows(1200, 2)).metrics.answered
    assert lower.coverage > own.coverage
    with pytest.raises(UsageError, match="holds no thresholds by precision"):
        vidclf_cli.evaluate(classifier.path, packed(tmp_path), target_precision=0.9)
    with pytest.raises(UsageError, match="Give one"):
        vidclf_cli.evaluate(after.path, packed(tmp_path), target_precision=0.9, min_confidence=0.5)


def test_rows_that_others_resemble_do_not_make_a_threshold(tmp_path: Path) -> None:
    classifier = small_classifier(tmp_path)
    assert tuned(classifier, known_rows(600, 1), 0.9).never_given == ("car",)
    with pytest.raises(UsageError, match=r"None of the 3 labels .* on 600 rows of 12 sources"):
        tuned(classifier, known_rows(600, 1, group_size=50), 0.9)


def test_what_no_label_reaches_is_said_with_what_it_would_take(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"For 0.95 a label needs 32 rows .* source of its own"):
        tuned(small_classifier(tmp_path), known_rows(60, 1), 0.95)


def test_a_classifier_of_several_labels_is_tuned_label_by_label(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    vectors = np.zeros((900, 1000), np.float32)
    vectors[:, :3] = random.uniform(-1, 1, (900, 3))
    chance = 1 / (1 + np.exp(-5 * vectors[:, :3]))
    chance[:, 2] **= 8
    targets = (random.random((900, 3)) < chance).astype(np.uint8)
    ids = [str(number) for number in range(900)]
    dataset = Dataset(LABELS, "multi", ids, targets, ids, {CONCEPTS: vectors})
    classifier = small_classifier(tmp_path, "multi")
    tuning = tuned(classifier, dataset, 0.9)
    after = save_with_card(classifier, tuned_card(classifier.card, tuning, "a.h5"), tmp_path / "tuned.onnx")
    cat, dog, car = tuning.labels
    assert car.threshold > max(cat.threshold, dog.threshold)
    assert min(cat.precision, dog.precision) > 0.9
    coverage, precision = one_bar_curve(tuning.rows)
    assert (np.diff(coverage) >= 0).all()
    assert precision[0] > precision[-1]
    assert evaluate_dataset(after, dataset).metrics.answered.accuracy == tuning.after.accuracy


def test_labels_without_rows_are_never_given_and_listed(tmp_path: Path) -> None:
    dataset = known_rows(600, 1)
    of_cats = np.arange(600) % 3 == 0
    vectors = {CONCEPTS: np.asarray(dataset.vectors[CONCEPTS][of_cats])}
    ids = [str(number) for number in range(200)]
    cats = Dataset(LABELS, "single", ids, dataset.targets[of_cats], ids, vectors)
    assert tuned(small_classifier(tmp_path), cats, 0.9).never_given == ("dog", "car")


def packed(folder: Path) -> Path:
    dataset = known_rows(900, 1)
    path = folder / "rows.h5"
    splits = (np.arange(900) // 300).astype(np.uint8)
    with write_dataset(path, {CONCEPTS: 1000}, "single", LABELS, has_splits=True) as writer:
        vectors = {CONCEPTS: np.asarray(dataset.vectors[CONCEPTS][:])}
        writer.append(vectors, dataset.targets, dataset.ids, dataset.groups, splits)
    return path


def test_python_tunes_on_the_validation_part_and_leaves_the_test_part_for_measuring(tmp_path: Path) -> None:
    model, out = small_classifier(tmp_path).path, tmp_path / "tuned.onnx"
    tuning = vidclf_cli.tune(model, packed(tmp_path), 0.8, out)
    assert (tuning.rows.split, len(tuning.rows)) == ("validation", 300)
    assert vidclf_cli.load_classifier(out).card.recipe["tuned"][0]["split"] == "validation"
    assert vidclf_cli.evaluate(out, packed(tmp_path)).split == "test"
    everything = vidclf_cli.tune(model, packed(tmp_path), 0.8, out, split="all")
    assert len(everything.rows) == 900
    assert Split.VALIDATION.value == 1


def test_python_refuses_what_cannot_be(tmp_path: Path) -> None:
    model, data = small_classifier(tmp_path).path, packed(tmp_path)
    for target, out, says in (
        (1.0, tmp_path / "a.onnx", "between 0 and 1"),
        (0.8, tmp_path / "a.txt", "ends with .onnx"),
        (0.8, tmp_path / "no" / "a.onnx", "--out"),
        (0.8, model, "is the classifier that is to be tuned"),
    ):
        before = model.read_bytes()
        with pytest.raises(UsageError, match=says):
            vidclf_cli.tune(model, data, target, out)
        assert model.read_bytes() == before
    (tmp_path / "link.onnx").symlink_to(model)
    with pytest.raises(UsageError, match="is to be tuned"):
        vidclf_cli.tune(model, data, 0.8, tmp_path / "link.onnx")
    vidclf_cli.tune(model, data, 0.8, tmp_path / "link.onnx", force=True)
    assert (tmp_path / "link.onnx").is_symlink()
    assert load_classifier(model).card.recipe["tuned"]


def test_a_description_that_the_loader_refuses_leaves_no_file(tmp_path: Path) -> None:
    classifier = small_classifier(tmp_path)
    (tmp_path / "out.onnx").write_bytes(b"older")
    with pytest.raises(ClassifierError):
        save_with_card(
            classifier, replace(classifier.card, labels=("cat", "cat", "car")), tmp_path / "out.onnx"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.onnx", "small.onnx"]
    assert (tmp_path / "out.onnx").read_bytes() == b"older"
    with pytest.raises(OutputError, match="Cannot write"):
        save_with_card(classifier, classifier.card, tmp_path / "none" / "out.onnx")


def test_a_classifier_that_was_replaced_meanwhile_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    classifier = small_classifier(tmp_path)
    write(tmp_path, json.dumps(document(name="another")), small_model())
    with pytest.raises(ClassifierError, match="changed meanwhile"):
        save_with_card(classifier, classifier.card, tmp_path / "out.onnx")

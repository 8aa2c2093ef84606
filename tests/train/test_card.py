"""The card: counted and measured, the same every time, readable, and honest about what it does not know."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.train.fitted_models import AUDIO, VISUAL, some_fitted, some_model, some_rows
from vidclf_cli.classifier_card import ClassifierCard, parse_card
from vidclf_cli.dataset import Dataset
from vidclf_cli.metrics import accuracy, calibration_error
from vidclf_cli.precision import fit_precision
from vidclf_cli.scoring import Task
from vidclf_train.card import Provenance, build_card, uncalibrated
from vidclf_train.card_text import MARK, card_text, cautions
from vidclf_train.fitted import Fitted, HeldOut

GROUPED = Provenance(
    "labels.csv", is_grouped=True, failed_count=1, notes=("2 rows without a label left out.",)
)


def _card(dataset: Dataset, source: Provenance = GROUPED, **changes: object) -> ClassifierCard:
    return build_card(some_fitted(dataset, **changes), dataset, source, name="small", licence="CC0")


def _tested(dataset: Dataset) -> Fitted:
    fitted = some_fitted(dataset)
    rows = fitted.held_out.rows
    test = HeldOut(rows[20:], fitted.held_out.probabilities[20:])
    return replace(fitted, held_out=HeldOut(rows[:20], fitted.held_out.probabilities[:20]), test=test)


@pytest.mark.parametrize("task", ["single", "multi"])
def test_the_document_holds_what_was_counted_and_measured_and_can_be_read_back(task: Task) -> None:
    dataset = some_rows(task=task)
    card = _card(dataset)
    assert parse_card(card.to_json(), "small.onnx") == card
    data = card.metrics["data"]
    assert (data["rows"], data["groups"], data["failed"]) == (30, 30, 1)
    assert data["empty_rows"] == {VISUAL: 0, AUDIO: 6}
    assert [(each.name, each.dimension, each.required) for each in card.inputs] == [
        ("visual", 6, False),
        ("audio", 3, False),
    ]
    held_out = card.metrics["held_out"]
    assert held_out["row_count"] == 28
    if task == "single":
        fitted = some_fitted(dataset)
        right = accuracy(fitted.held_out.probabilities, dataset.targets[:28])
        assert held_out["accuracy"]["value"] == pytest.approx(right, abs=1e-5)
        assert np.sum(held_out["confusion"]) == 28
        assert data["rows_per_label"] == {"cat": 10, "dog": 10, "car": 10}


def test_the_same_training_gives_the_same_document_however_long_it_took() -> None:
    dataset = some_rows()
    report = {"seconds": 1.0, "tried": [{"head": "linear", "fit_seconds": 2.0}], "recipe": "auto"}
    slower = {"seconds": 9.0, "tried": [{"head": "linear", "fit_seconds": 8.0}], "recipe": "auto"}
    assert _card(dataset, report=report).to_json() == _card(dataset, report=slower).to_json()
    assert "9" in card_text(_card(dataset, report=slower), slower, {})


@pytest.mark.parametrize("task", ["single", "multi"])
def test_the_temperature_can_be_undone(task: Task) -> None:
    dataset = some_rows(task=task)
    hot, plain = (some_fitted(dataset, model=some_model(task, temperature=each)) for each in (0.5, 1.0))
    undone = uncalibrated(hot.held_out.probabilities, 0.5, task)
    np.testing.assert_allclose(undone, plain.held_out.probabilities, atol=1e-5)
    before = build_card(hot, dataset, GROUPED, name="small").metrics["held_out"]["calibration_error_before"]
    error = calibration_error(plain.held_out.probabilities, dataset.targets[:28])
    assert before == pytest.approx(error, abs=1e-4)


def test_certain_probabilities_stay_numbers_when_the_temperature_is_undone() -> None:
    certain = np.array([[1.0, 0.0, 0.0]], np.float32)
    for task in ("single", "multi"):
        assert np.isfinite(uncalibrated(certain, 3.0, task)).all()


def test_thresholds_stand_with_how_often_they_are_passed_and_rightly() -> None:
    dataset = some_rows()
    fitted = some_fitted(dataset, thresholds={"cat": 0.9, "dog": 0.0})
    probabilities = fitted.held_out.probabilities
    table = build_card(fitted, dataset, GROUPED, name="small").metrics["held_out"]["per_label"]
    assert table["threshold"] == pytest.approx([0.9, 0.0, 0.4])
    best = probabilities.argmax(axis=1)
    for number, bar in enumerate((0.9, 0.0, 0.4)):
        given = (best == number) & (probabilities[:, number] >= bar)
        assert table["answered"][number] == given.sum()
        assert table["right_of_answered"][number] == (given & (dataset.targets[:28] == number)).sum()


def test_the_text_prefers_test_rows_and_says_that_nothing_was_fitted_on_them() -> None:
    dataset = some_rows()
    fitted = _tested(dataset)
    text = card_text(build_card(fitted, dataset, GROUPED, name="small"), fitted.report, {})
    assert "| held out, 20 rows | test, 8 rows |" in text
    assert "Nothing was fitted or chosen on the test rows." in text
    assert "On the test rows;" in text


def _sure(row_count: int) -> Fitted:
    """Predictions of which those over 0.8 are right, and of the others every second one."""
    dataset = some_rows(row_count)
    confidence = np.where(np.arange(row_count) % 4 < 2, 0.9, 0.6)
    guesses = np.where(np.arange(row_count) % 4 == 3, (dataset.targets + 1) % 3, dataset.targets)
    probabilities = np.repeat(((1 - confidence) / 2)[:, None], 3, axis=1)
    probabilities[np.arange(row_count), guesses] = confidence
    held_out = HeldOut(np.arange(row_count), probabilities.astype(np.float32))
    table = fit_precision(held_out.probabilities, dataset.targets, dataset.labels, "single", dataset.groups)
    return some_fitted(dataset, held_out=held_out, precision=table)


def test_what_each_precision_costs_is_told_from_rows_that_set_no_threshold_of_their_own() -> None:
    fitted = _sure(360)
    card = build_card(fitted, some_rows(360), GROUPED, name="small")
    assert parse_card(card.to_json(), "small.onnx").precision == fitted.precision
    points = {point["target"]: point for point in card.metrics["held_out"]["at_precision"]}
    assert points[0.9]["coverage"] == pytest.approx(0.5, abs=0.1)
    assert points[0.9]["accuracy"] > 0.9
    assert points[0.9]["labels"] == 3
    assert points[0.5]["coverage"] == 1
    assert points[0.5]["accuracy"] == pytest.approx(0.75)
    text = card_text(card, {}, {})
    assert "| 0.9 | 3 of 3 | 0." in text
    assert "by thresholds from the others" in text


def test_on_test_rows_the_thresholds_are_those_of_the_held_out_ones() -> None:
    fitted = _sure(720)
    rows, table = np.arange(360), fitted.held_out.probabilities
    tested = replace(fitted, held_out=HeldOut(rows, table[:360]), test=HeldOut(rows + 360, table[360:]))
    card = build_card(tested, some_rows(720), GROUPED, name="small")
    points = {point["target"]: point for point in card.metrics["test"]["at_precision"]}
    assert points[0.9]["unknown_count"] + points[0.9]["count"] == 360
    assert "On the test rows:" in card_text(card, {}, {})


def test_a_card_without_thresholds_by_precision_says_nothing_of_them() -> None:
    card = _card(some_rows())
    assert "at_precision" not in card.metrics["held_out"]
    assert "target" not in card_text(card, {}, {})


def test_without_test_rows_the_text_says_that_the_figures_flatter() -> None:
    text = card_text(_card(some_rows()), {}, {})
    assert "There is no separate test set" in text
    assert "are a little too good" in text


def test_without_any_rows_held_out_the_text_says_so() -> None:
    dataset = some_rows()
    nothing = HeldOut(np.empty(0, np.int64), np.empty((0, 3), np.float32))
    card = _card(dataset, held_out=nothing)
    assert "held_out" not in card.metrics
    assert "Not measured" in card_text(card, {}, {})


def test_what_was_left_out_and_what_was_not_tested_is_said() -> None:
    dataset = some_rows(12, group_size=3)
    card = _card(dataset)
    text = card_text(card, {}, {})
    assert "1 video could not be read" in text
    assert "2 rows without a label left out." in text
    said = "\n".join(cautions(card))
    assert "The figures are of 4 sources only" in said
    assert "cat (4), dog (4), car (4)" in said
    assert "Videos without visual" in text
    assert "Videos without audio" not in text  # every fifth row had none


def test_without_sources_the_text_warns_of_parts_of_one_recording_on_both_sides() -> None:
    said = "\n".join(cautions(_card(some_rows(), Provenance("clips", is_grouped=False))))
    assert "Nobody said which videos come from one source" in said


def test_labels_cannot_break_the_tables() -> None:
    labels = ("a|b", "*c*", "<script>")
    text = card_text(_card(some_rows(labels=labels)), {}, {})
    assert "a\\|b" in text
    assert "\\*c\\*" in text
    assert "\\<script\\>" in text
    rows = [line for line in text.splitlines() if line.startswith("| a\\|b |")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [8, 5]


def test_pictures_are_named_relative_to_the_card() -> None:
    text = card_text(_card(some_rows()), {}, {"confusion.png": "my cats_figures/confusion.png"})
    assert "![confusion matrix](my%20cats_figures/confusion.png)" in text
    assert "learning" not in text
    assert MARK in text


def test_a_thousand_labels_and_more_stay_readable_by_the_loader() -> None:
    labels = [f"label {number}" for number in range(1001)]
    dataset = some_rows(1500, labels=labels)
    probabilities = np.full((1500, 1001), 1 / 1001, np.float32)
    fitted = some_fitted(
        dataset, model=some_model(label_count=1001), held_out=HeldOut(np.arange(1500), probabilities)
    )
    card = build_card(fitted, dataset, GROUPED, name="many")
    assert len(card.to_json()) < 200_000
    assert "per_label" not in card.metrics["held_out"]
    assert "and 801 more" in card_text(card, {}, {})


def test_no_figure_of_the_document_is_nan() -> None:
    dataset = some_rows()
    fitted = some_fitted(dataset, report={"loss": float("nan"), "losses": [np.float32("inf")]})
    rows = np.array([0])  # one row of one source: neither intervals nor most recalls are defined
    alone = replace(fitted, held_out=HeldOut(rows, fitted.held_out.probabilities[rows]))
    card = build_card(alone, dataset, GROUPED, name="small")
    json.loads(card.to_json(), parse_constant=pytest.fail)
    assert card.recipe["loss"] is None
    assert "not defined" not in card_text(card, {}, {})

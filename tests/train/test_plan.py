"""What rows are for: no row is on two sides, no source is, and what the data says comes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.train.clusters import clusters, with_groups
from vidclf_cli.dataset import Dataset, Split
from vidclf_cli.errors import UsageError
from vidclf_cli.scoring import Task
from vidclf_train.plan import MOST_CROSS_VALIDATED_ROWS, Plan, blind_spots, held_out_rows, make_plan
from vidclf_train.recipe import LinearHead, Recipe

FOLDS = Recipe("folds", "", (1, 0, 0), 5, (LinearHead(),))
FOLDS_AND_TEST = replace(FOLDS, split_shares=(8, 1, 1))
PARTS = replace(FOLDS, split_shares=(8, 1, 1), folds=0)


def plan_of(dataset: Dataset, recipe: Recipe, rows: np.ndarray | None = None, seed: int = 0) -> Plan:
    return make_plan(dataset, np.arange(len(dataset)) if rows is None else rows, recipe, seed)


def final_rows(plan: Plan) -> np.ndarray:
    """Return what the classifier is trained on in the end."""
    return plan.folds[0].train if plan.final is None else plan.final


def groups_of(dataset: Dataset, rows: np.ndarray) -> set[str]:
    return {dataset.groups[row] for row in rows}


def marks(*parts: tuple[Split, int]) -> np.ndarray:
    return np.concatenate([np.full(count, split, np.uint8) for split, count in parts])


def assert_is_ascending(rows: np.ndarray) -> None:
    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize("recipe", [FOLDS, FOLDS_AND_TEST, PARTS])
@pytest.mark.parametrize("group_size", [1, 4])
@pytest.mark.parametrize("task", ["single", "multi"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_row_and_no_source_is_on_two_sides(recipe: Recipe, group_size: int, task: Task, seed: int) -> None:
    dataset = clusters(120, group_size=group_size, task=task)
    rows = np.flatnonzero(np.arange(120) % 11)
    plan = plan_of(dataset, recipe, rows, seed)
    for fold in plan.folds:
        assert not groups_of(dataset, fold.train) & groups_of(dataset, fold.held_out)
        assert_is_ascending(fold.train)
        assert_is_ascending(fold.held_out)
        assert len(fold.held_out)
    assert not groups_of(dataset, plan.test) & groups_of(dataset, final_rows(plan))
    held_out = held_out_rows(plan)
    assert len(np.unique(held_out)) == len(held_out)
    assert not set(plan.test) & set(held_out)
    everything = [final_rows(plan), held_out, plan.test]
    assert np.array_equal(np.unique(np.concatenate(everything)), rows)


def test_a_cross_validation_holds_every_row_out_and_trains_on_every_row_in_the_end() -> None:
    plan = plan_of(clusters(60), FOLDS)
    assert len(plan.folds) == 5
    assert plan.final is not None
    assert np.array_equal(plan.final, np.arange(60))
    assert np.array_equal(np.sort(held_out_rows(plan)), np.arange(60))
    assert not len(plan.test)
    assert plan.description == "5-fold cross-validation over 60 rows"


def test_a_recipe_without_folds_has_one_validation_part() -> None:
    dataset = clusters(100)
    plan = plan_of(dataset, PARTS)
    assert plan.final is None
    assert [len(plan.folds[0].train), len(plan.folds[0].held_out), len(plan.test)] == [80, 10, 10]
    assert plan.description == "80 rows train, 10 validate, 10 test (at random)"
    assert plan_of(clusters(100, group_size=5), PARTS).description.endswith("(by group)")


def test_the_seed_decides() -> None:
    dataset = clusters(60)
    assert np.array_equal(held_out_rows(plan_of(dataset, FOLDS)), held_out_rows(plan_of(dataset, FOLDS)))
    assert not np.array_equal(
        held_out_rows(plan_of(dataset, FOLDS)), held_out_rows(plan_of(dataset, FOLDS, seed=1))
    )


SPLITS = marks((Split.TEST, 10), (Split.TRAIN, 60), (Split.VALIDATION, 20), (Split.REST, 30))


def test_what_the_data_says_comes_first() -> None:
    dataset = clusters(120, splits=SPLITS)
    plan = plan_of(dataset, PARTS)
    assert np.array_equal(plan.folds[0].train, np.arange(10, 70))
    assert np.array_equal(plan.folds[0].held_out, np.arange(70, 90))
    assert np.array_equal(plan.test, [*range(10), *range(90, 120)])
    assert plan.description == "60 rows train, 20 validate, 40 test (as the data says)"


def test_a_cross_validation_leaves_the_datas_test_rows_alone() -> None:
    plan = plan_of(clusters(120, splits=SPLITS), FOLDS)
    assert np.array_equal(plan.test, [*range(10), *range(90, 120)])
    assert plan.final is not None
    assert np.array_equal(plan.final, np.arange(10, 90))
    assert np.array_equal(np.sort(held_out_rows(plan)), np.arange(10, 90))
    assert plan.description == "5-fold cross-validation over 80 rows, 40 more test it"


def test_rows_that_cannot_be_used_are_for_nothing_whatever_the_data_says() -> None:
    rows = np.arange(1, 120, 2)
    plan = plan_of(clusters(120, splits=SPLITS), FOLDS, rows)
    assert set(np.concatenate([final_rows(plan), plan.test])) == set(rows)


def test_data_without_validation_rows_gives_some_training_rows_for_it_and_no_test_row() -> None:
    dataset = clusters(120, group_size=2, splits=marks((Split.TRAIN, 90), (Split.TEST, 30)))
    plan = plan_of(dataset, PARTS)
    (fold,) = plan.folds
    assert [len(fold.train), len(fold.held_out)] == [80, 10]
    assert np.array_equal(np.union1d(fold.train, fold.held_out), np.arange(90))
    assert not groups_of(dataset, fold.train) & groups_of(dataset, fold.held_out)
    assert np.array_equal(plan.test, np.arange(90, 120))
    assert "names no rows to validate with" in plan.description


@pytest.mark.parametrize("recipe", [FOLDS, PARTS])
def test_data_that_keeps_every_row_from_training_is_refused_not_trained_on(recipe: Recipe) -> None:
    dataset = clusters(60, splits=marks((Split.TEST, 30), (Split.REST, 30)))
    with pytest.raises(UsageError, match="no row that can be used is there to train on"):
        plan_of(dataset, recipe)


@pytest.mark.parametrize("splits", [False, True])
def test_many_rows_have_a_single_validation_part(splits: bool) -> None:
    count = MOST_CROSS_VALIDATED_ROWS + 1
    marked = marks((Split.TRAIN, count - 500), (Split.TEST, 500)) if splits else None
    plan = plan_of(clusters(count, splits=marked), FOLDS)
    (fold,) = plan.folds
    assert plan.final is None
    assert len(fold.held_out) == pytest.approx(len(fold.train) / 8, rel=0.01)
    assert len(plan.test) == (500 if splits else len(fold.held_out))
    at_most = plan_of(clusters(count), FOLDS, np.arange(count - 1))
    assert len(at_most.folds) == 5


@pytest.mark.parametrize("recipe", [FOLDS, FOLDS_AND_TEST, PARTS])
def test_two_labels_with_three_clips_each_are_enough(recipe: Recipe) -> None:
    dataset = clusters(6, label_count=2)
    plan = plan_of(dataset, recipe)
    assert len(held_out_rows(plan))
    for rows in (final_rows(plan), *(fold.train for fold in plan.folds)):
        assert set(dataset.targets[rows]) == {0, 1}


@pytest.mark.parametrize("recipe", [FOLDS, PARTS])
@pytest.mark.parametrize("task", ["single", "multi"])
def test_one_label_alone_is_refused(recipe: Recipe, task: Task) -> None:
    targets = np.zeros(20, np.int32) if task == "single" else np.eye(2, dtype=np.uint8)[np.zeros(20, int)]
    with pytest.raises(UsageError, match="fewer than two labels"):
        plan_of(clusters(20, label_count=2, task=task, targets=targets), recipe)


def rows_of_sources(sources: Sequence[str]) -> Dataset:
    """The first letter of a source says the label."""
    targets = np.array(["ab".index(source[0]) for source in sources])
    return with_groups(clusters(len(sources), label_count=2, targets=targets), sources)


def test_a_label_with_one_source_is_always_trained_on_and_it_is_said_that_nothing_measures_it() -> None:
    dataset = rows_of_sources(["a1", "a1", "a2", "a2", "a3", "a3", "b1", "b1", "b1"])
    plan = plan_of(dataset, FOLDS)
    for fold in plan.folds:
        assert {6, 7, 8} <= set(fold.train)
    assert set(held_out_rows(plan)) == set(range(6))
    assert np.array_equal(plan.final, np.arange(9))
    (note,) = blind_spots(dataset, plan)
    assert "how well they are found is not known: label 1." in note


def test_where_every_label_has_one_source_all_rows_train_and_it_is_said() -> None:
    dataset = rows_of_sources(["a1", "a1", "b1", "b1"])
    plan = plan_of(dataset, FOLDS)
    (fold,) = plan.folds
    assert [len(fold.train), len(fold.held_out), len(plan.test)] == [4, 0, 0]
    assert plan.final is None
    (note,) = blind_spots(dataset, plan)
    assert "No row could be held out" in note


def test_labels_without_rows_are_named() -> None:
    dataset = clusters(60, label_count=9, targets=np.arange(60) % 4)
    (note,) = blind_spots(dataset, plan_of(dataset, FOLDS))
    assert "hardly ever given: label 4, label 5, label 6 and 2 more." in note
    assert blind_spots(clusters(60), plan_of(clusters(60), FOLDS)) == ()


@pytest.mark.parametrize("recipe", [FOLDS, PARTS])
def test_data_that_trains_and_tests_on_one_source_is_taken_at_its_word_and_that_is_said(
    recipe: Recipe,
) -> None:
    splits = marks((Split.TRAIN, 60), (Split.VALIDATION, 20), (Split.TEST, 40))
    torn = clusters(120, group_size=14, splits=splits)
    (note,) = blind_spots(torn, plan_of(torn, recipe))
    assert note.startswith("The data has rows of 1 of the sources both to learn from and to test with")
    whole = clusters(120, group_size=20, splits=splits)
    assert blind_spots(whole, plan_of(whole, recipe)) == ()


def test_a_label_that_every_row_has_is_named() -> None:
    targets = clusters(60, task="multi").targets.copy()
    targets[:, 1] = 1
    dataset = clusters(60, task="multi", targets=targets)
    (note,) = blind_spots(dataset, plan_of(dataset, FOLDS))
    assert note.endswith("nothing tells when one is missing: label 1.")

"""A head over the folds: what it says of a row comes from a training without that row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.train.clusters import clusters
from vidclf_cli.dataset import Dataset
from vidclf_cli.errors import OutputError
from vidclf_train import heads
from vidclf_train.batches import make_batches
from vidclf_train.device import choose_training_device
from vidclf_train.fit import fit_network, predict_logits
from vidclf_train.heads import HeadTraining, TrainedHead, scaled
from vidclf_train.linear import LinearProblem, fit_linear
from vidclf_train.plan import Fold, Plan, held_out_rows, make_plan
from vidclf_train.recipe import Head, LinearHead, NetworkHead, Recipe
from vidclf_train.selection import calibrated_loss

CPU = choose_training_device("cpu")
LINEAR = LinearHead((3.0, 0.3, 0.003))
WIDE = NetworkHead("wide", hidden=(16,), dropout=(0.2,), batch_size=16, epochs=3, peak_learning_rate=1e-2,
                   keep_best=False)  # fmt: skip


def plan_of(dataset: Dataset, folds: int = 3) -> Plan:
    shares = (1.0, 0.0, 0.0) if folds else (8.0, 1.0, 1.0)
    return make_plan(dataset, np.arange(len(dataset)), Recipe("r", "", shares, folds, ()), 0)


def train(
    dataset: Dataset, plan: Plan, head: Head, folder: Path | None = None
) -> tuple[TrainedHead, list[tuple[int, int]]]:
    steps: list[tuple[int, int]] = []
    training = HeadTraining(dataset, plan, 5, CPU, folder)
    return training.train(head, 0, lambda done, total: steps.append((done, total))), steps


def linear_logits(dataset: Dataset, fold: Fold, l2: float) -> NDArray[np.float32]:
    problem = LinearProblem(make_batches(dataset, fold.train), len(dataset.labels), dataset.task)
    (layer,) = fit_linear(problem, [l2])
    return predict_logits(layer, dataset, fold.held_out)


def test_held_out_logits_of_the_linear_head_are_those_of_a_training_without_the_rows() -> None:
    dataset = clusters(90, gap=1.5)
    plan = plan_of(dataset)
    trained, _ = train(dataset, plan, LinearHead((0.3,)))
    expected = np.concatenate([linear_logits(dataset, fold, 0.3) for fold in plan.folds])
    np.testing.assert_array_equal(trained.held_out, expected)
    with_all = Fold(np.arange(90), held_out_rows(plan))
    seen = np.concatenate(
        [linear_logits(dataset, Fold(with_all.train, fold.held_out), 0.3) for fold in plan.folds]
    )
    assert np.abs(trained.held_out - seen).max() > 0.1


def test_the_penalty_with_the_least_held_out_loss_is_chosen_and_trains_on_all_rows() -> None:
    dataset = clusters(90, gap=1.5)
    plan = plan_of(dataset)
    trained, _ = train(dataset, plan, LINEAR)
    targets = dataset.targets[held_out_rows(plan)]
    losses = {
        l2: calibrated_loss(
            np.concatenate([linear_logits(dataset, fold, l2) for fold in plan.folds]), targets, "single"
        )
        for l2 in LINEAR.l2
    }
    best = min(losses, key=lambda l2: losses[l2])
    assert trained.report["l2"] == best
    assert trained.report["held_out_loss"] == pytest.approx(losses[best], abs=2e-3)
    assert list(trained.report["losses_by_l2"]) == ["3", "0.3", "0.003"]
    (member,) = trained.members
    problem = LinearProblem(make_batches(dataset, np.arange(90)), 3, "single")
    (expected,) = fit_linear(problem, [best])
    torch.testing.assert_close(member.weight, expected.weight, atol=0.05, rtol=0)


@pytest.mark.parametrize("place", [0, 2])
def test_held_out_logits_of_a_network_are_those_of_a_training_without_the_rows(place: int) -> None:
    dataset = clusters(90)
    plan = plan_of(dataset)
    trained, _ = train(dataset, plan, WIDE)
    fold = plan.folds[place]
    alone = fit_network(dataset, fold.train, fold.held_out, WIDE, 5 + place, CPU)
    begin = sum(len(each.held_out) for each in plan.folds[:place])
    found = trained.held_out[begin : begin + len(fold.held_out)]
    np.testing.assert_array_equal(found, predict_logits(alone.network, dataset, fold.held_out))


def test_a_network_is_trained_once_more_on_all_rows_and_has_a_curve_per_fold() -> None:
    dataset = clusters(90)
    trained, _ = train(dataset, plan_of(dataset), WIDE)
    (member,) = trained.members
    final = fit_network(dataset, np.arange(90), np.arange(0), WIDE, 5 + 3, CPU)
    assert torch.equal(member[0].weight, final.network[0].weight)  # type: ignore[index]
    assert [curve.name for curve in trained.curves] == ["wide, fold 1", "wide, fold 2", "wide, fold 3"]
    assert {curve.best_epoch for curve in trained.curves} == {2}


@pytest.mark.parametrize("head", [LINEAR, WIDE])
def test_with_one_validation_part_what_was_judged_is_kept(head: Head) -> None:
    dataset = clusters(90)
    plan = plan_of(dataset, folds=0)
    trained, steps = train(dataset, plan, head)
    (member,) = trained.members
    found = predict_logits(member, dataset, plan.folds[0].held_out)
    np.testing.assert_array_equal(found, trained.held_out)
    assert steps == [(1, 1)]


@pytest.mark.parametrize("head", [LINEAR, WIDE])
def test_every_training_is_told_of(head: Head) -> None:
    dataset = clusters(60)
    assert train(dataset, plan_of(dataset), head)[1] == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("head", [LinearHead((0.01, 10.0, 1.0)), WIDE])
def test_where_nothing_is_held_out_no_loss_is_claimed_and_the_strongest_penalty_is_taken(head: Head) -> None:
    dataset = clusters(12)
    plan = Plan((Fold(np.arange(12), np.arange(0)),), None, np.arange(0), "all rows train")
    trained, _ = train(dataset, plan, head)
    assert trained.held_out.shape == (0, 3)
    assert trained.report["held_out_loss"] is None
    assert trained.report.get("l2", 10.0) == 10.0
    assert trained.curves == ()
    json.dumps(dict(trained.report), allow_nan=False)


@pytest.mark.parametrize("head", [LINEAR, WIDE])
def test_the_report_is_json_and_has_the_settings(head: Head) -> None:
    dataset = clusters(60)
    trained, _ = train(dataset, plan_of(dataset), head)
    report = json.loads(json.dumps(dict(trained.report), allow_nan=False))
    assert 0 < report["held_out_loss"] < 1.2
    assert report["kind"] == trained.name == getattr(head, "kind", "linear")


def test_a_folder_for_checkpoints_that_cannot_be_made_is_said_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    dataset = clusters(30)
    with pytest.raises(OutputError, match=r"file/state cannot be written .* keep checkpoints elsewhere"):
        train(dataset, plan_of(dataset), WIDE, tmp_path / "file" / "state")


def test_every_part_has_a_checkpoint_of_its_own_and_goes_on_from_it(tmp_path: Path) -> None:
    dataset = clusters(60)
    first, _ = train(dataset, plan_of(dataset), WIDE, tmp_path / "new" / "folder")
    names = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert names == [f"head-0-part-{place}.pt" for place in range(4)]
    assert first.notes == ()
    again, _ = train(dataset, plan_of(dataset), WIDE, tmp_path / "new" / "folder")
    np.testing.assert_array_equal(again.held_out, first.held_out)
    assert len(again.notes) == 4


def test_a_network_sees_very_many_rows_fewer_times_in_larger_minibatches() -> None:
    head = replace(WIDE, epochs=20, batch_size=8, warmup_epochs=1.0)
    assert scaled(head, 20_000) == head
    few = replace(head, least_steps=100, batch_size=10, epochs=3)
    assert [scaled(few, count).epochs for count in (5, 95, 101, 1000)] == [100, 10, 10, 3]
    assert scaled(head, 20_001) == replace(head, batch_size=256)
    assert scaled(head, 500_000) == replace(head, batch_size=256, epochs=4, warmup_epochs=0.4)
    assert scaled(head, 50_000_000) == replace(head, batch_size=256, epochs=2, warmup_epochs=0.2)
    assert scaled(replace(head, batch_size=1024, epochs=1), 50_000_000).batch_size == 1024
    assert scaled(replace(head, epochs=1), 50_000_000).epochs == 1


def test_a_network_sees_few_rows_often_enough_and_paper_recipes_as_often_as_they_say() -> None:
    head = replace(WIDE, least_steps=150, epochs=12, batch_size=96)
    assert scaled(head, 60) == replace(head, epochs=150)
    assert scaled(head, 400) == replace(head, epochs=30)
    assert scaled(head, 2000) == head
    assert scaled(replace(head, least_steps=0), 60).epochs == 12
    # That is what the recipe says, and no news.
    trained, _ = train(clusters(60), plan_of(clusters(60)), replace(WIDE, least_steps=16))
    assert trained.report["epochs"] == 4
    assert trained.notes == ()


def test_where_a_recipe_is_scaled_the_report_has_what_was_done_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heads, "_MANY_ROWS", 50)
    monkeypatch.setattr(heads, "_MOST_ROWS_SEEN", 150)
    dataset = clusters(90)
    trained, _ = train(dataset, plan_of(dataset, folds=0), WIDE)
    assert (trained.report["epochs"], trained.report["batch_size"]) == (2, 256)
    assert len(trained.curves[0].train_loss) == 2
    assert trained.notes == (
        "With so many rows wide trains for 2 epochs in minibatches of 256; the recipe says 3 and 16.",
    )

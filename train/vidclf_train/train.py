"""From labelled vectors to a calibrated classifier: heads compared on held-out rows, mixed, calibrated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.precision import fit_precision
from vidclf_train.batches import row_blocks
from vidclf_train.calibrate import Bars, cross_calibrated, fit_bars, fit_temperature, mix_logits
from vidclf_train.dataset import usable_rows
from vidclf_train.device import choose_training_device
from vidclf_train.fitted import Fitted, HeldOut
from vidclf_train.heads import HeadTraining, TrainedHead
from vidclf_train.model import Ensemble
from vidclf_train.plan import Numbers, Plan, blind_spots, held_out_rows, make_plan
from vidclf_train.recipe import Recipe
from vidclf_train.selection import choose_weights

_TEST_ROWS = 4096
_CALIBRATION_PARTS = 5

Progress = Callable[[str, int, int], None]
"""Told what is being trained, how many parts of it are done, and how many there are."""


def train_classifier(
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "auto",
    checkpoint_folder: Path | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Train a classifier by a recipe.

    Every head of the recipe is trained on each fold and held against the fold's other rows. The mix of heads
    with the least loss there is kept, its temperature and bars are fitted there, and its heads are trained
    once more on all of the folds' rows.

    Args:
        dataset: Labelled vectors, in memory or in a file of any size.
        recipe: What is trained, and how.
        seed: The same data, recipe, seed and device give the same classifier.
        device: `auto`, `cpu` or `cuda`.
        checkpoint_folder: Where networks keep their state, so that a killed training goes on.
        progress: Told how far it is.

    Raises:
        UsageError: The data cannot be trained on, or the device is not there.
        VidclfError: Training failed: its loss is no number.
    """
    begun = time.perf_counter()
    where = choose_training_device(device)
    rows, notes = usable_rows(dataset)
    if not len(rows):
        raise UsageError("No row has anything in any space.", "Embed the videos first.")
    plan = make_plan(dataset, rows, recipe, seed)
    training = HeadTraining(dataset, plan, seed, where, checkpoint_folder)
    heads = []
    for number, head in enumerate(recipe.heads):
        name = f"{number + 1}/{len(recipe.heads)} {getattr(head, 'kind', 'linear')}"

        def on_step(done: int, total: int, name: str = name) -> None:
            if progress:
                progress(name, done, total)

        heads.append(training.train(head, number, on_step))
    weights = _weights(dataset, plan, heads)
    model, bars, held_out = _calibrate(dataset, plan, heads, weights)
    notes += blind_spots(dataset, plan) + tuple(dict.fromkeys(note for each in heads for note in each.notes))
    report = {
        "recipe": recipe.name,
        "split": plan.description,
        "heads": [{**each.report, "weight": weight} for each, weight in zip(heads, weights, strict=True)],
        "device": f"{where.name}: {where.reason}",
        "seconds": round(time.perf_counter() - begun, 2),
        "notes": list(notes),
    }
    return Fitted(
        model=model,
        spaces=tuple(dataset.vectors),
        labels=dataset.labels,
        task=dataset.task,
        temperature=model.temperature,
        thresholds=bars.per_label,
        min_confidence=bars.otherwise,
        held_out=held_out,
        test=_test(dataset, model, plan.test),
        curves=tuple(
            curve for each, weight in zip(heads, weights, strict=True) if weight for curve in each.curves
        ),
        report=report,
        precision=fit_precision(
            held_out.probabilities,
            dataset.targets[held_out.rows],
            dataset.labels,
            dataset.task,
            [dataset.groups[row] for row in held_out.rows],
        ),
    )


def _weights(dataset: Dataset, plan: Plan, heads: Sequence[TrainedHead]) -> tuple[float, ...]:
    targets = dataset.targets[held_out_rows(plan)]
    return choose_weights([each.held_out for each in heads], targets, dataset.task)


def _calibrate(
    dataset: Dataset, plan: Plan, heads: Sequence[TrainedHead], weights: Sequence[float]
) -> tuple[Ensemble, Bars, HeldOut]:
    """Return the calibrated model, its bars, and its predictions on the held-out rows, in their order."""
    rows = held_out_rows(plan)
    targets = dataset.targets[rows]
    logits = mix_logits([each.held_out for each in heads], weights, dataset.task)
    sources = np.unique([dataset.groups[row] for row in rows], return_inverse=True)[1]
    temperature = fit_temperature(logits, targets, dataset.task, sources)
    parts = _calibration_parts(plan, sources)
    probabilities = cross_calibrated(logits, targets, parts, dataset.task, sources)
    bars = fit_bars(probabilities, targets, dataset.labels, dataset.task)
    members = [
        (member, weight / len(each.members))
        for each, weight in zip(heads, weights, strict=True)
        if weight > 0
        for member in each.members
    ]
    dimensions = [table.shape[1] for table in dataset.vectors.values()]
    model = Ensemble(
        dimensions,
        [member for member, _ in members],
        [weight for _, weight in members],
        dataset.task,
        temperature,
    )
    order = np.argsort(rows, kind="stable")
    return model.eval(), bars, HeldOut(rows[order], probabilities[order])


def _calibration_parts(plan: Plan, sources: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the part of each held-out row whose temperature comes from the others: its fold, if several."""
    if len(plan.folds) > 1:
        return np.repeat(np.arange(len(plan.folds)), [len(fold.held_out) for fold in plan.folds])
    return sources % _CALIBRATION_PARTS


def _test(dataset: Dataset, model: Ensemble, rows: Numbers) -> HeldOut | None:
    if not len(rows):
        return None
    return HeldOut(rows, predict(model, dataset, rows))


def predict(model: Ensemble, dataset: Dataset, rows: Numbers) -> NDArray[np.float32]:
    """Return calibrated probabilities, shape (rows, labels), for ascending row numbers of a dataset."""
    found: list[Any] = [np.empty((0, len(dataset.labels)), np.float32)]
    with torch.inference_mode():
        for block in row_blocks(rows, _TEST_ROWS):
            tables = [np.require(table[block], np.float32, "W") for table in dataset.vectors.values()]
            found.append(model(*(torch.from_numpy(table) for table in tables))[1].numpy())
    return np.concatenate(found)

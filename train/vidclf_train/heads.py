"""One head of a recipe over all folds: trained, held against the rows it never saw, trained once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vidclf_cli.dataset import Dataset
from vidclf_train.batches import MEMORY_BYTES, batch_sizes, make_batches
from vidclf_train.checkpoint import make_folder
from vidclf_train.device import TrainingDevice
from vidclf_train.fit import FittedNetwork, fit_network, predict_logits
from vidclf_train.fitted import Curve
from vidclf_train.linear import LinearProblem, fit_linear
from vidclf_train.memory import kept_memory
from vidclf_train.plan import Fold, Plan, held_out_rows
from vidclf_train.recipe import Head, LinearHead, NetworkHead
from vidclf_train.selection import calibrated_loss
from vidclf_train.side_by_side import Check, run_side_by_side

_MOST_ROWS_SEEN = 2_000_000
"""Rows times epochs: a network on millions of rows has seen enough after a few passes."""

_LEAST_EPOCHS = 2
_MANY_ROWS = 20_000
_LARGE_BATCH = 256

OnStep = Callable[[int, int], None]
"""Told how many steps are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class TrainedHead:
    """A head that was trained on every fold.

    Attributes:
        name: For people.
        held_out: Logits of the plan's held-out rows, in the order of the folds, shape (rows, labels).
        members: What goes into the classifier, in equal shares.
        curves: How networks went.
        report: JSON-able: settings and scores.
        notes: What a person should know.
    """

    name: str
    held_out: NDArray[np.float32]
    members: tuple[nn.Module, ...]
    curves: tuple[Curve, ...]
    report: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class HeadTraining:
    """Trains heads on a dataset by a plan.

    Args:
        dataset: The data.
        plan: What its rows are for.
        seed: Of everything random.
        device: Where networks are trained.
        checkpoint_folder: Where they keep their state; None keeps none.
    """

    def __init__(
        self,
        dataset: Dataset,
        plan: Plan,
        seed: int,
        device: TrainingDevice,
        checkpoint_folder: Path | None,
    ) -> None:
        self._dataset = dataset
        self._plan = plan
        self._seed = seed
        self._device = device
        self._checkpoint_folder = checkpoint_folder

    def train(self, head: Head, number: int, on_step: OnStep) -> TrainedHead:
        """Train one head.

        Args:
            head: From the recipe.
            number: Its place there, which names its checkpoints.
            on_step: Told of every training that ended.

        Raises:
            UsageError: The head does not go with the data.
            VidclfError: Its training failed.
        """
        if isinstance(head, LinearHead):
            return self._train_linear(head, on_step)
        return self._train_network(head, number, on_step)

    def _train_linear(self, head: LinearHead, on_step: OnStep) -> TrainedHead:
        folds = self._folds()

        def train(fold: Fold, check: Check) -> tuple[list[nn.Linear], list[NDArray[np.float32]]]:
            batches = make_batches(self._dataset, fold.train, self._device.name)
            problem = LinearProblem(batches, len(self._dataset.labels), self._dataset.task)
            fitted = fit_linear(problem, head.l2, self._device.name, check)
            return fitted, [predict_logits(each, self._dataset, fold.held_out) for each in fitted]

        trained = run_side_by_side(
            [partial(train, fold) for fold in folds],
            self._width(folds),
            lambda done: on_step(done, len(folds)),
        )
        tried = [np.concatenate([logits[choice] for _, logits in trained]) for choice in range(len(head.l2))]
        losses = [self._loss(each) for each in tried]
        # Where nothing is held out, nothing speaks for a weaker penalty than the strongest.
        best = int(np.argmin(losses)) if len(tried[0]) else int(np.argmax(head.l2))
        l2 = head.l2[best]
        member = trained[-1][0][best]
        scores = {f"{strength:g}": _rounded(loss) for strength, loss in zip(head.l2, losses, strict=True)}
        report = {
            "kind": "linear", "l2": l2, "held_out_loss": _rounded(losses[best]), "losses_by_l2": scores,
        }  # fmt: skip
        return TrainedHead("linear", tried[best], (member,), (), report)

    def _train_network(self, head: NetworkHead, number: int, on_step: OnStep) -> TrainedHead:
        folds = self._folds()
        row_count = max(len(fold.train) for fold in folds)
        used = scaled(head, row_count)
        notes: list[str] = []
        if row_count > _MANY_ROWS and used != head:
            notes.append(
                f"With so many rows {head.kind} trains for {used.epochs} epochs in minibatches of "
                f"{used.batch_size}; the recipe says {head.epochs} and {head.batch_size}."
            )

        def train(place: int, fold: Fold, check: Check) -> tuple[FittedNetwork, NDArray[np.float32]]:
            fitted = fit_network(
                self._dataset,
                fold.train,
                fold.held_out,
                used,
                self._seed + place,
                self._device,
                self._checkpoint(number, place),
                on_step=check,
            )
            return fitted, predict_logits(fitted.network, self._dataset, fold.held_out)

        with kept_memory():
            trained = run_side_by_side(
                [partial(train, place, fold) for place, fold in enumerate(folds)],
                self._width(folds),
                lambda done: on_step(done, len(folds)),
            )
        held_out = np.concatenate([logits for _, logits in trained])
        curves = [
            replace(fitted.curve, name=f"{head.kind}, fold {place}")
            for place, ((fitted, _), fold) in enumerate(zip(trained, folds, strict=True), start=1)
            if len(fold.held_out)
        ]
        notes += [note for fitted, _ in trained for note in fitted.notes]
        report = {**asdict(used), "held_out_loss": _rounded(self._loss(held_out))}
        member = trained[-1][0].network
        return TrainedHead(head.kind, held_out, (member,), tuple(curves), report, tuple(notes))

    def _folds(self) -> list[Fold]:
        """Return the folds, and last what the classifier gets: trained on all rows, or in the only fold."""
        folds = list(self._plan.folds)
        if self._plan.final is not None:
            folds.append(Fold(self._plan.final, np.empty(0, np.int64)))
        return folds

    def _width(self, folds: Sequence[Fold]) -> int:
        """Return how many folds may be trained at a time: one per thread, as far as memory goes."""
        if self._device.name != "cpu":
            return 1
        dimension = sum(table.shape[1] for table in self._dataset.vectors.values())
        size = 4 * dimension * max(len(fold.train) for fold in folds)
        return max(1, min(torch.get_num_threads(), len(folds), MEMORY_BYTES // max(size, 1)))

    def _checkpoint(self, number: int, place: int) -> Path | None:
        if self._checkpoint_folder is None:
            return None
        make_folder(self._checkpoint_folder)
        return self._checkpoint_folder / f"head-{number}-part-{place}.pt"

    def _loss(self, logits: NDArray[np.float32]) -> float:
        """Return the loss on the held-out rows; NaN when there are none."""
        rows = held_out_rows(self._plan)
        return calibrated_loss(logits, self._dataset.targets[rows], self._dataset.task)


def _rounded(loss: float) -> float | None:
    return None if np.isnan(loss) else round(loss, 4)


def scaled(head: NetworkHead, row_count: int) -> NetworkHead:
    """Return the head with more epochs for few rows, fewer and larger minibatches for very many."""
    if row_count <= _MANY_ROWS:
        steps = len(batch_sizes(row_count, head.batch_size))
        return replace(head, epochs=max(head.epochs, -(-head.least_steps // max(steps, 1))))
    epochs = min(head.epochs, max(_LEAST_EPOCHS, round(_MOST_ROWS_SEEN / row_count)))
    return replace(
        head,
        epochs=epochs,
        warmup_epochs=min(head.warmup_epochs, epochs / 10),
        batch_size=max(head.batch_size, _LARGE_BATCH),
    )

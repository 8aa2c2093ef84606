"""Training of one network: AdamW, warm-up and cosine, the best epoch by validation loss or the last one."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from vidclf_cli.dataset import Dataset
from vidclf_cli.errors import UsageError, VidclfError
from vidclf_cli.scoring import Task
from vidclf_train.augment import add_noise, drop_modalities, mix_rows
from vidclf_train.batches import batch_sizes, make_batches, read_unit_rows, row_blocks, sampled_blocks
from vidclf_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from vidclf_train.device import TrainingDevice
from vidclf_train.fitted import Curve
from vidclf_train.networks import Dropout, build_network
from vidclf_train.recipe import NetworkHead
from vidclf_train.schedule import learning_rate

CHECKPOINT_SECONDS = 10.0
"""Least time between two checkpoints: what a killed run loses at most, beside the epoch it was in."""

_EVALUATION_ROWS = 1024
_DIGEST_ROWS = 65_536  # Of a larger dataset so many rows, spread evenly, stand for all.

_BUILDING = threading.Lock()  # Weights are drawn from the generator of the whole process.

OnEpoch = Callable[[int, int], None]
"""Called after each epoch with the number of epochs done, and of all."""


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A trained network.

    Attributes:
        network: With the weights of the epoch that was kept, in evaluation mode, on the CPU.
        curve: How it went.
        best_epoch: Index of the epoch whose weights it has.
        seconds: What training took, all its sittings together.
        notes: What a person should know, such as that it went on from a checkpoint.
    """

    network: nn.Module
    curve: Curve
    best_epoch: int
    seconds: float
    notes: tuple[str, ...]


def fit_network(
    dataset: Dataset,
    train_rows: NDArray[np.int64],
    validation_rows: NDArray[np.int64],
    head: NetworkHead,
    seed: int,
    device: TrainingDevice,
    checkpoint: Path | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: Callable[[], None] | None = None,
) -> FittedNetwork:
    """Train a network on the concatenated unit vectors of all spaces of the dataset.

    The same arguments give the same weights on the same machine with the same number of threads (sums are
    rounded in another order otherwise), also when a run was killed and goes on from its checkpoint.

    Args:
        dataset: In memory or in a file.
        train_rows: Ascending row numbers, at least 2.
        validation_rows: Ascending; the epoch with the least loss on them is kept, unless the head keeps the
            last in any case; without any, the last.
        head: What to train, and how.
        seed: Of weights, order, dropout and augmentation.
        device: Where, and in which precision.
        checkpoint: File that is written between epochs and read first when it is there. It stays at the end,
            with the kept weights only: the same call returns at once.
        on_epoch: Told of every epoch.
        on_step: Called after each minibatch; may raise to end the training.

    Raises:
        UsageError: There are fewer than two rows, or the recipe asks for what does not go with the data.
        VidclfError: The loss is no longer a number.
        OutputError: The checkpoint cannot be written.
    """
    if len(train_rows) < 2:
        raise UsageError(
            f"{len(train_rows)} row(s) are left to train on.", "Training needs two at the very least."
        )
    if head.class_balanced and dataset.task == "multi":
        raise UsageError("`class_balanced` is for data with one label per row.", "Take it out of the recipe.")
    training = _Training(dataset, train_rows, validation_rows, head, seed, device)
    notes = training.resume(checkpoint) if checkpoint else ()
    while training.epoch_count < head.epochs:
        training.run_epoch(on_step)
        if checkpoint:
            training.save_if_due(checkpoint)
        if on_epoch:
            on_epoch(training.epoch_count, head.epochs)
    return training.result(notes)


def predict_logits(
    network: nn.Module, dataset: Dataset, rows: NDArray[np.int64], device: str = "cpu"
) -> NDArray[np.float32]:
    """Return the logits of some rows in evaluation mode, shape (rows, labels).

    Args:
        network: From the concatenated unit vectors of the dataset's spaces; on the device.
        dataset: In memory or in a file.
        rows: Ascending row numbers.
        device: Where the network is.
    """
    found = [np.empty((0, len(dataset.labels)), np.float32)]
    network.eval()
    with torch.inference_mode():
        for block in row_blocks(rows, _EVALUATION_ROWS):
            inputs = read_unit_rows(dataset, block).to(device)
            found.append(network(inputs).float().cpu().numpy())
    return np.concatenate(found)


class _Training:
    """The state of a training: network, optimiser, and the weights to keep so far."""

    def __init__(
        self,
        dataset: Dataset,
        train_rows: NDArray[np.int64],
        validation_rows: NDArray[np.int64],
        head: NetworkHead,
        seed: int,
        device: TrainingDevice,
    ) -> None:
        self._begun = self._saved = time.perf_counter()
        self._seconds_before = 0.0
        self.epoch_count = 0
        self._head = head
        self._task: Task = dataset.task
        self._label_count = len(dataset.labels)
        self._seed = seed
        self._device = device
        self._batches = make_batches(dataset, train_rows, device.name)
        self._validation = make_batches(dataset, validation_rows, device.name)
        self._class_weights = (
            _class_weights(dataset, train_rows).to(device.name) if head.class_balanced else None
        )
        self._data = (dataset, train_rows, validation_rows)
        with _BUILDING, torch.random.fork_rng([]):
            torch.manual_seed(self._derived_seed(0))
            self._network = build_network(
                head.kind,
                sum(self._batches.dimensions),
                self._label_count,
                hidden=head.hidden,
                dropout=head.dropout,
            ).to(device.name)
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=head.peak_learning_rate, weight_decay=head.weight_decay, fused=True
        )
        self._curve: dict[str, list[float]] = {
            "train_loss": [], "validation_loss": [], "validation_accuracy": [],
        }  # fmt: skip
        self._best_epoch = 0
        self._best: dict[str, Tensor] = {}

    def run_epoch(self, on_step: Callable[[], None] | None) -> None:
        """Train on every row once, then look at the validation rows."""
        train_loss = self._train(on_step)
        loss, accuracy = self._evaluate()
        if not np.isfinite(train_loss) or not (np.isfinite(loss) or not self._validation.row_count):
            raise VidclfError(
                f"Training of {self._head.kind} failed in epoch {self.epoch_count + 1}: "
                f"its loss is {train_loss:.3g} on the training rows and {loss:.3g} on the validation rows.",
                "Lower `peak_learning_rate` in the recipe.",
            )
        for name, value in (
            ("train_loss", train_loss), ("validation_loss", loss), ("validation_accuracy", accuracy),
        ):  # fmt: skip
            self._curve[name].append(value)
        losses = self._curve["validation_loss"]
        # Without validation rows every loss is NaN, and the last epoch is the best.
        if not self._head.keep_best or not loss >= min(losses[:-1], default=float("inf")):
            self._best_epoch = self.epoch_count
            self._best = copy.deepcopy(dict(self._network.state_dict()))
        self.epoch_count += 1

    def _train(self, on_step: Callable[[], None] | None) -> float:
        head, device = self._head, self._device
        self._network.train()
        # Random numbers begin anew in every epoch, so that a training can go on after any of them.
        self._set_dropout_generator(torch.Generator(device.name).manual_seed(self._derived_seed(1)))
        generator = torch.Generator(device.name).manual_seed(self._derived_seed(2))
        cpu_generator = torch.Generator().manual_seed(self._derived_seed(3))
        order = self._batches.shuffled(head.batch_size, self._derived_seed(4))
        steps_per_epoch = len(batch_sizes(self._batches.row_count, head.batch_size))
        step = self.epoch_count * steps_per_epoch
        total = torch.zeros((), device=device.name)
        for inputs, targets in order:
            rate = learning_rate(
                step,
                head.epochs * steps_per_epoch,
                round(head.warmup_epochs * steps_per_epoch),
                head.peak_learning_rate,
                head.final_learning_rate,
            )
            for group in self._optimiser.param_groups:
                group["lr"] = rate
            total += self._step(inputs, targets, generator, cpu_generator) * len(inputs)
            step += 1
            if on_step:
                on_step()
        return float(total) / self._batches.row_count

    def _set_dropout_generator(self, generator: torch.Generator | None) -> None:
        for module in self._network.modules():
            if isinstance(module, Dropout):
                module.generator = generator

    def _step(
        self, inputs: Tensor, targets: Tensor, generator: torch.Generator, cpu_generator: torch.Generator
    ) -> Tensor:
        head = self._head
        parts = list(torch.split(inputs, list(self._batches.dimensions), dim=1))
        if head.mixup:
            parts, targets = mix_rows(parts, self._shares(targets), head.mixup, cpu_generator)
        parts = [add_noise(part, head.noise, generator) for part in parts]
        parts = drop_modalities(parts, head.modality_dropout, generator)
        with torch.autocast(
            self._device.name, self._device.dtype, enabled=self._device.dtype != torch.float32
        ):
            logits = self._network(torch.cat(parts, dim=1))
        loss = self._loss(logits.float(), targets)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped.
        nn.utils.clip_grad_norm_(self._network.parameters(), head.clip_norm)
        self._optimiser.step()
        return loss.detach()

    def _shares(self, targets: Tensor) -> Tensor:
        if self._task == "multi":
            return targets
        return one_hot(targets, self._label_count).float()

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        smoothing = self._head.label_smoothing
        if self._task == "single":
            return cross_entropy(logits, targets, self._class_weights, label_smoothing=smoothing)
        return binary_cross_entropy_with_logits(logits, targets * (1 - smoothing) + smoothing / 2)

    def _evaluate(self) -> tuple[float, float]:
        """Return loss and accuracy on the validation rows; NaN when there are none."""
        self._network.eval()
        loss = right = torch.zeros((), dtype=torch.float64, device=self._device.name)
        with torch.inference_mode():
            for inputs, targets in self._validation.ordered(_EVALUATION_ROWS):
                logits = self._network(inputs)
                if self._task == "single":
                    loss = loss + cross_entropy(logits, targets, reduction="sum")
                    right = right + (logits.argmax(dim=1) == targets).sum()
                else:
                    each = binary_cross_entropy_with_logits(logits, targets, reduction="none")
                    loss = loss + each.mean(dim=1).sum()
                    right = right + ((logits > 0) == (targets > 0)).float().mean(dim=1).sum()
        if not self._validation.row_count:
            return float("nan"), float("nan")
        return float(loss) / self._validation.row_count, float(right) / self._validation.row_count

    def resume(self, path: Path) -> tuple[str, ...]:
        """Go on from a checkpoint if there is one that fits; return what a person should know."""
        found, note = load_checkpoint(path, self._made_by, self._device.name)
        if found:
            if found.epoch_count < self._head.epochs:
                self._network.load_state_dict(found.network)
                self._optimiser.load_state_dict(dict(found.optimiser))
            self._best = dict(found.best_network)
            self._curve = {name: list(values) for name, values in found.curve.items()}
            self._best_epoch, self.epoch_count = found.best_epoch, found.epoch_count
            self._seconds_before = found.seconds
            if found.epoch_count >= self._head.epochs:
                note = f"Parts that were finished before are taken over from {path.parent}."
        return (note,) if note else ()

    def save_if_due(self, path: Path) -> None:
        """Write a checkpoint at the end, or when the last one is old."""
        is_finished = self.epoch_count == self._head.epochs
        if not is_finished and time.perf_counter() - self._saved < CHECKPOINT_SECONDS:
            return
        state = Checkpoint(
            epoch_count=self.epoch_count,
            network={} if is_finished else self._network.state_dict(),
            optimiser={} if is_finished else self._optimiser.state_dict(),
            best_network=self._best,
            curve=self._curve,
            best_epoch=self._best_epoch,
            seconds=self._seconds(),
        )
        save_checkpoint(path, self._made_by, state)
        self._saved = time.perf_counter()

    def result(self, notes: tuple[str, ...]) -> FittedNetwork:
        """Return the network with the weights that were kept."""
        self._network.load_state_dict(self._best)
        self._set_dropout_generator(None)  # The network can be copied again.
        curve = Curve(self._head.kind, **self._curve, best_epoch=self._best_epoch)
        return FittedNetwork(self._network.cpu().eval(), curve, self._best_epoch, self._seconds(), notes)

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._begun

    def _derived_seed(self, purpose: int) -> int:
        sequence = np.random.SeedSequence([self._seed, purpose, self.epoch_count])
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    @cached_property
    def _made_by(self) -> dict[str, str]:
        """What decides the weights, by the names that a message uses."""
        return {
            "recipe": json.dumps(asdict(self._head), sort_keys=True),
            "seed": str(self._seed),
            "data": _digest(*self._data),
            "device": f"{self._device.name} {self._device.dtype}",
            "version of torch": str(torch.__version__),
        }


def _class_weights(dataset: Dataset, rows: NDArray[np.int64]) -> Tensor:
    """Return one weight per label that makes all labels count the same; 1 on average over the rows."""
    counts = np.bincount(dataset.targets[rows], minlength=len(dataset.labels))
    weights = len(rows) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.from_numpy(weights.astype(np.float32))


def _digest(dataset: Dataset, train_rows: NDArray[np.int64], validation_rows: NDArray[np.int64]) -> str:
    """Return a fingerprint of what is trained on; of a very large dataset some rows stand for all."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([dataset.labels, dataset.task, list(dataset.vectors)]).encode())
    for rows in (train_rows, validation_rows):
        digest.update(rows.astype("<i8").tobytes())
        digest.update(np.ascontiguousarray(dataset.targets[rows]).tobytes())
        for block in sampled_blocks(rows, _DIGEST_ROWS):
            digest.update(read_unit_rows(dataset, block).numpy().tobytes())
    return digest.hexdigest()

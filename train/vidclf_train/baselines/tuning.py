"""The training loop of a fine-tuning: epochs that can be interrupted, the best one kept."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vidclf_cli.errors import UsageError, VidclfError
from vidclf_train.baselines.clip_table import Clips
from vidclf_train.baselines.frame_store import FrameStore
from vidclf_train.baselines.processing import Processing
from vidclf_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from vidclf_train.device import TrainingDevice
from vidclf_train.fitted import Curve
from vidclf_train.schedule import learning_rate

_GRADIENT_NORM = 1.0  # as transformers' Trainer clips by default
_WARMUP_SHARE = 0.1
# Seeds of epochs stay apart for every seed that a person gives.
_EPOCHS_PER_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class Plan:
    """How a network is fine-tuned.

    Attributes:
        epoch_count: Passes over the training clips.
        batch_size: Clips that go through the network together.
        accumulation: Batches whose gradients are added up before a step.
        learning_rate: Peak: after a linear warm-up over a tenth of the steps, then half a cosine to 0.
        seed: Of the order of clips and of the head's first weights.
    """

    epoch_count: int = 10
    batch_size: int = 8
    accumulation: int = 1
    learning_rate: float = 1e-4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Seconds:
    """What a clip costs, one number per batch (forward) or optimiser step (training)."""

    forward: list[float] = field(default_factory=list)
    training: list[float] = field(default_factory=list)


class Tuning:
    """Fine-tunes a network.

    Args:
        model: Takes `pixel_values`, returns an object with `logits`.
        store: Holds the clips' frames.
        processing: What is done to frames.
        device: Where it runs.
        plan: How.
        checkpoint: Written after each epoch; a run that finds it there goes on from it.
        made_by: What decides the training, for the checkpoint.

    Attributes:
        curve: What was done so far.
        seconds: What a clip costs, of this process's batches.
        total_seconds: Spent on epochs, in all sittings.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        store: FrameStore,
        processing: Processing,
        device: TrainingDevice,
        plan: Plan,
        checkpoint: Path,
        made_by: Mapping[str, str],
    ) -> None:
        self.curve = Curve("TimeSformer", [], [], [], 0)
        self.seconds = Seconds()
        self.total_seconds = 0.0
        self._model = model.to(device.name)
        self._store = store
        self._processing = processing
        self._device = device
        self._plan = plan
        self._checkpoint = checkpoint
        self._made_by = made_by
        self._best: dict[str, torch.Tensor] = {}
        self._optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, fused=True)

    @property
    def epoch_count(self) -> int:
        """How many epochs are done."""
        return len(self.curve.validation_loss)

    def resume(self) -> str | None:
        """Go on from the checkpoint if there is one.

        Returns:
            What a person should know about it, or None.

        Raises:
            UsageError: It belongs to another training: hours of work are not overwritten.
        """
        found, note = load_checkpoint(self._checkpoint, self._made_by, self._device.name)
        if found is None and note is not None and self._checkpoint.exists():
            raise UsageError(
                f"{note.split(';')[0]}.", "Give --out a new folder, or delete that file to begin again."
            )
        if found is not None:
            self._model.load_state_dict(dict(found.network))
            self._optimiser.load_state_dict(dict(found.optimiser))
            self._best = dict(found.best_network)
            measures = {name: list(values) for name, values in found.curve.items()}
            self.curve = Curve(self.curve.name, **measures, best_epoch=found.best_epoch)
            self.total_seconds = found.seconds
        return note

    def fit(self, training: Clips, validation: Clips, on_epoch: Callable[[Curve, float], None]) -> None:
        """Train, and leave the network as it was after the epoch with the least validation loss.

        Args:
            training: What is learnt from.
            validation: What tells which epoch is the best.
            on_epoch: Called after each epoch with the curve so far and the epoch's seconds.

        Raises:
            UsageError: The device's memory is too small.
            OutputError: The checkpoint cannot be written.
            VidclfError: The loss is no number any more.
        """
        while self.epoch_count < self._plan.epoch_count:
            begun = time.perf_counter()
            self._run_epoch(training, validation)
            seconds = time.perf_counter() - begun
            self.total_seconds += seconds
            self._save()
            on_epoch(self.curve, seconds)
        self._model.load_state_dict(self._best)

    def probabilities(self, clips: Clips) -> NDArray[np.float32]:
        """Return the network's probabilities, shape (clips, labels)."""
        return torch.softmax(self._logits(clips), dim=1).numpy()

    def _run_epoch(self, training: Clips, validation: Clips) -> None:
        number = self.epoch_count
        # Seeded per epoch: one that follows a resumption is the one that would have been.
        torch.manual_seed(self._plan.seed * _EPOCHS_PER_SEED + number)
        try:
            train_loss = self._train(number, training)
            logits = self._logits(validation)
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"{self._device.name} has not enough memory for {self._plan.batch_size} clips at a time.",
                "Lower --batch-size, and raise --accumulate by as much.",
            ) from error
        targets = torch.from_numpy(validation.targets)
        loss = float(torch.nn.functional.cross_entropy(logits, targets))
        if not math.isfinite(train_loss + loss):
            raise VidclfError(
                f"The loss of epoch {number + 1} is no number any more.", "Lower --learning-rate."
            )
        accuracy = float((logits.argmax(1) == targets).float().mean())
        curve = self.curve
        if loss < min(curve.validation_loss, default=math.inf):
            self._best = copy.deepcopy(dict(self._model.state_dict()))
            self.curve = curve = Curve(
                curve.name, curve.train_loss, curve.validation_loss, curve.validation_accuracy, number
            )
        curve.train_loss.append(train_loss)
        curve.validation_loss.append(loss)
        curve.validation_accuracy.append(accuracy)

    def _train(self, number: int, clips: Clips) -> float:
        """Return the mean loss."""
        self._model.train()
        order = torch.randperm(len(clips)).tolist()
        per_step = self._plan.batch_size * self._plan.accumulation
        steps = math.ceil(len(clips) / per_step)
        total = 0.0
        for step, rows in enumerate(_parts(order, per_step)):
            begun = time.perf_counter()
            total += self._step(clips, rows, number * steps + step, steps * self._plan.epoch_count)
            self.seconds.training.append((time.perf_counter() - begun) / len(rows))
        return total / len(clips)

    def _step(self, clips: Clips, rows: Sequence[int], step: int, step_count: int) -> float:
        """Take one step of the optimiser and return the sum of the clips' losses."""
        for group in self._optimiser.param_groups:
            warmup = math.ceil(_WARMUP_SHARE * step_count)
            group["lr"] = learning_rate(step, step_count, warmup, self._plan.learning_rate, 0.0)
        total = 0.0
        for part in _parts(rows, self._plan.batch_size):
            targets = torch.from_numpy(clips.targets[part]).to(self._device.name)
            with self._precision():
                logits = self._model(pixel_values=self._pixels(clips, part)).logits
            losses = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
            # By the clips of the whole step: a last batch that is smaller counts by its clips.
            torch.autograd.backward(losses / len(rows))
            total += float(losses.detach())
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), _GRADIENT_NORM)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return total

    def _logits(self, clips: Clips) -> torch.Tensor:
        """Return logits on the CPU, shape (clips, labels), float32."""
        self._model.eval()
        found = []
        for rows in _parts(range(len(clips)), self._plan.batch_size):
            begun = time.perf_counter()
            with torch.inference_mode(), self._precision():
                logits = self._model(pixel_values=self._pixels(clips, rows)).logits
            found.append(logits.float().cpu())
            self.seconds.forward.append((time.perf_counter() - begun) / len(rows))
        return torch.cat(found)

    def _pixels(self, clips: Clips, rows: Sequence[int]) -> torch.Tensor:
        frames = self._store.load([clips.contents[row] for row in rows])
        return self._processing.pixels(torch.from_numpy(frames).to(self._device.name))

    def _precision(self) -> torch.autocast:
        lower = self._device.dtype is not torch.float32
        return torch.autocast(self._device.name, dtype=self._device.dtype, enabled=lower)

    def _save(self) -> None:
        curve = self.curve
        state = Checkpoint(
            epoch_count=self.epoch_count,
            network=self._model.state_dict(),
            optimiser=self._optimiser.state_dict(),
            best_network=self._best,
            curve={
                "train_loss": curve.train_loss,
                "validation_loss": curve.validation_loss,
                "validation_accuracy": curve.validation_accuracy,
            },
            best_epoch=curve.best_epoch,
            seconds=self.total_seconds,
        )
        save_checkpoint(self._checkpoint, self._made_by, state)


def _parts(rows: Sequence[int], size: int) -> Iterator[list[int]]:
    for begin in range(0, len(rows), size):
        yield list(rows[begin : begin + size])

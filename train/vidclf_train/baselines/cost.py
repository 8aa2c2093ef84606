"""What TimeSformer costs per video on this machine; random weights cost as much as any others."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import TimesformerConfig, TimesformerForVideoClassification

from vidclf_cli.errors import UsageError
from vidclf_cli.media.types import Limits
from vidclf_train.baselines.clip_table import SHARES
from vidclf_train.baselines.frames import UniformPool, UniformRequest
from vidclf_train.baselines.outcome import VideoCost
from vidclf_train.device import TrainingDevice

_LABEL_COUNT = 10


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, one number per repetition.

    Attributes:
        wall: Seconds on the clock.
        processor: Seconds of all threads on the processor's cores: other programs hardly change these.
    """

    wall: tuple[float, ...]
    processor: tuple[float, ...]

    def seconds(self, idle_cores: int = 0) -> float:
        """Return the median on the clock; with a number of cores the least that so many idle ones need."""
        return statistics.median(self.processor) / idle_cores if idle_cores else statistics.median(self.wall)

    @property
    def description(self) -> str:
        """For people."""
        return (
            f"{self.seconds():.3g} s ({min(self.wall):.3g} to {max(self.wall):.3g}; "
            f"processor {statistics.median(self.processor):.3g} s)"
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        parameter_count: Of the network.
        batch_size: Videos that went through it together.
        thread_count: Of torch on the CPU.
        forward: Of a batch, without gradients.
        gradients: Of a batch, forward and backward.
        step: Of the optimiser, which does not depend on the batch.
        decoding: Seconds of single videos, in one worker with one thread; empty where none were given.
    """

    parameter_count: int
    batch_size: int
    thread_count: int
    forward: Timing
    gradients: Timing
    step: Timing
    decoding: tuple[float, ...] = ()

    @property
    def description(self) -> str:
        """For people."""
        parts = {"forward": self.forward, "forward + backward": self.gradients, "optimiser": self.step}
        each = ", ".join(f"{name} {timing.description}" for name, timing in parts.items())
        return (
            f"{self.parameter_count / 1e6:.1f} M parameters, {self.thread_count} threads; medians of "
            f"{len(self.forward.wall)} batches of {self.batch_size}: {each}"
        )

    def per_video(self, step_size: int, *, idle: bool = False) -> VideoCost:
        """Return what a video costs.

        Args:
            step_size: The optimiser takes a step every so many videos.
            idle: By the processor's time, as if nothing else ran on as many cores as there are threads.
        """
        cores = self.thread_count if idle else 0
        return VideoCost(
            decoding=statistics.median(self.decoding) if self.decoding else None,
            forward=self.forward.seconds(cores) / self.batch_size,
            training=self.gradients.seconds(cores) / self.batch_size + self.step.seconds(cores) / step_size,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)


def measure_cost(
    device: TrainingDevice, batch_size: int, repeats: int, paths: Sequence[Path], limits: Limits
) -> Measured:
    """Measure TimeSformer-base, and the decoding of its frames.

    Args:
        device: Where the network runs.
        batch_size: Videos that go through it together.
        repeats: How often each part is measured.
        paths: Videos to decode; none leaves that unmeasured.
        limits: What reading one may cost.

    Raises:
        UsageError: None of the videos can be read.
    """
    decoding = measure_decoding(paths, UniformRequest(), limits, repeats) if paths else ()
    return replace(measure_network(device, batch_size, repeats), decoding=decoding)


def measure_network(
    device: TrainingDevice, batch_size: int, repeats: int, config: TimesformerConfig | None = None
) -> Measured:
    """Measure a network with random weights, TimeSformer-base if not told otherwise.

    Args:
        device: Where it runs.
        batch_size: Videos that go through it together.
        repeats: How often each part is measured, after one turn that is not.
        config: Of the network.
    """
    torch.manual_seed(0)
    config = config or TimesformerConfig(num_labels=_LABEL_COUNT)
    model = TimesformerForVideoClassification(config).to(device.name)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    side = int(str(config.image_size))  # its type allows a pair
    pixels = torch.randn(batch_size, config.num_frames, config.num_channels, side, side, device=device.name)
    targets = torch.arange(batch_size, device=device.name) % config.num_labels
    lower = device.dtype is not torch.float32

    def logits() -> torch.Tensor:
        with torch.autocast(device.name, dtype=device.dtype, enabled=lower):
            found: torch.Tensor = model(pixel_values=pixels).logits
        return found.float()

    def forward() -> None:
        with torch.inference_mode():
            logits()

    def gradients() -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.nn.functional.cross_entropy(logits(), targets))

    model.train(mode=False)
    forward_timing = _timed(forward, device, repeats)
    model.train()
    return Measured(
        parameter_count=sum(parameter.numel() for parameter in model.parameters()),
        batch_size=batch_size,
        thread_count=torch.get_num_threads(),
        forward=forward_timing,
        gradients=_timed(gradients, device, repeats),
        step=_timed(optimiser.step, device, repeats),
    )


def measure_decoding(
    paths: Sequence[Path], request: UniformRequest, limits: Limits, repeats: int
) -> tuple[float, ...]:
    """Measure how long reading takes, one video at a time; those that cannot be read are left out.

    Returns:
        Seconds of each video and repetition.

    Raises:
        UsageError: None can be read.
    """
    seconds = []
    with UniformPool(1, limits) as pool:
        for _ in range(repeats):
            readings = [pool.submit_uniform(path, request) for path in paths]
            seconds += [round(each.result().seconds, 4) for each in readings if each.exception() is None]
    if not seconds:
        raise UsageError(f"None of {len(paths)} videos can be read.", "Name videos that can.")
    return tuple(seconds)


def extrapolate(cost: VideoCost, video_count: int, epoch_count: int) -> dict[str, float]:
    """Return hours of a whole fine-tuning by part: an extrapolation, not a measurement.

    Videos are split 8:1:1. Every epoch trains on the training videos and looks at the validation videos;
    these and the test videos are looked at once more at the end.
    """
    training, validation, test = (video_count * share / sum(SHARES) for share in SHARES)
    forward, training_seconds = cost.forward or 0.0, cost.training or 0.0
    parts = {
        "training": epoch_count * training * training_seconds,
        "validation": epoch_count * validation * forward + (validation + test) * forward,
    }
    if cost.decoding is not None:
        parts["decoding, one process"] = video_count * cost.decoding
    return {name: seconds / 3600 for name, seconds in parts.items()}


def _timed(work: Callable[[], object], device: TrainingDevice, repeats: int) -> Timing:
    work()
    wall, processor = [], []
    for _ in range(repeats):
        _finish(device)
        begun, begun_processor = time.perf_counter(), time.process_time()
        work()
        _finish(device)
        wall.append(round(time.perf_counter() - begun, 4))
        processor.append(round(time.process_time() - begun_processor, 4))
    return Timing(tuple(wall), tuple(processor))


def _finish(device: TrainingDevice) -> None:
    """Wait for the GPU: it works on while Python goes on."""
    if device.name == "cuda":
        torch.cuda.synchronize()

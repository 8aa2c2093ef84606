"""What TimeSformer's processor does to frames: scaled, cropped, normalised, as its weights were trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vidclf_cli.errors import UsageError
from vidclf_train.baselines.frames import UniformRequest

PROCESSOR_NAME = "preprocessor_config.json"

_MEAN, _DEVIATION = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)


@dataclass(frozen=True, slots=True)
class Processing:
    """How frames become the network's input.

    Attributes:
        short_side: What the shorter side is scaled to, in pixels.
        crop: Side of the centre crop.
        scale: What the bytes are multiplied by.
        mean: Per channel, taken off after scaling.
        deviation: Per channel, divided by.
    """

    short_side: int
    crop: int
    scale: float = 1 / 255
    mean: tuple[float, ...] = _MEAN
    deviation: tuple[float, ...] = _DEVIATION

    @property
    def description(self) -> str:
        """For people."""
        return (
            f"short side {self.short_side}, crop {self.crop}, mean {self.mean}, deviation {self.deviation}, "
            f"scale {self.scale:.6g}"
        )

    def request(self, frame_count: int) -> UniformRequest:
        """Return what to read of a video."""
        return UniformRequest(frame_count, self.short_side, self.crop)

    def pixels(self, frames: torch.Tensor) -> torch.Tensor:
        """Normalise frames.

        Args:
            frames: uint8, shape (videos, frames, height, width, 3).

        Returns:
            float32, shape (videos, frames, 3, height, width).
        """
        mean = torch.tensor(self.mean, device=frames.device)
        deviation = torch.tensor(self.deviation, device=frames.device)
        normal = (frames.float() * self.scale - mean) / deviation
        return normal.permute(0, 1, 4, 2, 3).contiguous()

    def save(self, folder: Path) -> None:
        """Write it as the processor's file of a folder of weights."""
        values = {
            "image_processor_type": "VideoMAEImageProcessor",
            "do_resize": True,
            "size": {"shortest_edge": self.short_side},
            "resample": 2,
            "do_center_crop": True,
            "crop_size": {"height": self.crop, "width": self.crop},
            "do_rescale": True,
            "rescale_factor": self.scale,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.deviation),
        }
        (folder / PROCESSOR_NAME).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_processing(values: Mapping[str, Any] | None, image_size: int) -> Processing:
    """Read a processor's configuration.

    Args:
        values: The JSON document; None where the weights come without one.
        image_size: What the network takes.

    Raises:
        UsageError: It asks for something else than scaling the short side, cropping and normalising.
    """
    if values is None:
        return Processing(image_size, image_size)
    if not values.get("do_resize", True) or not values.get("do_center_crop", True):
        raise _refusal("it neither scales nor crops")
    try:
        short_side = _side(values.get("size", image_size), "shortest_edge")
        crop = _side(values.get("crop_size", image_size), "height")
        rescales, normalises = values.get("do_rescale", True), values.get("do_normalize", True)
        processing = Processing(
            short_side=short_side,
            crop=crop,
            scale=float(values.get("rescale_factor", 1 / 255)) if rescales else 1.0,
            mean=_per_channel(values.get("image_mean", _MEAN)) if normalises else (0.0, 0.0, 0.0),
            deviation=_per_channel(values.get("image_std", _DEVIATION)) if normalises else (1.0, 1.0, 1.0),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _refusal(f"{type(error).__name__}: {error}") from error
    if not 0 < processing.crop <= processing.short_side or min(processing.deviation) <= 0:
        raise _refusal(f"it crops {crop} pixels out of {short_side}")
    return processing


def _side(value: Any, name: str) -> int:
    """Return one side; a square is written as a number or with `height` and `width`."""
    if isinstance(value, int):
        return value
    if name == "height" and value["height"] != value["width"]:
        raise ValueError(f"{value['height']} x {value['width']} pixels are no square")
    return int(value[name])


def _per_channel(values: Any) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != 3:
        raise ValueError(f"{len(numbers)} channels instead of 3")
    return numbers


def _refusal(problem: str) -> UsageError:
    return UsageError(
        f"The weights' {PROCESSOR_NAME} cannot be followed: {problem}.",
        "It must scale the shortest edge, crop the centre and normalise, as TimeSformer's own does.",
    )

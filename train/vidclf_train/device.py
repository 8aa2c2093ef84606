"""Where training runs and in which precision: chosen once, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from vidclf_cli.errors import UsageError

DeviceName = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class TrainingDevice:
    """Where training runs.

    Attributes:
        name: What torch calls it.
        dtype: Precision of the matrix products; weights and optimiser are float32 in any case.
        reason: Why, for people.
    """

    name: DeviceName
    dtype: torch.dtype
    reason: str


def choose_training_device(wanted: str = "auto") -> TrainingDevice:
    """Choose the device: an NVIDIA GPU when torch can use one, the CPU otherwise.

    Args:
        wanted: `auto`, `cpu` or `cuda`.

    Raises:
        UsageError: CUDA was asked for and cannot be used, or the name is unknown.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"There is no device {wanted!r}.", "Use auto, cpu or cuda.")
    if wanted == "cpu":
        return TrainingDevice("cpu", torch.float32, "asked for; float32")
    missing = _why_no_cuda()
    if missing and wanted == "cuda":
        raise UsageError(
            f"CUDA cannot be used for training: {missing}.",
            "It needs an NVIDIA GPU and a torch built for CUDA; `--device cpu` needs neither.",
        )
    if missing:
        return TrainingDevice("cpu", torch.float32, f"{missing}; float32")
    reason = "asked for" if wanted == "cuda" else "torch found an NVIDIA GPU"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return TrainingDevice("cuda", torch.bfloat16, f"{reason}; bfloat16, which it supports")
    return TrainingDevice("cuda", torch.float32, f"{reason}; float32: it has no bfloat16")


def _why_no_cuda() -> str:
    """Return why CUDA is out of the question, empty when nothing speaks against it."""
    if torch.version.cuda is None:
        return "this torch is built without CUDA"
    if not torch.cuda.is_available():
        return "torch finds no NVIDIA GPU"
    return ""

"""The device is chosen with its reason, and an impossible wish is refused with advice."""

from __future__ import annotations

import pytest
import torch

from vidclf_cli.errors import UsageError
from vidclf_train.device import TrainingDevice, choose_training_device


def pretend(
    monkeypatch: pytest.MonkeyPatch, *, built: bool, found: bool = False, bfloat16: bool = False
) -> None:
    """Stand in for machines that are not here."""
    monkeypatch.setattr(torch.version, "cuda", "12.8" if built else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)


def test_the_cpu_trains_in_float32() -> None:
    assert choose_training_device("cpu") == TrainingDevice("cpu", torch.float32, "asked for; float32")


@pytest.mark.parametrize(("built", "reason"), [(False, "built without CUDA"), (True, "finds no NVIDIA GPU")])
def test_without_a_gpu_the_cpu_is_chosen_and_the_reason_said(
    monkeypatch: pytest.MonkeyPatch, built: bool, reason: str
) -> None:
    pretend(monkeypatch, built=built)
    device = choose_training_device("auto")
    assert (device.name, device.dtype) == ("cpu", torch.float32)
    assert reason in device.reason
    with pytest.raises(UsageError, match=rf"{reason}.*--device cpu"):
        choose_training_device("cuda")


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
@pytest.mark.parametrize(("bfloat16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_trains_in_the_precision_that_it_has(
    monkeypatch: pytest.MonkeyPatch, wanted: str, bfloat16: bool, dtype: torch.dtype
) -> None:
    pretend(monkeypatch, built=True, found=True, bfloat16=bfloat16)
    device = choose_training_device(wanted)
    assert (device.name, device.dtype) == ("cuda", dtype)
    assert "bfloat16" in device.reason


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match="no device 'tpu'"):
        choose_training_device("tpu")

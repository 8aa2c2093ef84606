"""What is measured is measured, and what is extrapolated is arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidclf_cli.errors import UsageError
from vidclf_cli.media.types import Limits

torch = pytest.importorskip("torch", reason="the extra [baselines] is not installed")
transformers = pytest.importorskip("transformers", reason="the extra [baselines] is not installed")

from vidclf_train.baselines.cost import extrapolate, measure_decoding, measure_network  # noqa: E402
from vidclf_train.baselines.frames import UniformRequest  # noqa: E402
from vidclf_train.baselines.outcome import VideoCost  # noqa: E402
from vidclf_train.device import choose_training_device  # noqa: E402


def test_forward_training_and_step_are_measured() -> None:
    config = transformers.TimesformerConfig(
        image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, num_labels=3,
    )  # fmt: skip
    measured = measure_network(choose_training_device("cpu"), batch_size=2, repeats=3, config=config)
    timings = (measured.forward, measured.gradients, measured.step)
    assert all(len(timing.wall) == len(timing.processor) == 3 for timing in timings)
    assert measured.parameter_count == sum(
        parameter.numel() for parameter in transformers.TimesformerForVideoClassification(config).parameters()
    )
    gradients, step = sorted(measured.gradients.wall)[1], sorted(measured.step.wall)[1]
    cost = measured.per_video(step_size=4)
    assert cost.training == pytest.approx(gradients / 2 + step / 4)
    assert cost.forward == pytest.approx(sorted(measured.forward.wall)[1] / 2)
    assert cost.decoding is None
    idle = measured.per_video(step_size=4, idle=True)
    assert idle.forward == pytest.approx(sorted(measured.forward.processor)[1] / 2 / torch.get_num_threads())


def test_hours_are_those_of_all_epochs() -> None:
    cost = VideoCost(decoding=0.5, forward=2.0, training=9.0)
    hours = extrapolate(cost, 1800, 10)
    assert hours["training"] == pytest.approx(10 * 1440 * 9 / 3600)
    assert hours["validation"] == pytest.approx((10 * 180 + 360) * 2 / 3600)
    assert hours["decoding, one process"] == pytest.approx(1800 * 0.5 / 3600)


def test_decoding_is_measured_of_what_can_be_read(two_kinds: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    request = UniformRequest(8, 32, 32)
    seconds = measure_decoding([two_kinds / "dark" / "0.mp4", bad], request, Limits(), repeats=2)
    assert len(seconds) == 2
    assert min(seconds) > 0
    with pytest.raises(UsageError, match="None of 1 videos can be read"):
        measure_decoding([bad], request, Limits(), repeats=1)

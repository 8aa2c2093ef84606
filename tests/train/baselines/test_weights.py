"""Weights are TimeSformer's and whole, or there is one clear line; frames are made what they expect."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidclf_cli.errors import UsageError

torch = pytest.importorskip("torch", reason="the extra [baselines] is not installed")
transformers = pytest.importorskip("transformers", reason="the extra [baselines] is not installed")

from vidclf_train.baselines.processing import Processing, read_processing  # noqa: E402
from vidclf_train.baselines.weights import (  # noqa: E402
    Source,
    load_model,
    read_architecture,
    save_model,
)


def test_the_head_is_replaced_and_the_rest_kept(tiny_weights: Path) -> None:
    architecture = read_architecture(Source(str(tiny_weights)))
    assert (architecture.frame_count, architecture.image_size, architecture.commit) == (8, 32, "")
    model = load_model(architecture, ["a", "b", "c"], seed=1)
    before = transformers.TimesformerForVideoClassification.from_pretrained(tiny_weights).state_dict()
    after = model.state_dict()
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert after["classifier.weight"].shape == (3, 16)
    assert all(torch.equal(before[name], value) for name, value in after.items() if "classifier" not in name)
    same, other = load_model(architecture, ["a", "b", "c"], seed=1), load_model(architecture, "abc", seed=2)
    assert torch.equal(same.classifier.weight, model.classifier.weight)
    assert not torch.equal(other.classifier.weight, model.classifier.weight)


def test_what_is_saved_is_read_again_with_its_processor(tiny_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "with-processor"
    shutil.copytree(tiny_weights, folder)
    values = {
        "size": {"shortest_edge": 36},
        "crop_size": {"height": 32, "width": 32},
        "image_mean": [0.5] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    architecture = read_architecture(Source(str(folder)))
    assert architecture.processing == Processing(36, 32, mean=(0.5, 0.5, 0.5))
    save_model(load_model(architecture, ["a", "b"], 0), architecture, tmp_path / "saved")
    again = read_architecture(Source(str(tmp_path / "saved")))
    assert again.processing == architecture.processing
    assert load_model(again, ["a", "b"], 0).config.num_labels == 2


def test_frames_are_normalised_as_the_weights_processor_does_it(tmp_path: Path) -> None:
    processing = Processing(224, 224)
    processing.save(tmp_path)
    processor = transformers.VideoMAEImageProcessorPil.from_pretrained(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224, 3), np.uint8)
    theirs = np.stack([processor(list(video), return_tensors="np")["pixel_values"][0] for video in frames])
    ours = processing.pixels(torch.from_numpy(frames)).numpy()
    assert ours.shape == (2, 3, 3, 224, 224)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_without_a_processor_it_is_timesformers_own() -> None:
    found = read_processing(None, 224)
    assert (found.short_side, found.crop, found.mean[0], found.deviation[0]) == (224, 224, 0.45, 0.225)


@pytest.mark.parametrize(
    "values",
    [
        {"do_center_crop": False},
        {"size": {"height": 224, "width": 224}},
        {"size": {"shortest_edge": 200}, "crop_size": 224},
        {"crop_size": {"height": 224, "width": 200}},
        {"image_mean": [0.5]},
        {"image_std": [0, 1, 1]},
        {"rescale_factor": "much"},
    ],
)
def test_a_processor_that_does_something_else_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"preprocessor_config\.json cannot be followed"):
        read_processing(values, 224)


def test_names_that_are_neither_folder_nor_on_the_hub_are_refused(tmp_path: Path) -> None:
    for name in (str(tmp_path / "gone"), "./gone", "timesformer", "a/b/c"):
        with pytest.raises(UsageError, match="is no folder, and no name on the hub"):
            read_architecture(Source(name))


def test_an_unreachable_hub_is_one_line_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"cannot be fetched: .*`hf download") as refusal:
        read_architecture(Source("nobody/has-this"))
    assert "\n" not in str(refusal.value)


def test_a_folder_that_is_no_timesformer_is_refused(tiny_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: it has no config\.json"):
        read_architecture(Source(str(tmp_path)))
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(UsageError, match="holds a vit network, and not TimeSformer"):
        read_architecture(Source(str(tmp_path)))
    shutil.copy(tiny_weights / "config.json", tmp_path)
    with pytest.raises(UsageError, match=r"cannot be read: .*no file named"):
        load_model(read_architecture(Source(str(tmp_path))), ["a", "b"], 0)


def test_weights_of_another_network_do_not_pass_as_random_ones(tiny_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(tiny_weights, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(UsageError, match=r"lacks .* parts of the network that it describes"):
        load_model(read_architecture(Source(str(folder))), ["a", "b"], 0)

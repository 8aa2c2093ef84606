"""A card beside each encoder: where it is from, under which licence, how good and how fast it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from vidclf_train.encoders_frames import Frames, folder_frames
from vidclf_train.encoders_measure import (
    Accuracy,
    Vectors,
    agreement,
    encode_frames,
    encode_texts,
    frames_per_second,
    linear_accuracy,
    machine,
    read_table,
    texts_per_second,
)
from vidclf_train.encoders_sources import LITE0_PACKAGE, MINILM_PACKAGE, TORCHVISION_PACKAGE, read_lock

COMMAND = "python -m vidclf_train encoders --held-out ../shared/data"

_THREADS = (1, 2)
_VOCABULARY_SAMPLE = 400


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the cards are written from.

    Attributes:
        folder: The built encoders.
        text_fp32: The text encoder before quantisation.
        held_out: Videos that the int8 encoder was not calibrated on, and youtube8m/vocabulary.csv.
        calibration_count: How many frames it was calibrated on.
        differences: The largest differences of fp32 ONNX to PyTorch, visual and text.
    """

    folder: Path
    text_fp32: Path
    held_out: Path
    calibration_count: int
    differences: tuple[float, float]


def write_cards(out: Path, measurement: Measurement) -> None:
    """Measure both encoders and write a card for each."""
    (out / "efficientnet-lite0.md").write_text(_visual_card(measurement), encoding="utf-8")
    (out / "all-minilm-l6-v2.md").write_text(_text_card(measurement), encoding="utf-8")


def _visual_card(measurement: Measurement) -> str:
    fp32 = measurement.folder / "efficientnet-lite0.fp32.onnx"
    int8 = measurement.folder / "efficientnet-lite0.int8.onnx"
    videos = folder_frames(measurement.held_out)
    frames = np.concatenate([*videos.values()])
    exact, quantised = encode_frames(fp32, frames), encode_frames(int8, frames)
    exact_means, quantised_means = (_means(each[0], [*videos.values()]) for each in (exact, quantised))
    same_concept = float((exact[1].argmax(axis=1) == quantised[1].argmax(axis=1)).mean())
    return _template("encoders_card_visual.md").format(
        source=_source(LITE0_PACKAGE),
        names=_source(TORCHVISION_PACKAGE),
        difference=measurement.differences[0],
        calibration=measurement.calibration_count,
        held_out=f"{len(frames)} frames of {len(videos)} videos",
        features=agreement(quantised[0], exact[0]),
        videos=agreement(quantised_means, exact_means),
        concepts=agreement(quantised[1], exact[1]),
        same_concept=same_concept,
        overlap=1.0 - float(np.abs(exact[1] - quantised[1]).sum(axis=1).mean()) / 2.0,
        accuracy=_fight_accuracy(
            measurement.held_out / "moderation", [*videos], exact_means, quantised_means
        ),
        fp32_size=fp32.stat().st_size / 1e6,
        int8_size=int8.stat().st_size / 1e6,
        fp32_speed=_speeds([frames_per_second(fp32, count) for count in _THREADS]),
        int8_speed=_speeds([frames_per_second(int8, count) for count in _THREADS]),
        machine=machine(),
        runtime=onnxruntime.__version__,
        command=COMMAND,
    )


def _means(rows: Vectors, videos: list[Frames]) -> Vectors:
    """Return the mean row of each video, whose frames lie one after another."""
    ends = np.cumsum([len(frames) for frames in videos])
    return np.stack([part.mean(axis=0) for part in np.split(rows, ends[:-1])])


def _fight_accuracy(folder: Path, paths: list[Path], exact: Vectors, quantised: Vectors) -> Accuracy:
    """Tell fights from other street scenes; clips of one source stay in one fold."""
    table = {folder / row["path"]: row for row in read_table(folder / "labels.csv")}
    rows = [index for index, path in enumerate(paths) if path in table]
    facts = [table[paths[index]] for index in rows]
    labels, groups = [fact["label"] for fact in facts], [fact["source_url"] for fact in facts]
    return linear_accuracy(exact[rows], quantised[rows], labels, groups)


def _text_card(measurement: Measurement) -> str:
    int8 = measurement.folder / "all-minilm-l6-v2.int8.onnx"
    tokenizer = measurement.folder / "all-minilm-l6-v2.tokenizer.json"
    models = (measurement.text_fp32, int8)
    table = [row for row in read_table(measurement.held_out / "youtube8m" / "vocabulary.csv") if row["Name"]]
    names = [row["Name"] for row in table]
    exact, quantised = (encode_texts(model, tokenizer, names) for model in models)
    chosen = np.random.default_rng(0).choice(len(table), _VOCABULARY_SAMPLE, replace=False)
    described = [f"{table[row]['Name']}. {table[row]['WikiDescription']}" for row in chosen]
    exact_long, quantised_long = (encode_texts(model, tokenizer, described) for model in models)
    verticals = [row["Vertical1"] for row in table]
    speeds = {
        f"{kind}_{length}": _speeds([texts_per_second(model, tokens, count) for count in _THREADS])
        for kind, model in zip(("fp32", "int8"), models, strict=True)
        for length, tokens in (("short", 16), ("long", 256))
    }
    return _template("encoders_card_text.md").format(
        source=_source(MINILM_PACKAGE),
        difference=measurement.differences[1],
        names=agreement(quantised, exact),
        names_similarity=_similarity_error(exact[chosen], quantised[chosen]),
        described=agreement(quantised_long, exact_long),
        described_similarity=_similarity_error(exact_long, quantised_long),
        count=len(names),
        accuracy=linear_accuracy(exact, quantised, verticals, names),
        fp32_size=measurement.text_fp32.stat().st_size / 1e6,
        int8_size=int8.stat().st_size / 1e6,
        machine=machine(),
        runtime=onnxruntime.__version__,
        command=COMMAND,
        **speeds,
    )


def _similarity_error(exact: Vectors, quantised: Vectors) -> float:
    """Return the mean error of the cosine of two texts."""
    return float(np.abs(exact @ exact.T - quantised @ quantised.T).mean())


def _speeds(per_second: list[float]) -> str:
    return " / ".join(f"{speed:.0f}" for speed in per_second)


def _source(package: str) -> str:
    pin = read_lock()[package]
    return f"`{pin.package}` {pin.version} (wheel SHA-256 `{pin.sha256}`)"


def _template(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")

"""`python -m vidclf_train topics`: the classifiers that ship, made from the YouTube-8M vocabulary alone."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.classifier import Classifier, load_classifier
from vidclf_cli.classifier_card import ClassifierCard, ClassifierInput
from vidclf_cli.embedders.local import LocalMetadata
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.shipped import SUMS_NAME, hash_file
from vidclf_train.real_clips import (
    WELL_FITTING,
    Clips,
    coverage,
    fit_scales,
    log_softmax,
    measure,
    read_clips,
    targets_of,
)
from vidclf_train.topics_card import write_card
from vidclf_train.topics_graph import Scales, TopicWeights, build_model
from vidclf_train.topics_text import (
    PLAIN,
    SHIPPED,
    EntityTexts,
    TextHead,
    cross_validate,
    embed_concepts,
    embed_entities,
    fit_text_head,
)
from vidclf_train.vocabulary import PAPER_CLASSES, read_vocabulary, verticals_of
from vidclf_train.zero_shot_fit import write_adaptation

MINIMUM_ENTITIES = 5
"""Real Estate has 6, the fewest; a vertical with fewer could not be cross-validated."""

MIN_CONFIDENCE = 0.5
"""An answer is given when it is more likely right than wrong. Bars for a wished precision were tried: the
curve is so flat that 0.80 gave a bar of 0.05 and 0.85 one of 0.85 on 158 clips."""

_LICENCE = (
    "Apache-2.0; trained on the YouTube-8M vocabulary (CC BY 4.0), descriptions from Wikipedia (CC BY-SA)"
)
_WAYS = {
    "picture and text": {"picture": True, "text": True},
    "picture alone": {"picture": True, "text": False},
    "text alone": {"picture": False, "text": True},
}


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What both classifiers are made from.

    Attributes:
        texts: The embedded entities.
        head: Text to logits of all verticals.
        concept_shares: The head's mean answer to each concept, shape (1000, verticals).
        clips: What temperatures are chosen on; None leaves the classifiers uncalibrated.
    """

    texts: EntityTexts
    head: TextHead
    concept_shares: NDArray[np.float32]
    clips: Clips | None


@click.command()
@click.option("--vocabulary", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--clips",
    "clips_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Features of real clips: temperatures and the default bar are chosen on half of their sources.",
)
@click.option("--out", default=Path("exported/classifiers"), type=click.Path(file_okay=False, path_type=Path))
def topics(vocabulary: Path, clips_path: Path | None, out: Path) -> None:
    """Build topics-10 and topics-24, their cards, and the text adaptation of zero-shot."""
    entities = read_vocabulary(vocabulary)
    verticals = verticals_of(entities, MINIMUM_ENTITIES)
    if missing := set(PAPER_CLASSES) - set(verticals):
        raise click.UsageError(f"{vocabulary} has too few entities of {', '.join(sorted(missing))}.")
    embedder = LocalMetadata()
    texts = embed_entities(entities, verticals, embedder)
    click.echo(f"{len(texts.targets)} entities of {len(verticals)} verticals embedded")
    ingredients = combine(texts, embed_concepts(embedder), read_clips(clips_path) if clips_path else None)
    out.mkdir(parents=True, exist_ok=True)
    for labels in (list(PAPER_CLASSES), verticals):
        path = build(f"topics-{len(labels)}", labels, ingredients, out)
        click.echo(f"{path}: {load_classifier(path).card.metrics}")
    write_adaptation(texts, embedder, out)
    write_sums(out)


def combine(texts: EntityTexts, concepts: list[NDArray[np.float32]], clips: Clips | None) -> Ingredients:
    """Fit the text head and ask it about the concepts."""
    head = fit_text_head(texts)
    answers = [np.exp(log_softmax(head.logits(each))) for each in concepts]
    return Ingredients(texts, head, np.mean(answers, axis=0).astype(np.float32), clips)


def build(name: str, labels: list[str], ingredients: Ingredients, folder: Path) -> Path:
    """Build one classifier with its card; return its file.

    It is built three times: with scales of 1 to see the log scores, calibrated to see its figures, and
    with these in its card. So every figure is that of a file, run as a user runs it.
    """
    path = folder / f"{name}.onnx"
    clips = ingredients.clips
    text_figures = {
        "text, cross-validation": cross_validate(ingredients.texts, labels),
        "text, cross-validation, plain recipe": cross_validate(ingredients.texts, labels, PLAIN),
    }
    scales, figures = Scales(), dict[str, Any]()
    if clips is not None:
        truth = clips.vertical if len(labels) == len(PAPER_CLASSES) else clips.fine_vertical()
        plain = _write(path, name, labels, ingredients, Scales(), {})
        scales = _calibrate(plain, clips, truth)
        calibrated = _write(path, name, labels, ingredients, scales, {})
        figures = _measure_all(calibrated, clips, truth)
    classifier = _write(path, name, labels, ingredients, scales, text_figures | figures)
    write_card(classifier, [f"{len(ingredients.texts.targets):,}", f"{len(ingredients.texts.verticals)}"])
    return path


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over what the folder ships, cards aside: they may be mended without a release."""
    files = sorted(path for path in folder.iterdir() if path.suffix in {".onnx", ".npz"})
    lines = [f"{hash_file(path)}  {path.name}\n" for path in files]
    (folder / SUMS_NAME).write_text("".join(lines), encoding="utf-8", newline="\n")


def _write(
    path: Path,
    name: str,
    labels: list[str],
    ingredients: Ingredients,
    scales: Scales,
    metrics: dict[str, Any],
) -> Classifier:
    columns = [ingredients.texts.verticals.index(label) for label in labels]
    weights = TopicWeights(
        table=ingredients.concept_shares[:, columns],
        weights=ingredients.head.weights[:, columns],
        bias=ingredients.head.bias[columns],
        scales=scales,
    )
    path.write_bytes(build_model(weights, _card(name, labels, scales, metrics)))
    return load_classifier(path)


def _card(name: str, labels: list[str], scales: Scales, metrics: dict[str, Any]) -> ClassifierCard:
    spaces = local_spaces()
    named = (("concepts", spaces["local/concepts"]), ("metadata", spaces["local/metadata"]))
    return ClassifierCard(
        name=name,
        labels=tuple(labels),
        task="single",
        inputs=tuple(ClassifierInput(key, space.id, space.dimension, False) for key, space in named),
        temperature=1.0,
        thresholds={},
        min_confidence=MIN_CONFIDENCE,
        metrics=metrics,
        recipe={
            "command": "python -m vidclf_train topics",
            "data": "YouTube-8M vocabulary of 2018: names and descriptions of entities, no videos",
            **asdict(SHIPPED),
            "scales": {key: getattr(scales, key) for key in Scales.__slots__},
        },
        versions={"python": platform.python_version(), **{each: version(each) for each in ("torch", "onnx")}},
        licence=_LICENCE,
    )


def _calibrate(plain: Classifier, clips: Clips, truth: NDArray[np.str_]) -> Scales:
    """Choose the scales on the choosing half, on the clips whose vertical fits well.

    On all clips with a guessed vertical, the guesses' own mistakes would be learned as doubt.
    """
    targets = targets_of(truth, plain.labels)
    rows = clips.chooses & np.isin(truth, WELL_FITTING)
    logs = {
        way: np.log(np.maximum(plain.probabilities(clips.vectors(**parts)), 1e-9))[rows]
        for way, parts in _WAYS.items()
    }
    picture, text, wanted = logs["picture alone"], logs["text alone"], targets[rows]
    (picture_alone,), (text_alone,) = fit_scales([([picture], wanted)]), fit_scales([([text], wanted)])
    picture_with_text, text_with_picture = fit_scales([([picture, text], wanted)])
    return Scales(picture_alone, text_alone, picture_with_text, text_with_picture)


def _measure_all(classifier: Classifier, clips: Clips, truth: NDArray[np.str_]) -> dict[str, Any]:
    """Measure each way and each half, on well fitting clips and on all whose vertical is guessed."""
    targets = targets_of(truth, classifier.labels)
    well_fitting = np.isin(truth, WELL_FITTING)
    figures: dict[str, Any] = {}
    for way, parts in _WAYS.items():
        probabilities = classifier.probabilities(clips.vectors(**parts))
        for subset, rows in (("six well fitting", well_fitting), ("all with a vertical", targets >= 0)):
            for half, chosen in (("reporting half", ~clips.chooses), ("choosing half", clips.chooses)):
                at = rows & chosen
                found = measure(probabilities[at], targets[at], clips.group[at]).to_dict()
                found["answered"], found["right_of_answered"] = (
                    round(each, 4) for each in coverage(probabilities[at], targets[at], MIN_CONFIDENCE)
                )
                figures[f"{way}, {subset}, {half}"] = found
    return figures

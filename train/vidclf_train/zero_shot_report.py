"""`python -m vidclf_train zero-shot`: how well labels given as words do on real clips, and their scales."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.embedders.local import LocalMetadata
from vidclf_cli.zero_shot import ZeroShot
from vidclf_train.real_clips import (
    WELL_FITTING,
    Clips,
    coverage,
    fit_scales,
    measure,
    read_clips,
    targets_of,
)

Task = tuple[ZeroShot, NDArray[np.int64]]
"""A label list, and the column of each clip's true label, -1 where it is none of them."""

_HEAD = "| labels | from | clips | accuracy (95 % interval) | calibration error | answered | right of those |"
_WAYS = {
    "picture and text": {"picture": True, "text": True},
    "picture alone": {"picture": True, "text": False},
    "text alone": {"picture": False, "text": True},
}


def zero_shot_tasks(clips: Clips) -> list[Task]:
    """Return the six well fitting verticals and the 20 categories as label lists."""
    embedder = LocalMetadata()
    categories = [str(each) for each in np.unique(clips.category)]
    lists = ((list(WELL_FITTING), clips.vertical), (categories, clips.category))
    return [(ZeroShot(labels, embedder), targets_of(truth, labels)) for labels, truth in lists]


def best_scales(tasks: list[Task], clips: Clips) -> tuple[float, float, float]:
    """Fit the scales on the choosing half, over both label lists.

    Returns:
        Picture alone, text alone, and both with each other, which share one: two of their own were likelier,
        but right less often (1.154 against 1.164, accuracies of 6 and 20 labels added).
    """
    parts = []
    for scorer, targets in tasks:
        rows = clips.chooses & (targets >= 0)
        picture, text = scorer.picture_scores(clips.concepts)[rows], scorer.text_scores(clips.title)[rows]
        parts.append((picture, text, targets[rows]))
    (picture_alone,) = fit_scales([([picture], wanted) for picture, _, wanted in parts])
    (text_alone,) = fit_scales([([text], wanted) for _, text, wanted in parts])
    (together,) = fit_scales([([picture + text], wanted) for picture, text, wanted in parts])
    return picture_alone, text_alone, together


def zero_shot_accuracy(task: Task, clips: Clips, half: str) -> float:
    """Return the accuracy of one label list with picture and text."""
    scorer, targets = task
    rows = rows_of(clips, targets, half)
    return float((scorer.probabilities(clips.vectors()).argmax(axis=1) == targets)[rows].mean())


def rows_of(clips: Clips, targets: NDArray[np.int64], half: str) -> NDArray[np.bool_]:
    """Return the clips of a half (`reporting`, `choosing`, `either`) that have a true label."""
    halves = {"reporting": ~clips.chooses, "choosing": clips.chooses, "either": targets >= 0}
    return halves[half] & (targets >= 0)


@click.command("zero-shot")
@click.option("--clips", "path", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--card", type=click.Path(dir_okay=False, path_type=Path), help="Write the card here, too.")
def zero_shot(path: Path, card: Path | None) -> None:
    """Print the figures of zero-shot on real clips as a table, and the scales fitted on half of them."""
    clips = read_clips(path)
    tasks = zero_shot_tasks(clips)
    scales = best_scales(tasks, clips)
    click.echo(
        f"scales fitted: picture alone {scales[0]:g}, text alone {scales[1]:g}, together {scales[2]:g}"
    )
    rows = [
        _row(*task, clips, way, half) for task in tasks for way in _WAYS for half in ("reporting", "choosing")
    ]
    rows += [_row(*task, clips, "picture and text", "either") for task in tasks]
    table = "\n".join([_HEAD, "|---|---|---|---|---|---|---|", *rows])
    click.echo(table)
    if card is not None:
        text = Path(__file__).with_name("zero_shot_card.md").read_text(encoding="utf-8")
        card.write_text(text.format(table=table), encoding="utf-8", newline="\n")


def _row(scorer: ZeroShot, targets: NDArray[np.int64], clips: Clips, way: str, half: str) -> str:
    rows = rows_of(clips, targets, half)
    probabilities = scorer.probabilities(clips.vectors(**_WAYS[way]))[rows]
    found = measure(probabilities, targets[rows], clips.group[rows])
    answered, right = coverage(probabilities, targets[rows], scorer.min_confidence)
    return (
        f"| {len(scorer.labels)} | {way}, {half} half | {found.count} "
        f"| {found.accuracy:.3f} ({found.low:.3f} to {found.high:.3f}) | {found.calibration_error:.3f} "
        f"| {answered:.2f} | {right:.2f} |"
    )

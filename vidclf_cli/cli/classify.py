"""`vidclf classify`: one row per video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidclf_cli.cli.classify_run import classify_videos
from vidclf_cli.cli.options import (
    ModelName,
    NumberRange,
    paths_argument,
    run_options,
    target_precision_option,
    to_run_options,
)
from vidclf_cli.cli.outputs import beside_options, row_options, to_outputs


@click.command()
@paths_argument
@row_options
@click.option(
    "--model",
    "-m",
    type=ModelName(),
    default="topics-10",
    show_default=True,
    metavar="NAME|FILE",
    help="A shipped classifier (see `vidclf models`) or a classifier file.",
)
@click.option(
    "--labels",
    "-l",
    metavar="WORDS|@FILE",
    help='Labels of your own, in English, zero-shot: "cooking,football,cats" or a file with one per line. '
    "Give labels that cover the library: a video about none of them gets one of them, or `unknown`. "
    "[default: those of --model]",
)
@click.option(
    "--top-k",
    "-k",
    type=click.IntRange(0, 1000),
    default=3,
    show_default=True,
    help="Alternatives listed per row.",
)
@click.option(
    "--min-confidence",
    type=NumberRange(0.0, 1.0),
    help="Below it the label is `unknown`. [default: the classifier's own (0.5 of the shipped ones); for "
    "--labels 0.6 with two labels, 0.4 with three, 0.35 with more]",
)
@target_precision_option
@click.option(
    "--segments",
    "segment_seconds",
    type=NumberRange(0.1, 86_400.0),
    metavar="SECONDS",
    help="A timeline: behind each video's row those of its segments of this length, by the picture alone. "
    "Neighbours of one label are one row. [default: no segments]",
)
@click.option(
    "--dense",
    is_flag=True,
    help="With --segments: look at a frame of every second (of every segment, if shorter), wherever it must "
    "be decoded from. Takes as long as decoding the video. [default: one frame per segment, near keyframes]",
)
@beside_options
@run_options
def classify(
    paths: tuple[Path, ...],
    model: str,
    labels: str | None,
    top_k: int,
    min_confidence: float | None,
    target_precision: float | None,
    segment_seconds: float | None,
    dense: bool,
    **values: Any,
) -> int:
    """Label videos: files, or folders searched recursively.

    \b
      vidclf classify ./videos --out labels.csv
      vidclf classify ./videos --labels "cooking,football,cats" --out labels.jsonl
      vidclf classify ./videos --exclude trailers --min-confidence 0.8
      vidclf classify ./videos --model my.onnx --target-precision 0.95
      vidclf classify film.mp4 --segments 10 --out film.csv
      vidclf classify ./videos --out labels.sqlite --update --write-nfo

    Exit code: 0 all fine, 1 some videos failed (each is a row that says why) or a file beside a video could
    not be written, 2 wrong usage, 130 interrupted.
    """
    from vidclf_cli.pipeline.options import ClassifyOptions
    from vidclf_cli.zero_shot import parse_labels

    source = click.get_current_context().get_parameter_source("model")
    if labels is not None and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--labels needs no classifier: give either --labels or --model.")
    options = ClassifyOptions(
        model=model,
        labels=parse_labels(labels) if labels is not None else (),
        top_k=top_k,
        min_confidence=min_confidence,
        target_precision=target_precision,
        segment_seconds=segment_seconds,
        dense=dense,
    )
    outputs = to_outputs(values)
    return classify_videos(paths, options, to_run_options(values), outputs)

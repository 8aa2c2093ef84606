"""The Python API: what the commands do, with results returned."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import get_args

from vidclf_cli.classifier import Classifier
from vidclf_cli.classifier import load_classifier as _load_classifier
from vidclf_cli.classifier_file import check_classifier_target, save_with_card
from vidclf_cli.dataset import open_dataset
from vidclf_cli.decide import check_one_bar
from vidclf_cli.errors import UsageError
from vidclf_cli.evaluation import DEFAULT_WORST_COUNT, Evaluation, evaluate_rows, is_packed
from vidclf_cli.labelled import read_labelled
from vidclf_cli.local_spaces import ALL_LOCAL
from vidclf_cli.media.types import Limits
from vidclf_cli.pipeline.evaluate import Measuring
from vidclf_cli.pipeline.options import (
    DEFAULT_FRAME_COUNT,
    DEFAULT_MODEL,
    DEFAULT_TOP_K,
    SEGMENT_SECONDS,
    ClassifyOptions,
    Device,
    RunOptions,
)
from vidclf_cli.pipeline.run import CacheFilling, Classification, Job
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.records import Result
from vidclf_cli.scored_rows import ScoredRows, score_dataset
from vidclf_cli.tuning import Tuning, check_not_itself, tune_rows, tuned_card
from vidclf_cli.zero_shot import parse_labels

PathLike = str | os.PathLike[str]
Progress = Callable[[Result, Statistics], None]


def classify(
    paths: PathLike | Iterable[PathLike],
    *,
    model: PathLike = DEFAULT_MODEL,
    labels: str | Sequence[str] = (),
    top_k: int = DEFAULT_TOP_K,
    min_confidence: float | None = None,
    target_precision: float | None = None,
    segment_seconds: float | None = None,
    dense: bool = False,
    exclude: str | Sequence[str] = (),
    frame_count: int = DEFAULT_FRAME_COUNT,
    jobs: int | None = None,
    device: Device = "auto",
    cache_dir: PathLike | None = None,
    verify_content: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Label videos: what `vidclf classify` does.

    Reading happens in worker processes. In a script call it below `if __name__ == "__main__":`, as with
    everything that uses `multiprocessing`.

    Args:
        paths: Files, or folders that are searched recursively.
        model: Name of a shipped classifier, or a classifier file.
        labels: Labels given as words (zero-shot), as a list or as the command takes them ("a,b" or
            "@file"); then `model` is not used.
        top_k: How many alternatives each prediction lists.
        min_confidence: Below it a video is unknown; None is the classifier's own.
        target_precision: Give a label only where it is right so often, by the thresholds that the classifier
            holds for that; None is the classifier's own bars.
        segment_seconds: Give results of segments of this length as well; neighbours of one label are one.
        dense: For segments, look at a frame of every second, wherever it must be decoded from.
        exclude: Globs of paths and names to leave out.
        frame_count: Up to this many frames per video.
        jobs: Worker processes; None chooses by the cores.
        device: Where the encoder runs.
        cache_dir: None is the user's cache folder.
        verify_content: Hash whole files instead of blocks of them.
        limits: What one file may cost.
        progress: Called after each result.

    Returns:
        One result per video found, in the order of their ids, failures included; behind each those of its
        segments, where asked for.

    Raises:
        UsageError: A path that does not exist, a label list or a classifier that cannot be used.
        CacheError: The cache cannot be used or written.
        EncoderError: A shipped encoder is missing, altered or cannot be loaded.
    """
    run = _run_options(exclude, frame_count, jobs, device, cache_dir, verify_content, limits)
    _check_range("top_k", top_k, 0)
    _check_range("min_confidence", min_confidence, 0, 1)
    words = parse_labels(labels) if isinstance(labels, str) else tuple(labels)
    _check_range("segment_seconds", segment_seconds, *SEGMENT_SECONDS)
    chosen = ClassifyOptions(
        os.fspath(model), words, top_k, min_confidence, target_precision, segment_seconds, dense
    )
    with Classification(_paths(paths), chosen, run) as job:
        return _results(job, progress)


def embed(
    paths: PathLike | Iterable[PathLike],
    *,
    embeddings: str | Sequence[str] = (ALL_LOCAL,),
    exclude: str | Sequence[str] = (),
    frame_count: int = DEFAULT_FRAME_COUNT,
    jobs: int | None = None,
    device: Device = "auto",
    cache_dir: PathLike | None = None,
    verify_content: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Fill the cache with the vectors of videos: what `vidclf embed` does.

    Args:
        paths: As for `classify`, like all that is not named here.
        embeddings: Ids or aliases of embedding spaces, or a provider (`local`) for all of its spaces.
        exclude: As for `classify`.
        frame_count: As for `classify`.
        jobs: As for `classify`.
        device: As for `classify`.
        cache_dir: As for `classify`.
        verify_content: As for `classify`.
        limits: As for `classify`.
        progress: As for `classify`.

    Returns:
        One result per video found, without predictions.

    Raises:
        UsageError: A path or an embedding space that does not exist.
        EmbedderError: The package that would fill a space does not work.
        CacheError: The cache cannot be used or written.
        EncoderError: A shipped encoder is missing, altered or cannot be loaded.
    """
    run = _run_options(exclude, frame_count, jobs, device, cache_dir, verify_content, limits)
    spaces = (embeddings,) if isinstance(embeddings, str) else tuple(embeddings)
    with CacheFilling(_paths(paths), run, spaces) as job:
        return _results(job, progress)


def evaluate(
    model: PathLike,
    data: PathLike,
    *,
    min_confidence: float | None = None,
    target_precision: float | None = None,
    worst_count: int = DEFAULT_WORST_COUNT,
    root: PathLike | None = None,
    group_column: str | None = None,
    split: str | None = None,
    exclude: str | Sequence[str] = (),
    frame_count: int = DEFAULT_FRAME_COUNT,
    jobs: int | None = None,
    device: Device = "auto",
    cache_dir: PathLike | None = None,
    verify_content: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a classifier on labelled videos: what `vidclf evaluate` does.

    Args:
        model: Name of a shipped classifier, or a classifier file.
        data: A CSV of paths and labels, a folder with one sub-folder per label, or a packed .h5 file.
        min_confidence: Below it the answer counts as unknown; None is the classifier's own.
        target_precision: As for `classify`.
        worst_count: How many mistakes are listed.
        root: What the paths of a CSV are relative to; None is its own folder.
        group_column: The CSV's column that says which source a video comes from.
        split: The part of a packed file: `test`, `validation`, `train`, `rest`, `large-test` (test and
            rest) or `all`; None is `test` where the file has parts.
        exclude: As for `classify`; like all that follows it is for videos only.
        frame_count: As for `classify`.
        jobs: As for `classify`.
        device: As for `classify`.
        cache_dir: As for `classify`.
        verify_content: As for `classify`.
        limits: As for `classify`.
        progress: Called after each video.

    Returns:
        All figures; videos that could not be read stand in `failures`.

    Raises:
        UsageError: The data or the classifier cannot be used, or they do not fit each other.
        CacheError: The cache cannot be used or written.
        EncoderError: A shipped encoder is missing, altered or cannot be loaded.
    """
    run = _run_options(exclude, frame_count, jobs, device, cache_dir, verify_content, limits)
    _check_range("worst_count", worst_count, 0)
    _check_range("min_confidence", min_confidence, 0, 1)
    check_one_bar(min_confidence, target_precision)
    classifier = load_classifier(model)
    rows = _scored(classifier, data, run, root, group_column, split, "test", progress)
    return evaluate_rows(
        classifier,
        rows,
        min_confidence=min_confidence,
        target_precision=target_precision,
        worst_count=worst_count,
    )


def tune(
    model: PathLike,
    data: PathLike,
    target_precision: float,
    out: PathLike,
    *,
    force: bool = False,
    root: PathLike | None = None,
    group_column: str | None = None,
    split: str | None = None,
    exclude: str | Sequence[str] = (),
    frame_count: int = DEFAULT_FRAME_COUNT,
    jobs: int | None = None,
    device: Device = "auto",
    cache_dir: PathLike | None = None,
    verify_content: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Tuning:
    """Set a classifier's thresholds so that its labels are right often enough: what `vidclf tune` does.

    Args:
        model: Name of a shipped classifier, or a classifier file.
        data: As for `evaluate`.
        target_precision: The share of the labels given that shall be right, between 0 and 1.
        out: The tuned classifier; an older file is replaced when the new one is whole. No picture is drawn.
        force: Let `out` replace `model` itself.
        root: As for `evaluate`.
        group_column: As for `evaluate`.
        split: As for `evaluate`; None is `validation` where the file has parts.
        exclude: As for `evaluate`, like all that follows.
        frame_count: As for `classify`.
        jobs: As for `classify`.
        device: As for `classify`.
        cache_dir: As for `classify`.
        verify_content: As for `classify`.
        limits: As for `classify`.
        progress: Called after each video.

    Returns:
        The new thresholds with what they give and cost; videos that could not be read stand in
        `rows.failures`.

    Raises:
        UsageError: The data or the classifier cannot be used, they do not fit each other, or no label
            reaches the precision.
        OutputError: `out` cannot be written.
        CacheError: The cache cannot be used or written.
        EncoderError: A shipped encoder is missing, altered or cannot be loaded.
    """
    run = _run_options(exclude, frame_count, jobs, device, cache_dir, verify_content, limits)
    check_one_bar(None, target_precision)
    classifier, target = load_classifier(model), Path(out)
    check_classifier_target(target)
    if not force:
        check_not_itself(classifier.path, target)
    rows = _scored(classifier, data, run, root, group_column, split, "validation", progress)
    tuning = tune_rows(classifier, rows, target_precision)
    save_with_card(classifier, tuned_card(classifier.card, tuning, Path(data).resolve().name), target)
    return tuning


def load_classifier(model: PathLike) -> Classifier:
    """Load and check a classifier.

    Args:
        model: Name of a shipped classifier, or a classifier file.

    Raises:
        ClassifierError: It cannot be used; the message says why and what to do.
    """
    return _load_classifier(os.fspath(model))


def _scored(
    classifier: Classifier,
    data: PathLike,
    run: RunOptions,
    root: PathLike | None,
    group_column: str | None,
    split: str | None,
    default_split: str,
    progress: Progress | None,
) -> ScoredRows:
    """Return what a classifier says to labelled videos, or to the rows of a packed file."""
    source = Path(data)
    if is_packed(source):
        if run.exclude or root is not None or group_column is not None:
            raise UsageError(f"{source} is a packed file.", "exclude, root and group_column are for videos.")
        with open_dataset(source) as dataset:
            return score_dataset(classifier, dataset, split=split, default_split=default_split)
    if split is not None:
        raise UsageError(f"{source} has no parts, so no split {split!r}.", "split is for packed files.")
    labelled = read_labelled(
        source,
        multi=classifier.task == "multi",
        root=None if root is None else Path(root),
        group_column=group_column,
        exclude=run.exclude,
        for_training=False,
    )
    with Measuring(classifier, labelled, run) as job:
        _results(job, progress)
        return job.rows()


def _results(job: Job, progress: Progress | None) -> list[Result]:
    results = []
    for result in job.results():
        results.append(result)
        if progress is not None:
            progress(result, job.statistics)
    return results


def _paths(paths: PathLike | Iterable[PathLike]) -> tuple[Path, ...]:
    if isinstance(paths, str | os.PathLike):
        paths = (paths,)
    found = tuple(Path(path) for path in paths)
    if not found:
        raise UsageError("No path was given.", "Name files, or folders that hold videos.")
    return found


def _run_options(
    exclude: str | Sequence[str],
    frame_count: int,
    jobs: int | None,
    device: Device,
    cache_dir: PathLike | None,
    verify_content: bool,
    limits: Limits | None,
) -> RunOptions:
    _check_range("frame_count", frame_count, 1)
    _check_range("jobs", jobs, 1)
    if device not in get_args(Device):
        raise UsageError(f"device {device!r} is not known.", f"It is one of {', '.join(get_args(Device))}.")
    if limits is not None and not isinstance(limits, Limits):
        raise UsageError("limits is no vidclf_cli.media.types.Limits.", "Give e.g. Limits(seconds=30).")
    return RunOptions(
        exclude=(exclude,) if isinstance(exclude, str) else tuple(exclude),
        frame_count=frame_count,
        jobs=jobs,
        device=device,
        cache_folder=None if cache_dir is None else Path(cache_dir),
        verify_content=verify_content,
        limits=limits or Limits(),
    )


def _check_range(name: str, value: float | None, least: float, most: float = math.inf) -> None:
    if value is not None and not least <= value <= most:
        span = f"at least {least}" if most == math.inf else f"from {least} to {most}"
        raise UsageError(f"{name} is {value}.", f"It must be {span}.")

"""The Python API: what the commands do, with results returned."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from vidclf_cli.classifier import Classifier
from vidclf_cli.classifier import load_classifier as _load_classifier
from vidclf_cli.errors import UsageError
from vidclf_cli.media.types import Limits
from vidclf_cli.pipeline.options import (
    DEFAULT_FRAME_COUNT,
    DEFAULT_MODEL,
    DEFAULT_TOP_K,
    ClassifyOptions,
    Device,
    RunOptions,
)
from vidclf_cli.pipeline.run import CacheFilling, Classification, Job
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.records import Result

PathLike = str | os.PathLike[str]
Progress = Callable[[Result, Statistics], None]


def classify(
    paths: PathLike | Iterable[PathLike],
    *,
    model: PathLike = DEFAULT_MODEL,
    labels: Sequence[str] = (),
    top_k: int = DEFAULT_TOP_K,
    min_confidence: float | None = None,
    exclude: Sequence[str] = (),
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
        labels: Labels given as words (zero-shot); then `model` is not used.
        top_k: How many alternatives each prediction lists.
        min_confidence: Below it a video is unknown; None is the classifier's own.
        exclude: Globs of paths and names to leave out.
        frame_count: Up to this many frames per video.
        jobs: Worker processes; None chooses by the cores.
        device: Where the encoder runs.
        cache_dir: None is the user's cache folder.
        verify_content: Hash whole files instead of blocks of them.
        limits: What one file may cost.
        progress: Called after each result.

    Returns:
        One result per video found, in the order of their ids, failures included.

    Raises:
        UsageError: A path that does not exist, a label list or a classifier that cannot be used.
        CacheError: The cache cannot be used or written.
    """
    run = _run_options(exclude, frame_count, jobs, device, cache_dir, verify_content, limits)
    chosen = ClassifyOptions(os.fspath(model), tuple(labels), top_k, min_confidence)
    with Classification(_paths(paths), chosen, run) as job:
        return _results(job, progress)


def embed(
    paths: PathLike | Iterable[PathLike],
    *,
    exclude: Sequence[str] = (),
    frame_count: int = DEFAULT_FRAME_COUNT,
    jobs: int | None = None,
    device: Device = "auto",
    cache_dir: PathLike | None = None,
    verify_content: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Fill the cache with the vectors of videos: what `vidclf embed` does.

    Arguments and errors are those of `classify`.

    Returns:
        One result per video found, without predictions.
    """
    run = _run_options(exclude, frame_count, jobs, device, cache_dir, verify_content, limits)
    with CacheFilling(_paths(paths), run) as job:
        return _results(job, progress)


def load_classifier(model: PathLike) -> Classifier:
    """Load and check a classifier.

    Args:
        model: Name of a shipped classifier, or a classifier file.

    Raises:
        ClassifierError: It cannot be used; the message says why and what to do.
    """
    return _load_classifier(os.fspath(model))


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
    exclude: Sequence[str],
    frame_count: int,
    jobs: int | None,
    device: Device,
    cache_dir: PathLike | None,
    verify_content: bool,
    limits: Limits | None,
) -> RunOptions:
    return RunOptions(
        exclude=tuple(exclude),
        frame_count=frame_count,
        jobs=jobs,
        device=device,
        cache_folder=None if cache_dir is None else Path(cache_dir),
        verify_content=verify_content,
        limits=limits or Limits(),
    )

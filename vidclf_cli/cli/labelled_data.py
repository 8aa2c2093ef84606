"""What `evaluate` and `tune` begin with: labelled data in, what a classifier says to it out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidclf_cli.cli.options import to_run_options
from vidclf_cli.cli.progress import show_steps
from vidclf_cli.cli.terminal import printable, say

if TYPE_CHECKING:
    from vidclf_cli.classifier import Classifier
    from vidclf_cli.scored_rows import ScoredRows


def score_labelled(
    classifier: Classifier,
    data: Path,
    values: dict[str, Any],
    *,
    split: str | None,
    default_split: str,
    quiet: bool,
) -> ScoredRows:
    """Run a classifier on labelled videos or a packed file, and show how far it is.

    Args:
        classifier: What is asked.
        data: A CSV, a folder with one sub-folder per label, or a packed file.
        values: The values of `data_options` and `run_options`.
        split: The part of a packed file.
        default_split: The part where none was named and the file has parts.
        quiet: Show nothing.

    Raises:
        click.UsageError: An option that has no meaning for such data.
        UsageError: The data cannot be used, or it and the classifier do not fit each other.
    """
    from vidclf_cli.evaluation import is_packed

    root, group_column = values.pop("root"), values.pop("group_column")
    if not is_packed(data):
        if split is not None:
            raise click.UsageError(f"--split is for packed files; {data} has no parts. Leave it away.")
        return _of_videos(classifier, data, root, group_column, values, quiet)
    for option, value in (("--root", root), ("--group-column", group_column),
                          ("--exclude", values["exclude"])):  # fmt: skip
        if value:
            raise click.UsageError(f"{option} is for videos; {data} is a packed file. Leave it away.")
    return _of_packed(classifier, data, split, default_split, quiet)


def _of_packed(
    classifier: Classifier, data: Path, split: str | None, default_split: str, quiet: bool
) -> ScoredRows:
    from vidclf_cli import __version__
    from vidclf_cli.dataset import open_dataset
    from vidclf_cli.scored_rows import score_dataset

    with open_dataset(data) as dataset:
        if not quiet:
            say(printable(f"vidclf {__version__}: {classifier.name} on {data}, {len(dataset):,} rows in all"))
        with show_steps("rows", quiet) as progress:
            return score_dataset(
                classifier, dataset, split=split, default_split=default_split, progress=progress
            )


def _of_videos(
    classifier: Classifier,
    data: Path,
    root: Path | None,
    group_column: str | None,
    values: dict[str, Any],
    quiet: bool,
) -> ScoredRows:
    from vidclf_cli.cli.progress import show_progress, show_start, show_summary
    from vidclf_cli.labelled import read_labelled
    from vidclf_cli.pipeline.evaluate import Measuring

    run = to_run_options(values)
    labelled = read_labelled(
        data,
        multi=classifier.task == "multi",
        root=root,
        group_column=group_column,
        exclude=run.exclude,
        for_training=False,
    )
    with Measuring(classifier, labelled, run) as job:
        show_start(job, quiet)
        with show_progress(job, quiet):
            for _ in job.results():
                pass
        show_summary(job, None, quiet)
        return job.rows()

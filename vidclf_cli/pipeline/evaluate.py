"""Labelled videos to scored rows: embed them as `classify` does, then ask the classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from vidclf_cli import __version__
from vidclf_cli.alignment import LeftOut, no_common_label
from vidclf_cli.classifier import Classifier, check_can_embed
from vidclf_cli.errors import UsageError
from vidclf_cli.labelled import LabelledVideo, LabelledVideos, video_id
from vidclf_cli.pipeline.gather import Gathering
from vidclf_cli.pipeline.options import RunOptions
from vidclf_cli.records import Result, Status
from vidclf_cli.scored_rows import Failure, ScoredRows, score_dataset


class Measuring(Gathering):
    """Embed labelled videos into the spaces of a classifier, and ask it.

    Videos of which the classifier has no label are left out before anything is read.

    Args:
        classifier: What is measured.
        labelled: The videos.
        options: How they are read and embedded.

    Raises:
        UsageError: The classifier has none of the labels, or gives one label where a video has several.
        ClassifierError: It reads a space that this vidclf cannot fill.
        CacheError: The cache cannot be used.
    """

    def __init__(self, classifier: Classifier, labelled: LabelledVideos, options: RunOptions) -> None:
        check_can_embed(classifier)
        _check_task(classifier, labelled)
        known, self._left_out = _split_off(classifier, labelled)
        super().__init__(known, classifier.spaces, options)
        self._classifier = classifier
        self._failures: list[Failure] = []

    @property
    def description(self) -> str:
        """What was chosen and why, one line."""
        name, count = self._classifier.name, len(self._classifier.labels)
        return f"vidclf {__version__}: {name} ({count} labels) on labelled videos; {self._where()}"

    def results(self) -> Iterator[Result]:
        """Yield one result per video, in order, without predictions."""
        for result in super().results():
            if result.status is Status.FAILED:
                self._failures.append(Failure(result.video.id, str(result.reason)))
            yield result

    def rows(self) -> ScoredRows:
        """Return what the classifier says to the videos, after `results()` has ended.

        Raises:
            UsageError: No video could be read, or two files with one content have different labels.
        """
        if self._failures and len(self._failures) == len(self.library.videos):
            first = self._failures[0]
            raise UsageError(
                f"None of the {len(self._failures)} videos could be read; {first.id}: {first.reason}.",
                "`vidclf classify` gives the reason of each.",
            )
        dataset = self.dataset(labels=self._labelled.labels, task=self._classifier.task)
        return replace(
            score_dataset(self._classifier, dataset),
            left_out=self._left_out,
            failures=tuple(self._failures),
            notes=(*self._labelled.notes, *self.notes),
        )


def _check_task(classifier: Classifier, labelled: LabelledVideos) -> None:
    several = [video for video in labelled.videos if len(video.labels) > 1]
    if classifier.task == "single" and several:
        raise UsageError(
            f"{video_id(several[0].path, labelled.root)} has {len(several[0].labels)} labels, and "
            f"{classifier.name} gives each video one.",
            "Measure it on data with one label each, or train a classifier that gives several.",
        )


def _split_off(classifier: Classifier, labelled: LabelledVideos) -> tuple[LabelledVideos, LeftOut]:
    """Return the videos that have a label of the classifier, and the others."""
    has = frozenset(classifier.labels)

    def is_known(video: LabelledVideo) -> bool:
        return not has.isdisjoint(video.labels)

    every = (*labelled.videos, *labelled.missing)
    strange = Counter(label for video in every for label in video.labels if label not in has)
    if not any(map(is_known, every)):
        raise no_common_label(classifier.name, classifier.labels, sorted(strange))
    known = replace(
        labelled,
        videos=tuple(filter(is_known, labelled.videos)),
        missing=tuple(filter(is_known, labelled.missing)),
    )
    others = (video_id(video.path, labelled.root) for video in every if not is_known(video))
    return known, LeftOut(tuple(others), dict(sorted(strange.items())))

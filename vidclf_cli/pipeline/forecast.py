"""What a run would do, found out without reading a video and without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidclf_cli.cache import default_folder
from vidclf_cli.cache.peek import CachePeek
from vidclf_cli.classifier import check_can_embed, load_classifier
from vidclf_cli.decide import check_one_bar
from vidclf_cli.embedders.base import EmbedderOptions, SampleEmbedder
from vidclf_cli.embedders.local import LocalAudio, LocalMetadata, LocalVisual
from vidclf_cli.embedders.registry import foreign_embedders
from vidclf_cli.library import find_videos
from vidclf_cli.metadata import Sidecars
from vidclf_cli.pipeline.options import ClassifyOptions, RunOptions
from vidclf_cli.pipeline.run import sampling_of
from vidclf_cli.pipeline.segments import picture_spaces
from vidclf_cli.pipeline.update import settings_of
from vidclf_cli.records import Video
from vidclf_cli.scoring import Scorer
from vidclf_cli.spaces import Space
from vidclf_cli.zero_shot import ZeroShot


class Forecast:
    """A classification that is not done.

    Args:
        paths: Files and folders.
        choice: Classifier or labels, and how to decide.
        options: How videos are found, read and embedded.

    Attributes:
        library: What was found.
        sidecars: Of the videos.
        cache_folder: Where vectors would be looked up.

    Raises:
        UsageError: The options cannot be used, or a path does not exist.
        ClassifierError: The classifier cannot be used.
    """

    def __init__(self, paths: Sequence[Path], choice: ClassifyOptions, options: RunOptions) -> None:
        check_one_bar(choice.min_confidence, choice.target_precision, choice.labels)
        self._choice = choice
        self._options = options
        self._scorer = _scorer(choice)
        self._sampling = sampling_of(choice, self._scorer)
        self.library = find_videos(paths, options.exclude)
        self.sidecars = Sidecars(self.library.videos)
        self.cache_folder = options.cache_folder or default_folder()

    @property
    def settings(self) -> dict[str, Any]:
        """What rows depend on besides the videos; as `Classification.settings`."""
        return settings_of(self._choice, self._scorer.name, self._options.frame_count)

    def cached_count(self, videos: Sequence[Video]) -> int:
        """Return how many of these videos need not be read.

        Whole files that are to be verified must all be read.
        """
        if self._options.verify_content:
            return 0
        embedders = self._embedders()
        spaces = [space for embedder in embedders for space in embedder.spaces]
        tracks: list[Space] = []
        clips: Sequence[str] = ()
        if self._sampling is not None:
            tracks = [self._sampling.of(space) for space in spaces if space.modality == "visual"]
            clips = picture_spaces(self._scorer)
        with CachePeek(self.cache_folder) as peek:
            return sum(peek.holds(video, spaces, tracks, clips) for video in videos)

    def _embedders(self) -> list[SampleEmbedder]:
        visual, wanted = LocalVisual(self._options.frame_count), self._scorer.spaces
        audio = LocalAudio()
        local = [visual, audio] if any(space.id in wanted for space in audio.spaces) else [visual]
        return [*local, *foreign_embedders(wanted, EmbedderOptions(frame_count=self._options.frame_count))]


def _scorer(choice: ClassifyOptions) -> Scorer:
    if choice.labels:
        return ZeroShot(choice.labels, LocalMetadata())
    classifier = load_classifier(choice.model)
    check_can_embed(classifier)
    if choice.target_precision is not None:
        classifier.bars_at(choice.target_precision)
    return classifier

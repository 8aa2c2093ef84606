"""A whole run: open what is needed, find, embed, classify, close; nothing is left behind."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vidclf_cli import __version__
from vidclf_cli.cache import Cache, CachedTextEmbedder, default_folder
from vidclf_cli.classifier import check_can_embed, load_classifier
from vidclf_cli.decide import Decision, check_one_bar
from vidclf_cli.embedders.base import EmbedderOptions, SampleEmbedder
from vidclf_cli.embedders.local import LocalAudio, LocalMetadata, LocalVisual, concept_names
from vidclf_cli.embedders.registry import find_spaces, foreign_embedders
from vidclf_cli.errors import UsageError
from vidclf_cli.evidence import Explainer
from vidclf_cli.library import Library, find_videos
from vidclf_cli.local_spaces import ALL_LOCAL
from vidclf_cli.media.isolate import DecodePool
from vidclf_cli.metadata import Sidecars, collect_text
from vidclf_cli.pipeline.classify import VideoClassification, count, failed
from vidclf_cli.pipeline.embed import VideoEmbedding
from vidclf_cli.pipeline.options import DEFAULT_MODEL, ClassifyOptions, RunOptions
from vidclf_cli.pipeline.segments import SegmentClassification, picture_spaces, with_segments
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.pipeline.timeline import Sampling, TimelineReading
from vidclf_cli.pipeline.update import settings_of
from vidclf_cli.records import Result, Status, Video
from vidclf_cli.runtime import choose_device, usable_core_count
from vidclf_cli.scoring import Scorer
from vidclf_cli.spaces import Space
from vidclf_cli.wording import some
from vidclf_cli.zero_shot import ZeroShot

_ENCODER_SHARE = 5
"""Reading 8 keyframes costs about 5 times what encoding them does: one encoder thread per 5 cores."""

_MOST_READERS = 16
"""By default: more would wait for the encoder and for the disk."""


def _readers_by_open_files() -> int:
    """Return how many readers the limit of open files allows: pipes and locks take about 8 of each."""
    if sys.platform == "win32":
        return _MOST_READERS
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (limit - 64) // 8) if limit != resource.RLIM_INFINITY else 1 << 16


class Job(ABC):
    """What `classify` and `embed` share: the videos, the cache, the embedders, the readers.

    A context manager: leaving it ends the workers at once when an exception passes through, and closes
    the cache, which keeps what was finished.

    Args:
        paths: Files and folders; or the videos, where they were found already.
        options: How videos are found, read and embedded.

    Raises:
        UsageError: A path does not exist, or CUDA was asked for and is not there.
        CacheError: The cache cannot be used.
    """

    def __init__(self, paths: Sequence[Path] | Library, options: RunOptions) -> None:
        self.statistics = Statistics()
        self.options = options
        self.device = choose_device(options.device)
        cores = usable_core_count()
        encoder_threads = max(1, cores // _ENCODER_SHARE)
        wanted = options.jobs or min(_MOST_READERS, max(1, cores - encoder_threads + 1))
        self.reader_count = min(wanted, _readers_by_open_files())
        self._visual = LocalVisual(options.frame_count, self.device, encoder_threads)
        if self.device.name == "cuda":
            # Whether CUDA really starts shows only when the encoder is opened.
            self.device = self._visual.device
        self._embedder_options = EmbedderOptions(
            frame_count=options.frame_count, device=self.device.name, thread_count=encoder_threads
        )
        with self.statistics.timed("find"):
            self.library = paths if isinstance(paths, Library) else find_videos(paths, options.exclude)
        self.statistics.other_count = self.library.other_count
        self._stack = ExitStack()
        self._pool: DecodePool | None = None
        folder = options.cache_folder or default_folder()
        self.cache = self._stack.enter_context(Cache(folder, verify_content=options.verify_content))
        self._text_embedder = CachedTextEmbedder(LocalMetadata(encoder_threads), self.cache.texts)
        self.sidecars = Sidecars(self.library.videos)

    @property
    def exit_code(self) -> int:
        """0 when everything was found and read, 1 when some failed or a folder could not be looked into."""
        failed_count = self.statistics.status_counts[Status.FAILED] + self.statistics.failed_segment_count
        return 1 if failed_count or self.library.problems else 0

    @property
    @abstractmethod
    def description(self) -> str:
        """What was chosen and why, one line."""

    @abstractmethod
    def results(self) -> Iterator[Result]:
        """Yield one result per video, in order.

        Raises:
            CacheError: The cache cannot be written.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _embedders_for(self, space_ids: Sequence[str]) -> list[SampleEmbedder]:
        """Return what fills these spaces from frames and sound, the local embedders first."""
        local: list[SampleEmbedder] = [self._visual, LocalAudio()]
        foreign = foreign_embedders(space_ids, self._embedder_options)
        found = [each for each in local if any(space.id in space_ids for space in each.spaces)]
        return [*found, *foreign]

    def _embedding(self, embedders: Sequence[SampleEmbedder]) -> VideoEmbedding:
        return VideoEmbedding(
            self.cache, embedders, self._open_reader, 2 * self.reader_count + 2, self.statistics
        )

    def _open_reader(self) -> DecodePool:
        if self._pool is None:
            self._pool = self._stack.enter_context(DecodePool(self.reader_count, self.options.limits))
        return self._pool

    def _text(self, video: Video, tags: Mapping[str, str]) -> str:
        return collect_text(video, tags, self.sidecars).text

    def _where(self) -> str:
        return (
            f"local embedder on {self.device.name} ({self.device.reason}), videos read at a time: "
            f"{self.reader_count}; "
            f"cache {self.cache.folder}"
        )


class Classification(Job):
    """Classify videos.

    Args:
        paths: Files and folders.
        choice: Classifier or labels, and how to decide.
        options: How videos are found, read and embedded.

    Raises:
        ClassifierError: The classifier cannot be used.
    """

    def __init__(self, paths: Sequence[Path], choice: ClassifyOptions, options: RunOptions) -> None:
        # Before the search: a wrong classifier is told at once, not after a million files.
        scorer: Scorer | None = None
        check_one_bar(choice.min_confidence, choice.target_precision, choice.labels)
        bars = None
        if not choice.labels:
            scorer = classifier = load_classifier(choice.model)
            check_can_embed(classifier)
            if choice.target_precision is not None:
                bars = classifier.bars_at(choice.target_precision)
        self._sampling = sampling_of(choice, scorer)
        self._choice = choice
        super().__init__(paths, options)
        try:
            self._scorer = scorer or ZeroShot(choice.labels, self._text_embedder)
        except UsageError:
            self._stack.close()  # nobody entered yet who would leave
            raise
        chosen = "the default" if choice.model == DEFAULT_MODEL else "chosen"
        self._why = "given as words" if choice.labels else chosen
        if choice.target_precision is not None:
            self._why += f", right in {choice.target_precision:g} of the cases"
        self._decision = Decision.for_scorer(self._scorer, choice.top_k, choice.min_confidence, bars)
        if never := self._decision.never_given:
            self._why += f", of which {len(never):,} never given: {some(never)}"

    @property
    def description(self) -> str:
        """What was chosen and why, one line."""
        name = self._scorer.name
        return (
            f"vidclf {__version__}: {name} ({len(self._scorer.labels)} labels, {self._why}); {self._where()}"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What rows depend on besides the videos, as JSON has it."""
        return settings_of(self._choice, self._scorer.name, self.options.frame_count)

    def results(self, videos: Sequence[Video] | None = None) -> Iterator[Result]:
        """Yield one result per video, in order, and behind it those of its segments, where asked for.

        Args:
            videos: Some of the library's, in order; None for all of them.
        """
        embedders = self._embedders()
        spaces: list[Space] = [space for embedder in embedders for space in embedder.spaces]
        concepts = next(space for space in self._visual.spaces if space.alias == "local/concepts")
        explainer = Explainer(self._scorer, concepts, concept_names(), self._text_embedder)
        classification = VideoClassification(
            self._scorer,
            self._decision,
            explainer,
            self._text_embedder,
            self._text,
            [*spaces, self._text_embedder.space],
            self.statistics,
        )
        embedded = self._embedding(embedders).run(self.library.videos if videos is None else videos)
        if self._sampling is None:
            return classification.run(embedded)
        pictures = [each for each in embedders if any(space.modality == "visual" for space in each.spaces)]
        timelines = TimelineReading(
            self.cache,
            pictures,
            picture_spaces(self._scorer),
            self._open_reader,
            self.reader_count + 2,
            self._sampling,
            self.statistics,
        )
        visual = [space for space in spaces if space.modality == "visual"]
        segments = SegmentClassification(self._scorer, self._decision, explainer, visual, self.statistics)
        return with_segments(classification.run, segments, timelines.run(embedded))

    def _embedders(self) -> list[SampleEmbedder]:
        # The picture is always embedded: its concepts are the evidence, whatever the classifier reads.
        shown = [space.id for space in self._visual.spaces]
        return self._embedders_for([*shown, *self._scorer.spaces])


def sampling_of(choice: ClassifyOptions, scorer: Scorer | None) -> Sampling | None:
    """Return how videos are cut into segments, None where they are not.

    Raises:
        UsageError: The classifier cannot tell segments apart, or the options do not fit each other.
    """
    if choice.segment_seconds is None:
        if choice.dense:
            raise UsageError("Frames of every second are for segments.", "Give --segments SECONDS as well.")
        return None
    if scorer is not None:
        picture_spaces(scorer)
    return Sampling(choice.segment_seconds, choice.dense)


class CacheFilling(Job):
    """Embed videos into some spaces, and label nothing.

    Args:
        paths: Files and folders.
        options: How videos are found, read and embedded.
        spaces: Ids, aliases or providers of embedding spaces.

    Raises:
        UsageError: There is no such space.
        EmbedderError: The package that would fill one does not work.
    """

    def __init__(
        self, paths: Sequence[Path], options: RunOptions, spaces: Sequence[str] = (ALL_LOCAL,)
    ) -> None:
        self.spaces = find_spaces(spaces)
        super().__init__(paths, options)

    @property
    def description(self) -> str:
        """What was chosen and why, one line."""
        return f"vidclf {__version__}: {', '.join(space.alias for space in self.spaces)}; {self._where()}"

    def results(self) -> Iterator[Result]:
        """Yield one result per video, in order, without predictions."""
        wanted = [space.id for space in self.spaces]
        embedders = self._embedders_for(wanted)
        reads_text = self._text_embedder.space.id in wanted
        for embedded in self._embedding(embedders).run(self.library.videos):
            if embedded.failure is not None:
                result = failed(embedded)
            else:
                text = self._text(embedded.video, embedded.probe.get("tags", {})) if reads_text else ""
                if text:
                    with self.statistics.timed("text"):
                        self._text_embedder.embed([text])
                result = Result(
                    embedded.video, Status.OK, duration_seconds=embedded.probe.get("duration_seconds")
                )
            count(self.statistics, result)
            yield result

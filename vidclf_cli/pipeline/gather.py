"""Labelled videos to labelled vectors, through the pipeline and the cache that `classify` uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidclf_cli import __version__
from vidclf_cli.dataset import Dataset
from vidclf_cli.embedders.base import SampleEmbedder
from vidclf_cli.embedders.registry import find_spaces
from vidclf_cli.errors import UsageError
from vidclf_cli.labelled import LabelledVideo, LabelledVideos, video_id, why_missing
from vidclf_cli.library import Library, order_key
from vidclf_cli.metadata import collect_text
from vidclf_cli.metadata.label_names import LabelNames
from vidclf_cli.pipeline.classify import count, failed
from vidclf_cli.pipeline.embed import Embedded
from vidclf_cli.pipeline.options import RunOptions
from vidclf_cli.pipeline.run import Job
from vidclf_cli.records import Result, Status, Video
from vidclf_cli.scoring import Task
from vidclf_cli.sources import JoinedSources
from vidclf_cli.wording import some

_TEXT_BATCH = 64


@dataclass(frozen=True, slots=True)
class _Readable:
    """A video that became a row of vectors."""

    row: int
    video: Video
    labelled: LabelledVideo
    fingerprint: str


class Gathering(Job):
    """Embed labelled videos, and keep their vectors for training or measuring.

    A name of a file or folder that only repeats a label is no text about the video: a data set is named
    after its labels, and what is to be classified later is not.

    Args:
        labelled: Which videos have which labels; those that are missing become failed rows.
        spaces: Ids or aliases of embedding spaces; `local` is all local ones.
        options: How videos are read and embedded.

    Raises:
        UsageError: There is no such space, or CUDA was asked for and is not there.
        CacheError: The cache cannot be used.
    """

    def __init__(self, labelled: LabelledVideos, spaces: Sequence[str], options: RunOptions) -> None:
        self.spaces = find_spaces(spaces)
        self._labelled = labelled
        self._names = LabelNames(labelled.labels)
        pairs = [(_found(each, labelled.root), each) for each in (*labelled.videos, *labelled.missing)]
        pairs.sort(key=lambda pair: order_key(pair[0].id))
        self._by_id: Mapping[str, LabelledVideo] = {video.id: each for video, each in pairs}
        self._missing = frozenset(each.path for each in labelled.missing)
        super().__init__(Library(tuple(video for video, _ in pairs), 0, ()), options)
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._readable: list[_Readable] = []
        self._texts: dict[int, str] = {}
        self._telling_count = 0
        self._notes: list[str] = []
        self._is_done = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What looks odd, a sentence each; complete after `dataset()`."""
        telling, all_count = self._telling_count, len(self._readable)
        if not telling or telling * 4 < all_count:
            return tuple(self._notes)
        note = (
            f"The text about {telling} of {all_count} videos names their label: figures with "
            f"{self._text_embedder.space.alias} hold only for videos whose names and titles do so, too."
        )
        return (*self._notes, note)

    @property
    def description(self) -> str:
        """What was chosen and why, one line."""
        aliases = ", ".join(space.alias for space in self.spaces)
        return f"vidclf {__version__}: {len(self._labelled.labels)} labels; {aliases}; {self._where()}"

    def results(self) -> Iterator[Result]:
        """Yield one result per video, in order, without predictions."""
        videos = self.library.videos
        self._vectors = {
            space.id: np.zeros((len(videos), space.dimension), np.float32) for space in self.spaces
        }
        present = [video for video in videos if video.path not in self._missing]
        embedded = self._embedding(self._embedders()).run(present)
        for row, video in enumerate(videos):
            if video.path in self._missing:
                result = failed(Embedded(video, failure=why_missing(video.path)))
            else:
                result = self._keep(row, next(embedded))
            count(self.statistics, result)
            yield result
        self._embed_texts()
        self._is_done = True

    def dataset(self, labels: Sequence[str] | None = None, task: Task | None = None) -> Dataset:
        """Return the vectors of the videos that could be read, after `results()` has ended.

        Args:
            labels: Those that targets are numbered by; None is the data's own.
            task: None is the data's own.

        Raises:
            UsageError: No video could be read, one has a label that is not among `labels`, or several where
                the task is `single`; or two files with one content have different labels.
            RuntimeError: `results()` has not ended.
        """
        if not self._is_done:
            raise RuntimeError("the videos are not all embedded yet")
        if not self._readable:
            raise UsageError("None of the videos could be read.", "The reasons stand in their rows.")
        self._notes = []
        task = task or self._labelled.task
        labels_of, groups = self._unite(task)
        chosen = tuple(labels) if labels is not None else self._labels_that_are_left()
        rows = np.array([each.row for each in self._readable], np.int64)
        return Dataset(
            labels=chosen,
            task=task,
            ids=[each.video.id for each in self._readable],
            targets=self._targets(labels_of, chosen, task),
            groups=groups,
            vectors={
                space: table if len(rows) == len(table) else table[rows]
                for space, table in self._vectors.items()
            },
        )

    def _embedders(self) -> list[SampleEmbedder]:
        return self._embedders_for([space.id for space in self.spaces])

    def _keep(self, row: int, embedded: Embedded) -> Result:
        if embedded.failure is not None:
            return failed(embedded)
        video = embedded.video
        for space, vector in embedded.vectors.items():
            if space in self._vectors:
                self._vectors[space][row] = vector
        labelled = self._by_id[video.id]
        self._readable.append(_Readable(row, video, labelled, embedded.fingerprint))
        if self._text_embedder.space.id in self._vectors:
            self._add_text(row, embedded, labelled)
        return Result(video, Status.OK, duration_seconds=embedded.probe.get("duration_seconds"))

    def _add_text(self, row: int, embedded: Embedded, labelled: LabelledVideo) -> None:
        def gives_away(name: str) -> bool:
            return self._names.only(name, labelled.labels)

        tags = embedded.probe.get("tags", {})
        text = collect_text(embedded.video, tags, self.sidecars, gives_away).text
        if text:
            self._texts[row] = text
            self._telling_count += self._names.within(text, labelled.labels)
        if len(self._texts) >= _TEXT_BATCH:
            self._embed_texts()

    def _embed_texts(self) -> None:
        if self._texts:
            with self.statistics.timed("text"):
                vectors = self._text_embedder.embed(list(self._texts.values()))
            self._vectors[self._text_embedder.space.id][list(self._texts)] = vectors
            self._texts = {}

    def _unite(self, task: Task) -> tuple[list[tuple[str, ...]], list[str]]:
        """Return labels and groups by row; copies of one video have the same."""
        firsts: dict[str, int] = {}
        labels_of = [each.labelled.labels for each in self._readable]
        sources = JoinedSources()
        copies, differing = [], []
        for at, each in enumerate(self._readable):
            first = firsts.setdefault(each.fingerprint, at)
            if first == at:
                continue
            copies.append(each.video.id)
            sources.unite(self._readable[first].labelled.group, each.labelled.group)
            if set(labels_of[first]) != set(labels_of[at]):
                if task == "single":
                    raise _contradiction(self._readable[first], each)
                differing.append(each.video.id)
                labels_of[first] = tuple(dict.fromkeys((*labels_of[first], *labels_of[at])))
        for at, each in enumerate(self._readable):
            labels_of[at] = labels_of[firsts[each.fingerprint]]
        if copies:
            self._notes.append(f"Copies of other videos, kept on one side of a split: {some(copies)}.")
        if differing:
            self._notes.append(
                f"Copies under other labels, which now have the labels of all: {some(differing)}."
            )
        return labels_of, [sources.find(each.labelled.group) for each in self._readable]

    def _labels_that_are_left(self) -> tuple[str, ...]:
        found = {label for each in self._readable for label in each.labelled.labels}
        if len(found) < 2:
            raise UsageError(
                f"Only videos of one label, {min(found)!r}, could be read.", "The reasons stand in the rows."
            )
        if lost := [label for label in self._labelled.labels if label not in found]:
            self._notes.append(f"Labels left out, since none of their videos could be read: {some(lost)}.")
        return tuple(label for label in self._labelled.labels if label in found)

    def _targets(
        self, labels_of: Sequence[tuple[str, ...]], labels: Sequence[str], task: Task
    ) -> NDArray[np.int32] | NDArray[np.uint8]:
        numbers = {label: number for number, label in enumerate(labels)}
        marks = np.zeros((len(labels_of), len(labels)), np.uint8)
        for at, own in enumerate(labels_of):
            video = self._readable[at].video
            if strange := [label for label in own if label not in numbers]:
                raise UsageError(
                    f"{video.id} is labelled {strange[0]!r}, which is not among the {len(labels)} labels.",
                    f"They are {', '.join(labels[:10])}{' ...' if len(labels) > 10 else ''}.",
                )
            if task == "single" and len(own) > 1:
                raise UsageError(
                    f"{video.id} has {len(own)} labels ({', '.join(own)}), where each video has one.",
                    "Keep one of them, or use a multi-label classifier.",
                )
            marks[at, [numbers[label] for label in own]] = 1
        return marks if task == "multi" else marks.argmax(axis=1).astype(np.int32)


def _contradiction(first: _Readable, second: _Readable) -> UsageError:
    return UsageError(
        f"{first.video.id} and {second.video.id} are copies of one video, labelled "
        f"{first.labelled.labels[0]!r} and {second.labelled.labels[0]!r}.",
        "Correct a label or delete a copy; if a video may have several labels, ask for a multi-label "
        "classifier.",
    )


def _found(labelled: LabelledVideo, root: Path | None) -> Video:
    """Describe a file; one that is gone has no size, and its row says so."""
    path = labelled.path
    inside = root is not None and path.is_relative_to(root)
    folder = root if inside and root is not None else path.parent
    try:
        status = path.stat()
    except OSError:
        return Video(video_id(path, root), path, folder, 0, 0, 0)
    return Video(video_id(path, root), path, folder, status.st_size, status.st_mtime_ns, status.st_ino)

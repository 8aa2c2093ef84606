"""Vectors to rows: gather the text, score in batches, decide, explain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import get_args

import numpy as np

from vidclf_cli.decide import Decision
from vidclf_cli.embedders.base import TextEmbedder
from vidclf_cli.evidence import Explainer
from vidclf_cli.pipeline.embed import Embedded
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.records import Prediction, Result, Status, Video
from vidclf_cli.scoring import Scorer, Vectors, has_evidence
from vidclf_cli.spaces import Modality, Space

_BATCH = 64
_BATCH_SECONDS = 0.5
"""A batch is scored when it is this old: while videos are read slowly, rows do not wait for 64 of them."""

CollectText = Callable[[Video, Mapping[str, str]], str]
"""Gives the text about a video, from its sidecars and its container's tags."""


class VideoClassification:
    """Turns embedded videos into results.

    Args:
        scorer: What gives probabilities.
        decision: What makes predictions of them.
        explainer: What finds the evidence.
        text_embedder: Fills the text space.
        collect_text: Gathers the text about a video.
        spaces: All spaces that are shown to the scorer and the explainer, the text space too.
        statistics: Updated while the run goes on.
    """

    def __init__(
        self,
        scorer: Scorer,
        decision: Decision,
        explainer: Explainer,
        text_embedder: TextEmbedder,
        collect_text: CollectText,
        spaces: Sequence[Space],
        statistics: Statistics,
    ) -> None:
        self._scorer = scorer
        self._decision = decision
        self._explainer = explainer
        self._text_embedder = text_embedder
        self._collect_text = collect_text
        self._spaces = tuple(spaces)
        self._statistics = statistics
        self._model = scorer.name

    def run(self, videos: Iterable[Embedded]) -> Iterator[Result]:
        """Yield one result per video, in order."""
        batch: list[Embedded] = []
        begun = time.monotonic()
        for embedded in videos:
            if not batch:
                begun = time.monotonic()
            batch.append(embedded)
            if len(batch) >= _BATCH or time.monotonic() - begun > _BATCH_SECONDS:
                yield from self._classify(batch)
                batch = []
        yield from self._classify(batch)

    def _classify(self, batch: Sequence[Embedded]) -> Iterator[Result]:
        readable = [embedded for embedded in batch if embedded.failure is None]
        predictions = iter(self._predict(readable)) if readable else iter(())
        for embedded in batch:
            result = failed(embedded) if embedded.failure is not None else next(predictions)
            count(self._statistics, result)
            yield result

    def _predict(self, videos: Sequence[Embedded]) -> list[Result]:
        with self._statistics.timed("text"):
            texts = self._texts(videos)
            vectors = self._stack(videos, texts)
        with self._statistics.timed("classify"):
            probabilities = self._scorer.probabilities(vectors)
            believed = has_evidence(self._scorer, vectors)
        with self._statistics.timed("explain"):
            best = [int(index) for index in probabilities.argmax(axis=1)]
            evidence = self._explainer.explain(best, vectors, texts)
        return [
            self._result(
                embedded,
                self._decision.predict(
                    probabilities[row], has_evidence=bool(believed[row]), evidence=evidence[row]
                ),
                self._modalities(vectors, row),
            )
            for row, embedded in enumerate(videos)
        ]

    def _texts(self, videos: Sequence[Embedded]) -> list[str]:
        if self._text_embedder.space.id not in self._scorer.spaces:
            return [""] * len(videos)
        return [self._collect_text(embedded.video, embedded.probe.get("tags", {})) for embedded in videos]

    def _stack(self, videos: Sequence[Embedded], texts: Sequence[str]) -> Vectors:
        vectors = {space.id: np.zeros((len(videos), space.dimension), np.float32) for space in self._spaces}
        for row, embedded in enumerate(videos):
            for space_id, vector in embedded.vectors.items():
                vectors[space_id][row] = vector
        rows = [row for row, text in enumerate(texts) if text]
        if rows:
            embedded_texts = self._text_embedder.embed([texts[row] for row in rows])
            vectors[self._text_embedder.space.id][rows] = embedded_texts
        return vectors

    def _modalities(self, vectors: Vectors, row: int) -> tuple[Modality, ...]:
        used = {
            space.modality
            for space in self._spaces
            if space.id in self._scorer.spaces and vectors[space.id][row].any()
        }
        return tuple(modality for modality in get_args(Modality) if modality in used)

    def _result(self, embedded: Embedded, prediction: Prediction, modalities: tuple[Modality, ...]) -> Result:
        return Result(
            video=embedded.video,
            status=Status.UNKNOWN if prediction.reason else Status.OK,
            reason=prediction.reason,
            prediction=prediction,
            modalities=modalities,
            duration_seconds=embedded.probe.get("duration_seconds"),
            model=self._model,
        )


def failed(embedded: Embedded) -> Result:
    """Return the row of a video that could not be read."""
    return Result(video=embedded.video, status=Status.FAILED, reason=embedded.failure)


def count(statistics: Statistics, result: Result) -> None:
    """Count a finished row."""
    statistics.status_counts[result.status] += 1
    if result.reason is not None:
        statistics.reason_counts[result.reason.code] += 1

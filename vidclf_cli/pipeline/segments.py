"""A video's timeline to rows: score its segments, merge neighbours of one label, decide and explain again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.decide import Decision
from vidclf_cli.embedders.registry import find_space
from vidclf_cli.errors import Code, Reason, UsageError
from vidclf_cli.evidence import Explainer
from vidclf_cli.pipeline.embed import Embedded
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.pipeline.timeline import Timeline
from vidclf_cli.records import Evidence, Prediction, Result, Status
from vidclf_cli.scoring import Scorer, Vectors, has_evidence
from vidclf_cli.spaces import Space


@dataclass(frozen=True, slots=True)
class _Piece:
    """Segments from `first` to before `end`, with what was decided about them."""

    first: int
    end: int
    failure: Reason | None = None
    prediction: Prediction | None = None

    @property
    def kind(self) -> tuple[Reason | Code | None, frozenset[str]]:
        """What neighbours have in common that are one piece."""
        if self.prediction is None:
            return self.failure, frozenset()
        reason = self.prediction.reason
        return None if reason is None else reason.code, frozenset(self.prediction.labels)


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """The segments of a video with the scorer's answers.

    Attributes:
        timeline: The segments.
        seconds: Length of each, shape (segments,).
        vectors: Space id to shape (segments, dimension).
        probabilities: Shape (segments, labels).
        believed: Whether the scorer has anything to go by, shape (segments,).
    """

    timeline: Timeline
    seconds: NDArray[np.float64]
    vectors: Vectors
    probabilities: NDArray[np.float32]
    believed: NDArray[np.bool_]

    def mean(self, rows: NDArray[np.float32], first: int, end: int) -> NDArray[np.float32]:
        """Return the mean of some segments' rows over their time."""
        if end == first + 1:
            one: NDArray[np.float32] = rows[first]
            return one
        weights = self.seconds[first:end] / self.seconds[first:end].sum()
        mean: NDArray[np.float32] = (weights @ rows[first:end]).astype(np.float32)
        return mean

    def span(self, piece: _Piece) -> tuple[float, float]:
        """Return start and end in seconds."""
        return self.timeline.edges[piece.first], self.timeline.edges[piece.end]


def picture_spaces(scorer: Scorer) -> tuple[str, ...]:
    """Return the ids of the spaces that a scorer reads and that parts of a video have vectors in.

    Raises:
        UsageError: It reads none, or cannot do without another one.
    """
    found = {space_id: find_space(space_id) for space_id in scorer.spaces}
    pictures = tuple(each.id for each in found.values() if each is not None and each.modality == "visual")
    advice = "Take a classifier that goes by the picture, or leave --segments out."
    if not pictures:
        read = ", ".join(scorer.spaces)
        raise UsageError(
            f"{scorer.name} reads no space of the picture, only {read}: every segment would get one label.",
            advice,
        )
    if others := [space for space in scorer.required_spaces if space not in pictures]:
        raise UsageError(
            f"{scorer.name} says nothing without {others[0]}, which segments do not have.", advice
        )
    return pictures


def with_segments(
    classify: Callable[[Iterable[Embedded]], Iterator[Result]],
    segments: SegmentClassification,
    timelines: Iterable[tuple[Embedded, Timeline | None]],
) -> Iterator[Result]:
    """Yield the result of each video, as `classify` gives it, and behind it those of its segments."""
    waiting: deque[list[Result]] = deque()

    def videos() -> Iterator[Embedded]:
        for embedded, timeline in timelines:
            # Scored at once: rows are small, and a batch of timelines waiting here would not be.
            waiting.append([] if timeline is None else segments.results(embedded, timeline))
            yield embedded

    for result in classify(videos()):
        yield result
        yield from waiting.popleft()


class SegmentClassification:
    """Turns timelines into results, one per stretch of time with the same answer.

    Segments are judged by the picture alone: what is known of a video besides is about all of it.

    Args:
        scorer: What gives probabilities.
        decision: What makes predictions of them.
        explainer: What finds the evidence.
        spaces: Spaces of the picture that are shown to the scorer and the explainer.
        statistics: Updated while the run goes on.
    """

    def __init__(
        self,
        scorer: Scorer,
        decision: Decision,
        explainer: Explainer,
        spaces: Sequence[Space],
        statistics: Statistics,
    ) -> None:
        self._scorer = scorer
        self._decision = decision
        self._explainer = explainer
        self._spaces = tuple(spaces)
        self._statistics = statistics

    def results(self, embedded: Embedded, timeline: Timeline) -> list[Result]:
        """Return the rows of a video's segments, in order of time."""
        scored = self._score(timeline)
        pieces = self._merge(scored)
        readable = [piece for piece in pieces if piece.prediction is not None]
        self._statistics.failed_segment_count += len(pieces) - len(readable)
        predictions = iter(self._explain(scored, readable))
        return [
            self._failed(embedded, scored, piece)
            if piece.prediction is None
            else self._result(embedded, scored, piece, next(predictions))
            for piece in pieces
        ]

    def _score(self, timeline: Timeline) -> _Scored:
        count = len(timeline.edges) - 1
        vectors = {
            space.id: timeline.vectors.get(space.id, np.zeros((count, space.dimension), np.float32))
            for space in self._spaces
        }
        with self._statistics.timed("classify"):
            probabilities = self._scorer.probabilities(vectors)
            believed = has_evidence(self._scorer, vectors)
        return _Scored(timeline, np.diff(timeline.edges), vectors, probabilities, believed)

    def _merge(self, scored: _Scored) -> list[_Piece]:
        """Merge neighbours of one kind until there are none.

        What was unknown may have a label together (thresholds per label): then it may have new neighbours.
        """
        pieces = [self._decide(scored, segment, segment + 1) for segment in range(len(scored.seconds))]
        while True:
            groups = [list(group) for _, group in groupby(pieces, key=lambda piece: piece.kind)]
            if len(groups) == len(pieces):
                return pieces
            pieces = [
                group[0] if len(group) == 1 else self._decide(scored, group[0].first, group[-1].end)
                for group in groups
            ]

    def _decide(self, scored: _Scored, first: int, end: int) -> _Piece:
        failure = scored.timeline.failures.get(first)
        if failure is not None:
            return _Piece(first, end, failure)
        return _Piece(first, end, prediction=self._predict(scored, first, end))

    def _predict(
        self, scored: _Scored, first: int, end: int, evidence: tuple[Evidence, ...] = ()
    ) -> Prediction:
        return self._decision.predict(
            scored.mean(scored.probabilities, first, end),
            has_evidence=bool(scored.believed[first:end].any()),
            evidence=evidence,
        )

    def _explain(self, scored: _Scored, pieces: Sequence[_Piece]) -> list[Prediction]:
        if not pieces:
            return []
        best = [int(scored.mean(scored.probabilities, piece.first, piece.end).argmax()) for piece in pieces]
        vectors = {
            space_id: np.stack([scored.mean(rows, piece.first, piece.end) for piece in pieces])
            for space_id, rows in scored.vectors.items()
        }
        with self._statistics.timed("explain"):
            evidence = self._explainer.explain(best, vectors, [""] * len(pieces))
        return [
            self._predict(scored, piece.first, piece.end, found)
            for piece, found in zip(pieces, evidence, strict=True)
        ]

    def _result(self, embedded: Embedded, scored: _Scored, piece: _Piece, prediction: Prediction) -> Result:
        return Result(
            video=embedded.video,
            status=Status.UNKNOWN if prediction.reason else Status.OK,
            reason=prediction.reason,
            prediction=prediction,
            modalities=("visual",) if scored.believed[piece.first : piece.end].any() else (),
            duration_seconds=embedded.probe.get("duration_seconds"),
            model=self._scorer.name,
            segment=scored.span(piece),
        )

    def _failed(self, embedded: Embedded, scored: _Scored, piece: _Piece) -> Result:
        return Result(
            video=embedded.video,
            status=Status.FAILED,
            reason=piece.failure,
            duration_seconds=embedded.probe.get("duration_seconds"),
            segment=scored.span(piece),
        )

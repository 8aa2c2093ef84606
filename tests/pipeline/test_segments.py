"""Segments become rows: neighbours of one label merge, and what is decided is decided on their mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import classifier_files
from vidclf_cli.classifier import Classifier, load_classifier
from vidclf_cli.decide import Decision
from vidclf_cli.embedders.local import LocalMetadata, LocalVisual, concept_names
from vidclf_cli.errors import Code, Reason, UsageError
from vidclf_cli.evidence import Explainer
from vidclf_cli.pipeline.embed import Embedded
from vidclf_cli.pipeline.segments import SegmentClassification, picture_spaces, with_segments
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.pipeline.timeline import Timeline
from vidclf_cli.records import Result, Status, Video

CONCEPTS = next(space for space in LocalVisual().spaces if space.alias == "local/concepts")
VIDEO = Video("film.mp4", Path("/film.mp4"), Path("/"), 1, 1, 1)
CRASHED = Reason(Code.DECODER_CRASHED, "its decoder crashed (SIGSEGV)")


def classifier(folder: Path, **changes: object) -> Classifier:
    """A classifier that reads concepts: concepts 0, 1, 2 speak for cat, dog, car."""
    return load_classifier(classifier_files.write(folder, json.dumps(classifier_files.document(**changes))))


def segments(scorer: Classifier, statistics: Statistics | None = None) -> SegmentClassification:
    return SegmentClassification(
        scorer,
        Decision.for_scorer(scorer, 3),
        Explainer(scorer, CONCEPTS, concept_names(), LocalMetadata()),
        [CONCEPTS],
        statistics or Statistics(),
    )


def timeline(
    *concepts: dict[int, float] | None, seconds: float = 10.0, failures: dict[int, Reason] | None = None
) -> Timeline:
    """A timeline by the concepts of each segment; None is a segment without any."""
    rows = np.zeros((len(concepts), CONCEPTS.dimension), np.float32)
    for row, seen in enumerate(concepts):
        for concept, probability in (seen or {}).items():
            rows[row, concept] = probability
    edges = tuple(seconds * edge for edge in range(len(concepts) + 1))
    return Timeline(edges, {CONCEPTS.id: rows}, failures or {})


def rows(made: Sequence[Result]) -> list[tuple[tuple[float, float] | None, str]]:
    return [
        (result.segment, "|".join(result.prediction.labels) if result.prediction else result.status.value)
        for result in made
    ]


CAT, DOG, NEITHER = {0: 0.9}, {1: 0.9}, {7: 0.9}


def test_neighbours_of_one_label_merge_and_unknown_ones_too(tmp_path: Path) -> None:
    made = segments(classifier(tmp_path)).results(
        Embedded(VIDEO, {"duration_seconds": 70.0}),
        timeline(CAT, CAT, DOG, NEITHER, NEITHER, DOG, CAT),
    )
    assert rows(made) == [
        ((0.0, 20.0), "cat"),
        ((20.0, 30.0), "dog"),
        ((30.0, 50.0), ""),
        ((50.0, 60.0), "dog"),
        ((60.0, 70.0), "cat"),
    ]
    assert [result.status for result in made[:3]] == [Status.OK, Status.OK, Status.UNKNOWN]
    assert made[2].reason is not None
    assert made[2].reason.code is Code.LOW_CONFIDENCE
    assert all(result.duration_seconds == 70 and result.modalities == ("visual",) for result in made)
    assert all(result.model.startswith("small@") for result in made)


def test_the_confidence_of_merged_segments_is_the_mean_over_their_time(tmp_path: Path) -> None:
    scorer = classifier(tmp_path)
    seen = timeline({0: 0.9}, {0: 0.5})
    uneven = Timeline((0.0, 10.0, 12.0), seen.vectors)
    (merged,) = segments(scorer).results(Embedded(VIDEO), uneven)
    alone = scorer.probabilities(seen.vectors)[:, 0]
    assert merged.prediction is not None
    assert merged.prediction.confidence == pytest.approx((10 * alone[0] + 2 * alone[1]) / 12, abs=1e-6)
    assert merged.segment == (0.0, 12.0)


def test_evidence_is_what_was_seen_in_the_merged_time(tmp_path: Path) -> None:
    (merged,) = segments(classifier(tmp_path)).results(Embedded(VIDEO), timeline({0: 0.8}, {0: 0.4, 1: 0.06}))
    assert merged.prediction is not None
    (best, *_) = merged.prediction.evidence
    assert (best.source, best.what) == ("visual", concept_names()[0])
    assert best.weight == pytest.approx(0.6, abs=1e-6)


def test_what_could_not_be_read_is_a_failed_row_and_splits_its_neighbours(tmp_path: Path) -> None:
    statistics = Statistics()
    made = segments(classifier(tmp_path), statistics).results(
        Embedded(VIDEO), timeline(CAT, None, None, CAT, failures={1: CRASHED, 2: CRASHED})
    )
    assert rows(made) == [((0.0, 10.0), "cat"), ((10.0, 30.0), "failed"), ((30.0, 40.0), "cat")]
    assert made[1].reason == CRASHED
    assert made[1].model == ""
    assert statistics.failed_segment_count == 1


def test_a_segment_without_any_vector_is_unknown_for_want_of_evidence(tmp_path: Path) -> None:
    made = segments(classifier(tmp_path)).results(Embedded(VIDEO), timeline(CAT, None, NEITHER))
    assert [result.reason and result.reason.code for result in made] == [
        None,
        Code.NO_EVIDENCE,
        Code.LOW_CONFIDENCE,
    ]
    assert made[1].modalities == ()


class _Answers:
    """A scorer that answers what it is shown; thresholds differ by label."""

    name, task, min_confidence, required_spaces = "answers@0", "single", 0.5, ()
    labels, spaces = ("common", "rare", "other"), (CONCEPTS.id,)
    thresholds = {"common": 0.6, "rare": 0.2, "other": 0.6}  # noqa: RUF012 - never written

    def probabilities(self, vectors: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        return vectors[CONCEPTS.id][:, :3]


def test_pieces_that_get_a_label_only_together_merge_with_their_neighbours_again(tmp_path: Path) -> None:
    """Two are unknown: their best labels are below the bars. On average `rare` is best, and above its own."""
    scorer = _Answers()
    explainer = Explainer(scorer, CONCEPTS, concept_names(), LocalMetadata())  # type: ignore[arg-type]
    made = SegmentClassification(
        scorer,  # type: ignore[arg-type]
        Decision(scorer.labels, "single", (0.6, 0.2, 0.6), 3),
        explainer,
        [CONCEPTS],
        Statistics(),
    ).results(
        Embedded(VIDEO),
        timeline({1: 1.0}, {0: 0.45, 1: 0.4, 2: 0.15}, {0: 0.15, 1: 0.4, 2: 0.45}, {0: 1.0}),
    )
    assert rows(made) == [((0.0, 30.0), "rare"), ((30.0, 40.0), "common")]


def test_a_video_s_own_row_comes_first_and_a_failed_video_has_no_segments(tmp_path: Path) -> None:
    def classify(videos: object) -> object:
        batch = list(videos)  # type: ignore[call-overload]  # as a batch of 64 does
        return (Result(each.video, Status.FAILED if each.failure else Status.OK) for each in batch)

    good, bad = Embedded(VIDEO), Embedded(VIDEO, failure=CRASHED)
    made = list(
        with_segments(
            classify,  # type: ignore[arg-type]
            segments(classifier(tmp_path)),
            [(good, timeline(CAT, DOG)), (bad, None), (good, timeline(CAT))],
        )
    )
    assert [result.segment for result in made] == [
        None, (0.0, 10.0), (10.0, 20.0), None, None, (0.0, 10.0),
    ]  # fmt: skip


def test_a_classifier_that_reads_no_picture_is_refused(tmp_path: Path) -> None:
    assert picture_spaces(classifier(tmp_path)) == (classifier_files.CONCEPTS,)

    class TextOnly(_Answers):
        spaces = (classifier_files.METADATA,)

    with pytest.raises(UsageError, match="reads no space of the picture, only local/all-minilm"):
        picture_spaces(TextOnly())  # type: ignore[arg-type]


def test_a_classifier_that_cannot_do_without_text_is_refused(tmp_path: Path) -> None:
    inputs = [
        {"name": "concepts", "space": classifier_files.CONCEPTS, "dimension": 1000, "required": False},
        {"name": "metadata", "space": classifier_files.METADATA, "dimension": 384, "required": True},
    ]
    with pytest.raises(UsageError, match="says nothing without local/all-minilm"):
        picture_spaces(classifier(tmp_path, inputs=inputs))

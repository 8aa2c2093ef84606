"""How a duration is cut, and which vectors count for how much in a part of it."""

from __future__ import annotations

import numpy as np
import pytest

from vidclf_cli.errors import Code, Reason
from vidclf_cli.spaces import Space
from vidclf_cli.tracks import Slots, Track, cut, mean_per_part

SPACE = Space("toy/net@1/visual", "toy/visual", "visual", 2, "keyframes-10s")
DAMAGED = Reason(Code.DAMAGED, "this part cannot be decoded")


@pytest.mark.parametrize(
    ("duration", "edges"),
    [
        (30.0, (0.0, 10.0, 20.0, 30.0)),
        (35.0, (0.0, 10.0, 20.0, 30.0, 35.0)),
        (20.02, (0.0, 10.0, 20.02)),
        (21.5, (0.0, 10.0, 20.0, 21.5)),
        (10.0, (0.0, 10.0)),
        (4.0, (0.0, 4.0)),
        (0.001, (0.0, 0.001)),
    ],
)
def test_a_duration_is_cut_into_equal_parts_and_a_rest_that_is_worth_it(
    duration: float, edges: tuple[float, ...]
) -> None:
    assert cut(duration, 10.0) == edges


def track(*clips: tuple[float, float, float]) -> Track:
    """A track of clips: start, end, first number of the vector."""
    return Track(
        np.array([clip[:2] for clip in clips], np.float64),
        np.array([(clip[2], 1) for clip in clips], np.float16),
    )


def test_a_part_is_the_mean_of_what_overlaps_it_by_how_long_it_does() -> None:
    means, covered = mean_per_part(track((0, 6, 0), (6, 12, 12), (12, 18, 24)), (0.0, 10.0, 18.0))
    assert covered.all()
    np.testing.assert_allclose(means[:, 0], [4 * 12 / 10, (2 * 12 + 6 * 24) / 8])
    np.testing.assert_allclose(means[:, 1], 1)


def test_a_part_that_nothing_overlaps_is_zeros_and_said_to_be_so() -> None:
    means, covered = mean_per_part(track((0, 10, 5), (30, 40, 7)), (0.0, 10.0, 20.0, 30.0, 40.0))
    assert covered.tolist() == [True, False, False, True]
    assert means[:, 0].tolist() == [5, 0, 0, 7]


def test_edges_that_differ_by_rounding_only_do_not_cover() -> None:
    third = 0.1 + 0.2  # 0.30000000000000004
    _, covered = mean_per_part(track((0, third, 1)), (0.0, 0.3, 0.6))
    assert covered.tolist() == [True, False]


def test_overlapping_clips_both_count() -> None:
    means, _ = mean_per_part(track((0, 8, 2), (4, 12, 6)), (0.0, 4.0, 8.0, 12.0))
    assert means[:, 0].tolist() == [2, 4, 6]


def filled(count: int, own: dict[int, float], failures: dict[int, Reason] | None = None) -> Slots:
    rows = {slot: {SPACE.id: np.array([value, 1], np.float16)} for slot, value in own.items()}
    times = {slot: 10.0 * slot + 1 for slot in own}
    return Slots(tuple(10.0 * edge for edge in range(count + 1)), rows, times, failures or {})


def test_a_slot_without_a_frame_belongs_to_the_frame_before_it() -> None:
    slots = filled(5, {0: 1, 3: 2})
    spans, failures = slots.spans()
    assert spans == {0: (0.0, 30.0), 3: (30.0, 50.0)}
    assert not failures
    made = slots.track(SPACE, spans)
    assert made.spans.tolist() == [[0, 30], [30, 50]]
    assert made.vectors[:, 0].tolist() == [1, 2]
    assert made.frame_seconds is not None
    assert made.frame_seconds.tolist() == [1, 31]


def test_slots_before_the_first_frame_belong_to_it() -> None:
    assert filled(4, {2: 1}).spans() == ({2: (0.0, 40.0)}, {})


def test_a_slot_behind_one_that_failed_fails_with_it() -> None:
    spans, failures = filled(6, {0: 1, 4: 2}, {2: DAMAGED}).spans()
    assert spans == {0: (0.0, 20.0), 4: (40.0, 60.0)}
    assert failures == {2: DAMAGED, 3: DAMAGED}


def test_a_video_without_a_frame_fails_as_a_whole() -> None:
    spans, failures = filled(2, {}).spans()
    assert spans == {}
    assert {reason.code for reason in failures.values()} == {Code.DAMAGED}
    assert list(failures) == [0, 1]

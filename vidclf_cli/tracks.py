"""Vectors along a video: which span of time each stands for, and the mean of those in a segment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import Code, Reason
from vidclf_cli.spaces import Space

_TAIL_SHARE = 0.1
"""A rest shorter than this share of a segment belongs to the last one: 20.02 s are two segments of 10."""

_LEAST_SECONDS = 1e-6
"""A shorter overlap is the rounding of two edges that are one."""

_NOTHING = Reason(Code.DAMAGED, "no frame of it could be read")


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The vectors of one space along one video.

    Attributes:
        spans: Start and end in seconds of what each vector stands for, shape (vectors, 2), float64. Starts
            and ends are in order; spans may have holes between them, and clips may overlap.
        vectors: Shape (vectors, dimension), float16: a film of an hour has 1.6 MB at 10 s.
        frame_seconds: Real times of the frames that the vectors were made from, shape (vectors,); None for
            vectors of whole clips.
    """

    spans: NDArray[np.float64]
    vectors: NDArray[np.float16]
    frame_seconds: NDArray[np.float64] | None = None


@dataclass(slots=True, eq=False)
class Slots:
    """What was found of the slots of one video.

    Attributes:
        edges: Edges of the slots in seconds.
        rows: Slot to the vectors of its frame by space id.
        frame_seconds: Slot to the real time of its frame.
        failures: Slot to the reason why nothing of it could be read.
    """

    edges: tuple[float, ...]
    rows: dict[int, dict[str, NDArray[np.float16]]] = field(default_factory=dict)
    frame_seconds: dict[int, float] = field(default_factory=dict)
    failures: dict[int, Reason] = field(default_factory=dict)

    def spans(self) -> tuple[dict[int, tuple[float, float]], dict[int, Reason]]:
        """Return what each frame stands for, by its slot, and all slots that failed.

        A slot without a frame belongs to the frame before it, or with it to what could not be read; at the
        start of a video to the first one after it.
        """
        count = len(self.edges) - 1
        known: list[int | Reason | None] = [
            slot if slot in self.rows else self.failures.get(slot) for slot in range(count)
        ]
        owner = next((each for each in known if each is not None), _NOTHING)
        ends: dict[int, int] = {}
        starts: dict[int, int] = {}
        failures = {}
        for slot, each in enumerate(known):
            owner = owner if each is None else each
            if isinstance(owner, Reason):
                failures[slot] = owner
            else:
                starts.setdefault(owner, slot)
                ends[owner] = slot + 1
        return {own: (self.edges[starts[own]], self.edges[ends[own]]) for own in starts}, failures

    def track(self, space: Space, spans: Mapping[int, tuple[float, float]]) -> Track:
        """Return the track of one space."""
        return Track(
            np.array(list(spans.values()), np.float64),
            np.stack([self.rows[slot][space.id] for slot in spans]),
            np.array([self.frame_seconds[slot] for slot in spans], np.float64),
        )


def cut(duration_seconds: float, part_seconds: float) -> tuple[float, ...]:
    """Cut a duration into parts of equal length.

    Returns:
        The edges, one more than there are parts: from 0 to the duration. The last part is what is left,
        from a tenth of a part to a tenth more than one.
    """
    count = max(1, math.ceil(duration_seconds / part_seconds - _TAIL_SHARE))
    return (*(number * part_seconds for number in range(count)), duration_seconds)


def mean_per_part(track: Track, edges: Sequence[float]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return for each part the mean of the vectors that overlap it, weighted by how long they do.

    Args:
        track: The vectors.
        edges: Edges of the parts in seconds, in order, one more than there are parts.

    Returns:
        Shape (parts, dimension), zeros where no vector overlaps; and shape (parts,), whether one does.
    """
    starts, ends = track.spans[:, 0], track.spans[:, 1]
    means = np.zeros((len(edges) - 1, track.vectors.shape[1]), np.float32)
    covered = np.zeros(len(edges) - 1, bool)
    firsts = np.searchsorted(ends, edges[:-1], side="right")
    lasts = np.searchsorted(starts, edges[1:], side="left")
    for part, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
        rows = slice(int(first), int(last))
        overlaps = np.minimum(ends[rows], edges[part + 1]) - np.maximum(starts[rows], edges[part])
        weights = np.where(overlaps > _LEAST_SECONDS, overlaps, 0.0)
        total = weights.sum()
        if total > 0:
            means[part] = (weights / total) @ track.vectors[rows].astype(np.float64)
            covered[part] = True
    return means, covered

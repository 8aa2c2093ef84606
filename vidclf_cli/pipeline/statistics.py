"""What a run did and where its time went."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vidclf_cli.records import Status


@dataclass(slots=True)
class Statistics:
    """Counts and seconds of one run, updated while it goes on.

    Attributes:
        other_count: Files that are no candidates.
        status_counts: Finished rows per status.
        reason_counts: Failed and unknown rows per reason code.
        decoded_count: Videos that were read.
        cached_count: Videos whose vectors were all cached.
        taken_over_count: Videos whose rows were taken over from the output that is brought up to date.
        dropped_count: Videos whose rows in it were not, since they are gone.
        read_timeline_count: Videos whose timeline was read.
        cached_timeline_count: Videos whose timeline was cached.
        part_count: Parts of the timelines that are, or were, read.
        read_part_count: Those of them that are finished.
        failed_segment_count: Segment rows of videos that could be read, of which nothing could be read.
        shared_frame_count: Segments that have no frame of their own and go by the one before.
        seconds: Per stage, of the main process; `decode` is the workers' own time, all workers together.
    """

    other_count: int = 0
    status_counts: Counter[Status] = field(default_factory=Counter)
    reason_counts: Counter[str] = field(default_factory=Counter)
    decoded_count: int = 0
    cached_count: int = 0
    taken_over_count: int = 0
    dropped_count: int = 0
    read_timeline_count: int = 0
    cached_timeline_count: int = 0
    part_count: int = 0
    read_part_count: int = 0
    failed_segment_count: int = 0
    shared_frame_count: int = 0
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    started: float = field(default_factory=time.perf_counter)

    @property
    def finished_count(self) -> int:
        """How many rows are finished."""
        return self.status_counts.total()

    @property
    def elapsed_seconds(self) -> float:
        """Time since the run began."""
        return time.perf_counter() - self.started

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - begun

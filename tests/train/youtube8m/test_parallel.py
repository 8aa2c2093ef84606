"""Work in threads: few things in memory, and an end that comes soon."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from vidclf_train.youtube8m.parallel import in_parallel


def test_items_are_taken_as_threads_become_free() -> None:
    taken: list[int] = []

    def count() -> Iterator[int]:
        for number in range(1_000_000):
            taken.append(number)
            yield number

    with closing(in_parallel(count(), lambda number: 2 * number, jobs=3, stop=lambda: None)) as coming:
        for done, (number, result) in enumerate(coming, start=1):
            assert result == 2 * number
            assert len(taken) <= done + 6
            if done == 100:
                break


def test_leaving_early_stops_what_runs() -> None:
    stopped = threading.Event()

    def work(number: int) -> bool:
        return number == 0 or stopped.wait(20)

    with closing(in_parallel(range(50), work, jobs=2, stop=stopped.set)) as coming:
        next(coming)
    assert stopped.is_set()


def test_what_work_raises_ends_it() -> None:
    def work(number: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        list(in_parallel(range(50), work, jobs=2, stop=lambda: None))

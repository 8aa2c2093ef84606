"""Trainings that do not need each other, side by side, each on one thread of the processor.

Small networks gain little from a second thread per operation, and all of it from a training of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

import torch

Result = TypeVar("Result")

Check = Callable[[], None]
"""Called by a training after each of its steps; raises when it shall not go on."""


class _StoppedError(Exception):
    """Ends a training whose result nobody waits for any more."""


def run_side_by_side(
    trainings: Sequence[Callable[[Check], Result]], width: int, on_done: Callable[[int], None]
) -> list[Result]:
    """Run trainings, several at a time.

    When one fails, or the user interrupts, the others end at their next step.

    Args:
        trainings: May draw from generators of their own only, not from torch's global one.
        width: How many at a time; with 1 each has all threads.
        on_done: Told how many are done.

    Returns:
        Their results, in their order.
    """
    if width == 1:
        results = []
        for training in trainings:
            results.append(training(lambda: None))
            on_done(len(results))
        return results
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise _StoppedError

    # Each thread is told: what OpenMP and MKL shall use is kept per thread.
    with kept_thread_count(), ThreadPoolExecutor(width, "training", torch.set_num_threads, (1,)) as pool:
        running = [pool.submit(training, check) for training in trainings]
        try:
            for done, ended in enumerate(as_completed(running), start=1):
                ended.result()
                on_done(done)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [each.result() for each in running]


@contextmanager
def kept_thread_count() -> Iterator[None]:
    """Give torch as many threads at the end as it had, whatever is done within.

    Others change it too: numba, on which UMAP is built, sets that of the whole process.
    """
    thread_count = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(thread_count)

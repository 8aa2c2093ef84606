"""Work on many things at a time, with few of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Given = TypeVar("_Given")


def in_parallel(
    items: Iterable[_Item], work: Callable[[_Item], _Given], *, jobs: int, stop: Callable[[], None]
) -> Generator[tuple[_Item, _Given]]:
    """Yield every item with what the work on it gave, in the order in which it is done.

    Args:
        items: Taken as threads become free.
        work: Called in `jobs` threads.
        jobs: How many threads.
        stop: Called when the caller leaves early, or the work raises: makes running work end soon.
    """
    coming = iter(items)
    running: dict[Future[_Given], _Item] = {}
    with ThreadPoolExecutor(jobs, "fetch") as pool:
        try:
            while True:
                for item in islice(coming, 2 * jobs - len(running)):
                    running[pool.submit(work, item)] = item
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        except BaseException:
            stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise

"""Decode in worker processes: a decoder that crashes, hangs or eats memory costs one video."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Self

from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media import worker
from vidclf_cli.media.launch import launch_context, start_method
from vidclf_cli.media.types import Limits, Sample, SampleRequest

P = ParamSpec("P")

TASKS_PER_WORKER = 500
"""A worker is replaced after so many videos: what a decoder leaks goes with it."""

# A worker may die before it says which task it took; the task is then given to another one, this often.
_ATTEMPTS = 2


class DecodePool:
    """Worker processes that read videos. Every method may be called from any thread.

    Each worker has a pebble pool of its own. In a shared one the workers take turns by locks, and one
    that is killed while it holds a lock stops the others for a minute at a time.

    Args:
        worker_count: How many videos are read at a time.
        limits: What each of them may cost.
    """

    def __init__(self, worker_count: int, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._context = launch_context()
        self._lock = threading.RLock()
        self._pending: deque[_Task] = deque()
        self._idle = threading.Condition(self._lock)
        self._stopped = False
        self._slots = [_Slot(self._new_pool()) for _ in range(max(1, worker_count))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.stop()

    def submit(self, path: Path, request: SampleRequest) -> Future[Sample]:
        """Read a video; the future gives its `Sample` or raises `MediaError`.

        A future is cancelled when the pool is stopped before it is done. Cancelling one ends its work.
        """
        return self._run(worker.read, os.fsencode(path.absolute()), request, self._limits)

    def stop(self) -> None:
        """End all workers now, whatever they do; what was not finished is cancelled."""
        with self._lock:
            self._stopped = True
            unfinished = [*self._pending, *(slot.task for slot in self._slots if slot.task)]
            self._pending.clear()
            pools = [slot.pool for slot in self._slots]
            self._idle.notify_all()
        for pool in pools:
            pool.stop()
        for task in unfinished:
            task.future.cancel()
        # Each join waits for the pool's loops to wake up (0.1 s); side by side this is no longer for many.
        joins = [threading.Thread(target=pool.join, daemon=True) for pool in pools]
        for thread in joins:
            thread.start()
        for thread in joins:
            thread.join()

    def close(self) -> None:
        """Wait for the videos that were submitted, then end the workers."""
        with self._lock:
            self._idle.wait_for(
                lambda: self._stopped or not (self._pending or any(slot.task for slot in self._slots))
            )
        self.stop()

    def _run(self, function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Future[Any]:
        task = _Task(function, args, kwargs, Future())
        with self._lock:
            if self._stopped:
                task.future.cancel()
                return task.future
            self._pending.append(task)
        self._feed()
        return task.future

    def _feed(self) -> None:
        """Give waiting tasks to free workers."""
        with self._lock:
            for slot in self._slots:
                while slot.task is None and self._pending and not self._stopped:
                    task = self._pending.popleft()
                    if not task.future.cancelled():
                        self._start(slot, task)
            self._idle.notify_all()

    def _start(self, slot: _Slot, task: _Task) -> None:
        slot.task = task
        try:
            work = slot.pool.schedule(task.function, task.args, task.kwargs, timeout=self._limits.seconds)
        except RuntimeError:  # its worker died while it had nothing to do
            self._renew(slot)
            work = slot.pool.schedule(task.function, task.args, task.kwargs, timeout=self._limits.seconds)
        task.future.add_done_callback(lambda future: work.cancel() if future.cancelled() else None)
        work.add_done_callback(lambda done: self._finish(slot, task, done))

    def _finish(self, slot: _Slot, task: _Task, work: Future[Any]) -> None:
        from pebble import ProcessExpired

        error = CancelledError() if work.cancelled() else work.exception()
        with self._lock:
            slot.task = None
            if isinstance(error, (ProcessExpired, BrokenProcessPool)) and not self._stopped:
                self._renew(slot)
            retried = isinstance(error, BrokenProcessPool) and task.attempt_count + 1 < _ATTEMPTS
            if retried and not self._stopped:
                task.attempt_count += 1
                self._pending.appendleft(task)
        if not retried:
            self._resolve(task.future, work, error)
        self._feed()

    def _resolve(self, future: Future[Any], work: Future[Any], error: BaseException | None) -> None:
        if future.cancelled():
            return
        if isinstance(error, CancelledError):
            future.cancel()
        elif error is not None:
            future.set_exception(self._reason(error))
        else:
            future.set_result(work.result())

    def _reason(self, error: BaseException) -> MediaError:
        from pebble import ProcessExpired

        if isinstance(error, MediaError):
            return error
        if isinstance(error, TimeoutError):
            limit = f"{self._limits.seconds:g} s"
            return MediaError(
                Code.TIME_LIMIT, f"reading took longer than {limit}; --time-limit lifts the limit"
            )
        if isinstance(error, MemoryError):
            limit = f"{self._limits.memory_bytes >> 20} MB"
            return MediaError(Code.MEMORY_LIMIT, f"needs more than {limit}; --memory-limit lifts the limit")
        if isinstance(error, ProcessExpired):
            return MediaError(Code.DECODER_CRASHED, f"its decoder crashed ({_how_it_ended(error.exitcode)})")
        if isinstance(error, BrokenProcessPool):
            return MediaError(Code.DECODER_CRASHED, "the process that reads it does not stay alive")
        return MediaError(Code.INTERNAL, f"{type(error).__name__}: {error}")

    def _renew(self, slot: _Slot) -> None:
        """Give a slot a new pool; the old one, with its locks in any state, is taken down beside."""
        old, slot.pool = slot.pool, self._new_pool()
        threading.Thread(target=_discard, args=(old,), daemon=True).start()

    def _new_pool(self) -> Any:
        from pebble import ProcessPool

        return ProcessPool(
            max_workers=1,
            max_tasks=TASKS_PER_WORKER,
            initializer=worker.prepare,
            initargs=(self._limits, start_method() == "forkserver"),
            context=self._context,
        )


@dataclass(slots=True)
class _Task:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    future: Future[Any]
    attempt_count: int = 0


@dataclass(slots=True)
class _Slot:
    """One worker: its pool, and what it is doing."""

    pool: Any
    task: _Task | None = None


def _discard(pool: Any) -> None:
    pool.stop()
    pool.join()


def _how_it_ended(exit_code: int) -> str:
    import signal

    if exit_code < 0:
        try:
            return signal.Signals(-exit_code).name
        except ValueError:
            return f"signal {-exit_code}"
    return f"exit code {exit_code}"


def isolation_report() -> list[tuple[str, bool, str]]:
    """Tell which fences around the decoders hold on this system: subject, whether it does, and how."""
    import sys

    linux, windows = sys.platform == "linux", sys.platform == "win32"
    memory = (
        "each worker's data segment is limited" if linux else "this system cannot limit a worker's memory"
    )
    files = "open files are limited, core dumps are off" if not windows else "this system cannot limit them"
    return [
        ("processes", True, f"videos are read in worker processes ({start_method()})"),
        ("time", True, "a worker is ended when a video passes its time limit"),
        ("memory", linux, memory),
        ("files", not windows, files),
        ("keys", True, "workers see no keys, tokens or passwords in their environment"),
        (
            "parent",
            True,
            "the kernel ends workers with vidclf" if linux else "workers watch for the end of vidclf",
        ),
    ]

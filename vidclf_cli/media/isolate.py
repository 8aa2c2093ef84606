"""Decode in worker processes: a decoder that crashes, hangs or eats memory costs one video."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ParamSpec, Self

from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media import worker
from vidclf_cli.media.launch import launch_context, start_method
from vidclf_cli.media.types import Limits, Sample, SampleRequest, TimelinePart, TimelineRequest

P = ParamSpec("P")

_log = logging.getLogger(__name__)

TASKS_PER_WORKER = 200
"""A worker is replaced after so many videos, which takes 0.2 s: it grew from 40 to 85 MB by then, and to
130 MB after 1,000 odd videos."""

# A worker may die before it takes a task, or not start at all; the task is tried this often.
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
        self._settled = threading.Condition(self._lock)
        self._pending: deque[_Task] = deque()
        self._unfinished: set[_Task] = set()
        self._stopped = False
        self._slots = [_Slot(self._new_pool()) for _ in range(max(1, worker_count))]
        for slot in self._slots:
            self._launch(slot)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.stop()

    def submit(self, path: Path, request: SampleRequest) -> Future[Sample]:
        """Read a video; the future gives its `Sample` or raises `MediaError`.

        Returns at once. A future is cancelled when the pool is stopped before it is done; cancelling it
        ends the work.
        """
        return self._run(worker.read, os.fsencode(path.absolute()), request, self._limits)

    def submit_part(self, path: Path, request: TimelineRequest) -> Future[TimelinePart]:
        """Read a part of a video's timeline, as `submit` reads a sample; the limits hold for the part."""
        return self._run(worker.read_part, os.fsencode(path.absolute()), request, self._limits)

    def stop(self) -> None:
        """End all workers now, whatever they do; what was not finished is cancelled."""
        with self._lock:
            self._stopped = True
            unfinished = list(self._unfinished)
            self._pending.clear()
            slots = list(self._slots)
        for task in unfinished:
            self._settle(task, error=CancelledError())
        ends = [threading.Thread(target=slot.end, daemon=True) for slot in slots]
        for thread in ends:
            thread.start()
        for thread in ends:
            thread.join()

    def close(self) -> None:
        """Wait for the videos that were submitted, then end the workers."""
        with self._lock:
            self._settled.wait_for(lambda: self._stopped or not self._unfinished)
        self.stop()

    def _run(self, function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Future[Any]:
        task = _Task(function, args, kwargs)
        with self._lock:
            self._unfinished.add(task)
            self._pending.append(task)
            stopped = self._stopped
        if stopped:
            self._settle(task, error=CancelledError())
        else:
            self._feed()
        return task.future

    def _feed(self) -> None:
        """Give waiting tasks to free workers."""
        with self._lock:
            for slot in self._slots:
                if slot.ready and slot.task is None and self._pending and not self._stopped:
                    self._begin(slot, self._pending.popleft())

    def _begin(self, slot: _Slot, task: _Task) -> None:
        try:
            work = slot.pool.schedule(task.function, task.args, task.kwargs, timeout=self._limits.seconds)
        except (RuntimeError, OSError) as error:  # its worker died idle, or cannot be started
            self._renew(slot)
            self._again(task, error)
            return
        slot.task = task
        # Weakly: a cycle of futures would keep every video's frames until the garbage collector comes by.
        running = weakref.ref(work)
        task.future.add_done_callback(lambda future: _cancel_with(future, running))
        work.add_done_callback(lambda done: self._finish(slot, task, done))

    def _finish(self, slot: _Slot, task: _Task, work: Future[Any]) -> None:
        from pebble import ProcessExpired

        error = CancelledError() if work.cancelled() else work.exception()
        with self._lock:
            slot.task = None
            if isinstance(error, (ProcessExpired, BrokenProcessPool)):
                self._renew(slot)
        if isinstance(error, BrokenProcessPool):
            self._again(task, error)
        elif error is not None:
            self._settle(task, error=error)
        else:
            self._settle(task, result=work.result())
        self._feed()

    def _again(self, task: _Task, error: BaseException) -> None:
        """Give a task to another worker, unless this went wrong before."""
        with self._lock:
            task.failed_starts += 1
            retry = task.failed_starts < _ATTEMPTS and not self._stopped
            if retry:
                self._pending.appendleft(task)
        if not retry:
            self._settle(task, error=error)

    def _settle(self, task: _Task, result: Any = None, error: BaseException | None = None) -> None:
        with self._lock:
            if task not in self._unfinished:
                return
            self._unfinished.remove(task)
        future = task.future
        if isinstance(error, CancelledError):
            future.cancel()
        # False if it was cancelled, here or by its owner; tells those who wait for it.
        if future.set_running_or_notify_cancel():
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(self._reason(error))
        with self._lock:
            self._settled.notify_all()

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
        if isinstance(error, (BrokenProcessPool, RuntimeError, OSError)):
            return MediaError(Code.DECODER_CRASHED, "the process that reads it does not stay alive")
        _log.warning("reading a video failed unexpectedly", exc_info=error)
        return MediaError(Code.INTERNAL, f"{type(error).__name__}: {error}")

    def _renew(self, slot: _Slot) -> None:
        """Give a slot a new pool; the old one, with its locks in any state, is taken down beside."""
        with self._lock:
            if self._stopped:
                return
            threading.Thread(target=replace(slot).end, daemon=True).start()
            slot.pool, slot.task, slot.ready = self._new_pool(), None, False
            self._launch(slot)

    def _launch(self, slot: _Slot) -> None:
        """Start a slot's process beside: the first start takes 0.3 s, and `submit` waits for nothing."""
        pool = slot.pool

        def launch() -> None:
            try:
                assert pool.active  # asking starts the pool
            except (OSError, RuntimeError, AssertionError):
                _log.debug("a worker does not start", exc_info=True)  # its task will tell
            slot.ready = True
            self._feed()

        slot.launcher = threading.Thread(target=launch, daemon=True)
        slot.launcher.start()

    def _new_pool(self) -> Any:
        from pebble import ProcessPool

        return ProcessPool(
            max_workers=1,
            max_tasks=TASKS_PER_WORKER,
            initializer=worker.prepare,
            initargs=(self._limits, start_method() == "forkserver"),
            context=self._context,
        )


def _cancel_with(future: Future[Any], running: Callable[[], Future[Any] | None]) -> None:
    work = running()
    if future.cancelled() and work is not None:
        work.cancel()


@dataclass(slots=True, eq=False)
class _Task:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    future: Future[Any] = field(default_factory=Future)
    failed_starts: int = 0


@dataclass(slots=True, eq=False)
class _Slot:
    """One worker: its pool, the thread that starts it, and what it is doing."""

    pool: Any
    launcher: threading.Thread | None = None
    ready: bool = False
    task: _Task | None = None

    def end(self) -> None:
        """End the worker now. Waits for the pool's loops to wake up (0.1 s)."""
        self.pool.stop()
        if self.launcher is not None:
            self.launcher.join()  # what it starts must be there to be ended
        self.pool.join()


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

"""Start workers that know nothing of the program that starts them: main module, keys, current folder."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import context, process
from pathlib import Path
from typing import Any

from vidclf_cli.media.worker import is_secret

# Workers share the cores with each other and with the encoder: no library starts threads of its own.
_SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# Loaded once by the fork server and shared by its workers.
_PRELOADED = [
    "vidclf_cli.media.silence",
    "vidclf_cli.media.sample",
    "vidclf_cli.media.timeline",
    "vidclf_cli.media.worker",
    "av",
    "numpy",
    "pebble",
]

_launching = threading.RLock()


def start_method() -> str:
    """How workers start: `forkserver` (a few ms each) where there is one, else `spawn`."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def launch_context() -> Any:
    """Return a multiprocessing context for workers; starts the fork server, which loads in the background."""
    if start_method() == "spawn":
        return _SpawnContext()
    from multiprocessing import forkserver, resource_tracker

    with _launching, _clean_environment(), _no_main_module():
        resource_tracker.ensure_running()  # before the signal is blocked: starting it unblocks the signal
        multiprocessing.set_forkserver_preload(_PRELOADED)
        try:
            with _interrupt_blocked():
                forkserver.ensure_running()
        finally:
            multiprocessing.set_forkserver_preload(["__main__"])
    return _ForkServerContext()


class _SpawnProcess(context.SpawnProcess):
    @staticmethod
    def _Popen(process_obj: process.BaseProcess) -> Any:  # noqa: N802 - multiprocessing's name
        with _launching, _clean_environment(), _no_main_module():
            return context.SpawnProcess._Popen(process_obj)


class _SpawnContext(context.SpawnContext):
    Process = _SpawnProcess


if sys.platform != "win32":

    class _ForkServerProcess(context.ForkServerProcess):
        @staticmethod
        def _Popen(process_obj: process.BaseProcess) -> Any:  # noqa: N802 - multiprocessing's name
            with _launching, _no_main_module():
                return context.ForkServerProcess._Popen(process_obj)

    class _ForkServerContext(context.ForkServerContext):
        Process = _ForkServerProcess


@contextmanager
def _clean_environment() -> Iterator[None]:
    """Change the environment for as long as a process starts.

    Takes away keys, sets libraries to one thread, and keeps Python from importing out of the current
    folder, which it does for `-c`: a `numpy.py` in a folder of downloads would run.
    """
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    changes = dict.fromkeys(_SINGLE_THREADED, "1")
    changes |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join([root, path] if path else [root])}
    secrets = [name for name in os.environ if is_secret(name)]
    before = {name: os.environ.get(name) for name in [*changes, *secrets]}
    try:
        for name in secrets:
            del os.environ[name]
        os.environ.update(changes)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Start a process that Ctrl-C does not reach: the fork server would answer it with a traceback.

    A blocked signal stays blocked in the child; the parent gets one that came meanwhile afterwards.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the main module while a process starts.

    A child would import it again: a script that calls `classify()` without the `__main__` guard would
    start itself over and over, and its imports would weigh on every worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

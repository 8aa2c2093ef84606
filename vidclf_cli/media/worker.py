"""What runs inside a decode worker: its limits, how it ends with its parent, and the reading itself.

This module imports nothing but av and numpy: a worker is small, and a broken decoder finds no keys in it.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import signal
import sys
import threading
import time
from pathlib import Path

from vidclf_cli.media.types import Limits, Sample, SampleRequest, TimelinePart, TimelineRequest

_SECRETS = ("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_CREDENTIALS", "_ACCESS_KEY")
_PR_SET_PDEATHSIG = 1


def is_secret(name: str) -> bool:
    """Tell names of environment variables that a decoder has no use for."""
    upper = name.upper()
    return any(part in upper for part in _SECRETS) or upper.endswith(("_KEY", "_PAT"))


def prepare(limits: Limits, forked_by_server: bool) -> None:
    """Fence the process in; called once, before the first task.

    Args:
        limits: What it may use.
        forked_by_server: Its parent is multiprocessing's fork server, which ends with the main process.
    """
    # The parent decides when to end: a terminal sends Ctrl-C to everyone. SIGTERM kills at once,
    # also in the middle of C code, where a Python handler would not run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with_parent(forked_by_server)
    for name in [name for name in os.environ if is_secret(name)]:
        del os.environ[name]
    _close_output()
    _preload()
    _limit_resources(limits)


def read(path: bytes, request: SampleRequest, limits: Limits) -> Sample:
    """Read one file (`vidclf_cli.media.sample.read_sample`); the name travels as bytes."""
    from vidclf_cli.media.sample import read_sample

    begun = time.perf_counter()
    sample = read_sample(Path(os.fsdecode(path)), request, limits)
    return dataclasses.replace(sample, seconds=time.perf_counter() - begun)


def read_part(path: bytes, request: TimelineRequest, limits: Limits) -> TimelinePart:
    """Read a part of one file's timeline (`vidclf_cli.media.timeline.read_timeline`)."""
    from vidclf_cli.media.timeline import read_timeline

    begun = time.perf_counter()
    part = read_timeline(Path(os.fsdecode(path)), request, limits)
    return dataclasses.replace(part, seconds=time.perf_counter() - begun)


def _close_output() -> None:
    """Keep decoders and a dying C library from writing into the program's output."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _preload() -> None:
    """Import now what reading needs, so that the memory limit counts what videos need only."""
    import av  # noqa: F401
    import numpy as np  # noqa: F401

    import vidclf_cli.media.sample
    import vidclf_cli.media.timeline  # noqa: F401
    from vidclf_cli.media.container import silence_ffmpeg

    silence_ffmpeg()


def _die_with_parent(forked_by_server: bool) -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()
    # The kernel kills it as well, even if a decoder never lets Python run again. Only below the fork
    # server: the signal comes when the *thread* that started the process ends.
    if sys.platform == "linux" and forked_by_server:
        _let_server_go()
        server = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != server:
            os._exit(1)


def _let_server_go() -> None:
    """Close this process's end of the pipe that keeps the fork server alive: the main process has another."""
    from multiprocessing import forkserver

    alive = getattr(forkserver._forkserver, "_forkserver_alive_fd", None)
    if isinstance(alive, int):
        os.close(alive)
        setattr(forkserver._forkserver, "_forkserver_alive_fd", None)  # noqa: B010 - not in the stubs


def _exit_after(sentinel: int) -> None:
    from multiprocessing.connection import wait

    wait([sentinel])
    os._exit(1)


def _limit_resources(limits: Limits) -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.open_files if hard == resource.RLIM_INFINITY else min(limits.open_files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    if sys.platform == "linux":
        # The data segment counts what is written to, private and anonymous: not the libraries and not
        # the address space that malloc reserves per thread, as RLIMIT_AS would.
        size = _data_bytes() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def _data_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0

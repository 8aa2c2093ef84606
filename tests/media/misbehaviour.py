"""What a decoder may do to its process; runs inside workers."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path


def answer() -> int:
    return 42


def process_id() -> int:
    return os.getpid()


def end_by(signal_number: int) -> None:
    os.kill(os.getpid(), signal_number)
    time.sleep(60)


def wait_for_ever() -> None:
    """Hang in C code that lets other threads run."""
    while True:
        ctypes.CDLL(None).pause()


def hold_the_interpreter() -> None:
    """Deadlock in C code, where no Python runs any more: no other thread, and no signal's handler."""
    library, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def eat_memory(byte_count: int) -> int:
    return len(bytearray(byte_count))


def malloc_succeeds(byte_count: int) -> bool:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    return library.malloc(byte_count) is not None


def fail() -> None:
    raise KeyError("a bug")


def print_something() -> None:
    os.write(1, b"noise on stdout\n")
    os.write(2, b"noise on stderr\n")


def environment() -> dict[str, str]:
    return dict(os.environ)


def environment_at_start() -> bytes:
    """The environment as the kernel shows it, with what was taken out since."""
    return Path("/proc/self/environ").read_bytes()


def modules() -> list[str]:
    return list(sys.modules)


def limits() -> dict[str, int]:
    return {
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


def ignores_interrupt() -> bool:
    os.kill(os.getpid(), signal.SIGINT)
    return True

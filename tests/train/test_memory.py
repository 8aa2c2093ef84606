"""Memory that a step frees is there for the next one, and goes back when training is over."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest
import torch

from vidclf_train.memory import kept_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")

_MEGABYTES = 64


def pages_made(steps: int = 5) -> int:
    """Ask for memory and free it several times; count the pages that the kernel had to clear for that."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        torch.ones(_MEGABYTES << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_freed_memory_is_used_again_while_it_is_kept() -> None:
    with kept_memory():
        pages_made(10)  # Small pieces settle in what was freed first; then there is a gap of the right size.
        kept = pages_made()
    assert kept * 20 < pages_made()


CODE = """
import numpy as np
from vidclf_train.memory import kept_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 >> 20

before = resident()
with kept_memory():
    pieces = [np.ones(1 << 20) for _ in range(17)]
    last = pieces.pop()  # Lies behind the others, so that they are no end that could be cut off.
    del pieces
    during = resident()
print(during - before, resident() - before)
"""


def test_freed_memory_goes_back_in_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    during, after = map(int, done.stdout.split())
    assert during > 120
    assert after < 20

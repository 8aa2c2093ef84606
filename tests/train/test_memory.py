"""Memory that a step frees is there for the next one, and goes back when training is over."""

from __future__ import annotations

import platform
import resource

import pytest
import torch

from vidclf_train.memory import kept_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")

_MEGABYTES = 64


def pages_made(steps: int = 5) -> int:
    """Ask for memory and free it, and count the pages that the kernel had to clear for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        torch.ones(_MEGABYTES << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident_megabytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path of the disk
        return int(file.read().split()[1]) * resource.getpagesize() >> 20


def test_freed_memory_is_used_again_while_it_is_kept() -> None:
    with kept_memory():
        pages_made(10)  # Small pieces settle in what was freed first; then there is a gap of the right size.
        kept = pages_made()
    assert kept * 20 < pages_made()


def test_freed_memory_goes_back_in_the_end() -> None:
    before = resident_megabytes()
    with kept_memory():
        torch.ones(_MEGABYTES << 18)
        assert resident_megabytes() > before + _MEGABYTES // 2
    assert resident_megabytes() < before + _MEGABYTES // 2

"""Running the `vidclf` command and timing it from outside."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.memory import peak_pss


class RunFailedError(Exception):
    """The command did not do what is measured."""


@dataclass(frozen=True, slots=True)
class Run:
    """One finished `vidclf classify`.

    Attributes:
        seconds: Wall-clock time of the whole process, its start included.
        statuses: How many rows of each status.
        peak_bytes: Peak PSS of all of its processes; 0 when not watched.
        processes: How many processes there were at the peak.
    """

    seconds: float
    statuses: Counter[str]
    peak_bytes: int = 0
    processes: int = 0


def vidclf() -> list[str]:
    """Return the installed command, or the module where it is not installed."""
    script = Path(sys.executable).with_name("vidclf")
    return [str(script)] if script.exists() else [sys.executable, "-m", "vidclf_cli"]


def classify(
    paths: Sequence[Path], cache: Path, options: Sequence[str] = (), *, watch_memory: bool = False
) -> Run:
    """Classify files or folders with the default classifier.

    Args:
        paths: What is named on the command line.
        cache: The cache folder; a new one makes a cold run.
        options: What else is.
        watch_memory: Sample the memory, which costs some time.

    Raises:
        RunFailedError: The command failed, or a video did.
    """
    with tempfile.TemporaryDirectory(prefix="vidclf-bench-") as scratch:
        out, errors = Path(scratch, "labels.csv"), Path(scratch, "stderr")
        command = [*vidclf(), "classify", *map(str, paths), "--out", str(out)]
        command += ["--cache-dir", str(cache), *options]
        with errors.open("wb") as stderr:
            start = time.perf_counter()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, start_new_session=True
            )
            peak, processes = _wait(process, watch_memory=watch_memory)
            seconds = time.perf_counter() - start
        if process.returncode:
            said = errors.read_text(errors="replace").strip().splitlines() or [""]
            raise RunFailedError(f"vidclf ended with {process.returncode}: {said[-1]}")
        with out.open(newline="", encoding="utf-8") as stream:
            statuses = Counter(row["status"] for row in csv.DictReader(stream))
    return Run(seconds, statuses, peak, processes)


def cold(paths: Sequence[Path], repeats: int) -> float:
    """Return the median seconds of so many runs, each with a cache folder of its own that is empty."""
    return statistics.median(_cold_run(paths).seconds for _ in range(repeats))


def _cold_run(paths: Sequence[Path]) -> Run:
    with tempfile.TemporaryDirectory(prefix="vidclf-cache-") as cache:
        run = classify(paths, Path(cache))
    if run.statuses.total() != len(paths):
        raise RunFailedError(f"{run.statuses.total()} rows for {len(paths)} videos")
    return run


def help_seconds(times: int = 10) -> float:
    """Return the median wall-clock time of `vidclf --help`, without the first that fills caches."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        subprocess.run([*vidclf(), "--help"], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _wait(process: subprocess.Popen[bytes], *, watch_memory: bool) -> tuple[int, int]:
    try:
        if watch_memory:
            return peak_pss(process)
        process.wait()
    except BaseException:
        # In a session of its own it does not hear our Ctrl-C.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return 0, 0


def free_bytes(folder: Path) -> int:
    """Return how much room is left where the clips go."""
    return shutil.disk_usage(folder).free

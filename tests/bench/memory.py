"""Peak memory of a command with all of its processes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

_PERIOD_SECONDS = 0.1
_SESSION_FIELD = 3  # of /proc/PID/stat, counted from after the name


def available() -> bool:
    """Return whether this system tells the proportional set size of a process."""
    return Path("/proc/self/smaps_rollup").exists()


def peak_pss(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Wait for a process that leads a session of its own, and watch the session's memory.

    The session is watched rather than the tree of parents: a worker whose parent is gone still counts.

    Returns:
        Highest sum of the proportional set sizes that was seen, in bytes, sampled every 100 ms; and how
        many processes there were at that moment.
    """
    peak, processes = 0, 0
    while process.poll() is None:
        sizes = [size for pid in _session_members(process.pid) if (size := _pss(pid)) is not None]
        if sum(sizes) > peak:
            peak, processes = sum(sizes), len(sizes)
        time.sleep(_PERIOD_SECONDS)
    return peak, processes


def _session_members(session: int) -> list[int]:
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue  # it ended while we looked
        if int(stat.rpartition(")")[2].split()[_SESSION_FIELD]) == session:
            members.append(int(folder.name))
    return members


def _pss(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)

"""What was measured on what: the machine and the versions, in words."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

_PACKAGES = (
    "av",
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
    "h5py",
    "pebble",
    "moviepy",
    "torch",
    "transformers",
)


def describe(cores: int) -> dict[str, str]:
    """Return name and value of everything that a figure depends on.

    Args:
        cores: How many cores the measured processes may use.
    """
    described = {
        "machine": f"{_processor()}, {os.cpu_count()} cores of which {cores} are used, {_memory()}",
        "system": f"{_distribution()}, {platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "ffmpeg": f"{_ffmpeg()} (imageio-ffmpeg); libavcodec {_libavcodec()} (PyAV)",
    }
    for package in _PACKAGES:
        try:
            described[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return described


def restrict_to(cores: int) -> int:
    """Restrict this process and its children to so many cores; returns how many they have."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[:cores])
    return len(os.sched_getaffinity(0))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return "memory unknown"
    return f"{total / 2**30:.0f} GiB"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _ffmpeg() -> str:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-version"]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return first.split(" Copyright")[0]


def _libavcodec() -> str:
    import av

    return ".".join(str(part) for part in av.library_versions["libavcodec"])

"""What holds on this machine: the findings behind `vidclf doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from vidclf_cli import __version__
from vidclf_cli.errors import VidclfError

_PACKAGES = ("numpy", "h5py", "av", "tokenizers", "moviepy", "pebble", "twelvelabs", "openai")
_RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
_OPTIONAL = ("pyarrow",)
_KEYS = ("TWELVELABS_API_KEY", "TWELVE_LABS_API_KEY", "OPENAI_API_KEY")
_LOW_SPACE_BYTES = 1 << 30
_FFMPEG_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: `ok`; `note`: works, but the user may want to know; `bad`: does not work.
        text: What was found, and what to do when it is bad.
    """

    subject: str
    state: Literal["ok", "note", "bad"]
    text: str


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that rows depend on, those that are installed."""
    names = [name for name in (*_PACKAGES, *_RUNTIMES, *_OPTIONAL) if _is_installed(name)]
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def diagnose(cache_folder: Path) -> Iterator[Finding]:
    """Look at everything a run needs; each check fails by itself."""
    yield Finding("vidclf", "ok", f"{__version__} at {Path(__file__).parent}")
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("onnx runtime", _onnx_runtime),
        ("ffmpeg", _ffmpeg),
        ("shipped models", _shipped),
        ("embedders", _embedders),
        ("device", _device),
        ("cache", lambda: _cache(cache_folder)),
        ("isolation", _isolation),
        ("keys", _keys),
    )
    for subject, check in checks:
        try:
            yield from check()
        except VidclfError as error:
            yield Finding(subject, "bad", str(error))
        except Exception as error:  # noqa: BLE001 - a broken installation breaks in any way
            yield Finding(subject, "bad", f"{type(error).__name__}: {error}. Install vidclf again.")


def _python() -> Iterator[Finding]:
    yield Finding(
        "python", "ok", f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores"
    )


def _packages() -> Iterator[Finding]:
    yield Finding("packages", "ok", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))


def _onnx_runtime() -> Iterator[Finding]:
    installed = [name for name in _RUNTIMES if _is_installed(name)]
    if len(installed) > 1:
        yield Finding(
            "onnx runtime",
            "bad",
            "onnxruntime and onnxruntime-gpu are both installed, and CUDA is lost. "
            "Uninstall both, then install vidclf again.",
        )
        return
    yield Finding("onnx runtime", "ok", " ".join(f"{name} {version(name)}" for name in installed))


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _ffmpeg() -> Iterator[Finding]:
    import av
    import imageio_ffmpeg

    yield Finding("ffmpeg libraries", "ok", f"{av.ffmpeg_version_info} (read by av {av.__version__})")
    program = imageio_ffmpeg.get_ffmpeg_exe()
    done = subprocess.run(
        [program, "-hide_banner", "-version"],
        capture_output=True,
        text=True,
        timeout=_FFMPEG_SECONDS,
        check=True,
    )
    yield Finding("ffmpeg program", "ok", f"{done.stdout.splitlines()[0]} ({program})")


def _shipped() -> Iterator[Finding]:
    from vidclf_cli.shipped import verify_all

    count = verify_all()
    yield Finding("shipped models", "ok", f"{count} files match their SHA-256")


def _embedders() -> Iterator[Finding]:
    from vidclf_cli.embedders.registry import inspect_embedders

    for provider, found in inspect_embedders():
        if isinstance(found, VidclfError):
            yield Finding(f"embedder {provider}", "bad", str(found))
        else:
            spaces = (f"{space.id} ({space.alias}, {space.dimension} numbers)" for space in found.spaces)
            yield Finding(f"embedder {provider}", "ok", f"{found.package}: {', '.join(spaces)}")


def _device() -> Iterator[Finding]:
    from vidclf_cli.embedders.local import LocalVisual
    from vidclf_cli.runtime import choose_device

    encoder = LocalVisual(device=choose_device("auto"))
    yield Finding("device", "ok", f"{encoder.provider} runs the encoder ({encoder.device.reason})")


def _cache(folder: Path) -> Iterator[Finding]:
    from vidclf_cli.cache import Cache, measure
    from vidclf_cli.cache.inventory import Kind

    existed = folder.exists()
    with Cache(folder):
        pass
    size = measure(folder)
    free = shutil.disk_usage(folder).free
    text = (
        f"{folder}{'' if existed else ' (made now)'}: {size.counts[Kind.VIDEO]} videos, "
        f"{size.text_count} texts, {size.byte_count / 1e6:.1f} MB; {free / 1e9:.0f} GB free on the disk"
    )
    yield Finding("cache", "ok" if free > _LOW_SPACE_BYTES else "note", text)
    if damaged := size.counts[Kind.DAMAGED]:
        yield Finding(
            "cache", "note", f"{damaged} damaged files were set aside; `vidclf cache prune` deletes them"
        )


def _isolation() -> Iterator[Finding]:
    from vidclf_cli.media.isolate import isolation_report

    for subject, holds, text in isolation_report():
        yield Finding(f"isolation: {subject}", "ok" if holds else "note", text)


def _keys() -> Iterator[Finding]:
    for name in _KEYS:
        present = bool(os.environ.get(name, "").strip())
        yield Finding("key", "ok" if present else "note", f"{name} is {'set' if present else 'not set'}")

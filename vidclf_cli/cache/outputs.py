"""What is known of the outputs that were written: with which settings, and from which state of the videos.

<folder>/outputs/<hash of the output's path>.json

A loss is no damage: an output of which nothing is known is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT_VERSION = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of an output.

    Attributes:
        settings: What its rows were made with, as JSON has it.
        signatures: The state of each video and of what is said about it, by id.
        mtime_ns: Of the file as it was written.
    """

    settings: Mapping[str, Any]
    signatures: Mapping[str, str]
    mtime_ns: int


class OutputMemory:
    """Remembers outputs by their path.

    Args:
        folder: Root of the cache; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "outputs"

    def read(self, output: Path) -> Remembered | None:
        """Return what is known of an output; None when that is nothing, or cannot be read."""
        path = self._path(output)
        try:
            found = json.loads(path.read_bytes())
            if found["format"] != FORMAT_VERSION:
                return None
            return Remembered(dict(found["settings"]), dict(found["signatures"]), int(found["mtime_ns"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.debug("%s is not believed: %s", path, error)
            return None

    def write(self, output: Path, settings: Mapping[str, Any], signatures: Mapping[str, str]) -> None:
        """Remember an output that is in its place; that this fails costs time in the next run only."""
        path = self._path(output)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            document = {
                "format": FORMAT_VERSION,
                "output": os.fsencode(output).decode("utf-8", "backslashreplace"),
                "mtime_ns": output.stat().st_mtime_ns,
                "settings": settings,
                "signatures": signatures,
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            _log.warning("What %s was made with cannot be remembered: %s", output, error)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _path(self, output: Path) -> Path:
        name = hashlib.blake2b(os.fsencode(os.path.realpath(output)), digest_size=20).hexdigest()
        return self._folder / f"{name}.json"

"""A video's rows as JSON beside it: `name.mp4.vidclf.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vidclf_cli.records import Video
from vidclf_cli.writers.beside import LeftAloneError
from vidclf_cli.writers.row import Row

SUFFIX = ".vidclf.json"
FORMAT_VERSION = 1
_VERSION_KEY = "vidclf_sidecar"


class SidecarMaker:
    """Writes the rows of a video as one JSON object; a `Maker`."""

    def place(self, video: Video) -> Path:
        """Return the file's path."""
        return video.path.with_name(f"{video.path.name}{SUFFIX}")

    def content(self, video: Video, rows: Sequence[Row], existing: bytes | None) -> bytes:  # noqa: ARG002 - a `Maker`
        """Return the document.

        Raises:
            LeftAloneError: What is there is not vidclf's, or was written by a newer one.
        """
        if existing is not None:
            _check_ours(existing)
        document = {_VERSION_KEY: FORMAT_VERSION, "row": rows[0], "segments": list(rows[1:])}
        return f"{json.dumps(document, ensure_ascii=False, indent=2)}\n".encode()

    def needs_backup(self, existing: bytes) -> bool:  # noqa: ARG002 - a `Maker`
        """Tell that no copy is kept: what is replaced is vidclf's."""
        return False


def _check_ours(data: bytes) -> None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LeftAloneError("it is not vidclf's") from error
    version = found.get(_VERSION_KEY) if isinstance(found, dict) else None
    if not isinstance(version, int):
        raise LeftAloneError("it is not vidclf's")
    if version > FORMAT_VERSION:
        raise LeftAloneError("a newer vidclf wrote it")

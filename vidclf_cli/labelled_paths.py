"""From a path as a table spells it to the file that is meant."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ESCAPED_BYTE = re.compile(r"\\(\\|x[89a-f][0-9a-f])")


@dataclass(frozen=True, slots=True)
class FoundPath:
    """A file that a table names.

    Attributes:
        path: Absolute; its folder without links.
        real: Absolute, without any link: the same for every spelling of one file.
        exists: Whether a regular file is there.
    """

    path: Path
    real: str
    exists: bool


class PathFinder:
    r"""Finds the files of a table; remembers folders, since many files share one.

    A path is taken as it stands; where no file is there, as other programs spell the same one: without
    white space around it, with backslashes, in another Unicode form, and with the escapes of vidclf's own
    rows (`'-a.mp4`, `\xe9`, doubled backslashes).

    Args:
        root: What relative paths are relative to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[Path, Path] = {}

    def find(self, written: str) -> FoundPath:
        """Return the file that is meant; the path as written when none of its spellings is there."""
        for spelling in _spellings(written):
            path = self._absolute(spelling)
            try:
                mode = path.lstat().st_mode
                real = os.path.realpath(path) if stat.S_ISLNK(mode) else str(path)
                if stat.S_ISREG(path.stat().st_mode if stat.S_ISLNK(mode) else mode):
                    return FoundPath(path, real, exists=True)
            except (OSError, ValueError):  # ValueError: a zero byte in the name
                continue
        path = self._absolute(written.strip())
        return FoundPath(path, str(path), exists=False)

    def _absolute(self, spelling: str) -> Path:
        path = self._root / spelling
        if path.name in ("", ".."):
            return path
        folder = path.parent
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = _without_links(folder)
        return real / path.name


def _without_links(folder: Path) -> Path:
    try:
        return Path(os.path.realpath(folder))
    except ValueError:  # a zero byte
        return folder


def _spellings(written: str) -> Iterator[str]:
    stripped = written.strip()
    yield written
    if stripped != written:
        yield stripped
    for form in ("NFC", "NFD"):
        if (normal := unicodedata.normalize(form, stripped)) != stripped:
            yield normal
    if stripped.startswith(("'=", "'+", "'-", "'@")):
        yield stripped[1:]
    if "\\" in stripped:
        yield _ESCAPED_BYTE.sub(_unescape, stripped)
        yield stripped.replace("\\", "/")


def _unescape(match: re.Match[str]) -> str:
    return "\\" if match[1] == "\\" else chr(0xDC00 + int(match[1][1:], 16))

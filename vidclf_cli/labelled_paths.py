"""From a path as a table spells it to the file that is meant."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidclf_cli.writers.csv import unguard

_ESCAPED_BYTE = re.compile(r"\\(\\|x[89a-f][0-9a-f])")


@dataclass(frozen=True, slots=True)
class FoundPath:
    """A file that a table names. Strings: a `Path` for each of a million rows would cost more than the disk.

    Attributes:
        path: Absolute; its folder without links.
        real: Absolute, without any link: the same for every spelling of one file.
        exists: Whether a regular file is there.
    """

    path: str
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
        self._folders: dict[str, str] = {}

    def find(self, written: str) -> FoundPath:
        """Return the file that is meant; the path as written when none of its spellings is there."""
        for spelling in _spellings(written):
            path = self._absolute(spelling)
            try:
                mode = os.lstat(path).st_mode
                is_link = stat.S_ISLNK(mode)
                if stat.S_ISREG(Path(path).stat().st_mode if is_link else mode):
                    return FoundPath(path, os.path.realpath(path) if is_link else path, exists=True)
            except (OSError, ValueError):  # ValueError: a surrogate that stands for no byte
                continue
        path = self._absolute(written.strip())
        return FoundPath(path, path, exists=False)

    def _absolute(self, spelling: str) -> str:
        folder, name = os.path.split(spelling)
        if name in ("", ".", ".."):
            folder, name = spelling, ""
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(self._root / folder)
        return f"{real}{name}" if real.endswith(os.sep) or not name else f"{real}{os.sep}{name}"


def _spellings(written: str) -> Iterator[str]:
    stripped = written.strip()
    yield written
    if stripped != written:
        yield stripped
    else:
        yield f" {written}"  # reading the table took it off
    for form in ("NFC", "NFD"):
        if (normal := unicodedata.normalize(form, stripped)) != stripped:
            yield normal
    plain = unguard(stripped)
    if plain != stripped:
        yield plain
    if "\\" in stripped:
        for spelling in dict.fromkeys((stripped, plain)):
            yield _ESCAPED_BYTE.sub(_unescape, spelling)
        yield stripped.replace("\\", "/")


def _unescape(match: re.Match[str]) -> str:
    return "\\" if match[1] == "\\" else chr(0xDC00 + int(match[1][1:], 16))

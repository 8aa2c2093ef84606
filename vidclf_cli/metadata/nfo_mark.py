"""What vidclf itself put into an `.nfo`: `<!-- vidclf: tag=Sports genre=Sports -->`.

The comment tells the next run which values it may take out again, and tells the reader which ones are no
evidence: a label that became a tag must not be the reason for the next label.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote, unquote

Owned = tuple[tuple[str, str], ...]
"""Names of elements and their values, in the order of the comment."""

_CONTENT = re.compile(r"\s*vidclf:((?:\s+[a-z]+=[\w.~%]+)*)\s*", re.ASCII)
_COMMENT = re.compile(r"<!--([^<>]*)-->")


def format_mark(owned: Iterable[tuple[str, str]]) -> str:
    """Return the comment. Values are percent-encoded: ASCII in any charset, and never two hyphens."""
    pairs = (f"{element}={quote(value, safe='').replace('-', '%2D')}" for element, value in owned)
    return f"<!-- vidclf: {' '.join(pairs)} -->"


def parse_mark(comment: str) -> Owned | None:
    """Return what a comment (without its `<!--` and `-->`) says is vidclf's; None when it is another's."""
    match = _CONTENT.fullmatch(comment)
    if match is None:
        return None
    pairs = (pair.partition("=") for pair in match[1].split())
    return tuple((element, unquote(value)) for element, _, value in pairs)


def owned_keys(text: str) -> frozenset[tuple[str, str]]:
    """Return element names and `key_of` of the values that the comments of a whole file say are vidclf's."""
    marks = (parse_mark(match[1]) for match in _COMMENT.finditer(text))
    return frozenset((element, key_of(value)) for mark in marks if mark for element, value in mark)


def key_of(value: str) -> str:
    """Return what values are compared by, as Kodi does: trimmed, without regard to case."""
    return unicodedata.normalize("NFC", value).strip().casefold()

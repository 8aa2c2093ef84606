"""yt-dlp's `.info.json`: title, description, tags, categories, uploader."""

from __future__ import annotations

import json
import logging
import re

from vidclf_cli.metadata.files import decode_text
from vidclf_cli.metadata.text import Fields

_SPACE = re.compile(r"[ \t\n\r]*")
_LOG = logging.getLogger(__name__)
LIMIT_BYTES = 4 << 20
"""Formats and captions make these files large; the comments, which make them huge, come last."""

_WANTED = frozenset(
    {"title", "fulltitle", "description", "tags", "categories", "genre", "genres", "uploader", "channel"}
    | {"series", "episode", "artist", "track", "album", "location"}
)
_ENOUGH = frozenset({"title", "description", "tags", "categories", "uploader"})


def parse_info_json(data: bytes) -> Fields:
    """Read the fields of an `.info.json`, or of the beginning of one; never fails."""
    found = _top_level(decode_text(data))
    return Fields(
        titles=_strings(found, "title", "track", "episode", "series")
        or _strings(found, "fulltitle", "track", "episode", "series"),
        keywords=_lists(found, "categories", "genres", "genre", "tags"),
        names=(_strings(found, "uploader") or _strings(found, "channel")) + _strings(found, "artist"),
        passages=_strings(found, "description"),
    )


def _top_level(text: str) -> dict[str, object]:
    """Walk over the top level of a JSON object, keeping the wanted values only.

    One value at a time is in memory, and the walk ends when nothing more is wanted; so neither a file that
    is cut off nor megabytes of comments behind the description cost anything.
    """
    found: dict[str, object] = {}
    decoder = json.JSONDecoder(strict=False)
    at = _skip_space(text, 0)
    try:
        if text[at : at + 1] != "{":
            return found
        at = _skip_space(text, at + 1)
        while text[at : at + 1] == '"':
            key, at = decoder.raw_decode(text, at)
            at = _skip_space(text, at)
            if text[at : at + 1] != ":":
                break
            value, at = decoder.raw_decode(text, _skip_space(text, at + 1))
            if key in _WANTED:
                found[key] = value
            at = _skip_space(text, at)
            if text[at : at + 1] != "," or found.keys() >= _ENOUGH:
                break
            at = _skip_space(text, at + 1)
    except (ValueError, RecursionError) as error:
        _LOG.debug("info.json: stopped at character %d: %s", at, error)
    return found


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _strings(found: dict[str, object], *keys: str) -> tuple[str, ...]:
    values = (found.get(key) for key in keys)
    return tuple(value for value in values if isinstance(value, str) and value.strip())


def _lists(found: dict[str, object], *keys: str) -> tuple[str, ...]:
    """Return the strings in lists; a string counts as a list of one."""
    kept: list[str] = []
    for key in keys:
        value = found.get(key)
        if isinstance(value, list):
            kept.extend(item for item in value[:100] if isinstance(item, str))
        elif isinstance(value, str):
            kept.append(value)
    return tuple(kept)

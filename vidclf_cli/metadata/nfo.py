"""Kodi's and Jellyfin's `.nfo` files, also those that are not one well-formed XML tree.

In the wild several roots follow each other, a link follows the XML, `&` is not escaped, tags stay open. So
this is a scanner for tags, not an XML parser: it has no entities to expand, and no file it would open.
"""

from __future__ import annotations

import html
import re

from vidclf_cli.metadata.files import decode_text
from vidclf_cli.metadata.nfo_mark import key_of, owned_keys
from vidclf_cli.metadata.text import Fields

LIMIT_BYTES = 256 << 10
_TITLES = ("title", "showtitle", "originaltitle")
_KEYWORDS = ("genre", "tag", "style", "mood")
_NAMES = ("artist", "studio")
_PASSAGES = ("plot", "outline", "tagline", "description")
_WANTED = frozenset({*_TITLES, *_KEYWORDS, *_NAMES, *_PASSAGES})
# Their titles and names are not the video's.
_PASSED_OVER = frozenset(
    {"actor", "fileinfo", "fanart", "ratings", "thumb", "art", "resume", "trailer", "producer", "collection"}
)
ROOTS = frozenset({"movie", "tvshow", "episodedetails", "musicvideo", "season", "video", "details", "item"})
"""Elements that hold what is said about a video; names are compared in lower case."""

_TAG = re.compile(r"(/?)([A-Za-z_][\w.-]{0,40})[^>]*?(/?)")
_DECLARED = re.compile(rb"""<\?xml[^>]{0,100}?encoding=["']([\w-]{1,20})["']""")
_MOST_VALUES = 50


def parse_nfo(data: bytes) -> Fields:
    """Read title, plot, genres and tags; never fails; without XML it says nothing.

    What vidclf put there itself is left out.
    """
    text = decode_text(data, declared_charset(data))
    owned = owned_keys(text)
    found = {
        name: [value for value in values if (name, key_of(value)) not in owned]
        for name, values in _elements(text).items()
    }
    return Fields(*(_pick(found, names) for names in (_TITLES, _KEYWORDS, _NAMES, _PASSAGES)))


def declared_charset(data: bytes) -> str:
    """Return the charset that the XML declaration names; empty where it names none."""
    declared = _DECLARED.search(data[:256])
    return declared[1].decode("ascii") if declared else ""


def _pick(found: dict[str, list[str]], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value for name in names for value in found.get(name, ()))


def _elements(text: str) -> dict[str, list[str]]:
    """Collect the text of the wanted elements. Linear: every search starts where the last one ended."""
    found: dict[str, list[str]] = {}
    root_seen = False
    wanted = ""
    pieces: list[str] = []
    at = 0
    while (start := text.find("<", at)) >= 0:
        if wanted:
            pieces.append(html.unescape(text[at:start]))
        if (special := _skip_special(text, start)) is not None:
            literal, at = special
            if at < 0:
                break
            pieces.append(literal)
            continue
        end = text.find(">", start)
        if end < 0:
            break
        at = end + 1
        start = text.rfind("<", start, end)  # `a < b <genre>`: the last one opens the tag
        tag = _TAG.fullmatch(text[start + 1 : min(end, start + 2000)])
        if tag is None:
            continue
        closing, name, empty = tag[1], tag[2].lower(), tag[3]
        root_seen = root_seen or name in ROOTS
        if closing and name == wanted:
            values = found.setdefault(wanted, [])
            if (value := "".join(pieces).strip()) and len(values) < _MOST_VALUES:
                values.append(value)
        wanted = name if root_seen and name in _WANTED and not (closing or empty) else ""
        pieces = []
        if name in _PASSED_OVER and not (closing or empty):
            at = text.find(f"</{tag[2]}", at)
            if at < 0:
                break
    return found


def _skip_special(text: str, start: int) -> tuple[str, int] | None:
    """Step over a comment, a declaration or CDATA at `start`.

    Returns:
        The literal text (of CDATA only) and where to go on, -1 when it never ends; None for a plain tag.
    """
    if text.startswith("<![CDATA[", start):
        end = text.find("]]>", start)
        return (text[start + 9 : end], end + 3) if end >= 0 else ("", -1)
    if text.startswith("<!--", start):
        end = text.find("-->", start + 4)
        return "", end + 3 if end >= 0 else -1
    if text.startswith("<?", start):
        end = text.find("?>", start)
        return "", end + 2 if end >= 0 else -1
    if text.startswith("<!", start):  # DOCTYPE: its declarations are in [ ... ]>
        end = text.find(">", start)
        bracket = text.find("[", start, end if end >= 0 else len(text))
        if bracket >= 0:
            close = text.find("]", bracket)
            end = text.find(">", close) if close >= 0 else -1
        return "", end + 1 if end >= 0 else -1
    return None

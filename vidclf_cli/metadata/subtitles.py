"""A bounded extract of what is said, from `.srt` and `.vtt` files."""

from __future__ import annotations

import html
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vidclf_cli.metadata.files import charset_of, decode_text, read_blocks
from vidclf_cli.metadata.text import Fields

_WHOLE_BYTES = 32 << 10
_BLOCK_COUNT = 8
"""A longer file is read at 8 places of 4 KiB: what a whole film is about, in half a millisecond."""

_EXTRACT_CHARACTERS = 640  # of all places together: about half of what the sentence embedder reads
_PLACE_LINES = 20  # about five cues
_LINE_LIMIT = 300
_NOT_SPEECH = re.compile(
    r"^(?:\d+$|WEBVTT|NOTE\b|STYLE\b|REGION\b|Kind:|Language:|X-TIMESTAMP|::cue|\}"
    r"|[\w-]{1,30}\s?:\s?[\w#(). ,%-]{1,60};$)"  # a line of a style block
)
_TIMING = re.compile(r"\d{1,2}:\d\d[.,:]\d\d.{0,20}-->")
_TAGS = re.compile(r"<[^<>]{0,100}>|\{\\[^{}]{0,100}\}")
_SOUNDS = re.compile(r"\[[^\[\]]{0,60}\]|\([^()]{0,60}\)|♪+|#(?= )")
_SPEAKER = re.compile(r"^\s*(?:>>|-)?\s*(?:[A-Z][A-Z .]{1,20}:)?")
_LETTERS = re.compile(r"[^\W\d_].*?[^\W\d_]")
_CREDIT = re.compile(
    r"https?:|www\.|\.(?:com|org|net)\b|subtitle[sd]?\b|caption(?:s|ed)\b"
    r"|(?:synced|ripped|encoded) by|sync(?:hronized)?:",
    re.IGNORECASE,
)
# Languages by two or three letters (`en`, `pt-BR`, `zh-Hans`), and the marks that players know.
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8}){0,2}", re.IGNORECASE)
_MARKS = frozenset({"forced", "sdh", "cc", "hi", "default", "auto", "orig", "full", "english"})
_ENGLISH = frozenset({"en", "eng", "english"})


def rank_of(middle: str) -> int | None:
    """Rank a subtitle file by what stands between the video's stem and `.srt`; lower is better.

    Returns:
        None when it belongs to another video. English comes first, since that is what the sentence
        embedder was trained on; forced subtitles, which are a few lines only, come last.
    """
    tokens = [token for token in middle.lower().split(".") if token]
    if not all(token in _MARKS or _LANGUAGE.fullmatch(token) for token in tokens):
        return None
    if "forced" in tokens:
        return 3
    if any(re.split("[-_]", token)[0] in _ENGLISH for token in tokens):
        return 0
    return 1 if not tokens else 2


def read_subtitles(path: Path) -> Fields:
    """Read an extract spread over the whole file; never fails."""
    return parse_subtitles(read_blocks(path, _WHOLE_BYTES, _BLOCK_COUNT))


def parse_subtitles(blocks: Sequence[bytes]) -> Fields:
    """Extract speech from a whole file, or from blocks of it that start and end anywhere."""
    places = _places(blocks)
    recent: deque[str] = deque(maxlen=4)
    room = _EXTRACT_CHARACTERS // max(len(places), 1)
    extracts = [extract for place in places if (extract := _first_words(_speech(place, recent), room))]
    return Fields(passages=tuple(dict.fromkeys(extracts)))


def _places(blocks: Sequence[bytes]) -> list[list[str]]:
    """Return the lines of up to 8 places spread over the file."""
    if len(blocks) == 1:
        lines = decode_text(blocks[0]).splitlines()
        step = max(math.ceil(len(lines) / _BLOCK_COUNT), _PLACE_LINES)
        return [lines[at : at + step] for at in range(0, len(lines), step)]
    charset = charset_of(blocks[0]) if blocks else ""
    texts = [block.decode(charset, "ignore") if charset else decode_text(block) for block in blocks]
    return [text.splitlines()[1:-1] for text in texts]  # the first and the last line may be cut


def _speech(lines: Sequence[str], recent: deque[str]) -> Iterator[str]:
    """Yield what is said, line by line, without `recent` lines: captions that roll up repeat every line."""
    for index, whole_line in enumerate(lines):
        line = whole_line[:_LINE_LIMIT].strip()
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if "-->" in line or _NOT_SPEECH.match(line) or _TIMING.match(following[:60]):
            continue
        said = html.unescape(_TAGS.sub("", line))
        said = " ".join(_SPEAKER.sub("", _SOUNDS.sub(" ", said)).split())
        if not _LETTERS.search(said) or said in recent or _CREDIT.search(said):
            continue
        recent.append(said)
        yield said


def _first_words(lines: Iterable[str], limit: int) -> str:
    """Join lines up to the limit, ending with a whole word; reads no further than needed."""
    text = ""
    for line in lines:
        text = f"{text} {line}".strip()
        if len(text) >= limit:
            return text[: limit + 1].rpartition(" ")[0] or text[:limit]
    return text

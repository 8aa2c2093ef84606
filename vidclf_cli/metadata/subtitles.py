"""A bounded extract of what is said, from `.srt` and `.vtt` files."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidclf_cli.metadata.files import charset_of, decode_text, read_blocks
from vidclf_cli.metadata.text import Fields

_WHOLE_BYTES = 32 << 10
_BLOCK_COUNT = 8
"""A longer file is read at 8 places of 4 KiB: what a whole film is about, in half a millisecond."""

_EXTRACT_CHARACTERS = 80  # per place; 8 x 80 is about half of what the sentence embedder reads
_LINE_LIMIT = 300
_NOT_SPEECH = re.compile(
    r"^(?:\d+$|WEBVTT|NOTE\b|STYLE\b|REGION\b|Kind:|Language:|X-TIMESTAMP|::cue|\}"
    r"|[\w-]{1,30}\s?:\s?[\w#(). ,%-]{1,60};$)"  # a line of a style block
)
_TIMING = re.compile(r"\d{1,2}:\d\d[.,:]\d\d.{0,20}-->")
_TAGS = re.compile(r"<[^<>]{0,100}>|\{\\[^{}]{0,100}\}")
_SOUNDS = re.compile(r"\[[^\[\]]{0,60}\]|\([^()]{0,60}\)|♪+|#(?= )")
_SPEAKER = re.compile(r"^\s*(?:>>|-)?\s*(?:[A-Z][A-Z .]{1,20}:)?")
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
    if not blocks:
        return Fields()
    charset = charset_of(blocks[0])
    if len(blocks) == 1:
        lines = list(_speech(decode_text(blocks[0]).splitlines()))
        step = max(len(lines) // _BLOCK_COUNT, 1)
        places = [lines[at : at + step] for at in range(0, len(lines), step)]
    else:
        places = [
            # The first and the last line of a block are cut anywhere.
            list(
                _speech(
                    (block.decode(charset, "ignore") if charset else decode_text(block)).splitlines()[1:-1]
                )
            )
            for block in blocks
        ]
    extracts = [extract for place in places[: _BLOCK_COUNT + 1] if (extract := _first_words(place))]
    return Fields(passages=tuple(dict.fromkeys(extracts)))


def _speech(lines: Sequence[str]) -> Iterator[str]:
    """Yield what is said, line by line; captions that roll up say every line several times."""
    recent: list[str] = []
    for index, whole_line in enumerate(lines):
        line = whole_line[:_LINE_LIMIT].strip()
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if "-->" in line or _NOT_SPEECH.match(line) or _TIMING.match(following[:60]):
            continue
        said = html.unescape(_TAGS.sub("", line))
        said = " ".join(_SPEAKER.sub("", _SOUNDS.sub(" ", said)).split())
        if sum(character.isalpha() for character in said) < 2 or said in recent or _CREDIT.search(said):
            continue
        recent = [*recent[-3:], said]
        yield said


def _first_words(lines: Sequence[str]) -> str:
    """Join lines up to the limit, ending with a whole word."""
    text = ""
    for line in lines:
        text = f"{text} {line}".strip()
        if len(text) >= _EXTRACT_CHARACTERS:
            cut = text[: _EXTRACT_CHARACTERS + 1].rpartition(" ")[0]
            return cut or text[:_EXTRACT_CHARACTERS]
    return text

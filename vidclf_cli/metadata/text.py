"""Compose the text about a video from what its sources say."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vidclf_cli.metadata.names import clean_title
from vidclf_cli.metadata.words import GENERIC_WORDS

TEXT_LIMIT = 1500
"""Characters: the sentence embedder reads 256 tokens, 1,000 to 1,300 characters of English."""

_TITLE_LIMIT = 200
_KEYWORDS_LIMIT = 300
_PASSAGE_LIMIT = 700
_RAW_LIMIT = 8 * _PASSAGE_LIMIT

_URL = re.compile(r"(?:https?://|www\.)\S+|\b[\w.+-]{1,64}@[\w-]{1,64}\.\S+", re.IGNORECASE)
_MARKUP = re.compile(r"<[^<>]{1,100}>")
_CHAPTER_TIME = re.compile(r"\(?\b(?:\d{1,2}:)?\d{1,2}:\d\d\b\)?")
_SENTENCE_END = re.compile(r"\n+|(?<=[.!?])\s+|(?<=[。！？])")  # noqa: RUF001
_LETTERS = re.compile(r"[^\W\d_].*?[^\W\d_]")
_ENDS_SENTENCE = (".", "!", "?", "。", "！", "？", ":", ";", "…")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Fields:
    """What one source says, uncleaned.

    Attributes:
        titles: The video's own title first, then what it belongs to (its show, its folder).
        keywords: Tags, categories, genres.
        names: Who made it.
        passages: Descriptions, plots, extracts of what is said.
    """

    titles: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether it says anything."""
        return bool(self.titles or self.keywords or self.names or self.passages)


@dataclass(frozen=True, slots=True)
class MetadataText:
    """The text about a video.

    Attributes:
        text: At most `TEXT_LIMIT` characters; empty when nothing says anything.
        sources: Where the text comes from, most trusted first, e.g. `("info-json", "folder")`.
    """

    text: str = ""
    sources: tuple[str, ...] = ()


def compose(sources: Sequence[tuple[str, Fields]]) -> MetadataText:
    """Join what the sources say: titles, names and keywords of all of them first, then the passages.

    Args:
        sources: Name and fields, most trusted first. What an earlier source said is not repeated.
    """
    sentences = _Sentences()
    for name, fields in sources:
        for title in fields.titles[:4]:
            sentences.add(name, clean_title(_clean_line(title[:_RAW_LIMIT]))[:_TITLE_LIMIT])
    for name, fields in sources:
        sentences.add(
            name, ", ".join(_unique(_clean_line(who[:_RAW_LIMIT]) for who in fields.names[:3]))[:_TITLE_LIMIT]
        )
        sentences.add(name, _keywords(fields.keywords[:100]))
    for name, fields in sources:
        room = _PASSAGE_LIMIT
        for passage in fields.passages[:20]:
            for sentence in _prose(passage[:_RAW_LIMIT]):
                if room > 0:
                    room -= sentences.add(name, sentence[:room])
    return MetadataText(sentences.text(), tuple(name for name, _ in sources if name in sentences.sources))


class _Sentences:
    """Sentences in order, none twice, up to the limit."""

    def __init__(self) -> None:
        self.sources: set[str] = set()
        self._kept: list[str] = []
        self._said = " "
        self._room = TEXT_LIMIT

    def add(self, source: str, sentence: str) -> int:
        """Append a sentence unless its words were said already in this order; return its length."""
        key = " ".join(re.findall(r"\w+", sentence.casefold()))
        if not key or f" {key} " in self._said:
            return 0
        if not sentence.endswith(_ENDS_SENTENCE):
            sentence += "."
        if len(sentence) > self._room:
            sentence = sentence[: max(self._room, 0)].rpartition(" ")[0]
            self._room = 0
        if not sentence:
            return 0
        self._said += f"{key} | "
        self._kept.append(sentence)
        self._room -= len(sentence) + 1
        self.sources.add(source)
        return len(sentence)

    def text(self) -> str:
        return " ".join(self._kept)


def _prose(passage: str) -> Iterable[str]:
    """Yield a passage's sentences; lines that only lead to links are dropped."""
    text = _MARKUP.sub(" ", html.unescape(passage)).replace("\r", "\n")
    for line in text.split("\n"):
        without_links = _URL.sub(" ", line)
        if without_links != line and len(without_links.split()) < 5:
            continue  # `Subscribe: https://...`
        cleaned = _clean_line(_CHAPTER_TIME.sub(" ", without_links))
        for sentence in _SENTENCE_END.split(cleaned):
            if _LETTERS.search(sentence):
                yield sentence.strip()


def _keywords(keywords: Iterable[str]) -> str:
    """Join keywords with commas; those that say nothing are dropped."""
    kept: list[str] = []
    length = 0
    for keyword in _unique(_clean_line(keyword[:_TITLE_LIMIT]).strip("# ") for keyword in keywords):
        says_nothing = keyword.casefold() in GENERIC_WORDS or not any(c.isalpha() for c in keyword)
        if says_nothing or len(keyword) > 60:
            continue
        length += len(keyword) + 2
        if length > _KEYWORDS_LIMIT:
            break
        kept.append(keyword)
    return ", ".join(kept)


def _unique(texts: Iterable[str]) -> list[str]:
    return list({text.casefold(): text for text in texts if text}.values())


def _clean_line(text: str) -> str:
    """Remove links, control and invisible characters, and runs of white space."""
    text = _URL.sub(" ", text)
    if not text.isprintable():
        text = "".join(map(_visible, text))
    return " ".join(text.split())


def _visible(character: str) -> str:
    """Turn white space and control characters into spaces, drop what has no width, keep the rest."""
    category = unicodedata.category(character)
    if category == "Cc" or category[0] == "Z":
        return " "
    return "" if category[0] == "C" and character != "\u200d" else character  # that one joins emoji

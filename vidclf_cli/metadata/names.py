"""What file and folder names say about a video, once everything that machines put there is gone."""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from vidclf_cli.metadata.files import decode_text
from vidclf_cli.metadata.words import GENERIC_FOLDER_WORDS, GENERIC_WORDS, RELEASE_WORDS

_LONGEST_NAME = 300

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[-_. ]?(?:0[1-9]|1[0-2])[-_. ]?(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[-_.](?:0?[1-9]|[12]\d|3[01])[-_.](?:19|20)\d\d)(?!\d{1,5}(?!\d))"
    r"(?:[-_ T,]{0,3}(?:at )?\d{1,2}[-_.:h ]?\d\d(?:[-_.:m ]?\d{2,6})?s?)?"
)
_SPOKEN_DATE = re.compile(
    r"\b(?:\d{1,2}\.? )?(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]{0,6}"
    r" \d{1,2}(?:st|nd|rd|th)?,? \d{4}\b",
    re.IGNORECASE,
)
_EPISODE = re.compile(
    r"(?<![^\W_])(?:s\d{1,3}[ ._-]?e\d{1,4}(?:[ ._-]?e\d{1,4})*|s\d{1,2}|\d{1,2}x\d{2,3}"
    r"|(?:ep|e|episode|season|part|pt|disc|cd|vol)[ ._-]?\d{1,4})(?![^\W_])",
    re.IGNORECASE,
)
_SIZE = re.compile(r"(?<!\d)\d{3,5} ?[x\u00d7] ?\d{3,5}(?!\d)", re.IGNORECASE)
_BRACKETED = re.compile(r"[\[({]([^\[\](){}]{0,200})[\])}]")
_YOUTUBE_ID_AT_END = re.compile(r"(?<=.)-([A-Za-z0-9_-]{11})$")
_WEB_SOURCE = re.compile(r"\b(web|blu|hd|dvd|bd)[-_. ](dl|ray|rip|tv)\b", re.IGNORECASE)
_CODEC_DOT = re.compile(r"\b([hx])[. ](26[456])\b|\b(dd[p+]?|aac|dts)[-. ]?\d[. ]\d\b", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-Z])(?=[A-Z][a-z])")
_CAMERA = re.compile(
    r"(?:img|image|imag|dscn?f?|dscf|mvi|mov|vid|video|clip|gopr|g[hpx]\d{0,2}|pxl|sam|dji|cimg|mah|wa|wp|hpim"
    r"|pict|p\d|c|m|cap|rec|trim|final|screenrecord|fb|snapchat|file|track|title|t|v|ver|take|seq)\d{1,16}",
    re.IGNORECASE,
)
_CAMERA_WORD = re.compile(
    r"img|dscn?f?|dscf|dcim|mvi|gopr|pxl|cimg|dji|rpreplay|vid|mp4|m4v|mkv|avi|webm|flv|wmv"
    r"|\d+(?:[km]bps|fps|bits?|hz|ms|[mg]b)",
    re.IGNORECASE,
)
_COUNTER = re.compile(r"[A-Za-z]{1,5}0\d{1,10}")
_DCF_FOLDER = re.compile(r"\d{3}[A-Z0-9_]{5}")
_HEX = re.compile(r"(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,64}", re.IGNORECASE)
_RUNS = re.compile(r"[^\W\d_]+|\d+")


def clean_file_name(name: str) -> str:
    """Return the words of a file name that a person put there; empty when there are none.

    Args:
        name: With its suffix already taken off; may hold undecodable bytes as surrogates.
    """
    return _clean(name, GENERIC_WORDS)


@lru_cache(maxsize=4096)
def clean_folder_name(name: str) -> str:
    """Return the words of a folder name that say something; empty for `DCIM`, `Downloads`, a date ..."""
    return "" if _DCF_FOLDER.fullmatch(name) else _clean(name, GENERIC_FOLDER_WORDS)


def clean_title(title: str) -> str:
    """Return a title as it is when it says something, cleaned when it is only a file name."""
    cleaned = clean_file_name(title)
    is_prose = " " in title.strip()
    return title.strip() if cleaned and is_prose and not _release_start(_words(title)) else cleaned


def _clean(name: str, generic: frozenset[str]) -> str:
    text = decode_text(os.fsencode(name)) if not name.isascii() and _has_surrogates(name) else name
    text = unicodedata.normalize("NFC", text)[:_LONGEST_NAME]
    if "_" in text or " " not in text:
        text = _YOUTUBE_ID_AT_END.sub(_drop_id, text)
    text = _UUID.sub(" ", text)
    text = _BRACKETED.sub(_bracketed, text)
    for pattern in (_DATE, _SPOKEN_DATE, _SIZE):
        text = pattern.sub(" ", text)
    text = _CODEC_DOT.sub(lambda match: f"{match[1] or ''}{match[2] or match[3]}", text)
    text = _EPISODE.sub(" ", _WEB_SOURCE.sub(r"\1\2", text))
    if len(_RUNS.findall(text)) == 1:  # one word: `CatPlaysPiano`, but not `my iPhone`
        text = _CAMEL.sub(" ", text)
    words = _words(text)
    cut = _release_start(words)
    words = [word for word in (words[:cut] if cut else words) if not _is_machine_word(word)]
    while words and words[0].isdecimal():
        words.pop(0)
    while words and words[-1].isdecimal():
        words.pop()
    if all(word.casefold() in generic or word.isdecimal() or _is_letter(word) for word in words):
        return ""
    return " ".join(words)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _words(text: str) -> list[str]:
    """Split at everything that is neither letter, mark nor digit; apostrophes stay inside words."""
    kept = "".join(
        character
        if character.isalnum() or character in "'\u2019&" or unicodedata.combining(character)
        else " "
        for character in text
    )
    return [word.strip("'\u2019") for word in kept.split() if word.strip("'\u2019")]


def _release_start(words: list[str]) -> int:
    """Where the tail of release tags begins: at the first of two or more; 0 when there is no such tail."""
    tags = [at for at, word in enumerate(words) if word.casefold() in RELEASE_WORDS]
    return tags[0] if len(tags) >= 2 else 0


def _is_machine_word(word: str) -> bool:
    """Tell whether no person typed this: a camera's counter, a resolution, a hash, a random id."""
    lower = word.casefold()
    if lower in RELEASE_WORDS or any(p.fullmatch(word) for p in (_CAMERA, _CAMERA_WORD, _COUNTER, _HEX)):
        return True
    if word.isdecimal():
        return len(word) > 2
    return word.isascii() and len(word) >= 6 and _looks_random(word)


def _looks_random(word: str) -> bool:
    """Tell an id from a word: letters and digits alternate, or case does so in a long word with digits."""
    runs = _RUNS.findall(word)
    has_digit = any(run.isdecimal() for run in runs)
    case_changes = sum(a.islower() and b.isupper() for a, b in pairwise(word))
    return len(runs) >= 4 or (has_digit and case_changes >= 2) or (has_digit and len(word) >= 16)


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isascii()


def _drop_id(match: re.Match[str]) -> str:
    """Drop `-dQw4w9WgXcQ` at the end of a name, but not `-basketball1`."""
    found = match[1]
    mixed = sum(bool(re.search(kind, found)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[_-]"))
    inner_capital = re.search(r"[a-z0-9_][A-Z]", found) is not None
    return " " if mixed >= 3 or (mixed == 2 and inner_capital and "-" not in found) else match[0]


def _bracketed(match: re.Match[str]) -> str:
    """Keep what a person wrote in brackets; drop ids, checksums, years, tags and group names."""
    inside = match[1].strip()
    if match[0].startswith("["):
        is_id = re.fullmatch(r"[A-Za-z0-9_-]{11}", inside) is not None
        if is_id or match.start() == 0:
            return " "
    kept = [word for word in _words(inside) if not _is_machine_word(word)]
    says_nothing = all(word.casefold() in GENERIC_WORDS or word.isdecimal() for word in kept)
    return " " if says_nothing else f" {inside} "

"""Names that give a label away: data sets name folders and files after what they show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from vidclf_cli.metadata.words import GENERIC_WORDS

_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-Z])(?=[A-Z][a-z])")


class LabelNames:
    """Tells whether a name only repeats a label.

    `v_ApplyMakeup_g01` does so for the label `apply makeup`; `cat on a piano` does not for `cat`. Case,
    numbers, single letters, word order and words that cameras and data sets use (`clip`, `train`) do not
    count.

    Args:
        labels: All labels of the data.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        words = [each for label in labels if (each := _words(label))]
        self._sets = {frozenset(each) for each in words}
        self._joined = {"".join(each) for each in words}

    def only(self, name: str, own: Iterable[str]) -> bool:
        """Tell whether a name says nothing but a label: any whole one, or words of the video's own."""
        words = _words(name)
        if frozenset(words) in self._sets or "".join(words) in self._joined:
            return True
        return bool(words) and frozenset(words) <= {word for label in own for word in _words(label)}

    @staticmethod
    def within(name: str, own: Iterable[str]) -> bool:
        """Tell whether a name holds all words of one of the video's own labels."""
        words = _words(name)
        wanted = [each for label in own if (each := _words(label))]
        return any(set(each) <= set(words) or "".join(each) in words for each in wanted)


@lru_cache(maxsize=1 << 16)
def _words(text: str) -> tuple[str, ...]:
    """Return the words that say something; all words where none does."""
    text = _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))
    words = [word for word in _WORD.findall(text.casefold()) if len(word) > 1 or not word.isascii()]
    return tuple(word for word in words if word not in GENERIC_WORDS) or tuple(words)

"""What spoke for a label, for any scorer, by asking it: what would you say to this concept, or word, alone?

Each concept's answer is asked for once, all 1,000 in one batch; each word's answer is remembered. So a warm
row costs a few look-ups.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.embedders.base import TextEmbedder
from vidclf_cli.records import Evidence
from vidclf_cli.scoring import Scorer, Vectors
from vidclf_cli.spaces import Space

NOTICEABLE = 0.05
"""Mean probability from which on a concept counts as seen; below it the network names hundreds of them."""

PER_SOURCE = 3
"""Entries per modality: the first few explain, the rest is noise."""

_SPEAKS_FACTOR = 2.0
"""A probe speaks for a label that it makes at least this many times as probable as concepts do on average."""

_WORDS_PER_TEXT = 32
_MEMORY_FLOATS = 4_000_000
"""What is remembered of words: 16 MB, which is 400,000 words for 10 labels and 4,000 for 1,000."""

_WORD = re.compile(r"[^\W\d_][\w'\u2019-]{1,39}")  # From a letter on, 2 to 40 characters, in any script.

_STOP_TEXT = (
    "a about after all also an and any are as at be been but by can com did do does for from get got had has"
    " have he her here his how http https i if in into is it its just like me more most my new no not of off"
    " on one or our out over own she so some such than that the their them then there these they this those"
    " to too un up us very was we were what when where which who why will with www you your"
)
_STOP_WORDS = frozenset(_STOP_TEXT.split())


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a scorer says to probes: probabilities (probes, labels), and which labels each speaks for."""

    confidence: NDArray[np.float32]
    speaks: NDArray[np.bool_]


class Explainer:
    """Finds the concepts and words that spoke for a label.

    A concept counts when it was noticeably seen and its probe speaks for the label, a word when its probe
    does. A probe speaks for its most probable label, and for labels that it makes at least twice as probable
    as concepts do on average. A scorer that does not read concepts cannot be asked about them: then
    the concepts seen are listed as they are, to show what was in the picture.

    Args:
        scorer: Who is asked.
        concepts: The space of concept probabilities.
        concept_names: Name of each dimension of that space.
        text_embedder: Embeds single words.
    """

    def __init__(
        self, scorer: Scorer, concepts: Space, concept_names: Sequence[str], text_embedder: TextEmbedder
    ) -> None:
        self._scorer = scorer
        self._concepts = concepts
        self._concept_names = concept_names
        self._text_embedder = text_embedder
        self._word_limit = max(1, _MEMORY_FLOATS // len(scorer.labels))
        self._words: OrderedDict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]] = OrderedDict()
        self._concept_answers: _Answers | None = None

    def explain(
        self, label_indices: Sequence[int], vectors: Vectors, texts: Sequence[str]
    ) -> list[tuple[Evidence, ...]]:
        """Explain a batch.

        Args:
            label_indices: Per row the label that is to be explained.
            vectors: The batch that was scored; the concepts are shown also if the scorer does not read them.
            texts: Per row the text that was embedded, empty where there was none.

        Returns:
            Per row what spoke for the label, strongest first; at most 3 entries per modality.
        """
        words = (
            [_words(text) for text in texts] if self._reads(self._text_embedder.space) else [[]] * len(texts)
        )
        self._learn(word for row in words for word in row)
        seen = vectors.get(self._concepts.id)
        rows = []
        for row, label in enumerate(label_indices):
            found = [] if seen is None else self._seen_concepts(seen[row], label)
            found += self._read_words(words[row], label)
            rows.append(tuple(sorted(found, key=lambda item: -item.weight)))
        self._forget()
        return rows

    def _reads(self, space: Space) -> bool:
        return space.id in self._scorer.spaces

    def _seen_concepts(self, probabilities: NDArray[np.float32], label: int) -> list[Evidence]:
        noticed = [int(index) for index in np.flatnonzero(probabilities >= NOTICEABLE)]
        if self._reads(self._concepts):
            noticed = [index for index in noticed if self._about_concepts().speaks[index, label]]
        noticed.sort(key=lambda index: -probabilities[index])
        return [
            Evidence("visual", self._concept_names[index], float(probabilities[index]))
            for index in noticed[:PER_SOURCE]
        ]

    def _read_words(self, words: Sequence[str], label: int) -> list[Evidence]:
        found = []
        for word in words:
            confidence, speaks = self._words[word]
            if speaks[label]:
                found.append(Evidence("metadata", word, float(confidence[label])))
        return sorted(found, key=lambda item: -item.weight)[:PER_SOURCE]

    def _learn(self, words: Iterable[str]) -> None:
        """Ask about words that were never seen, in one batch."""
        unseen = []
        for word in dict.fromkeys(words):
            if word in self._words:
                self._words.move_to_end(word)
            else:
                unseen.append(word)
        if not unseen:
            return
        answers = self._about_words(unseen)
        self._words.update(zip(unseen, zip(answers.confidence, answers.speaks, strict=True), strict=True))

    def _forget(self) -> None:
        """Drop the words not used for longest; after the batch, which may hold more than the limit."""
        while len(self._words) > self._word_limit:
            self._words.popitem(last=False)

    def _about_concepts(self) -> _Answers:
        if self._concept_answers is None:
            probes = np.eye(len(self._concept_names), dtype=np.float32)
            confidence = self._scorer.probabilities({self._concepts.id: probes})
            self._concept_answers = _judge(confidence, confidence.mean(axis=0))
        return self._concept_answers

    def _about_words(self, words: Sequence[str]) -> _Answers:
        vectors = self._text_embedder.embed(words)
        confidence = self._scorer.probabilities({self._text_embedder.space.id: vectors})
        return _judge(confidence, self._usual_confidence())

    def _usual_confidence(self) -> NDArray[np.float32]:
        """Mean answer to all concepts, shape (labels,); even odds of a scorer that reads none."""
        if self._reads(self._concepts):
            usual: NDArray[np.float32] = self._about_concepts().confidence.mean(axis=0)
            return usual
        label_count = len(self._scorer.labels)
        return np.full(label_count, 1 / label_count, np.float32)


def _judge(confidence: NDArray[np.float32], usual: NDArray[np.float32]) -> _Answers:
    speaks = confidence >= _SPEAKS_FACTOR * usual
    speaks[np.arange(len(confidence)), confidence.argmax(axis=1)] = True
    return _Answers(confidence, speaks)


def _words(text: str) -> list[str]:
    """Return the first distinct words of a text that could say something, lower case."""
    found = dict.fromkeys(match.group().lower().strip("'\u2019-") for match in _WORD.finditer(text[:2000]))
    return [word for word in found if len(word) > 1 and word not in _STOP_WORDS][:_WORDS_PER_TEXT]

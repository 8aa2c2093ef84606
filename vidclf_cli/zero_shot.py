"""Labels given as words: no training, no labelled video.

The picture speaks through the concepts seen in it: each concept's name is compared with each label once,
softmax(cosine / 0.05) over the labels, and the answers are averaged by the concepts' probabilities. The text
is compared with the labels directly. Log scores of both are added.

Before texts are compared, a linear map is applied that was fitted on the YouTube-8M vocabulary (see
exported/classifiers/zero-shot.md). It helps with words near its 24 verticals and leaves others alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.concept_kinds import described_concepts
from vidclf_cli.embedders.base import TextEmbedder
from vidclf_cli.errors import UsageError
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.scoring import Task, Vectors, count_rows
from vidclf_cli.shipped import shipped_folder, verified_file

ADAPTATION_FILE = "zero-shot.npz"
LABEL_LIMIT = 1000
_TEXT_LIMIT = 200  # Characters of one label with its prompts.
_FILE_LIMIT = 1_000_000  # Bytes of a file of labels.

_LABEL_TEMPLATES = ("a video about {}", "a video of {}", "{} video")
_CONCEPT_TEMPLATES = ("{}", "a photo of {}")
_TEMPERATURE = 0.05
_LEAST = 1e-9
_REVISION = b"1"  # Part of the name: another recipe is another model.

# What log scores are multiplied by, by what a video has; `python -m vidclf_train zero-shot` prints them.
_PICTURE_ALONE, _TEXT_ALONE, _TOGETHER = 1.307, 0.598, 0.548

_ADVICE = 'Give them as `--labels "cooking,football,cats"`, or `--labels @labels.txt`, one per line.'


class ZeroShot:
    """Scores videos against labels given as words; a `Scorer`.

    Args:
        labels: 2 to 1,000 different ones. `football = soccer match; kick-off` shows as `football` and is
            compared by what stands after the `=`.
        text_embedder: Fills `local/metadata`.

    Raises:
        UsageError: There are too few or too many labels, one is empty or is there twice.
    """

    task: Task = "single"
    thresholds: dict[str, float] = {}  # noqa: RUF012 - part of the protocol, never written
    required_spaces: tuple[str, ...] = ()

    def __init__(self, labels: Sequence[str], text_embedder: TextEmbedder) -> None:
        entries = [_split(entry) for entry in labels]
        _check(entries)
        self.labels = tuple(label for label, _ in entries)
        self._prompts = [prompts for _, prompts in entries]
        self._text_embedder = text_embedder
        self._concepts = local_spaces()["local/concepts"].id
        self._metadata = local_spaces()["local/metadata"].id

    @property
    def name(self) -> str:
        """`zero-shot` @ first 12 of a SHA-256 over recipe, labels and prompts."""
        parts = [
            "\0".join((label, *prompts)) for label, prompts in zip(self.labels, self._prompts, strict=True)
        ]
        return f"zero-shot@{hashlib.sha256(_REVISION + chr(10).join(parts).encode()).hexdigest()[:12]}"

    @property
    def spaces(self) -> tuple[str, ...]:
        """Concepts and text."""
        return (self._concepts, self._metadata)

    @property
    def min_confidence(self) -> float:
        """0.35, and more for few labels, where chance alone gives much: 0.6 for two, 0.4 for three."""
        return max(0.35, 1.2 / len(self.labels))

    def probabilities(self, vectors: Vectors) -> NDArray[np.float32]:
        """Score a batch; see `Scorer`.

        Raises:
            EncoderError: A shipped file is missing or altered.
        """
        row_count = count_rows(vectors)
        logits = np.zeros((row_count, len(self.labels)), np.float32)
        picture, text = vectors.get(self._concepts), vectors.get(self._metadata)
        has_picture, has_text = _present(picture, row_count), _present(text, row_count)
        if picture is not None:
            scale = np.where(has_text, _TOGETHER, _PICTURE_ALONE) * has_picture
            logits += scale[:, None] * self.picture_scores(picture)
        if text is not None:
            scale = np.where(has_picture, _TOGETHER, _TEXT_ALONE) * has_text
            logits += scale[:, None] * self.text_scores(text)
        return np.exp(_log_softmax(logits)).astype(np.float32)

    def picture_scores(self, concepts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return log scores of the labels by the concepts seen, shape (rows, labels); 0 without any."""
        total = np.maximum(concepts.sum(axis=1, keepdims=True), _LEAST)
        return _log_softmax(np.log(concepts / total @ self._concept_table + _LEAST))

    def text_scores(self, texts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return log scores of the labels by the text, shape (rows, labels)."""
        return _log_softmax(_unit(texts @ self._map) @ self._label_vectors.T / _TEMPERATURE)

    @cached_property
    def _map(self) -> NDArray[np.float32]:
        path = verified_file(shipped_folder() / "classifiers" / ADAPTATION_FILE)
        with np.load(path, allow_pickle=False) as data:
            result: NDArray[np.float32] = data["map"].astype(np.float32)
        return result

    @cached_property
    def _label_vectors(self) -> NDArray[np.float32]:
        return _unit(embed_labels(self._prompts, self._text_embedder) @ self._map)

    @cached_property
    def _concept_table(self) -> NDArray[np.float32]:
        """How much each concept speaks for each label, shape (1000, labels), rows add up to 1."""
        texts = [template.format(each) for template in _CONCEPT_TEMPLATES for each in described_concepts()]
        vectors = self._text_embedder.embed(texts).reshape(
            len(_CONCEPT_TEMPLATES), len(described_concepts()), -1
        )
        similarity = _unit(_unit(vectors.mean(axis=0)) @ self._map) @ self._label_vectors.T
        return np.exp(_log_softmax(similarity / _TEMPERATURE))


def parse_labels(text: str) -> tuple[str, ...]:
    """Split what was given as `--labels`.

    Args:
        text: `a,b,c`, or `@FILE` with one label per line; empty lines and lines that begin with `#` do not
            count. In both, `label = prompt; prompt` says what to compare instead of the label.

    Raises:
        UsageError: The file cannot be read, or there are too few labels, an empty or a repeated one.
    """
    if text.startswith("@"):
        lines = (line.strip() for line in _read_labels(Path(text[1:])).splitlines())
        labels = tuple(line for line in lines if line and not line.startswith("#"))
    else:
        labels = tuple(part.strip() for part in text.split(","))
    _check([_split(label) for label in labels])
    return labels


def embed_labels(prompts: Sequence[Sequence[str]], embedder: TextEmbedder) -> NDArray[np.float32]:
    """Embed labels: the mean over a few templates and all of a label's prompts, unit length.

    Returns:
        Shape (len(prompts), dimension).
    """
    texts = [
        template.format(each.lower()) for own in prompts for each in own for template in _LABEL_TEMPLATES
    ]
    vectors = embedder.embed(texts)
    ends = np.cumsum([len(own) * len(_LABEL_TEMPLATES) for own in prompts])
    return _unit(np.stack([part.mean(axis=0) for part in np.split(vectors, ends[:-1])]))


def _read_labels(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_LIMIT + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", _ADVICE) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", "Save it as UTF-8, one label per line.") from error
    if len(data) > _FILE_LIMIT:
        raise UsageError(f"{path} is too large for a list of labels.", _ADVICE)
    return text


def _split(entry: str) -> tuple[str, tuple[str, ...]]:
    """Return a label and what is compared for it."""
    label, _, rest = (part.strip() for part in entry.partition("="))
    prompts = tuple(part.strip() for part in rest.split(";") if part.strip())
    return label, prompts or (label,)


def _check(entries: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    if not 2 <= len(entries) <= LABEL_LIMIT:
        raise UsageError(f"2 to {LABEL_LIMIT} labels are needed, not {len(entries)}.", _ADVICE)
    seen: set[str] = set()
    for label, prompts in entries:
        if not label:
            raise UsageError("One of the labels is empty.", _ADVICE)
        if len(label) + sum(map(len, prompts)) > 2 * _TEXT_LIMIT or not label.isprintable():
            raise UsageError(f"The label {label[:40]!r} is too long, or has control characters.", _ADVICE)
        if label.casefold() in seen:
            raise UsageError(f"The label {label!r} is there twice.", _ADVICE)
        seen.add(label.casefold())


def _present(rows: NDArray[np.float32] | None, row_count: int) -> NDArray[np.bool_]:
    if rows is None:
        return np.zeros(row_count, bool)
    return np.asarray(rows.any(axis=1))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length; rows of zeros stay."""
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    result: NDArray[np.float32] = rows / np.maximum(lengths, np.float32(_LEAST))
    return result


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result

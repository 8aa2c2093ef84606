"""The seam: what an embedder is. The built-in ones stand behind it like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from numpy.typing import NDArray
import numpy as np

from vidclf_cli.media.types import Sample, SampleRequest
from vidclf_cli.spaces import Embedding, Space


class SampleEmbedder(Protocol):
    """Turns what was read of a video into vectors of one or more spaces."""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces that one call fills together; their `sampling` says what was read."""

    @property
    def request(self) -> SampleRequest:
        """What must be read of a video for these spaces."""

    def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
        """Embed a batch of videos.

        Returns:
            For each sample a mapping of space id to embedding; a space that the sample gives nothing
            for (a silent video's sound) is absent.
        """


class TextEmbedder(Protocol):
    """Turns texts into vectors of one space."""

    @property
    def space(self) -> Space:
        """The space that is filled."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed non-empty texts; returns shape (len(texts), dimension), unit length."""


class Scorer(Protocol):
    """What decides: a classifier file or labels given as words. Runs on batches of vectors."""

    @property
    def name(self) -> str:
        """Name @ first 12 of a SHA-256, for the `model` column."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `probabilities`."""

    def probabilities(self, vectors: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Score a batch.

        Args:
            vectors: Per input's space id an array of shape (rows, dimension); a row of zeros means that
                the video has nothing in that space.

        Returns:
            Calibrated probabilities, shape (rows, labels).
        """

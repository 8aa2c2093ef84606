"""The seam: what an embedder is. The built-in ones stand behind it like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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

"""The seam: what an embedder is. The built-in ones stand behind it like any other.

All that an embedder of another package needs is here; docs/embedders.md walks through one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import EncoderError, UsageError
from vidclf_cli.media.types import FRAME_SHORT_SIDE, Frame, Sample, SampleRequest
from vidclf_cli.spaces import Embedding, Modality, Space, Vector

__all__ = [
    "FRAME_SHORT_SIDE",
    "CreateEmbedder",
    "EmbedderOptions",
    "Embedding",
    "EncoderError",
    "Frame",
    "Modality",
    "Sample",
    "SampleEmbedder",
    "SampleRequest",
    "Space",
    "TextEmbedder",
    "UsageError",
    "Vector",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderOptions:
    """What the user chose, as far as an embedder is concerned.

    Attributes:
        frame_count: Up to this many frames per video are read, if any.
        audio_seconds: Up to this much sound per video is read, if any.
        device: Where networks run.
        thread_count: Threads of one pass over a network.
    """

    frame_count: int = 8
    audio_seconds: float = 20.0
    device: Literal["cpu", "cuda"] = "cpu"
    thread_count: int = 1


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


CreateEmbedder = Callable[[EmbedderOptions], SampleEmbedder]
"""What an entry point of the group `vidclf.embedders` names.

It returns at once: nothing is loaded before `embed` is called, since spaces are also asked for to be listed.
"""


class TextEmbedder(Protocol):
    """Turns texts into vectors of one space."""

    @property
    def space(self) -> Space:
        """The space that is filled."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed non-empty texts; returns shape (len(texts), dimension), unit length."""

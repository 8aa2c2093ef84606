"""What a run can be told; every default is what a newcomer wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vidclf_cli.media.types import Limits

Device = Literal["auto", "cpu", "cuda"]
DEFAULT_MODEL = "topics-10"
DEFAULT_FRAME_COUNT = 8
DEFAULT_TOP_K = 3


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How videos are found, read and embedded.

    Attributes:
        exclude: Globs of paths and names to leave out.
        frame_count: Up to this many frames per video.
        jobs: Worker processes that read; None chooses by the cores.
        device: Where the encoder runs.
        cache_folder: None is the user's default.
        verify_content: Hash whole files instead of blocks of them.
        limits: What one file may cost.
    """

    exclude: tuple[str, ...] = ()
    frame_count: int = DEFAULT_FRAME_COUNT
    jobs: int | None = None
    device: Device = "auto"
    cache_folder: Path | None = None
    verify_content: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """How videos are classified.

    Attributes:
        model: A classifier file, or the name of a shipped one.
        labels: Labels given as words; then no classifier file is used.
        top_k: How many alternatives a row lists.
        min_confidence: Below it a video is unknown; None is the classifier's own.
    """

    model: str = DEFAULT_MODEL
    labels: tuple[str, ...] = ()
    top_k: int = DEFAULT_TOP_K
    min_confidence: float | None = None

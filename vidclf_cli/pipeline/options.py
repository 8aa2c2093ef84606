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
SEGMENT_SECONDS = (0.1, 86_400.0)
"""Shortest and longest segment that may be asked for."""


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
        target_precision: Give a label only where it is right so often, by the classifier's thresholds for it;
            None is the classifier's own bars.
        segment_seconds: Rows about segments of this length beside each video's own; None for no such rows.
        dense: Look at a frame of every second of the segments, wherever it must be decoded from.
    """

    model: str = DEFAULT_MODEL
    labels: tuple[str, ...] = ()
    top_k: int = DEFAULT_TOP_K
    min_confidence: float | None = None
    target_precision: float | None = None
    segment_seconds: float | None = None
    dense: bool = False

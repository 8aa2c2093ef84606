"""What is asked of a video file, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import Reason

Frame = NDArray[np.uint8]
"""RGB picture, shape (height, width, 3), upright, square pixels, short side 256."""

FRAME_SHORT_SIDE = 256
"""Frames come back this size: a 224 pixel crop of 0.875 of the short side is cut without scaling again."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file says of itself, checked where it can be checked cheaply.

    Attributes:
        container: ffmpeg's short name of the format, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
        duration_seconds: None when neither the container nor the packets tell.
        video_codec: ffmpeg's name of the codec, empty when there is no picture.
        width: Displayed width in pixels, after rotation and pixel aspect ratio.
        height: Displayed height in pixels.
        rotation_degrees: Clockwise rotation that display needs: 0, 90, 180 or 270.
        pixel_aspect: Width of a pixel over its height.
        frame_rate: Average frames per second, None when unknown.
        audio_codec: Empty when there is no sound.
        tags: Container tags that say something about the content (title, comment, artist ...), lower-case
            keys, values cleaned of control characters.
    """

    container: str
    duration_seconds: float | None
    video_codec: str
    width: int
    height: int
    rotation_degrees: int
    pixel_aspect: float
    frame_rate: float | None
    audio_codec: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What to read of a file.

    Attributes:
        frame_count: Up to this many frames spread over the whole video; 0 for none.
        audio_seconds: Up to this much sound in short windows spread over the whole video; 0 for none.
    """

    frame_count: int = 8
    audio_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What was read of a file.

    Attributes:
        info: What the file says of itself.
        frames: Distinct frames in order of time; black and blank ones only if there were no others.
        timestamps_seconds: The frames' real presentation times, same length as `frames`.
        waveform: Mono 16 kHz sound, float32 in -1..1, the windows end to end; None when not asked for or
            when there is none.
        notes: What was odd but survivable, e.g. `damaged after 12 frames`.
        seconds: How long the reading took.
    """

    info: MediaInfo
    frames: tuple[Frame, ...] = ()
    timestamps_seconds: tuple[float, ...] = ()
    waveform: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TimelineRequest:
    """Which part of a video's timeline to read: a frame for each of some slots of time.

    Attributes:
        edges: Edges of the slots in seconds from the first frame, in order, one more than there are slots.
        dense: Decode a frame for every slot, wherever it lies; else only what keyframes and a small budget
            per slot give.
    """

    edges: tuple[float, ...]
    dense: bool = False


@dataclass(frozen=True, slots=True)
class TimelinePart:
    """What was read of a part of a timeline.

    A slot that has neither a frame nor a failure belongs to the frame before it.

    Attributes:
        info: What the file says of itself.
        frames: One per slot at most, in order of time.
        timestamps_seconds: The frames' real presentation times, same length as `frames`.
        slots: The slot of each frame, counted within the request.
        failures: Slot to the reason why nothing of it could be read.
        seconds: How long the reading took.
    """

    info: MediaInfo
    frames: tuple[Frame, ...] = ()
    timestamps_seconds: tuple[float, ...] = ()
    slots: tuple[int, ...] = ()
    failures: Mapping[int, Reason] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost before it becomes a `failed` row.

    Attributes:
        seconds: Wall-clock time for one file.
        memory_bytes: Memory that a worker may allocate beyond what it has at start.
        frame_pixels: Largest coded frame, width times height.
        open_files: File descriptors of a worker.
    """

    seconds: float = 60.0
    memory_bytes: int = 1 << 30
    frame_pixels: int = 8192 * 8192
    open_files: int = 64

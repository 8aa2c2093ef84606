"""What travels through a run: a video, its prediction, its result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vidclf_cli.errors import Reason
from vidclf_cli.spaces import Modality


@dataclass(frozen=True, slots=True)
class Video:
    """One input file.

    Attributes:
        id: Path relative to the common parent of the paths given, with `/`; unique in a run, valid UTF-8.
        path: Where it is, absolute.
        root: The folder given on the command line that it was found in (its parent for a file that was
            named itself): sidecar tables are looked for there.
        size_bytes: Size when it was found.
        mtime_ns: Modification time when it was found, nanoseconds.
        inode: Inode number, 0 where there is none.
    """

    id: str
    path: Path
    root: Path
    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label and its calibrated confidence, 0 to 1."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that spoke for the label.

    Attributes:
        source: The modality it was found in.
        what: The concept seen (`espresso`) or the word read (`latte`).
        weight: How strongly, 0 to 1: a concept's probability in the picture, or the confidence that
            the word alone gives to the label.
    """

    source: Modality
    what: str
    weight: float


class Status(StrEnum):
    """How one video ended."""

    OK = "ok"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the classifier decided about one video.

    Attributes:
        labels: The label, several for a multi-label classifier, none when unknown.
        confidence: Calibrated confidence of the best label (of the raw guess when unknown), 0 to 1.
        alternatives: The next best labels, best first; when unknown the raw guess comes first.
        evidence: What spoke for the best label, strongest first.
        reason: Why it is unknown; None when it is not.
    """

    labels: tuple[str, ...]
    confidence: float
    alternatives: tuple[LabelScore, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One row: what became of one video, or of a part of it.

    Attributes:
        video: The input.
        status: `ok`, `unknown` or `failed`.
        reason: Why it is not `ok`; None when it is.
        prediction: None when failed.
        modalities: What the prediction was made from.
        duration_seconds: None when not known.
        model: Name of the classifier @ first 12 of its SHA-256.
        segment: Start and end in seconds of the part that the row is about; None in a video's own row.
    """

    video: Video
    status: Status
    reason: Reason | None = None
    prediction: Prediction | None = None
    modalities: tuple[Modality, ...] = ()
    duration_seconds: float | None = None
    model: str = ""
    segment: tuple[float, float] | None = None

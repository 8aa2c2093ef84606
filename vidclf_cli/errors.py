"""What a user can meet: errors that end a run, and reasons that explain one row.

An exception of this module ends the run with one line that says what happened and what to do.
A `Reason` never ends a run: it is the explanation of a single `failed` or `unknown` row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class VidclfError(Exception):
    """An error that ends the run; `exit_code` is what the command returns.

    Args:
        message: What happened, to which file.
        advice: What to do now.
    """

    exit_code = 1

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        """Return the message and the advice in one line."""
        return f"{self.message} {self.advice}".strip()


class UsageError(VidclfError):
    """The command was called with something it cannot work with (exit code 2)."""

    exit_code = 2


class ClassifierError(UsageError):
    """A classifier file that cannot be used."""


class EncoderError(VidclfError):
    """A shipped encoder that is missing, altered or cannot be loaded."""


class EmbedderError(VidclfError):
    """An embedder of another package that cannot be used."""


class CacheError(VidclfError):
    """The cache folder cannot be used."""


class OutputError(VidclfError):
    """The output cannot be written."""


class Code(StrEnum):
    """Why one video failed or stayed unknown. The values are part of the output format."""

    EMPTY_FILE = "empty-file"
    UNREADABLE = "unreadable"
    NOT_A_VIDEO = "not-a-video"
    NO_PICTURE = "no-picture"
    ENCRYPTED = "encrypted"
    NO_DECODER = "no-decoder"
    DAMAGED = "damaged"
    TIME_LIMIT = "time-limit"
    MEMORY_LIMIT = "memory-limit"
    FRAME_TOO_LARGE = "frame-too-large"
    DECODER_CRASHED = "decoder-crashed"
    CHANGED = "changed-while-reading"
    LOW_CONFIDENCE = "low-confidence"
    NO_EVIDENCE = "no-evidence"
    EMBEDDER = "embedder-failed"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row is not `ok`: a stable code, and a text that a person understands."""

    code: Code
    text: str

    def __str__(self) -> str:
        """Return the form of the `reason` column: `code: text`."""
        return f"{self.code}: {self.text}"


class MediaError(Exception):
    """One video cannot be read; becomes that video's `failed` row."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.reason = Reason(code, text)

    def __reduce__(self) -> tuple[type[MediaError], tuple[Code, str]]:
        """Pickle by code and text: it travels back from a worker process."""
        return MediaError, (self.reason.code, self.reason.text)

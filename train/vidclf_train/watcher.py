"""Who looks on while a classifier is made: the command line, or nobody."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from vidclf_cli.pipeline.run import Job


class Watcher(Protocol):
    """Is told what happens; what it does with it is its own affair."""

    def note(self, text: str) -> None:
        """Take one sentence that a person should know."""

    def embedding(self, job: Job) -> AbstractContextManager[None]:
        """Return what surrounds the embedding of the videos; `job.statistics` says how far it is."""

    def training(self, what: str, done: int, total: int) -> None:
        """Take how far a part of the training is."""


class Nobody:
    """Looks away."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def embedding(self, job: Job) -> AbstractContextManager[None]:
        """Surround it with nothing."""
        del job
        return nullcontext()

    def training(self, what: str, done: int, total: int) -> None:
        """Do nothing."""

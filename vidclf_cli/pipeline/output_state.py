"""An output before and after a run: what it holds, what is known of it, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vidclf_cli.cache.outputs import OutputMemory
from vidclf_cli.errors import UsageError
from vidclf_cli.library import Library
from vidclf_cli.metadata import Sidecars
from vidclf_cli.metadata.signature import signature_of
from vidclf_cli.pipeline.update import Update, plan_update, reason_for_all
from vidclf_cli.writers import read_rows
from vidclf_cli.writers.existing import holds_rows
from vidclf_cli.writers.row import Row, RowError


class OutputState:
    """The file that rows are written to.

    Args:
        output: Where it is, or will be.
        format_name: One of `FORMATS`.
        cache_folder: Where it is remembered.
        settings: What new rows are made with.
        library: What was found.
        sidecars: Those of the run.
        started_ns: When the search for videos began, nanoseconds since the epoch.
    """

    def __init__(
        self,
        output: Path,
        format_name: str,
        cache_folder: Path,
        settings: Mapping[str, Any],
        library: Library,
        sidecars: Sidecars,
        started_ns: int,
    ) -> None:
        self._output = output
        self._format_name = format_name
        self._memory = OutputMemory(cache_folder)
        self._settings = settings
        self._library = library
        # Taken before anything is read: what changes later is another state.
        self._signatures = {video.id: signature_of(video, sidecars, started_ns) for video in library.videos}
        self._known: Mapping[str, str] = {}

    def read(self) -> Iterator[Row]:
        """Yield the rows that are there.

        Raises:
            RowError: A row is none of vidclf's.
        """
        yield from read_rows(self._output, self._format_name)

    def plan(self, *, retry_failed: bool, verify_content: bool) -> Update | None:
        """Decide which rows still hold; None when there are no rows of vidclf's.

        Raises:
            UsageError: The output is not as vidclf wrote it, or (nearly) all videos are gone.
        """
        if not holds_rows(self._output, self._format_name):
            return None
        remembered = self._memory.read(self._output)
        mtime_ns = self._output.stat().st_mtime_ns
        reason = reason_for_all(remembered, self._settings, mtime_ns, verify_content=verify_content)
        self._known = remembered.signatures if remembered else {}
        try:
            return plan_update(
                self._library,
                self.read,
                remembered,
                self._signatures,
                model=self._settings["model"],
                reason=reason,
                retry_failed=retry_failed,
            )
        except (RowError, OSError) as error:
            raise UsageError(
                f"{self._output} cannot be brought up to date: {error}.",
                "Repair it, or leave --update out to make it anew.",
            ) from error

    def remember(self, update: Update | None = None) -> None:
        """Remember what the output in its place was made with and from."""
        unseen = [each for each, video in update.kept.items() if video is None] if update else []
        old = {each: self._known[each] for each in unseen if each in self._known}
        self._memory.write(self._output, self._settings, self._signatures | old)

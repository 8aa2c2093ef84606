"""What is in a cache already, found out without making, changing or reading anything else."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from vidclf_cli.cache.database import open_for_reading
from vidclf_cli.cache.index import look_up
from vidclf_cli.cache.store import EmbeddingStore
from vidclf_cli.cache.timelines import TimelineStore
from vidclf_cli.records import Video
from vidclf_cli.spaces import Space

_log = logging.getLogger(__name__)


class CachePeek:
    """Looks into a cache, which need not be there. A context manager.

    Args:
        folder: Root of the cache.
    """

    def __init__(self, folder: Path) -> None:
        self._index = open_for_reading(folder / "index.sqlite")
        self._videos = EmbeddingStore(folder)
        self._timelines = TimelineStore(folder)

    def holds(
        self, video: Video, spaces: Sequence[Space], tracks: Sequence[Space] = (), clips: Sequence[str] = ()
    ) -> bool:
        """Tell whether a video need not be read.

        One that the index does not know counts as not there, though it may be: a copy, or a renamed one.

        Args:
            video: The video.
            spaces: Those of whole videos that are needed.
            tracks: Those of timelines; empty when none is needed.
            clips: Ids of those of which vectors of clips are enough.
        """
        fingerprint = self._fingerprint(video)
        if fingerprint is None or not self._videos.holds(fingerprint, spaces):
            return False
        return not tracks or self._timelines.holds(fingerprint, tracks, clips)

    def _fingerprint(self, video: Video) -> str | None:
        try:
            return look_up(self._index, video, "blocks") if self._index else None
        except sqlite3.Error as error:
            _log.debug("The index is not looked into: %s", error)
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._index is not None:
            self._index.close()

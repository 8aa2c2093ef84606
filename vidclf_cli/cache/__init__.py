"""The cache: what was computed once is not computed again."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from vidclf_cli.cache.database import NewerSchemaError
from vidclf_cli.cache.fingerprint import fingerprint
from vidclf_cli.cache.index import FingerprintIndex
from vidclf_cli.cache.inventory import INDEX, TEXTS, Size, measure
from vidclf_cli.cache.store import EmbeddingStore, Stored
from vidclf_cli.cache.texts import CachedTextEmbedder, TextStore
from vidclf_cli.cache.timelines import TimelineStore
from vidclf_cli.records import Video

__all__ = ["Cache", "CachedTextEmbedder", "NewerSchemaError", "Size", "Stored", "default_folder", "measure"]


def default_folder() -> Path:
    """Return the cache folder: `VIDCLF_CACHE_DIR`, else the user's cache folder of this system."""
    chosen = os.environ.get("VIDCLF_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("vidclf", appauthor=False)


class Cache:
    """Everything computed: vectors of videos and along them by content, of texts by text, the path index.

    Args:
        folder: Root of the cache, made when missing.
        verify_content: Hash whole files, and never trust size and time instead of reading.

    Raises:
        CacheError: The folder cannot be used.
    """

    def __init__(self, folder: Path, *, verify_content: bool = False) -> None:
        self.folder = folder
        self._verify_content = verify_content
        self._kind = "whole" if verify_content else "blocks"
        self.videos = EmbeddingStore(folder)
        self.timelines = TimelineStore(folder)
        self._index = FingerprintIndex(folder / INDEX)
        self.texts = TextStore(folder / TEXTS)

    def fingerprint(self, video: Video) -> str:
        """Return a video's fingerprint, from the index when the file is unchanged.

        Raises:
            OSError: The file cannot be read.
        """
        if not self._verify_content:
            known = self._index.get(video, self._kind)
            if known:
                return known
        computed = fingerprint(video.path, whole=self._verify_content)
        self._index.put(video, self._kind, computed)
        return computed

    def close(self) -> None:
        """Write the index and close all files."""
        self._index.close()
        self.texts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

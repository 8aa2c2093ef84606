"""Labels as tags and genres in the `.nfo` beside a video, where Kodi and Jellyfin read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vidclf_cli.library import id_of
from vidclf_cli.metadata import Sidecars
from vidclf_cli.records import Status, Video
from vidclf_cli.writers.beside import LeftAloneError
from vidclf_cli.writers.nfo_text import NfoError, has_mark, merge_labels, new_nfo
from vidclf_cli.writers.row import Row

_EPISODE = re.compile(r"(?<![^\W_])(?:s\d{1,3}[ ._-]?e\d{1,4}(?!\d)|\d{1,2}x\d\d(?![^\W_]))", re.IGNORECASE)
_SHOW = "tvshow.nfo"


class NfoMaker:
    """Merges a video's labels into its `.nfo`; a `Maker`.

    The file is the one that is read as evidence (`name.nfo`, or `movie.nfo` of a video that is alone), else
    a new `name.nfo`: a second file would hide the first one from media centres and from vidclf.

    Args:
        sidecars: Those of the run.
    """

    def __init__(self, sidecars: Sidecars) -> None:
        self._sidecars = sidecars

    def place(self, video: Video) -> Path:
        """Return the file's path."""
        return self._sidecars.nfo_path(video) or video.path.with_name(f"{video.path.stem}.nfo")

    def content(self, video: Video, rows: Sequence[Row], existing: bytes | None) -> bytes | None:
        """Return the file with the labels of an `ok` row; of an `unknown` one without those of earlier runs.

        A `failed` row says nothing about labels: then the file stays as it is.

        Raises:
            LeftAloneError: The file is none that can be merged without a risk.
        """
        row = rows[0]
        if self.place(video).name.lower() == _SHOW:
            raise LeftAloneError("a file of this name is about a whole show")
        if row["status"] == Status.FAILED:
            return None
        labels = row["label"].split("|") if row["status"] == Status.OK else []
        if existing is None:
            return new_nfo(self._root_of(video), id_of(video.path.stem), labels) if labels else None
        try:
            return merge_labels(existing, labels)
        except NfoError as error:
            raise LeftAloneError(str(error)) from error

    def needs_backup(self, existing: bytes) -> bool:
        """Tell whether vidclf changes it for the first time."""
        return not has_mark(existing)

    def _root_of(self, video: Video) -> str:
        is_episode = _EPISODE.search(video.path.stem) or self._sidecars.show_nfo_path(video)
        return "episodedetails" if is_episode else "movie"

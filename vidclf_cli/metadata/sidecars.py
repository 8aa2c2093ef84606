"""Find the files that belong to a video, with one listing per folder instead of one per video."""

from __future__ import annotations

import logging
import os
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidclf_cli.media.suffixes import SuffixKind, kind_of_suffix, suffix_of
from vidclf_cli.metadata.files import read_blocks
from vidclf_cli.metadata.info_json import LIMIT_BYTES as INFO_JSON_LIMIT_BYTES
from vidclf_cli.metadata.info_json import parse_info_json
from vidclf_cli.metadata.nfo import LIMIT_BYTES as NFO_LIMIT_BYTES
from vidclf_cli.metadata.nfo import parse_nfo
from vidclf_cli.metadata.subtitles import rank_of, read_subtitles
from vidclf_cli.metadata.tables import TABLE_NAMES, Table, load_table
from vidclf_cli.metadata.text import Fields
from vidclf_cli.records import Video

_LOG = logging.getLogger(__name__)
_SUFFIXES = (".nfo", ".srt", ".vtt", ".info.json")
_LISTED_NAMES = 200_000
_TABLES = 8
_SHARED_NFOS = 64
_SHOW_LEVELS = 2  # Show/Season 01/episode.mkv


@dataclass(frozen=True, slots=True)
class _Listing:
    """Names of a folder that matter here.

    Attributes:
        names: Sidecars, sorted.
        tables: Tables of metadata.
        has_one_video: Whether `movie.nfo` can be about it.
    """

    names: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    has_one_video: bool = False

    def beside(self, stem: str) -> tuple[str, ...]:
        """Return the sidecars whose name is the stem, a dot, and more."""
        prefix = f"{stem}."
        first = last = bisect_left(self.names, prefix)
        while last < len(self.names) and self.names[last].startswith(prefix):
            last += 1
        return self.names[first:last]


class Sidecars:
    """The sidecars of a run's videos. Keeps what it listed and read, up to a bound; for one thread.

    Args:
        videos: All videos of the run: a row of a table that gives a bare name counts only if one video
            of that root has the name.
    """

    def __init__(self, videos: Sequence[Video] = ()) -> None:
        self._videos = videos
        self._name_counts: Counter[tuple[Path, str]] | None = None
        self._listings: OrderedDict[tuple[Path, Path], _Listing] = OrderedDict()
        self._listed_count = 0
        self._tables: OrderedDict[Path, Table] = OrderedDict()
        self._nfos: OrderedDict[Path, Fields] = OrderedDict()

    def info_json(self, video: Video) -> Fields:
        """Return what `name.info.json` says."""
        path = self._beside(video, ".info.json")
        return _parsed(path, INFO_JSON_LIMIT_BYTES, parse_info_json) if path else Fields()

    def nfo(self, video: Video) -> Fields:
        """Return what `name.nfo` says, or `movie.nfo` when the video is alone in its folder."""
        path = self.nfo_path(video)
        return _parsed(path, NFO_LIMIT_BYTES, parse_nfo) if path else Fields()

    def nfo_path(self, video: Video) -> Path | None:
        """Return where the `.nfo` about the video alone is; None where there is none."""
        if path := self._beside(video, ".nfo"):
            return path
        listing = self._listing(video.path.parent, video.root)
        if listing.has_one_video and _holds(listing.names, "movie.nfo"):
            return video.path.parent / "movie.nfo"
        return None

    def show_nfo(self, video: Video) -> Fields:
        """Return what `tvshow.nfo` says, of the video's folder or up to two above it, within the root."""
        path = self.show_nfo_path(video)
        return self._shared_nfo(path) if path else Fields()

    def show_nfo_path(self, video: Video) -> Path | None:
        """Return where the video's `tvshow.nfo` is; None where it belongs to no show."""
        folder = video.path.parent
        for _ in range(_SHOW_LEVELS + 1):
            if _holds(self._listing(folder, video.root).names, "tvshow.nfo"):
                return folder / "tvshow.nfo"
            if folder == video.root:
                break
            folder = folder.parent
        return None

    def files_about(self, video: Video) -> tuple[Path, ...]:
        """Return every file that is read for the text about the video."""
        found = (
            self._beside(video, ".info.json"),
            self.nfo_path(video),
            self.show_nfo_path(video),
            self._subtitles_path(video),
        )
        tables = (video.root / name for name in self._listing(video.root, video.root).tables)
        return (*(path for path in found if path), *tables)

    def table(self, video: Video) -> Fields:
        """Return what the root's tables say about it."""
        table = self._tables.get(video.root)
        if table is None:
            names = self._listing(video.root, video.root).tables
            table = self._tables[video.root] = load_table(video.root, names)
            if len(self._tables) > _TABLES:
                self._tables.popitem(last=False)
        if not table.rows:
            return Fields()
        relative = video.path.relative_to(video.root).as_posix()
        return table.find(relative, name_is_unique=self.is_name_unique(video))

    def subtitles(self, video: Video) -> Fields:
        """Return an extract of the best subtitle file beside the video."""
        path = self._subtitles_path(video)
        return read_subtitles(path) if path else Fields()

    def _subtitles_path(self, video: Video) -> Path | None:
        ranked = []
        for name in self._listing(video.path.parent, video.root).beside(video.path.stem):
            if name.lower().endswith((".srt", ".vtt")):
                middle = _middle(name, video, name[-4:])
                if (rank := rank_of(middle)) is not None:
                    ranked.append((rank, len(name), name))
        return video.path.parent / min(ranked)[2] if ranked else None

    def _beside(self, video: Video, suffix: str) -> Path | None:
        for name in self._listing(video.path.parent, video.root).beside(video.path.stem):
            if name.lower().endswith(suffix) and not _middle(name, video, suffix):
                return video.path.parent / name
        return None

    def _shared_nfo(self, path: Path) -> Fields:
        """Read an `.nfo` that many videos share once."""
        fields = self._nfos.get(path)
        if fields is None:
            fields = self._nfos[path] = _parsed(path, NFO_LIMIT_BYTES, parse_nfo)
            if len(self._nfos) > _SHARED_NFOS:
                self._nfos.popitem(last=False)
        return fields

    def is_name_unique(self, video: Video) -> bool:
        """Tell whether a row of the root's tables that gives a bare name can mean this video only."""
        if not self._listing(video.root, video.root).tables:
            return True
        if self._name_counts is None:
            self._name_counts = Counter((other.root, other.path.name) for other in self._videos)
        return self._name_counts[video.root, video.path.name] <= 1

    def _listing(self, folder: Path, root: Path) -> _Listing:
        key = (folder, root)
        listing = self._listings.get(key)
        if listing is None:
            listing = _list_folder(folder, root)
            self._listings[key] = listing
            self._listed_count += len(listing.names) + 1
            while self._listed_count > _LISTED_NAMES and len(self._listings) > 1:
                _, dropped = self._listings.popitem(last=False)
                self._listed_count -= len(dropped.names) + 1
        return listing


def _list_folder(folder: Path, root: Path) -> _Listing:
    names: list[str] = []
    tables: list[str] = []
    video_count = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                is_sidecar = name.lower().endswith(_SUFFIXES)
                if is_sidecar or name in TABLE_NAMES:
                    if not entry.is_symlink() or _leads_inside(entry.path, root):
                        (names if is_sidecar else tables).append(name)
                elif kind_of_suffix(suffix_of(name)) is SuffixKind.VIDEO and not name.startswith("."):
                    video_count += 1
    except OSError as error:
        _LOG.debug("sidecars not looked for in %r: %s", str(folder), error)
    return _Listing(tuple(sorted(names)), tuple(sorted(tables)), video_count <= 1)


def _leads_inside(path: str, root: Path) -> bool:
    """Tell whether a link ends inside the root: what others wrote must not bring in other files."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _middle(name: str, video: Video, suffix: str) -> str:
    """Return what stands between the video's name, with or without its suffix, and the sidecar's suffix."""
    middle = name[len(video.path.stem) : len(name) - len(suffix)].lower()
    return middle.removeprefix(video.path.suffix.lower()).strip(".")


def _holds(names: Sequence[str], name: str) -> bool:
    at = bisect_left(names, name)
    return at < len(names) and names[at] == name


def _parsed(path: Path, limit: int, parse: Callable[[bytes], Fields]) -> Fields:
    blocks = read_blocks(path, limit)
    return parse(blocks[0]) if blocks else Fields()

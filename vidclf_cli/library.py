"""Find the videos below the paths of the command line.

Decisions that a user can see:

- Hidden files and folders (leading dot, so also `._*`) and folders that systems keep for themselves are
  passed over in silence. A hidden path that is named itself is walked.
- A symbolic link is followed when it ends inside the root it was found in, and then only to content that
  has not been found under its real name (git-annex keeps its content in a hidden folder). A named link is
  always followed. Two hard links are two paths, hence two videos.
- Unfinished downloads (`.part`, `.crdownload` ...) count as other files.
- Order is that of the ids, folder by folder, numbers by value: `clip2.mp4` before `clip10.mp4`.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from pathlib import Path

from vidclf_cli.errors import UsageError
from vidclf_cli.media.signature import is_text, is_video
from vidclf_cli.media.suffixes import SuffixKind, kind_of_suffix, suffix_of
from vidclf_cli.records import Video

_LOG = logging.getLogger(__name__)
_SYSTEM_FOLDERS = frozenset(
    {"@eadir", "#recycle", "#snapshot", "$recycle.bin", "recycler", "system volume information", "lost+found"}
    | {"__macosx"}
)
_ADVICE = "Check the spelling; a path with spaces needs quotes."


@dataclass(frozen=True, slots=True)
class Problem:
    """A place that could not be looked into; the run goes on without it.

    Attributes:
        path: Where it is.
        text: Why.
        id: What the ids of videos at or below it begin with; empty for all of them.
    """

    path: Path
    text: str
    id: str = ""

    def __str__(self) -> str:
        """Return place and reason in one line."""
        return f"{id_of(str(self.path))}: {self.text}"


@dataclass(frozen=True, slots=True)
class Library:
    """What was found.

    Attributes:
        videos: Each real path once, in the order of `order_key`.
        other_count: Files inside folders that are no candidates, hidden and excluded ones not counted.
        problems: Folders and files that could not be read.
        repeated: Other paths, links mostly, of files that are in `videos`.
        folders: The folders that were searched, with what the ids of videos in them begin with (empty for
            all of them).
    """

    videos: tuple[Video, ...]
    other_count: int
    problems: tuple[Problem, ...]
    repeated: tuple[Path, ...] = ()
    folders: tuple[tuple[Path, str], ...] = ()


def find_videos(paths: Sequence[Path], exclude: Sequence[str] = ()) -> Library:
    """Find the candidates among files and below folders.

    Args:
        paths: Files and folders; a named file is a candidate whatever it is.
        exclude: Globs. One without `/` is compared with every name on the way below the root, one with `/`
            with the path relative to the root; a trailing `/` restricts it to folders. `*` also matches `/`.

    Raises:
        UsageError: If a path does not exist, or is neither a file nor a folder.
    """
    anchors = [_anchor(path) for path in paths]
    search = _Search(exclude)
    for anchor in anchors:
        if anchor.is_dir():
            search.walk_root(anchor)
        else:
            search.add_named(anchor)
    relative = _relative_to([anchor if anchor.is_dir() else anchor.parent for anchor in anchors])
    videos = [
        Video(id_of(relative(path)), Path(path), root, status.st_size, status.st_mtime_ns, status.st_ino)
        for path, root, status in search.found
    ]
    videos.sort(key=lambda video: order_key(video.id))
    problems = (replace(problem, id=id_of(relative(str(problem.path)))) for problem in search.problems)
    folders = ((anchor, id_of(relative(str(anchor)))) for anchor in anchors if anchor.is_dir())
    return Library(tuple(videos), search.other_count, tuple(problems), tuple(search.repeated), tuple(folders))


def is_below(video_id: str, place_id: str) -> bool:
    """Tell whether an id is that of a place, or of something below it; below an empty one is everything."""
    return not place_id or video_id == place_id or video_id.startswith(f"{place_id}/")


def find_folders(root: Path, exclude: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return the folders directly in a folder, links to folders too, in the order of `order_key`.

    Hidden, excluded and systems' own folders are left out.

    Args:
        root: The folder.
        exclude: Globs, as in `find_videos`.

    Raises:
        UsageError: It cannot be read.
    """
    excluded = _Exclusion(exclude)
    top = _Folder(str(root), os.path.realpath(root), root, os.path.realpath(root))
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError as error:
        raise UsageError(f"{root} cannot be read ({error.strerror}).", "Check its permissions.") from error
    wanted = (
        name
        for name in names
        if name.lower() not in _SYSTEM_FOLDERS and not excluded(top, name, is_folder=True)
    )
    return tuple(root / name for name in sorted(wanted, key=lambda name: order_key(id_of(name))))


def order_key(video_id: str) -> tuple[object, ...]:
    """Return the sort key of an id: folder by folder, ignoring case, runs of digits by their value."""
    parts = tuple(
        tuple(int(piece) if at % 2 else piece for at, piece in enumerate(re.split("([0-9]+)", part)))
        for part in video_id.casefold().split("/")
    )
    return (parts, video_id)


def id_of(relative: str) -> str:
    r"""Turn a relative path into an id: `/` between folders, valid UTF-8, one id per path.

    A byte that is no UTF-8 becomes a visible escape such as `\xe9`. So that no two names can give the same
    id, a backslash in a name (not on Windows, where it is the separator) becomes two. Control characters
    stay as they are.
    """
    text = relative.replace(os.sep, "/") if os.sep != "/" else relative.replace("\\", "\\\\")
    return re.sub("[\ud800-\udfff]", _escape_surrogate, text)


def _escape_surrogate(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


class _Exclusion:
    """Decides which names and relative paths the user does not want."""

    def __init__(self, globs: Sequence[str]) -> None:
        wanted = [glob for glob in globs if glob.strip("/")]
        self._rules = [
            (re.compile(translate(glob.strip("/"))).match, "/" in glob.rstrip("/"), glob.endswith("/"))
            for glob in wanted
        ]

    def __call__(self, folder: _Folder, name: str, *, is_folder: bool) -> bool:
        return any(
            matches(folder.relative(name).replace(os.sep, "/") if by_path else name) is not None
            for matches, by_path, folders_only in self._rules
            if is_folder or not folders_only
        )


def _join(folder: str, name: str) -> str:
    """Join strings: a `Path` for each of 200,000 names would cost more than reading the folders."""
    return f"{folder}{name}" if folder.endswith(os.sep) else f"{folder}{os.sep}{name}"


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to walk: under which name, where it really is, and below which root."""

    path: str
    real: str
    root: Path
    real_root: str

    def child(self, name: str, real: str | None = None) -> _Folder:
        return _Folder(_join(self.path, name), real or _join(self.real, name), self.root, self.real_root)

    def relative(self, name: str) -> str:
        return _join(self.path, name)[len(str(self.root)) :].lstrip(os.sep)

    def holds(self, real: str) -> bool:
        return os.path.commonpath([real, self.real_root]) == self.real_root


class _Search:
    """Collects what is found; the links come last, so that a real name wins over a link to it."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self.found: list[tuple[str, Path, os.stat_result]] = []
        self.problems: list[Problem] = []
        self.other_count = 0
        self.repeated: list[Path] = []
        self._excluded = _Exclusion(exclude)
        self._real_files: set[str] = set()
        self._real_folders: set[str] = set()
        self._links: list[tuple[_Folder, str]] = []

    def add_named(self, path: Path) -> None:
        """Take a file of the command line."""
        root = str(path.parent)
        if not self._excluded(_Folder(root, root, path.parent, root), path.name, is_folder=False):
            self._add(str(path), os.path.realpath(path), path.parent, path.stat())

    def walk_root(self, root: Path) -> None:
        """Take what is below a folder of the command line."""
        real = os.path.realpath(root)
        self._walk(_Folder(str(root), real, root, real))
        while self._links:
            links = sorted(self._links, key=lambda link: (link[0].path, link[1]))
            self._links = []
            for folder, name in links:
                self._follow(folder, name)

    def _walk(self, start: _Folder) -> None:
        pending = [start]  # no recursion: folders nest as deep as they like
        while pending:
            folder = pending.pop()
            if folder.real in self._real_folders:
                continue
            self._real_folders.add(folder.real)
            try:
                with os.scandir(folder.path) as entries:
                    below = (self._visit(folder, entry) for entry in entries)
                    pending.extend(child for child in below if child is not None)
            except OSError as error:
                self.problems.append(Problem(Path(folder.path), error.strerror or str(error)))

    def _visit(self, folder: _Folder, entry: os.DirEntry[str]) -> _Folder | None:
        """Sort one entry in; return it if it is a folder to walk."""
        name = entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if name.startswith(".") or self._excluded(folder, name, is_folder=is_folder):
            return None
        if entry.is_symlink() or (sys.version_info >= (3, 12) and entry.is_junction()):
            self._links.append((folder, name))
        elif is_folder:
            return None if name.lower() in _SYSTEM_FOLDERS else folder.child(name)
        elif entry.is_file(follow_symlinks=False) and self._is_candidate(name, entry.path):
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:  # gone in the meantime
                self.problems.append(Problem(Path(entry.path), error.strerror or str(error)))
            else:
                self._add(entry.path, _join(folder.real, name), folder.root, status)
        else:
            self.other_count += 1
        return None

    def _follow(self, folder: _Folder, name: str) -> None:
        path = _join(folder.path, name)
        real = os.path.realpath(path)
        try:
            status = Path(path).stat()
            inside = folder.holds(real)
        except (OSError, ValueError) as error:  # leads nowhere, in circles, or to another drive
            _LOG.debug("link not followed: %r: %s", path, error)
            inside = False
        if not inside:
            self.other_count += 1
        elif stat.S_ISDIR(status.st_mode):
            self._walk(folder.child(name, real))
        elif not stat.S_ISREG(status.st_mode) or not self._is_candidate(name, path):
            self.other_count += 1
        else:
            self._add(path, real, folder.root, status)

    def _is_candidate(self, name: str, path: str) -> bool:
        kind = kind_of_suffix(suffix_of(name))
        if kind is SuffixKind.VIDEO or kind is SuffixKind.OTHER:
            return kind is SuffixKind.VIDEO
        try:
            return not is_text(Path(path)) if kind is SuffixKind.SHARED else is_video(Path(path))
        except OSError as error:
            _LOG.debug("not looked into: %r: %s", path, error)
            return kind is SuffixKind.SHARED  # its row will say why it cannot be read

    def _add(self, path: str, real: str, root: Path, status: os.stat_result) -> None:
        if real not in self._real_files:
            self._real_files.add(real)
            self.found.append((path, root, status))
        else:
            self.repeated.append(Path(path))


def _anchor(path: Path) -> Path:
    """Make a path of the command line absolute: its folder without links, its own name as given."""
    shown = str(path).encode("utf-8", "backslashreplace").decode()
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"There is no file or folder {shown}.", _ADVICE) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UsageError(f"{shown} cannot be opened: {error}.", "Check its permissions.") from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise UsageError(f"{shown} is neither a file nor a folder.", "Name files, or folders that hold them.")
    if path.name in {"", ".."}:
        return Path(os.path.realpath(path))
    return Path(os.path.realpath(path.parent), path.name)


def _relative_to(roots: Sequence[Path]) -> Callable[[str], str]:
    """Return what makes a path relative to the common parent of all roots."""
    try:
        base = os.path.commonpath(roots) if roots else ""
    except ValueError:  # different drives: the drive becomes the first folder
        return lambda path: path.replace(":", "", 1)
    return lambda path: path[len(base) :].lstrip(os.sep)

"""Files beside videos: made new or replaced whole, never over something that nobody looked at.

A new file is linked into place, which fails where one appeared meanwhile; an old one is replaced only while
it is the file that was read. What cannot be written is remembered, and the run goes on.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidclf_cli.records import Video
from vidclf_cli.wording import counted
from vidclf_cli.writers.row import Row

_TRIES = 3
_MOST_BACKUPS = 100
_REMEMBERED_OWNERS = 10_000  # videos of one stem follow each other closely
_LARGEST_BYTES = 16 << 20


class LeftAloneError(Exception):
    """A file that is not written; the text says why."""


class _ClosedError(Exception):
    """A folder that takes no file; the text says why."""


class Maker(Protocol):
    """Decides what stands in one kind of file beside videos."""

    def place(self, video: Video) -> Path:
        """Return the file's path."""

    def content(self, video: Video, rows: Sequence[Row], existing: bytes | None) -> bytes | None:
        """Return what the file shall hold.

        Args:
            video: The video.
            rows: Its own row, then those of its segments.
            existing: What is there, None where there is no file.

        Returns:
            None when there is nothing to write.

        Raises:
            LeftAloneError: What is there must stay as it is.
        """

    def needs_backup(self, existing: bytes) -> bool:
        """Tell whether a copy of what is there is kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one file would become.

    Attributes:
        path: The file; behind a link what it leads to.
        before: What it holds, None where there is no file.
        after: What it shall hold.
        keeps_backup: Whether a copy of what it holds is made first.
    """

    path: Path
    before: bytes | None
    after: bytes
    keeps_backup: bool


class FilesBeside:
    """Keeps files beside videos as their makers want them.

    Args:
        makers: What is written.
        show: Called with each change instead of making it; None makes it.
    """

    def __init__(self, makers: Sequence[Maker], show: Callable[[Change], None] | None = None) -> None:
        self._makers = tuple(makers)
        self._show = show
        self._owners: OrderedDict[Path, str] = OrderedDict()
        self._closed: dict[Path, str] = {}
        self._missed: Counter[Path] = Counter()
        self._left_alone: dict[Path, str] = {}
        self.changed_count = 0

    @property
    def problems(self) -> Iterator[tuple[Path, str]]:
        """Folders and files that were not written, and why."""
        for folder, text in self._closed.items():
            yield folder, f"{text}; {counted(self._missed[folder], 'file')} not written there"
        yield from self._left_alone.items()

    def write(self, video: Video, rows: Sequence[Row]) -> None:
        """Write what belongs beside a video."""
        for maker in self._makers:
            path = maker.place(video)
            folder = path.parent
            if folder in self._closed:
                self._missed[folder] += 1
                continue
            try:
                self._check_alone(path, video)
                self._keep_up(maker, path, video, rows)
            except LeftAloneError as error:
                self._left_alone[path] = str(error)
            except _ClosedError as error:
                self._closed[folder] = str(error)
                self._missed[folder] += 1

    def _check_alone(self, path: Path, video: Video) -> None:
        """Refuse a file that two videos share (`a.nfo` of `a.mkv` and `a.mp4`): each run would change it."""
        owner = self._owners.setdefault(path, video.path.name)
        if owner != video.path.name:
            raise LeftAloneError(f"it belongs to {owner}, too, and has the labels of that")
        if len(self._owners) > _REMEMBERED_OWNERS:
            self._owners.popitem(last=False)

    def _keep_up(self, maker: Maker, path: Path, video: Video, rows: Sequence[Row]) -> None:
        for _ in range(_TRIES):
            place, before, status = _look(path, video.root)
            after = maker.content(video, rows, before)
            if after is None or after == before:
                return
            change = Change(place, before, after, before is not None and maker.needs_backup(before))
            if self._show is None:
                if not _make(change, status):
                    continue  # somebody else wrote meanwhile: look again
            else:
                _check_writable(place)
                self._show(change)
            self.changed_count += 1
            return
        raise LeftAloneError("another program keeps writing it")


def _look(path: Path, root: Path) -> tuple[Path, bytes | None, os.stat_result | None]:
    """Return where a file really is, what it holds, and its state when that was read; None: it is not there.

    Raises:
        LeftAloneError: It is no file, too large, or leads out of the library.
    """
    if not _is_inside(path.parent, root):
        raise LeftAloneError("its folder is outside of the library")
    place = path
    try:
        if path.is_symlink():
            if not _is_inside(path, root):
                raise LeftAloneError("it is a link that leads out of the library")
            place = Path(os.path.realpath(path))
        with open(place, "rb", opener=_open_without_blocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise LeftAloneError("it is no file")
            data = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError as error:
        if place != path:
            raise LeftAloneError("it is a link that leads nowhere") from error
        return place, None, None
    except OSError as error:
        raise LeftAloneError(f"it cannot be read ({error.strerror})") from error
    if len(data) > _LARGEST_BYTES:
        raise LeftAloneError("it is too large")
    return place, data, status


def _is_inside(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _open_without_blocking(path: str, flags: int) -> int:
    """Open so that a pipe that nobody writes to cannot hold up the run."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _make(change: Change, status: os.stat_result | None) -> bool:
    """Write a file; returns False where what is there is not what was read.

    Raises:
        LeftAloneError: The file cannot be written.
        _ClosedError: The folder cannot be written.
    """
    with _temporary(change.path.parent, change.after) as temporary:
        if status is None:
            return _put_new(temporary, change.path)
        _check_protection(change.path)
        try:
            temporary.chmod(stat.S_IMODE(status.st_mode))
            if hasattr(os, "chown"):
                # Run by root, it stays the media server's. Nobody else may give files away.
                with contextlib.suppress(PermissionError):
                    os.chown(temporary, status.st_uid, status.st_gid)
            if change.keeps_backup and change.before is not None:
                _back_up(change.path, change.before)
            if _state(change.path.stat()) != _state(status):
                return False
            temporary.replace(change.path)
        except FileNotFoundError:
            return False  # taken away meanwhile
        except OSError as error:
            raise LeftAloneError(f"it cannot be replaced ({error.strerror})") from error
    return True


def _state(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _put_new(temporary: Path, path: Path) -> bool:
    """Give a finished file its name; returns False where the name is taken."""
    try:
        os.link(temporary, path)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        reason = error
    # No hard links (FAT, some network drives): looked first, then renamed, with a moment between.
    if os.path.lexists(path):
        return False
    try:
        temporary.rename(path)
    except FileExistsError:
        return False
    except OSError as error:
        raise LeftAloneError(f"it cannot be made ({error.strerror or reason.strerror})") from error
    return True


def _back_up(path: Path, data: bytes) -> None:
    """Keep a copy beside a file; none of an earlier one is overwritten, and none is kept twice."""
    with _temporary(path.parent, data) as temporary:
        shutil.copystat(path, temporary)
        for number in range(_MOST_BACKUPS):
            backup = path.with_name(f"{path.name}.bak{f'.{number}' if number else ''}")
            if backup.is_file() and backup.stat().st_size == len(data) and backup.read_bytes() == data:
                return
            if _put_new(temporary, backup):
                return
    raise LeftAloneError(f"there are {_MOST_BACKUPS} backups of it already")


def _check_protection(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise LeftAloneError("it is write-protected")


def _check_writable(path: Path) -> None:
    """Find out what `_make` would find out, without writing."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise _ClosedError("cannot be written")
    if path.exists():
        _check_protection(path)


@contextmanager
def _temporary(folder: Path, data: bytes) -> Iterator[Path]:
    """Write a file under a name that nobody has; it is gone at the end unless it was renamed."""
    temporary = folder / f".vidclf-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _ClosedError(f"cannot be written ({error.strerror})") from error
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

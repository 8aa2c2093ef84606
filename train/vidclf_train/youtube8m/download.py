"""Fetch shards into a folder: what is there and right stays, what broke off goes on, what is wrong goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from vidclf_cli.errors import OutputError, UsageError
from vidclf_train.youtube8m.fetch import checksums, fetch
from vidclf_train.youtube8m.parallel import in_parallel
from vidclf_train.youtube8m.shards import Shard
from vidclf_train.youtube8m.tfrecord import Damage, read_records
from vidclf_train.youtube8m.web import FetchError, Web

MOST_FAILURES_IN_A_ROW = 8
"""After so many there is no use in trying thousands more."""


class Ending(StrEnum):
    """What became of a shard; the values are what the summary prints."""

    FETCHED = "fetched"
    THERE = "there already"
    FAILED = "failed"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What became of one shard.

    Attributes:
        shard: Which one.
        ending: How it ended.
        received_count: Bytes that came over the network.
        reason: Why it failed.
    """

    shard: Shard
    ending: Ending
    received_count: int = 0
    reason: str = ""


def download(web: Web, shards: Sequence[Shard], folder: Path, *, jobs: int) -> Iterator[Downloaded]:
    """Fetch shards; yield what became of each as it is done.

    Raises:
        UsageError: Another download is writing into the folder.
        OutputError: The folder cannot be written to.
    """

    def work(shard: Shard) -> Downloaded:
        return _download_one(web, shard, folder / shard.name)

    with _own_folder(folder):
        failures_in_a_row = 0
        remaining = {shard.name: shard for shard in shards}
        with closing(in_parallel(shards, work, jobs=jobs, stop=web.stop)) as done:
            for shard, downloaded in done:
                del remaining[shard.name]
                failures_in_a_row = failures_in_a_row + 1 if downloaded.ending is Ending.FAILED else 0
                yield downloaded
                if failures_in_a_row == MOST_FAILURES_IN_A_ROW:
                    break
        for shard in remaining.values():
            yield Downloaded(shard, Ending.GIVEN_UP)


def check_shard(path: Path) -> None:
    """Read a shard from the first record to the last.

    Raises:
        FetchError: A place in it is damaged, or it holds no record.
    """
    for record in read_records(path):
        if isinstance(record, Damage):
            raise FetchError(f"it is damaged at byte {record.offset}: {record.reason}")


def _download_one(web: Web, shard: Shard, path: Path) -> Downloaded:
    try:
        if _is_there(shard, path):
            return Downloaded(shard, Ending.THERE)
        received = fetch(web, shard.url, path, md5=shard.md5, check=check_shard)
    except FetchError as error:
        return Downloaded(shard, Ending.FAILED, reason=str(error))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}).", "Free space, or write elsewhere."
        ) from error
    return Downloaded(shard, Ending.FETCHED, received)


def _is_there(shard: Shard, path: Path) -> bool:
    """Whether the file is there and right; one that is not will be replaced."""
    if not path.is_file():
        return False
    if shard.md5 is not None:
        return checksums(path)[0] == shard.md5.lower()
    try:
        check_shard(path)
    except FetchError:
        return False
    return True


@contextmanager
def _own_folder(folder: Path) -> Iterator[None]:
    """Hold the folder against a second download, which would write into the same parts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".download.lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"Another download is writing into {folder}.", "Let it end.") from error
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror or error}).", "Name a folder that can be."
        ) from error
    try:
        yield
    finally:
        lock.release()

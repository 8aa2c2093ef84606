"""Decoded frames on disk: each video is decoded once, whatever the number of epochs.

FOLDER/<fingerprint>.npy   uint8, (frames, height, width, 3)
FOLDER/read.jsonl          one line per content that was read: how it ended, what was odd, how long it took

Both grow video by video, so that decoding goes on where it was interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.cache.fingerprint import fingerprint
from vidclf_cli.errors import Code, MediaError, OutputError, UsageError
from vidclf_cli.media.types import Limits
from vidclf_train.baselines.frames import UniformFrames, UniformPool, UniformRequest

_LOG_NAME = "read.jsonl"
_NPY_HEADER_BYTES = 128
_RESERVE_BYTES = 64 << 20
"""Free space that is left alone: models, checkpoints and results have to fit as well."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the reading of one video ended.

    Attributes:
        content: Fingerprint of the content, which names the frames; empty where the file cannot be read.
        failure: Why it has no frames, `code: text`; empty where it has.
        notes: What was odd but survivable.
        seconds: What decoding took in a worker, one thread.
    """

    content: str
    failure: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class FrameStore:
    """Frames of many videos in one folder.

    Args:
        folder: Made when it is not there.
        request: What is read of each video; a folder holds frames of one request.
        byte_limit: Most that the folder may take.
        limits: What reading one video may cost.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(
        self, folder: Path, request: UniformRequest, byte_limit: int, limits: Limits | None = None
    ) -> None:
        self._folder = folder
        self._request = request
        self._byte_limit = byte_limit
        self._limits = limits or Limits()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(folder, error) from error

    def read_all(self, paths: Sequence[Path], jobs: int, progress: Progress | None = None) -> list[Reading]:
        """Decode what is not there yet.

        Args:
            paths: The videos; equal contents are decoded once.
            jobs: Worker processes.
            progress: Told of every video that was read.

        Returns:
            One reading per path.

        Raises:
            UsageError: The frames would take more than the limit or than there is free space.
            OutputError: The frames cannot be written.
        """
        contents = [_content_of(path) for path in paths]
        known = self._known()
        waiting = {
            reading.content: path
            for path, reading in zip(paths, contents, strict=True)
            if not reading.failure and reading.content not in known
        }
        self._check_space(len(waiting), len(known))
        for count, reading in enumerate(self._decode(waiting, jobs), 1):
            known[reading.content] = reading
            if progress is not None:
                progress("decoding", count, len(waiting))
        return [reading if reading.failure else known[reading.content] for reading in contents]

    def load(self, contents: Sequence[str]) -> NDArray[np.uint8]:
        """Return frames of several videos, shape (videos, frames, height, width, 3).

        Raises:
            OutputError: A file was taken away or damaged since it was written.
        """
        batch = np.empty((len(contents), *self._request.shape), np.uint8)
        for row, content in enumerate(contents):
            try:
                batch[row] = np.load(self._path(content), allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise OutputError(
                    f"The frames in {self._path(content)} cannot be read any more ({error}).",
                    f"Delete {self._folder} and run again.",
                ) from error
        return batch

    def remove(self) -> None:
        """Delete the frames."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, content: str) -> Path:
        return self._folder / f"{content}.npy"

    @property
    def _video_bytes(self) -> int:
        return int(np.prod(self._request.shape)) + _NPY_HEADER_BYTES

    def _known(self) -> dict[str, Reading]:
        """Return what an earlier run read with the same request and limits, as far as it is whole."""
        try:
            lines = (self._folder / _LOG_NAME).read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return {}
        except OSError as error:
            raise _cannot_write(self._folder, error) from error
        found = (_from_line(line, self._settings) for line in lines)
        return {
            reading.content: reading
            for reading in found
            if reading is not None and (reading.failure or self._is_whole(reading.content))
        }

    @property
    def _settings(self) -> dict[str, Any]:
        return asdict(self._request) | asdict(self._limits)

    def _is_whole(self, content: str) -> bool:
        try:
            return self._path(content).stat().st_size == self._video_bytes
        except OSError:
            return False

    def _check_space(self, video_count: int, known_count: int) -> None:
        needed = video_count * self._video_bytes
        total = needed + known_count * self._video_bytes
        if total > self._byte_limit:
            raise UsageError(
                f"The frames of {video_count + known_count} videos take {_gigabytes(total)}, and "
                f"{_gigabytes(self._byte_limit)} are allowed.",
                "--frame-limit lifts the limit.",
            )
        free = shutil.disk_usage(self._folder).free
        if needed + _RESERVE_BYTES > free:
            raise UsageError(
                f"The frames of {video_count} videos take {_gigabytes(needed)}, and {self._folder} has "
                f"{_gigabytes(free)} free.",
                "Free space, or give --out a place with more.",
            )

    def _decode(self, waiting: Mapping[str, Path], jobs: int) -> Iterator[Reading]:
        """Yield readings as they end; a few videos ahead are submitted, so that no worker idles."""
        source = iter(waiting.items())
        running: dict[Future[UniformFrames], str] = {}
        if not waiting:
            return
        with UniformPool(min(jobs, len(waiting)), self._limits) as pool:
            while True:
                for content, path in islice(source, 2 * jobs + 2 - len(running)):
                    running[pool.submit_uniform(path, self._request)] = content
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield self._keep(running.pop(future), future)

    def _keep(self, content: str, future: Future[UniformFrames]) -> Reading:
        try:
            read = future.result()
        except MediaError as error:
            reading = Reading(content, failure=str(error.reason))
        else:
            self._write(content, read.frames)
            reading = Reading(content, notes=read.notes, seconds=round(read.seconds, 4))
        try:
            with (self._folder / _LOG_NAME).open("a", encoding="utf-8") as log:
                # The line end comes first: it also ends a line that a killed run left unfinished.
                log.write("\n" + json.dumps({**asdict(reading), "settings": self._settings}))
        except OSError as error:
            raise _cannot_write(self._folder, error) from error
        return reading

    def _write(self, content: str, frames: NDArray[np.uint8]) -> None:
        path = self._path(content)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                np.save(file, frames, allow_pickle=False)
            temporary.replace(path)
        except OSError as error:
            raise _cannot_write(self._folder, error) from error
        finally:
            temporary.unlink(missing_ok=True)


def _content_of(path: Path) -> Reading:
    try:
        return Reading(fingerprint(path))
    except OSError as error:
        text = f"the file cannot be read ({error.strerror or error})"
        return Reading("", failure=f"{Code.UNREADABLE}: {text}")


def _from_line(line: str, settings: Mapping[str, Any]) -> Reading | None:
    """Return what a line of the log says; None for one that was cut off, or of other settings."""
    try:
        values = json.loads(line)
        if values.pop("settings") != settings:
            return None
        return Reading(**{**values, "notes": tuple(values["notes"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{folder} cannot be written ({error.strerror or error}).",
        "Free space, or give --out another place; what was decoded is kept.",
    )


def _gigabytes(byte_count: int) -> str:
    return f"{byte_count / 1e9:.1f} GB"

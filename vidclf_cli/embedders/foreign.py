"""An embedder of another package, held to the seam: what it says and gives is checked, and it is named."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any, get_args

import numpy as np

from vidclf_cli.embedders.base import (
    EmbedderOptions,
    Embedding,
    Modality,
    Sample,
    SampleEmbedder,
    SampleRequest,
    Space,
)
from vidclf_cli.errors import Code, EmbedderError, MediaError, VidclfError
from vidclf_cli.wording import one_line

_ID = re.compile(r"(?P<provider>[\w.-]+)/[\w.+-]+@[\w.+-]+/[\w.+-]+")
_MOST_DIMENSION = 1 << 20


class ForeignEmbedder:
    """An embedder that an entry point makes.

    Args:
        entry: Of the group `vidclf.embedders`; its name is the provider, with which every id begins.
        options: What the embedder is made with.

    Raises:
        EmbedderError: It cannot be imported or made, or its spaces or request are not what they must be.
    """

    def __init__(self, entry: EntryPoint, options: EmbedderOptions) -> None:
        self.package = package_of(entry)
        self._embedder = _make(entry, options, self.package)
        self._request = _request(self._embedder, options, self.package)
        spaces = _spaces(self._embedder, entry.name, self.package)
        self._spaces = tuple(replace(space, sampling=_sampling(self._request)) for space in spaces)

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces that one call fills together."""
        return self._spaces

    @property
    def request(self) -> SampleRequest:
        """What must be read of a video."""
        return self._request

    def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
        """Embed a batch of videos.

        Raises:
            VidclfError: What the embedder itself raised as such: it holds for every video.
            MediaError: Anything else that it raised, or what it gave is not what its spaces say.
        """
        try:
            with _no_standard_output():
                found = self._embedder.embed(samples)
        except VidclfError:
            raise
        except Exception as error:
            raise self._failed(_named(error)) from error
        if not isinstance(found, Sequence) or len(found) != len(samples):
            what = len(found) if isinstance(found, Sequence) else type(found).__name__
            raise self._failed(
                f"it gave {what} for {len(samples)} videos, where one mapping for each is needed"
            )
        return [self._checked(each) for each in found]

    def _checked(self, found: Any) -> dict[str, Embedding]:
        if not isinstance(found, Mapping):
            raise self._failed(f"it gave {type(found).__name__} for a video, not a mapping of spaces")
        known = {space.id: space for space in self._spaces}
        if strange := [each for each in found if each not in known]:
            raise self._failed(f"it gave a vector of {strange[0]!r}, which is none of its spaces")
        return {space: self._embedding(known[space], value) for space, value in found.items()}

    def _embedding(self, space: Space, found: Any) -> Embedding:
        if not isinstance(found, Embedding):
            raise self._failed(f"it gave {type(found).__name__} of {space.id}, not an Embedding")
        try:
            vector = np.asarray(found.vector, np.float32)
            count = int(found.unit_count)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._failed(f"what it gave of {space.id} is no vector ({_named(error)})") from error
        if vector.shape != (space.dimension,):
            raise self._failed(
                f"its vector of {space.id} has the shape {vector.shape}, not ({space.dimension},)"
            )
        if not np.isfinite(vector).all():
            raise self._failed(f"its vector of {space.id} holds numbers that are not finite")
        return Embedding(vector, count)

    def _failed(self, problem: str) -> MediaError:
        return MediaError(Code.EMBEDDER, one_line(f"the embedder of {self.package} failed: {problem}"))


def package_of(entry: EntryPoint) -> str:
    """Return the package that an entry point comes from, with its version, for messages."""
    distribution = entry.dist
    name = f"{distribution.name} {distribution.version}" if distribution else entry.module
    return one_line(f"the package {name}")


def _make(entry: EntryPoint, options: EmbedderOptions, package: str) -> SampleEmbedder:
    try:
        with _no_standard_output():
            create = entry.load()
    except VidclfError:
        raise
    except (Exception, SystemExit) as error:
        raise EmbedderError(
            f"The embedder {entry.name!r} of {package} cannot be imported ({_named(error)}).", _mend(package)
        ) from error
    try:
        with _no_standard_output():
            made: SampleEmbedder = create(options)
    except VidclfError:
        raise
    except (Exception, SystemExit) as error:
        raise EmbedderError(
            f"The embedder {entry.name!r} of {package} cannot be made ({_named(error)}).", _mend(package)
        ) from error
    if missing := [name for name in ("spaces", "request", "embed") if not hasattr(made, name)]:
        raise EmbedderError(
            f"The embedder {entry.name!r} of {package} has no `{missing[0]}`.", _tell_its_authors(package)
        )
    return made


def _spaces(embedder: SampleEmbedder, provider: str, package: str) -> tuple[Space, ...]:
    spaces = embedder.spaces
    if not isinstance(spaces, tuple) or not spaces:
        raise EmbedderError(
            f"The embedder {provider!r} of {package} has no spaces.", _tell_its_authors(package)
        )
    for space in spaces:
        if problem := _problem_of(space, provider):
            raise EmbedderError(
                f"The embedder {provider!r} of {package} has a space that cannot be used: {problem}.",
                _tell_its_authors(package),
            )
    names = [name for space in spaces for name in {space.id, space.alias}]
    if len(set(names)) < len(names):
        raise EmbedderError(
            f"The embedder {provider!r} of {package} has two spaces of one name.", _tell_its_authors(package)
        )
    return spaces


def _problem_of(space: Any, provider: str) -> str:
    """Return what is wrong with a space, empty when nothing is."""
    if not isinstance(space, Space):
        return f"it is {type(space).__name__}, not a Space"
    match = _ID.fullmatch(str(space.id))
    if match is None or match["provider"] != provider:
        return f"its id is {space.id!r}, not `{provider}/model@revision/part`"
    if not str(space.alias).startswith(f"{provider}/"):
        return f"its alias is {space.alias!r}, and must begin with `{provider}/`"
    if space.modality not in get_args(Modality):
        return f"its modality is {space.modality!r}, none of {', '.join(get_args(Modality))}"
    is_count = isinstance(space.dimension, int) and not isinstance(space.dimension, bool)
    if not is_count or not 0 < space.dimension < _MOST_DIMENSION:
        return f"its dimension is {space.dimension!r}"
    return ""


def _request(embedder: SampleEmbedder, options: EmbedderOptions, package: str) -> SampleRequest:
    """Return what is to be read: all embedders share it, so each takes what the user chose, or nothing."""
    request = embedder.request
    allowed = [
        SampleRequest(frame_count=frame_count, audio_seconds=audio_seconds)
        for frame_count in (0, options.frame_count)
        for audio_seconds in (0.0, options.audio_seconds)
    ][1:]
    if request not in allowed:
        raise EmbedderError(
            f"The embedder of {package} asks for {request!r:.120}, not for what its options say.",
            _tell_its_authors(package),
        )
    return request


def _sampling(request: SampleRequest) -> str:
    """Return how a video is read, by the names that the local embedders use."""
    parts = [f"frames-{request.frame_count}"] if request.frame_count else []
    parts += [f"windows-{request.audio_seconds:g}s"] if request.audio_seconds else []
    return "-".join(parts)


@contextmanager
def _no_standard_output() -> Iterator[None]:
    """Send what a package prints to standard error: standard output may be the rows themselves."""
    with redirect_stdout(sys.stderr):
        yield


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {one_line(str(error))}"


def _mend(package: str) -> str:
    return (
        f"Install {package.removeprefix('the ')} again, or uninstall it; `vidclf doctor` lists all embedders."
    )


def _tell_its_authors(package: str) -> str:
    return (
        f"Tell the authors of {package.removeprefix('the package ')}: docs/embedders.md says what is needed."
    )

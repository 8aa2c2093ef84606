"""The spaces that the built-in embedders fill, by their short names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from vidclf_cli.embedders.local import LocalAudio, LocalMetadata, LocalVisual
from vidclf_cli.errors import UsageError
from vidclf_cli.spaces import Space

ALL_LOCAL = "local"
"""Stands for every local space."""


@cache
def local_spaces() -> Mapping[str, Space]:
    """Return alias (`local/concepts`) to space; nothing is loaded for it."""
    spaces = (*LocalVisual().spaces, *LocalAudio().spaces, LocalMetadata().space)
    return MappingProxyType({space.alias: space for space in spaces})


def find_spaces(names: Sequence[str]) -> tuple[Space, ...]:
    """Return the spaces that are meant, each once, in the order in which they were named.

    Args:
        names: Ids, aliases (`local/visual`), or `local` for all local ones.

    Raises:
        UsageError: There is no such space, or none was named.
    """
    known = {name: space for alias, space in local_spaces().items() for name in (alias, space.id)}
    found: dict[str, Space] = {}
    for name in names:
        if name != ALL_LOCAL and name not in known:
            raise UsageError(
                f"There is no embedding space {name!r}.",
                f"This vidclf can make {', '.join(local_spaces())}, and `{ALL_LOCAL}` is all of them.",
            )
        spaces = tuple(local_spaces().values()) if name == ALL_LOCAL else (known[name],)
        found |= {space.id: space for space in spaces}
    if not found:
        raise UsageError("No embedding space was named.", f"`{ALL_LOCAL}` is all of them.")
    return tuple(found.values())

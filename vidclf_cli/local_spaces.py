"""The spaces that the built-in embedders fill, by their short names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from vidclf_cli.embedders.local import LocalAudio, LocalMetadata, LocalVisual
from vidclf_cli.spaces import Space

ALL_LOCAL = "local"
"""Stands for every local space."""


@cache
def local_spaces() -> Mapping[str, Space]:
    """Return alias (`local/concepts`) to space; nothing is loaded for it."""
    spaces = (*LocalVisual().spaces, *LocalAudio().spaces, LocalMetadata().space)
    return MappingProxyType({space.alias: space for space in spaces})

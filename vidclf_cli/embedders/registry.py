"""Which embedding spaces can be filled: the local ones, and those of embedders that other packages register.

A package registers an embedder as an entry point of the group `vidclf.embedders`, whose name is the provider
that the ids of its spaces begin with. It is imported only when such a space is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points

from vidclf_cli.embedders.base import EmbedderOptions
from vidclf_cli.embedders.foreign import ForeignEmbedder, package_of
from vidclf_cli.errors import EmbedderError, UsageError, VidclfError
from vidclf_cli.local_spaces import ALL_LOCAL, local_spaces
from vidclf_cli.spaces import Space

GROUP = "vidclf.embedders"
RESERVED = frozenset({"local", "openai", "twelvelabs"})
"""Providers that are vidclf's own."""


def find_spaces(names: Sequence[str]) -> tuple[Space, ...]:
    """Return the spaces that are meant, each once, in the order in which they were named.

    Args:
        names: Ids, aliases (`local/visual`), or a provider alone (`local`) for all of its spaces.

    Raises:
        UsageError: There is no such space, or none was named.
        EmbedderError: The package that would fill it does not work.
    """
    found: dict[str, Space] = {}
    for name in names:
        spaces = spaces_named(name)
        if not spaces:
            raise UsageError(f"There is no embedding space {name!r}.", can_make())
        found |= {space.id: space for space in spaces}
    if not found:
        raise UsageError("No embedding space was named.", f"`{ALL_LOCAL}` is all local ones.")
    return tuple(found.values())


def spaces_named(name: str) -> tuple[Space, ...]:
    """Return the spaces of an id, an alias or a provider; none where nothing here fills one.

    Raises:
        EmbedderError: The package that would fill them does not work.
    """
    local = local_spaces()
    if name == ALL_LOCAL:
        return tuple(local.values())
    for space in local.values():
        if name in (space.id, space.alias):
            return (space,)
    embedder = _open(_provider(name), EmbedderOptions())
    spaces = () if embedder is None else embedder.spaces
    return tuple(space for space in spaces if name in (space.id, space.alias, _provider(name)))


def find_space(space_id: str) -> Space | None:
    """Return the space of an id, None when nothing here fills it.

    Raises:
        EmbedderError: The package that would fill it does not work.
    """
    return next((space for space in spaces_named(space_id) if space.id == space_id), None)


def can_make() -> str:
    """Return a sentence or two about what can be filled; nothing is imported for it."""
    text = f"This vidclf can make {', '.join(local_spaces())}, and `{ALL_LOCAL}` is all of them."
    others = [provider for provider in _entries() if provider not in RESERVED]
    if others:
        text += f" Installed packages add those of {', '.join(sorted(others))} (`vidclf doctor` lists them)."
    return text


def foreign_embedders(space_ids: Iterable[str], options: EmbedderOptions) -> list[ForeignEmbedder]:
    """Return the embedders of other packages that fill these spaces, each once; local ones need none.

    Raises:
        EmbedderError: A package does not work.
    """
    local = {space.id for space in local_spaces().values()}
    providers = dict.fromkeys(_provider(each) for each in space_ids if each not in local)
    return [found for provider in providers if (found := _open(provider, options)) is not None]


def inspect_embedders() -> Iterator[tuple[str, ForeignEmbedder | VidclfError]]:
    """Import every registered embedder; yield its provider, and it or what is wrong with it."""
    for provider in sorted(_entries()):
        try:
            found = _open(provider, EmbedderOptions(), refuse_reserved=True)
        except VidclfError as error:
            yield provider, error
        else:
            if found is not None:
                yield provider, found


def _provider(name: str) -> str:
    return name.partition("/")[0]


def _open(
    provider: str, options: EmbedderOptions, *, refuse_reserved: bool = False
) -> ForeignEmbedder | None:
    """Return the embedder that is registered for a provider, None where there is none."""
    if provider in RESERVED and not refuse_reserved:
        return None
    entries = _entries().get(provider, ())
    if not entries:
        return None
    packages = " and ".join(package_of(entry) for entry in entries)
    if provider in RESERVED:
        raise EmbedderError(
            f"{packages} registers an embedder {provider!r}, a name of vidclf's own; it is not used.",
            "Tell its authors, or uninstall it.",
        )
    if len(entries) > 1:
        raise EmbedderError(f"{packages} both register an embedder {provider!r}.", "Uninstall one of them.")
    return ForeignEmbedder(entries[0], options)


def _entries() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Return provider to what is registered for it; a package that is found twice counts once."""
    found: dict[str, dict[tuple[str, str], EntryPoint]] = defaultdict(dict)
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist else ""
        found[entry.name].setdefault((package, entry.value), entry)
    return {provider: tuple(entries.values()) for provider, entries in found.items()}

"""Sources of videos: what comes from one recording stays on one side of a split."""

from __future__ import annotations


class JoinedSources:
    """Joins sources that share a content: union-find over their names."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, source: str) -> str:
        """Return the name that all joined sources share."""
        while (parent := self._parents.get(source, source)) != source:
            self._parents[source] = source = self._parents.get(parent, parent)
        return source

    def unite(self, first: str, second: str) -> None:
        """Make one source of two."""
        self._parents[self.find(second)] = self.find(first)

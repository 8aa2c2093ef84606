"""Numbers and names as they stand in messages."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 3


def counted(number: int, what: str) -> str:
    """Return `1 source`, `1,200 sources`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def some(names: Sequence[str], most: int = _NAMED) -> str:
    """Return the first few of many names, and how many more there are."""
    shown = ", ".join(map(one_line, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def one_line(text: str) -> str:
    """Return a name as it may stand in a message of one line: what a terminal would act upon is escaped."""
    shown = (each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return "".join(shown)

"""Sizes and ages as people write them: 10GB, 500MB, 90d, 12h."""

from __future__ import annotations

import re
from typing import Any

import click

_NUMBER = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]*)\s*")
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
          "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
          "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in click's stubs, not in click 8.1
    """A size: KB, MB, GB and TB are powers of 1000; KiB, MiB ... and K, M, G, T powers of 1024."""

    name = "size"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return bytes."""
        if isinstance(value, int):
            return value
        found = _parse(str(value), _BYTES)
        if found is None:
            self.fail(f"{value!r} is no size: write e.g. 10GB, 500MB or 2GiB.", parameter, context)
        return int(found)


class Age(click.ParamType):  # type: ignore[type-arg]  # as above
    """An age: s, m (minutes), h, d and w."""

    name = "age"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        found = _parse(str(value), _SECONDS)
        if found is None:
            self.fail(f"{value!r} is no age: write e.g. 90d, 12h or 2w.", parameter, context)
        return found


def _parse(text: str, units: dict[str, int]) -> float | None:
    """Return a number times its unit; only 0 needs none. None where it is neither."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number, unit = float(match["number"]), match["unit"].casefold()
    if unit in units:
        return number * units[unit]
    return 0.0 if number == 0 and not unit else None


def size_text(byte_count: int) -> str:
    """Return a size as it is shown: `12 B`, `1.2 MB`, `3.4 GB`."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if byte_count >= factor:
            return f"{byte_count / factor:.1f} {unit}"
    return f"{byte_count} B"

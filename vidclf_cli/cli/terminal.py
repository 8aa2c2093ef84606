"""What may be written where: terminals, closed streams, texts that come from files."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_WIDTH = 120  # columns when the output is no terminal


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads along; a closed stream (`>&-`) is None in Python."""
    return stream is not None and stream.isatty()


def can_draw(stream: TextIO | None) -> bool:
    """Tell whether a bar can be drawn and drawn again there."""
    return is_terminal(stream) and os.environ.get("TERM") not in ("dumb", "unknown")


def wants_colour(stream: TextIO | None) -> bool:
    """Tell whether colours may be used: on a terminal, unless NO_COLOR says otherwise (no-color.org)."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")


def console(stream: TextIO) -> Console:
    """Return what draws tables and bars there: plain text where no terminal is behind it.

    Whatever the environment says: FORCE_COLOR of a build server must not reach a file.
    """
    from rich.console import Console

    return Console(
        file=stream,
        color_system="auto" if wants_colour(stream) else None,
        width=None if is_terminal(stream) else _PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def say(text: str) -> None:
    """Write a line for people to stderr; a stderr that takes nothing must not end a run."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def printable(text: str) -> str:
    """Replace what a terminal would act upon (escape sequences in a file's name) by visible escapes."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def discard_stdout() -> None:
    """Send what is left for stdout nowhere: Python flushes at exit, and would complain once more."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())

"""What may be written where: terminals, closed streams, texts that come from files."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

import click


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads along; a closed stream (`>&-`) is None in Python."""
    return stream is not None and stream.isatty()


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

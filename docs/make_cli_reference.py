"""Write docs/cli.md from the commands themselves: `python docs/make_cli_reference.py [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from vidclf_cli.cli.app import vidclf

TARGET = Path(__file__).with_name("cli.md")
_WIDTH = 100
_HEADER = """# Command line reference

Made by `python docs/make_cli_reference.py` from the commands' own help texts; a test holds it to them.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    sections = [_HEADER]
    for words in _walk(["vidclf"], vidclf):
        shown = CliRunner().invoke(vidclf, [*words[1:], "--help"], prog_name="vidclf", terminal_width=_WIDTH)
        sections.append(f"## {' '.join(words)}\n\n```text\n{shown.output.rstrip()}\n```\n")
    return "\n".join(sections)


def _walk(words: list[str], command: click.Command) -> Iterator[list[str]]:
    yield words
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _walk([*words, name], command.commands[name])


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == reference() else "docs/cli.md is out of date")
    TARGET.write_text(reference(), encoding="utf-8")

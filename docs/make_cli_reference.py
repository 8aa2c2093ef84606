"""Write docs/cli.md from the commands themselves: `python docs/make_cli_reference.py [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from vidclf_cli.cli import vidclf

TARGET = Path(__file__).with_name("cli.md")
_WIDTH = 100
_HEADER = """# Command line reference

Made by `python docs/make_cli_reference.py` from the commands' own help texts; a test holds it to them.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    sections = [_HEADER]
    for path, command in _walk("vidclf", vidclf):
        context = click.Context(command, info_name=path, terminal_width=_WIDTH, max_content_width=_WIDTH)
        sections.append(f"## {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(sections)


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _walk(f"{path} {name}", command.commands[name])


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == reference() else "docs/cli.md is out of date")
    TARGET.write_text(reference(), encoding="utf-8")

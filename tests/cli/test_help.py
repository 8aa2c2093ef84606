"""Every command and option is explained, shown by example, and documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from vidclf_cli.cli.app import vidclf

ROOT = Path(__file__).resolve().parents[2]


def commands(name: str = "vidclf", command: click.Command = vidclf) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for each, below in command.commands.items():
            yield from commands(f"{name} {each}", below)


COMMANDS = dict(commands())
OPTIONS = [
    pytest.param(command, option, id=f"{name} {option.opts[0]}")
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option)
]


def described(command: click.Command, option: click.Option) -> str:
    record = option.get_help_record(click.Context(command))
    assert record is not None
    return record[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_says_what_it_does_and_shows_an_example(name: str) -> None:
    shown = CliRunner().invoke(vidclf, [*name.split()[1:], "--help"], prog_name="vidclf")
    assert shown.exit_code == 0
    assert len(COMMANDS[name].get_short_help_str(200)) > 20
    assert re.search(rf"^ +{re.escape(name)}(?: |$)", shown.stdout.partition("\n\n")[2], re.MULTILINE), (
        shown.stdout
    )
    assert "\b" not in shown.stdout


def examples() -> Iterator[tuple[str, list[str]]]:
    for name, command in COMMANDS.items():
        for line in (command.help or "").splitlines():
            if re.match(r" *vidclf \w", line) and name != "vidclf":
                words = re.findall(r'"[^"]*"|\S+', line)
                yield line.strip(), [word.strip('"') for word in words[1:]]


@pytest.mark.parametrize(("line", "words"), list(examples()))
def test_an_example_is_a_command_that_click_takes(line: str, words: list[str]) -> None:
    """Names and options exist and values are of the right kind; nothing runs."""
    context = click.Context(vidclf)
    command: click.Command = vidclf
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    command.make_context(line, list(words), parent=context)


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_an_option_says_what_it_does_and_what_holds_without_it(
    command: click.Command, option: click.Option
) -> None:
    text = described(command, option)
    assert len(option.help or "") > 10
    if not (option.is_flag or option.count or option.required or option.multiple):
        assert "default" in text, text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_has_every_command_with_all_of_its_options(name: str) -> None:
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([a-z -]+)\n(.*?)(?=^## |\Z)", reference, re.MULTILINE | re.DOTALL))
    assert name in sections
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            assert option.opts[-1] in sections[name], f"{option.opts}: python docs/make_cli_reference.py"

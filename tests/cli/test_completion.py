"""Shell completion by the protocol that the shells use, in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND
from tests.cli.test_commands import HEAVY

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def complete(shell: str, *words: str, **environment: str) -> list[str]:
    """Return what the command answers to a shell for the last of the words."""
    line = ["vidclf", *words]
    protocol = {
        "bash": {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(words))},
        "zsh": {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(words))},
        "fish": {"COMP_WORDS": " ".join(line), "COMP_CWORD": words[-1]},
    }
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, check=True, timeout=60,
        env=os.environ | {"_VIDCLF_COMPLETE": f"{shell}_complete"} | protocol[shell] | environment,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("cla",), ["plain,classify"]),
        (("cache", "p"), ["plain,prune"]),
        (("classify", "--tar"), ["plain,--target-precision"]),
        (("classify", "--device", ""), ["plain,auto", "plain,cpu", "plain,cuda"]),
        (("classify", "--model", "topics-2"), ["file,topics-2", "plain,topics-24"]),
        (("evaluate", "top"), ["file,top", "plain,topics-10", "plain,topics-24"]),
        (("models", "show", "topics-1"), ["file,topics-1", "plain,topics-10"]),
        (("classify", "vid"), ["file,vid"]),
        (("classify", "--cache-dir", "fol"), ["dir,fol"]),
        (("tune", "my.onnx", "lab"), ["file,lab"]),
    ],
)
def test_commands_options_and_values_are_completed(words: tuple[str, ...], expected: list[str]) -> None:
    assert complete("bash", *words) == expected


def test_formats_are_completed() -> None:
    found = complete("bash", "classify", "--format", "")
    assert {"plain,csv", "plain,jsonl", "plain,table"} <= set(found)


def test_every_shell_gets_the_same_with_what_it_wants_around_it() -> None:
    assert complete("zsh", "cache", "p")[:2] == ["plain", "prune"]
    assert complete("fish", "cache", "p")[0].startswith("plain,prune")


def test_completing_loads_nothing_heavy() -> None:
    script = f"""
import os, sys
os.environ.update(_VIDCLF_COMPLETE="bash_complete", COMP_WORDS="vidclf classify --model t", COMP_CWORD="3")
sys.argv = ["vidclf"]
from vidclf_cli.cli import main
try:
    main()
except SystemExit:
    pass
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert "topics-10" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_the_line_of_the_readme_teaches_a_real_bash(tmp_path: Path) -> None:
    line = 'eval "$(_VIDCLF_COMPLETE=bash_source vidclf)"'
    assert line in README
    command = tmp_path / "vidclf"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vidclf_cli "$@"\n')
    command.chmod(0o755)
    script = f"""
{line}
COMP_WORDS=(vidclf classify --model topics-2)
COMP_CWORD=3
$(complete -p vidclf | sed 's/.*-F \\([^ ]*\\).*/\\1/') vidclf topics-2 --model
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    # Outside of a line that is edited, `compopt` has nothing to act upon.
    assert [each for each in done.stderr.splitlines() if "compopt" not in each] == []
    assert done.stdout.split() == ["topics-24"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_readme_has_a_line_for_every_shell_and_the_command_has_its_script(shell: str) -> None:
    assert f"_VIDCLF_COMPLETE={shell}_source vidclf" in README
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"_VIDCLF_COMPLETE": f"{shell}_source"},
    )  # fmt: skip
    assert f"_VIDCLF_COMPLETE={shell}_complete" in done.stdout

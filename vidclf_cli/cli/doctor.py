"""`vidclf doctor`: what holds on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidclf_cli.cli.options import cache_dir_option
from vidclf_cli.cli.terminal import printable, wants_colour

if TYPE_CHECKING:
    from vidclf_cli.diagnosis import Finding

_MARKS = {"ok": ("ok", "green"), "note": ("--", "yellow"), "bad": ("!!", "red")}


@click.command()
@cache_dir_option
@click.pass_context
def doctor(context: click.Context, cache_dir: Path | None) -> None:
    """Check this installation: packages, ffmpeg, devices, cache, isolation, keys.

    \b
      vidclf doctor
      vidclf doctor --cache-dir /data/vidclf

    Embedders of other packages are loaded and listed with their spaces. Values of keys are never shown. Exit
    code 1 when something does not work.
    """
    from vidclf_cli.cache import default_folder
    from vidclf_cli.diagnosis import diagnose

    findings = []
    for finding in diagnose(cache_dir or default_folder()):
        _show(finding)
        findings.append(finding)
    context.exit(1 if any(finding.state == "bad" for finding in findings) else 0)


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    shown = click.style(mark, fg=colour) if wants_colour(sys.stdout) else mark
    click.echo(f"{shown}  {finding.subject:<20} {printable(finding.text)}")

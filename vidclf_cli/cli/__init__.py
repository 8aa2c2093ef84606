"""The command line: parse, call, render. Nothing else prints or exits."""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType
from typing import Any

import click

from vidclf_cli import __version__
from vidclf_cli.cli.cache import cache
from vidclf_cli.cli.classify import classify
from vidclf_cli.cli.doctor import doctor
from vidclf_cli.cli.embed import embed
from vidclf_cli.cli.log import set_up_logging, verbose_option
from vidclf_cli.cli.models import models
from vidclf_cli.errors import VidclfError

EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="vidclf")
@verbose_option
def vidclf() -> None:
    """Tag a folder of videos: labels with calibrated confidence and evidence, offline.

    \b
      vidclf classify ./videos --out labels.csv
      vidclf classify ./videos --labels "cooking,football,cats" --out labels.csv
    """


for _command in (classify, embed, models, cache, doctor):
    vidclf.add_command(_command)


def main() -> None:
    """Run the command line and exit with its code: 0 fine, 1 some failed, 2 wrong usage, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    set_up_logging()
    try:
        code: Any = vidclf.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = _report_interruption()
    except KeyboardInterrupt:
        code = _report_interruption()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except VidclfError as error:
        logging.getLogger(__name__).debug("The error in full", exc_info=error)
        click.echo(f"Error: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`).
        _discard_stdout()
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _report_interruption() -> int:
    click.echo("Interrupted. What was finished is cached: the same command goes on from there.", err=True)
    return EXIT_INTERRUPTED


def _discard_stdout() -> None:
    # Python flushes standard output at exit, and would complain about the closed pipe once more.
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())

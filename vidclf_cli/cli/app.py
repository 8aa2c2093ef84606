"""The `vidclf` command and its sub-commands, and what their errors look like."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

import click

from vidclf_cli import __version__
from vidclf_cli.cli.cache import cache
from vidclf_cli.cli.classify import classify
from vidclf_cli.cli.doctor import doctor
from vidclf_cli.cli.embed import embed
from vidclf_cli.cli.evaluate import evaluate
from vidclf_cli.cli.log import set_up_logging, verbose_option
from vidclf_cli.cli.models import models
from vidclf_cli.cli.terminal import discard_stdout, printable, say
from vidclf_cli.cli.train import train
from vidclf_cli.cli.tune import tune
from vidclf_cli.errors import VidclfError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="vidclf")
@verbose_option
def vidclf() -> None:
    """Tag a folder of videos: labels with calibrated confidence and evidence, offline.

    \b
      vidclf classify ./videos --out labels.csv
      vidclf classify ./videos --labels "cooking,football,cats" --out labels.csv
    """


for _command in (classify, embed, evaluate, models, train, tune, cache, doctor):
    vidclf.add_command(_command)


def run() -> int:
    """Run the command line and return the exit code.

    Raises:
        KeyboardInterrupt: The user stopped it.
    """
    set_up_logging()
    try:
        code: Any = vidclf.main(prog_name="vidclf", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        message = io.StringIO()
        error.show(message)
        say(printable(message.getvalue().rstrip("\n")))
        return error.exit_code
    except VidclfError as error:
        logging.getLogger(__name__).debug("The error in full", exc_info=error)
        say(printable(f"Error: {' '.join(str(error).split())}"))
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`).
        discard_stdout()
        return 1
    except OSError as error:
        # A standard output that takes nothing (`>/dev/full`), or no more files may be opened.
        discard_stdout()
        say(f"Error: the system refused to go on: {error.strerror or error}.")
        return 1
    return code if isinstance(code, int) else 0

"""`-v`: how much of the log a person sees. It may stand before or behind the command's name."""

from __future__ import annotations

import logging

import click

from vidclf_cli.cli.terminal import printable

_DEBUG_COUNT = 2


def set_up_logging() -> None:
    """Send warnings of the package to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(message)s"))
    logger = logging.getLogger("vidclf_cli")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING)
    logger.propagate = False


class _Printable(logging.Formatter):
    """Names of files may hold what a terminal would act upon."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _raise_level(_context: click.Context, _parameter: click.Parameter, count: int) -> None:
    if count:
        logging.getLogger("vidclf_cli").setLevel(logging.DEBUG if count >= _DEBUG_COUNT else logging.INFO)


verbose_option = click.option(
    "-v",
    "--verbose",
    count=True,
    expose_value=False,
    callback=_raise_level,
    help="Log the time per stage; -vv: everything, with tracebacks.",
)

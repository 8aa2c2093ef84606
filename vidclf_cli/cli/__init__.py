"""The command line: parse, call, render. Nothing else prints or exits."""

from __future__ import annotations

import signal
import sys
from types import FrameType

_EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code: 0 fine, 1 some failed, 2 wrong usage, 130 interrupted."""
    try:
        # Imported here, so that Ctrl-C is answered the same way while Python still loads.
        signal.signal(signal.SIGTERM, _interrupt)
        from vidclf_cli.cli.app import run

        code = run()
    except KeyboardInterrupt:
        from vidclf_cli.cli.terminal import say

        say("Interrupted. What was finished is cached: the same command goes on from there.")
        code = _EXIT_INTERRUPTED
    sys.exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

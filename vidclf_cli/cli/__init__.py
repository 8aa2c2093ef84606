"""The command line: parse, call, render. Nothing else prints or exits."""

from __future__ import annotations

import signal
import sys
from types import FrameType

_EXIT_INTERRUPTED = 130
_interrupted = False


def main() -> None:
    """Run the command line and exit with its code: 0 fine, 1 some failed, 2 wrong usage, 130 interrupted."""
    try:
        # Imported here, so that Ctrl-C is answered the same way while Python still loads.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a script's background job ignores it
            signal.signal(signal.SIGINT, _interrupt)
        signal.signal(signal.SIGTERM, _interrupt)
        from vidclf_cli.cli.app import run

        code = run()
    except BaseException:
        # Any exception: a C extension that is interrupted while it is imported raises one of its own.
        if not _interrupted:
            raise
        from vidclf_cli.cli.terminal import say

        say("Interrupted. What was finished is cached: the same command goes on from there.")
        code = _EXIT_INTERRUPTED
    sys.exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _interrupted  # noqa: PLW0603 - a signal handler has no other place to leave word
    _interrupted = True
    raise KeyboardInterrupt

"""Imported by the fork server alone, first of all: from then on it and its workers write to no terminal.

A worker that starts while the program ends finds its locks gone, and Python would print that as a traceback
under the program's own last line. What a worker has to say travels back as a result.
"""

import os

_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
os.close(_nowhere)

"""The command as a user runs it: a process of its own."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = [sys.executable, "-m", "vidclf_cli"]


@pytest.fixture
def vidclf(tmp_path: Path) -> Run:
    """Run `vidclf` with the test's own cache and without a terminal."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"VIDCLF_CACHE_DIR": str(tmp_path / "cache")} | environment,
        )

    return run


def read_rows(path: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a CSV by their path."""
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row for row in csv.DictReader(stream)}

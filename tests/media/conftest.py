"""Odd videos, each made once per test process and only when a test asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.odd_videos import ODD_VIDEOS


@pytest.fixture(scope="session")
def odd_video(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from the name of an odd video to its path."""
    folder = tmp_path_factory.mktemp("odd-videos")
    by_name = {odd.name: odd for odd in ODD_VIDEOS}

    def make(name: str) -> Path:
        path = folder / name
        if not path.exists():
            by_name[name].make(path)
        return path

    return make

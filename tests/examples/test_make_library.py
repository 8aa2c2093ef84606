"""The example library's command refuses what it must, and never leaves half a library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "make_library.py"


def make_library(folder: Path, *, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command, on request as if a package were not installed."""
    code = (
        "import importlib.util, runpy, sys\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *rest: None if name == {without!r} else find(name, *rest)\n"
        f"sys.argv = ['make_library.py', {os.fspath(folder)!r}]\n"
        f"runpy.run_path({os.fspath(SCRIPT)!r}, run_name='__main__')\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    done = make_library(tmp_path)
    assert done.returncode == 2
    assert "holiday.mp4" in done.stderr
    assert "name a new folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.mp4"]


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "library").write_bytes(b"mine")
    done = make_library(tmp_path / "library")
    assert done.returncode == 2
    assert "is a file" in done.stderr


@pytest.mark.parametrize("package", ["skimage", "skvideo"])
def test_a_missing_extra_is_named_and_nothing_is_left(package: str, tmp_path: Path) -> None:
    done = make_library(tmp_path / "library", without=package)
    assert done.returncode == 2
    assert "pip install 'vidclf[examples]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []

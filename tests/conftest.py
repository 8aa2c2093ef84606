"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before anything loads torch or an OpenBLAS: `make test` runs one worker per core, and threads of several
# workers that wait for each other take most of the processor's time.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The optional folder of real videos and features, outside of the repository."""
    named = os.environ.get("VIDCLF_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real test data is not at {folder}; set VIDCLF_TEST_DATA to its folder")
    return folder.resolve()


@pytest.fixture(autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the cache of the person who runs it."""
    monkeypatch.setenv("VIDCLF_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))

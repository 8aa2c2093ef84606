"""`vidclf cache` from outside: what it says, what it takes, and its exit codes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from vidclf_cli.cache import Cache
from vidclf_cli.cli.app import vidclf
from vidclf_cli.cli.quantities import Age, Size, size_text
from vidclf_cli.spaces import Embedding, Space

VISUAL = Space("local/net@1/visual", "local/visual", "visual", 8, "frames-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three videos, one of them last used 100 days ago, and an interrupted training."""
    root = tmp_path / "cache"
    with Cache(root) as cache:
        for digits in ("00", "01", "02"):
            cache.videos.write(digits + "0" * 38, {}, {VISUAL: Embedding(np.ones(8, np.float32), 8)})
    then = time.time() - 100 * 86_400
    os.utime(root / "videos" / "02" / f"{'02' + '0' * 38}.h5", (then, then))
    (root / "training" / "abc").mkdir(parents=True)
    (root / "training" / "abc" / "1.pt").write_bytes(bytes(2_000_000))
    return root


def run(folder: Path, *arguments: str) -> Result:
    # Not standalone: what a command returns is the exit code, as in `app.run`.
    return CliRunner().invoke(
        vidclf, ["cache", *arguments, "--cache-dir", str(folder)], standalone_mode=False
    )


def test_info_counts_videos_texts_and_trainings(folder: Path) -> None:
    shown = run(folder, "info").stdout
    assert f"folder     {folder}" in shown
    for line in (
        "videos     3 (",
        "timelines  0 (",
        "texts      0",
        "trainings  1 (2.0 MB, interrupted)",
        "damaged    0",
    ):
        assert line in shown, shown


def test_verify_names_what_is_damaged_until_it_is_repaired(folder: Path) -> None:
    whole = run(folder, "verify")
    assert whole.return_value == 0
    assert "read     3 videos, 2 other files, 0 texts: all whole" in whole.stdout
    path = folder / "videos" / "01" / f"{'01' + '0' * 38}.h5"
    path.write_bytes(b"x")
    damaged = run(folder, "verify")
    assert damaged.return_value == 1
    assert f"damaged  {path}: " in damaged.stdout
    assert "--repair" in damaged.stdout
    repaired = run(folder, "verify", "--repair")
    assert repaired.return_value == 0
    assert ": repaired" in repaired.stdout
    assert run(folder, "verify", "--quiet").stdout == ""


def test_prune_says_what_went_or_would_go(folder: Path) -> None:
    would = run(folder, "prune", "--older-than", "90d", "--dry-run").stdout
    assert "would remove 1 videos (" in would
    assert "would stay" in would
    done = run(folder, "prune", "--older-than", "90d").stdout
    assert "removed 1 videos (" in done
    assert "removed nothing" in run(folder, "prune", "--older-than", "90d").stdout
    small = run(folder, "prune", "--max-size", "1KB").stdout
    assert "removed 1 interrupted trainings (2.0 MB)" in small
    assert "are not pruned" in small


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--older-than 90d"),
        (("--older-than", "90"), "90d, 12h"),
        (("--older-than", "-1d"), "no age"),
        (("--older-than", "soon"), "no age"),
        (("--max-size", "10"), "10GB, 500MB"),
        (("--max-size", "10 potatoes"), "no size"),
        (("--max-size", ""), "no size"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_how_it_is_written(
    folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = run(folder, "prune", *arguments)
    assert isinstance(done.exception, click.UsageError)
    assert says in str(done.exception)
    assert len(list((folder / "videos").rglob("*.h5"))) == 3


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Size(), "10GB", 10**10), (Size(), "500mb", 500 * 10**6), (Size(), "2 GiB", 2 << 30),
        (Size(), "1.5K", 1536), (Size(), "1TB", 10**12), (Size(), "12B", 12), (Size(), "0", 0),
        (Size(), 7, 7),
        (Age(), "90d", 90 * 86_400), (Age(), "12h", 43_200), (Age(), "1.5h", 5_400), (Age(), "2W", 1_209_600),
        (Age(), "30m", 1_800), (Age(), "45s", 45), (Age(), "0", 0),
    ],
)  # fmt: skip
def test_sizes_and_ages_as_people_write_them(kind: click.ParamType, text: Any, expected: float) -> None:
    assert kind.convert(text, None, None) == expected


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (5_000_000, "5.0 MB"), (10**10, "10.0 GB")],
)
def test_sizes_as_they_are_shown(count: int, text: str) -> None:
    assert size_text(count) == text

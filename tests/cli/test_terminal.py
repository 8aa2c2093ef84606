"""What reaches a terminal, and what reaches a file or a log in its place."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.conftest import COMMAND, Run
from tests.synthetic import small_classifier
from vidclf_cli.cli import progress, terminal
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.records import Status

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A classifier and a folder of files that fail at once, one of them with a name to fool a terminal."""
    small_classifier(tmp_path)
    (tmp_path / "clips" / "cat").mkdir(parents=True)
    for name in ("a.mp4", "b\x1b[31mred.mp4"):
        (tmp_path / "clips" / "cat" / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("doctor",),
        ("models",),
        ("cache", "info"),
        ("cache", "verify"),
        ("classify", "clips", "-m", "small.onnx", "--format", "table"),
        ("evaluate", "small.onnx", "clips"),
        ("--help",),
        ("evaluate", "small.onnx", "odd\x07\x1b[31m", "--split", "test"),
        ("evaluate", "no\x07\x1b[31msuch.onnx", "clips"),
    ],
    ids=" ".join,
)
def test_where_no_terminal_is_there_are_no_control_characters(
    vidclf: Run, library: Path, arguments: tuple[str, ...]
) -> None:
    # What build servers set; a file or a pipe stays one.
    done = vidclf(*arguments, FORCE_COLOR="1", TTY_COMPATIBLE="1", CLICOLOR_FORCE="1")
    for text in (done.stdout, done.stderr):
        assert not CONTROL.search(text.replace("\t", "")), text
    assert done.stdout or done.stderr


def on_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """Run the command with a terminal of its own, and return all that it wrote there."""
    import pty

    main, other = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stdin=other, stdout=other, stderr=other,
        env=os.environ | {"VIDCLF_CACHE_DIR": str(folder / "cache"), "TERM": "xterm-256color"} | environment,
    )  # fmt: skip
    os.close(other)
    written = b""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed.
        while part := os.read(main, 65_536):
            written += part
    os.close(main)
    process.wait(timeout=60)
    return written.decode(errors="replace")


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_on_a_terminal_there_are_colours_unless_no_color_is_set(library: Path) -> None:
    command = ("classify", "clips", "-m", "small.onnx")
    colourful = on_terminal(library, *command)
    assert COLOUR.search(colourful)
    assert "b\\x1b[31mred.mp4" in colourful
    plain = on_terminal(library, *command, NO_COLOR="1")
    assert "failed" in plain
    assert not COLOUR.search(plain)


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_a_terminal_that_cannot_draw_gets_plain_text(library: Path) -> None:
    written = on_terminal(library, "classify", "clips", "-m", "small.onnx", TERM="dumb")
    assert "failed" in written
    assert not CONTROL.search(written.replace("\r", "").replace("\t", ""))


class Job(SimpleNamespace):
    """As much of a job as progress is told of."""


@pytest.fixture
def job() -> Job:
    return Job(statistics=Statistics(), library=SimpleNamespace(videos=range(1000)))


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of lines that is a thousand times as fast."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.03)


Lines = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("_fast")
def test_a_log_gets_a_line_now_and_then_with_rate_remaining_time_and_failures(
    job: Job, capsys: Lines
) -> None:
    with progress.show_progress(job, quiet=False):
        job.statistics.status_counts.update({Status.OK: 240, Status.FAILED: 10})
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 8
    assert re.fullmatch(
        r"250 of 1,000 videos \(25 %\), \d+\.\d videos/s, \d+ (s|min) left, 10 failed", lines[0]
    ), lines[0]


@pytest.mark.usefixtures("_fast")
def test_a_short_run_and_a_quiet_one_say_nothing(
    job: Job, capsys: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress.show_progress(job, quiet=True):
        time.sleep(0.1)
    monkeypatch.setattr(progress, "LINE_SECONDS", 30.0)
    with progress.show_progress(job, quiet=False):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_fast")
def test_steps_that_are_told_one_by_one_are_lines_too(capsys: Lines) -> None:
    with progress.show_steps("rows", quiet=False) as told:
        assert told is not None
        for done in range(5):
            told(done * 100, 400)
            time.sleep(0.02)
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) < 5
    assert lines[-1].startswith("400 of 400 rows (100 %), ")
    assert "left" not in lines[-1]


@pytest.mark.usefixtures("_fast")
def test_a_part_of_a_training_is_named(capsys: Lines) -> None:
    lines = progress.Lines("parts", "1/2 linear\x1b[31m")
    time.sleep(0.04)
    lines.show(0, 6)
    lines.show(1, 6)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1/2 linear\\x1b[31m: 0 of 6 parts (0 %), 0.0 parts/s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s"), (89, "89 s"), (600, "10 min"), (7140, "119 min"), (12_000, "3 h 20 min")],
)
def test_remaining_time_is_as_exact_as_it_is_known(seconds: float, text: str) -> None:
    assert progress._duration(seconds) == text


def test_a_terminal_that_is_no_terminal_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not terminal.can_draw(None)
    assert not terminal.wants_colour(io.StringIO())
    screen = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "")  # set to nothing it does not count (no-color.org)
    assert terminal.wants_colour(screen)  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.can_draw(screen)  # type: ignore[arg-type]
    assert not terminal.wants_colour(screen)  # type: ignore[arg-type]

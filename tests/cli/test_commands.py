import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.media.odd_videos import encode

HEAVY = (
    "numpy",
    "onnxruntime",
    "av",
    "h5py",
    "moviepy",
    "openai",
    "twelvelabs",
    "torch",
    "tokenizers",
    "rich",
    "PIL",
)


def test_help_loads_nothing_heavy() -> None:
    script = f"""
import sys
sys.argv = ["vidclf", "--help"]
from vidclf_cli.cli import main
try:
    main()
except SystemExit:
    pass
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert "classify" in done.stdout


@pytest.mark.parametrize("command", ["classify", "embed", "models", "cache", "doctor"])
def test_every_command_has_help(vidclf: Run, command: str) -> None:
    done = vidclf(command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert "\\b" not in done.stdout


def test_the_command_line_reference_is_up_to_date() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, root / "docs" / "make_cli_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, f"{done.stderr}: run python docs/make_cli_reference.py"


def test_doctor_finds_everything_in_order_and_shows_no_key(vidclf: Run) -> None:
    done = vidclf("doctor", OPENAI_API_KEY="sk-planted-secret")
    assert done.returncode == 0, done.stdout
    assert "OPENAI_API_KEY is set" in done.stdout
    assert "sk-planted-secret" not in done.stdout + done.stderr
    for subject in ("python", "ffmpeg", "ExecutionProvider", "cache", "isolation", "SHA-256"):
        assert subject in done.stdout


def test_models_lists_the_shipped_classifiers_and_shows_a_card(vidclf: Run) -> None:
    listed = vidclf("models").stdout
    assert "topics-10@" in listed
    assert "topics-24@" in listed
    assert "Pets & Animals" in vidclf("models", "show", "topics-10").stdout


def test_embed_fills_the_cache_for_classify_and_cache_info_counts_it(vidclf: Run, tmp_path: Path) -> None:
    encode("-c:v", "libx264", "-g", "25", source="testsrc2=size=160x90", seconds=2, sound=True)(
        tmp_path / "a.mp4"
    )
    assert vidclf("embed", "a.mp4").returncode == 0
    assert "videos   1" in vidclf("cache", "info").stdout
    assert "1 from the cache" in vidclf("classify", "a.mp4", "--out", "labels.csv").stderr


def test_quiet_says_nothing(vidclf: Run, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    done = vidclf("classify", "a.mp4", "--out", "labels.csv", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_closed_pipe_is_no_error_message(vidclf: Run, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    process = subprocess.Popen(
        [sys.executable, "-m", "vidclf_cli", "classify", "a.mp4", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)

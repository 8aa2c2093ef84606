import os
import shutil
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
    "pyarrow",
    "sqlite3",
    "PIL",
    "matplotlib",
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


@pytest.mark.parametrize("command", ["classify", "embed", "evaluate", "models", "train", "cache", "doctor"])
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
    assert "videos     1 (" in vidclf("cache", "info").stdout
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


def _shell(command: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VIDCLF_CACHE_DIR": str(tmp_path / "cache"), "PYTHON": sys.executable}
    return subprocess.run(
        ["/bin/sh", "-c", f'"$PYTHON" -m vidclf_cli {command}'],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.name == "nt", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("classify a.mp4 >&-", 2),
        ("classify a.mp4 -o labels.csv 2>&-", 1),
        ("classify a.mp4 -o labels.csv 2>/dev/full", 1),
        ("classify a.mp4 >/dev/full", 1),
        ("--help >/dev/full", 1),
    ],
)
def test_closed_and_full_streams_end_in_one_line_at_most(tmp_path: Path, command: str, code: int) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    done = _shell(command, tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert (tmp_path / "labels.csv").exists() == ("-o labels.csv" in command)


@pytest.mark.parametrize(
    "arguments",
    [
        ("",),
        (".", "--out", ""),
        (".", "--cache-dir", ""),
        (".", "--time-limit", "nan"),
        (".", "--min-confidence", "nan"),
    ],
)
def test_empty_and_senseless_values_are_wrong_usage(vidclf: Run, arguments: tuple[str, ...]) -> None:
    done = vidclf("classify", *arguments)
    assert done.returncode == 2, done.stdout
    assert "Error" in done.stderr


def test_the_cache_folder_of_the_environment_may_begin_with_a_tilde(vidclf: Run, tmp_path: Path) -> None:
    done = vidclf("cache", "info", VIDCLF_CACHE_DIR="~/kept", HOME=str(tmp_path))
    assert f"{tmp_path}/kept" in done.stdout


def test_an_altered_encoder_ends_the_run_with_one_line(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    (tmp_path / "copy").mkdir()
    shutil.copytree(root / "vidclf_cli", tmp_path / "copy" / "vidclf_cli")
    shutil.copytree(root / "exported", tmp_path / "copy" / "exported")
    with (tmp_path / "copy" / "exported" / "encoders" / "efficientnet-lite0.int8.onnx").open("ab") as file:
        file.write(b"x")
    encode("-c:v", "libx264", "-g", "25", source="testsrc2=size=160x90", seconds=2)(tmp_path / "a.mp4")
    done = subprocess.run(
        [sys.executable, "-m", "vidclf_cli", "classify", str(tmp_path / "a.mp4"), "-q", "-o", "labels.csv"],
        cwd=tmp_path / "copy",
        env=os.environ | {"PYTHONPATH": str(tmp_path / "copy")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "efficientnet-lite0.int8.onnx" in done.stderr
    assert not (tmp_path / "copy" / "labels.csv").exists()

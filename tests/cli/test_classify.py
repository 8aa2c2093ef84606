"""`vidclf classify` from outside: real videos, real encoders, a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import COMMAND, Run, read_rows
from tests.media.odd_videos import encode

SCENE = "testsrc2=size=320x180:rate=25"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    videos = tmp_path / "videos"
    (videos / "cooking").mkdir(parents=True)
    encode("-c:v", "libx264", "-g", "25", source=SCENE, seconds=4)(videos / "football match.mp4")
    encode("-c:v", "libx264", "-g", "25", source="mandelbrot=size=160x90", seconds=2)(
        videos / "cooking" / "IMG_0042.mp4"
    )
    (videos / "broken.mp4").write_bytes(b"")
    (videos / "notes.txt").write_text("no video")
    return videos


def test_every_video_is_a_row_and_a_failed_one_makes_exit_code_1(vidclf: Run, folder: Path) -> None:
    done = vidclf("classify", folder, "--out", "labels.csv")
    assert done.returncode == 1, done.stderr
    rows = read_rows(folder.parent / "labels.csv")
    assert list(rows) == ["broken.mp4", "cooking/IMG_0042.mp4", "football match.mp4"]
    assert rows["broken.mp4"]["reason"].startswith("empty-file: ")
    assert {rows[name]["status"] for name in ("football match.mp4", "cooking/IMG_0042.mp4")} <= {
        "ok",
        "unknown",
    }
    assert json.loads(rows["football match.mp4"]["modalities"]) == ["visual", "metadata"]
    assert float(rows["football match.mp4"]["duration_seconds"]) == pytest.approx(4, abs=0.1)
    assert rows["football match.mp4"]["model"].startswith("topics-10@")
    assert done.stdout == ""
    first, *_ = done.stderr.splitlines()
    assert all(word in first for word in ("topics-10", "cpu", "cache"))
    assert "1 other file ignored" in done.stderr


def test_a_second_run_computes_nothing_and_gives_the_same_bytes(vidclf: Run, folder: Path) -> None:
    (folder / "broken.mp4").unlink()
    vidclf("classify", folder, "--out", "first.csv")
    again = vidclf("classify", folder, "--out", "second.csv", "-v")
    assert again.returncode == 0
    assert "2 from the cache" in again.stderr
    assert "in all" in again.stderr
    assert "decode" not in again.stderr
    assert (folder.parent / "first.csv").read_bytes() == (folder.parent / "second.csv").read_bytes()


def test_a_renamed_or_copied_video_computes_no_picture(vidclf: Run, folder: Path) -> None:
    vidclf("classify", folder, "--out", "a.csv")
    (folder / "football match.mp4").rename(folder / "kitchen recipe.mp4")
    shutil.copy(folder / "kitchen recipe.mp4", folder / "copy.mp4")
    assert "3 from the cache" in vidclf("classify", folder, "--out", "b.csv").stderr


def test_other_frames_compute_anew(vidclf: Run, folder: Path) -> None:
    vidclf("classify", folder, "--out", "a.csv")
    assert "0 from the cache" in vidclf("classify", folder, "--frames", "4", "--out", "b.csv").stderr


def test_labels_given_as_words_need_no_classifier(vidclf: Run, folder: Path) -> None:
    done = vidclf("classify", folder / "football match.mp4", "--labels", "cooking,football,cats", "-o", "-")
    assert done.returncode == 0, done.stderr
    assert "football," in done.stdout
    assert "zero-shot@" in done.stdout


def test_json_lines_by_suffix(vidclf: Run, folder: Path) -> None:
    vidclf("classify", folder, "--out", "labels.jsonl")
    lines = (folder.parent / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["status"] == "failed"


def test_without_out_and_terminal_the_rows_go_to_stdout_as_csv(vidclf: Run, folder: Path) -> None:
    assert vidclf("classify", folder).stdout.startswith("path,label,confidence,")


def test_a_table_for_people_shows_names_as_text(vidclf: Run, folder: Path) -> None:
    (folder / "[red]x\x1b[31m.mp4").write_bytes(b"")
    done = vidclf("classify", folder, "--format", "table")
    assert "[red]x\\x1b[31m.mp4" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("missing",), "There is no file or folder"),
        (("videos", "--out", "no/such/folder/a.csv"), "--out"),
        (("videos", "--out", "a.xyz"), "--format"),
        (("videos", "--model", "nonsense"), "topics-10"),
        (("videos", "--model", "videos/notes.txt"), "notes.txt"),
        (("videos", "--labels", "one"), "--labels"),
        (("videos", "--device", "cuda"), "--device"),
        (("videos", "--labels", "@missing.txt"), "missing.txt"),
    ],
)
def test_what_cannot_work_is_one_line_that_says_what_to_do(
    vidclf: Run, folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    if "cuda" in arguments and Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")
    out = () if "--out" in arguments else ("--out", "labels.csv")
    done = vidclf("classify", *arguments, *out)
    assert done.returncode in {1, 2}
    errors = [line for line in done.stderr.splitlines() if line]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("Error: ")
    assert says in errors[0]
    assert not list(folder.parent.glob("*labels*"))


def test_an_empty_folder_is_fine_and_said(vidclf: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = vidclf("classify", "empty", "--out", "labels.csv")
    assert done.returncode == 0
    assert "No video was found" in done.stderr
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 1


def test_odd_names_are_rows(vidclf: Run, folder: Path) -> None:
    odd = [
        "-rf.mp4",
        "$(touch x).mp4",
        'it\'s "quoted".mp4',
        "new\nline.mp4",
        "emoji 😀.mp4",
        "http:%03d.mp4",
    ]
    for name in odd:
        shutil.copy(folder / "football match.mp4", folder / name)
    raw = os.fsencode(folder) + b"/no-utf8-\xff.mp4"
    shutil.copy(os.fsencode(folder / "football match.mp4"), raw)
    done = vidclf("classify", folder, "--out", "labels.csv")
    rows = read_rows(folder.parent / "labels.csv")
    expected = {name if name[0] != "-" else f"'{name}" for name in odd} | {"no-utf8-\\xff.mp4"}
    assert expected <= set(rows), done.stderr
    assert {rows[name]["status"] for name in expected} <= {"ok", "unknown"}


def _start(folder: Path, *options: str, start_new_session: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "classify", str(folder), "--out", str(folder.parent / "labels.csv"), *options],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
        env=os.environ | {"VIDCLF_CACHE_DIR": str(folder.parent / "cache")},
    )


@pytest.fixture
def many(folder: Path) -> Path:
    source = (folder / "football match.mp4").read_bytes()
    for number in range(300):
        # A `free` box at the end: the same video with another fingerprint.
        box = (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")
        (folder / f"{number}.mp4").write_bytes(source + box)
    return folder


def _wait_for_work(folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not list((folder.parent / "cache").glob("videos/??/*.h5")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_within_2_seconds_and_the_next_run_goes_on(vidclf: Run, many: Path) -> None:
    process = _start(many)
    _wait_for_work(many, process)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - begun < 2
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    assert not (many.parent / "labels.csv").exists()
    assert not list(many.parent.glob(".*.tmp"))
    done = list((many.parent / "cache").glob("videos/??/*.h5"))
    assert done
    summary = vidclf("classify", many, "--out", "labels.csv").stderr
    cached = int(summary.split(" from the cache")[0].split("; ")[-1])
    assert cached >= len(done)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_for_the_whole_group_while_workers_start_shows_no_traceback(folder: Path) -> None:
    for hundredths in (0, 5, 10, 15, 20, 30):
        process = _start(
            folder, "--cache-dir", str(folder.parent / f"cache-{hundredths}"), start_new_session=True
        )
        assert process.stderr is not None
        first = process.stderr.readline()  # the line before the first video
        time.sleep(hundredths / 100)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, errors = process.communicate(timeout=30)
        assert "Traceback" not in errors, f"{hundredths}: {first}{errors}"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_killed_run_leaves_no_process_behind(many: Path) -> None:
    process = _start(many)
    _wait_for_work(many, process)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.communicate(timeout=30)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert not (many.parent / "labels.csv").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the readers by their parent, the fork server")
def test_a_reader_that_dies_costs_one_row_at_most(many: Path) -> None:
    process = _start(many, "--quiet")
    _wait_for_work(many, process)
    children = psutil.Process(process.pid).children(recursive=True)
    servers = {child.ppid() for child in children} - {process.pid}
    reader = next(child for child in children if child.ppid() in servers)
    reader.send_signal(signal.SIGSEGV)
    process.communicate(timeout=120)
    rows = read_rows(many.parent / "labels.csv")
    crashed = [row["path"] for row in rows.values() if row["reason"].startswith("decoder-crashed")]
    assert len(rows) == 303
    assert len(crashed) <= 1
    assert {row["path"] for row in rows.values() if row["status"] == "failed"} == {"broken.mp4", *crashed}


def test_two_runs_over_one_cache_at_the_same_time_lose_nothing(vidclf: Run, folder: Path) -> None:
    (folder / "broken.mp4").unlink()
    both = [_start(folder, "--quiet"), _start(folder.parent / "videos" / "cooking", "--quiet")]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert "2 from the cache" in vidclf("classify", folder, "--out", "again.csv").stderr


def test_labels_and_a_classifier_together_are_wrong_usage(vidclf: Run, folder: Path) -> None:
    done = vidclf("classify", folder, "--labels", "a,b", "--model", "topics-24")
    assert done.returncode == 2
    assert "either --labels or --model" in done.stderr

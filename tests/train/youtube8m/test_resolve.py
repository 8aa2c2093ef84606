"""YouTube's ids of anonymous ones: a row for each, whatever the server says, and nothing asked twice."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.train.youtube8m.server import Fault, FileServer
from vidclf_cli.dataset import write_dataset
from vidclf_train.__main__ import main
from vidclf_train.youtube8m import resolve as resolve_module

HEADER = ["id", "youtube_id", "status", "reason"]


def path_of(video_id: str) -> str:
    return f"/2/j/i/{video_id[:2]}/{video_id}.js"


def publish(server: FileServer, *video_ids: str) -> None:
    for video_id in video_ids:
        server.files[path_of(video_id)] = f'i("{video_id}","-tube_{video_id}0");'.encode()


def run(server: FileServer, ids: Path, out: Path, *arguments: object) -> Result:
    command = ["youtube8m", "resolve", "--ids", ids, "--out", out, "--mirror", server.url, *arguments]
    return CliRunner().invoke(main, [str(each) for each in command], catch_exceptions=False)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    path = tmp_path / "ids.txt"
    path.write_text("aaaa\nbbbb\n\ncccc\naaaa\n", encoding="utf-8")
    return path


def test_each_id_has_one_row_in_its_place(server: FileServer, ids: Path, tmp_path: Path) -> None:
    publish(server, "cccc", "aaaa")
    result = run(server, ids, tmp_path / "out.csv")
    assert result.exit_code == 0, result.output
    assert rows_of(tmp_path / "out.csv") == [
        HEADER,
        ["aaaa", "-tube_aaaa0", "found", ""],
        ["bbbb", "", "removed", "the server answers 404 Not Found"],
        ["cccc", "-tube_cccc0", "found", ""],
    ]
    assert "3 ids: 2 found, 1 removed" in result.output
    assert not (tmp_path / "out.csv.part").exists()


def test_the_answer_is_the_one_that_google_documents(server: FileServer, ids: Path, tmp_path: Path) -> None:
    ids.write_text("nXSc", encoding="utf-8")
    server.files["/2/j/i/nX/nXSc.js"] = b'i("nXSc","0sf943sWZls");'
    run(server, ids, tmp_path / "out.csv")
    assert rows_of(tmp_path / "out.csv")[1] == ["nXSc", "0sf943sWZls", "found", ""]


def test_ids_come_from_a_packed_dataset(server: FileServer, tmp_path: Path) -> None:
    with write_dataset(tmp_path / "a.h5", {"s": 2}, "single", ["x", "y"]) as writer:
        writer.append({"s": np.ones((2, 2), np.float32)}, np.array([0, 1]), ["aaaa", "bbbb"], ["1", "2"])
    publish(server, "aaaa", "bbbb")
    assert run(server, tmp_path / "a.h5", tmp_path / "out.csv").exit_code == 0
    assert [row[0] for row in rows_of(tmp_path / "out.csv")] == ["id", "aaaa", "bbbb"]


@pytest.mark.parametrize(
    "answer",
    [b'i("bbbb","0sf943sWZls");', b'i("aaaa","short");', b"", b"<html>", b'i("aaaa","=1+1+1+1+1+");',
     b'i("aaaa","0sf943sWZls");' + b" " * 5000, b"\xff\xfe"],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_failed_row(
    server: FileServer, ids: Path, tmp_path: Path, answer: bytes
) -> None:
    publish(server, "bbbb", "cccc")
    server.files[path_of("aaaa")] = answer
    assert run(server, ids, tmp_path / "out.csv").exit_code == 1
    rows = rows_of(tmp_path / "out.csv")
    assert rows[1][:3] == ["aaaa", "", "failed"]
    assert "answer" in rows[1][3]
    assert [row[2] for row in rows[2:]] == ["found", "found"]


def test_what_failed_is_asked_again_and_what_is_known_is_not(
    server: FileServer, ids: Path, tmp_path: Path
) -> None:
    publish(server, "aaaa")
    server.always[path_of("cccc")] = Fault(status=500)
    result = run(server, ids, tmp_path / "out.csv")
    assert result.exit_code == 1
    assert rows_of(tmp_path / "out.csv")[3][2:] == [
        "failed",
        "the server answers 500 Internal Server Error, 6 times",
    ]
    server.always.clear()
    server.requests.clear()
    publish(server, "cccc")
    assert run(server, ids, tmp_path / "out.csv").exit_code == 0
    assert [request.path for request in server.requests] == [path_of("cccc")]
    assert [row[2] for row in rows_of(tmp_path / "out.csv")[1:]] == ["found", "removed", "found"]


def test_trouble_that_passes_costs_no_row(server: FileServer, ids: Path, tmp_path: Path) -> None:
    publish(server, "aaaa", "bbbb", "cccc")
    server.once[path_of("aaaa")] = [Fault(status=429, headers={"Retry-After": "0"}), Fault(break_after=5)]
    server.once[path_of("bbbb")] = [Fault(break_after=5, resets=True), Fault(status=503)]
    assert run(server, ids, tmp_path / "out.csv").exit_code == 0
    assert [row[2] for row in rows_of(tmp_path / "out.csv")[1:]] == ["found"] * 3


def test_what_is_no_id_is_a_row_and_is_not_asked(server: FileServer, ids: Path, tmp_path: Path) -> None:
    ids.write_text("aaaa\n../../etc\n=1+1\nabcde\n", encoding="utf-8")
    publish(server, "aaaa")
    result = run(server, ids, tmp_path / "out.csv")
    assert result.exit_code == 1
    assert [request.path for request in server.requests] == [path_of("aaaa")]
    assert [row[2] for row in rows_of(tmp_path / "out.csv")[1:]] == ["found", "invalid", "invalid", "invalid"]
    # A spreadsheet does not run it.
    assert rows_of(tmp_path / "out.csv")[3][0] == "'=1+1"


def test_a_killed_run_goes_on_after_the_last_whole_line(server: FileServer, tmp_path: Path) -> None:
    ids, out = tmp_path / "ids.txt", tmp_path / "out.csv"
    wanted = [f"a{number:03d}" for number in range(40)]
    ids.write_text("\n".join(wanted), encoding="utf-8")
    publish(server, *wanted)
    server.pause_seconds = 0.05
    arguments = ["youtube8m", "resolve", "--ids", str(ids), "--out", str(out), "--jobs", "2"]
    command = [sys.executable, "-m", "vidclf_train", *arguments, "--mirror", server.url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = tmp_path / "out.csv.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.read_bytes().count(b"\n") >= 6) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    known = part.read_bytes().count(b"\n")
    with part.open("ab") as file:
        file.write(b"a039,-tu")  # as if it had been killed in the middle of a line
    server.pause_seconds = 0.0
    time.sleep(0.2)  # for requests that are still under way
    server.requests.clear()
    assert run(server, ids, out).exit_code == 0
    assert len(server.requests) == 40 - known
    assert [row[:3] for row in rows_of(out)[1:]] == [[each, f"-tube_{each}0", "found"] for each in wanted]


def test_no_more_requests_run_at_once_than_jobs(server: FileServer, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    wanted = [f"a{number:03d}" for number in range(30)]
    ids.write_text("\n".join(wanted), encoding="utf-8")
    publish(server, *wanted)
    server.pause_seconds = 0.02
    assert run(server, ids, tmp_path / "out.csv", "--jobs", 3).exit_code == 0
    assert server.most_at_once == 3


def test_millions_are_not_asked_when_nothing_answers(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve_module, "MOST_FAILURES_IN_A_ROW", 5)
    ids = tmp_path / "ids.txt"
    wanted = [f"a{number:03d}" for number in range(200)]
    ids.write_text("\n".join(["bbbb", *wanted]), encoding="utf-8")
    publish(server, "bbbb")
    server.always.update({path_of(each): Fault(status=500) for each in wanted})
    (tmp_path / "out.csv.part").write_text("a199,-tu")  # A kill left a part of a line.
    result = run(server, ids, tmp_path / "out.csv", "--jobs", 2)
    assert result.exit_code == 1
    assert "5 ids in a row could not be resolved; of the last, the server answers 500" in result.stderr
    assert not (tmp_path / "out.csv").exists()
    assert (tmp_path / "out.csv.part").read_text() == "bbbb,-tube_bbbb0,found,\n"
    assert len(server.requests) < 80


def test_a_server_without_any_id_is_doubted(server: FileServer, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(f"a{number:03d}" for number in range(6)), encoding="utf-8")
    result = run(server, ids, tmp_path / "out.csv")
    assert "6 removed" in result.output
    assert "does this mirror have ids at all?" in result.output


def test_another_table_is_not_overwritten(server: FileServer, ids: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("path,label\na.mp4,cats\n", encoding="utf-8")
    result = run(server, ids, out)
    assert result.exit_code == 2
    assert "exists and is no table of resolved ids" in result.output
    assert out.read_text(encoding="utf-8") == "path,label\na.mp4,cats\n"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00\x01", b"\x89HDF\r\n\x1a\nbroken"])
def test_a_file_without_ids_is_one_line(server: FileServer, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ids").write_bytes(content)
    result = run(server, tmp_path / "ids", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1

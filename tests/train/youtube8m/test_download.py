"""Shards from a server that breaks off, lies and refuses: what has a shard's name is whole and right."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from hashlib import md5
from pathlib import Path

import pytest
from filelock import FileLock

from tests.train.youtube8m.downloads import FIRST, PLAN, SECOND, contents, publish_plan, run, whole
from tests.train.youtube8m.made import crc32c
from tests.train.youtube8m.server import Fault, FileServer


def test_shards_come_under_the_names_that_googles_script_gives(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    result = run(mirror, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "out") == whole(shards)
    assert "2 shards: 2 fetched (0.1 MB received)" in result.output


@pytest.mark.parametrize("resets", [True, False])
def test_what_breaks_off_goes_on_where_it_was(
    mirror: FileServer, shards: list[bytes], tmp_path: Path, resets: bool
) -> None:
    mirror.once[FIRST] = [Fault(break_after=9000, resets=resets), Fault(break_after=5000, resets=resets)]
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}
    asked = [request.headers for request in mirror.asked(FIRST)]
    assert [each.get("range") for each in asked] == [None, "bytes=9000-", "bytes=14000-"]
    assert asked[1]["if-range"] == f'"{md5(shards[0]).hexdigest()}"'
    assert mirror.sent_count == len(shards[0]) + len(mirror.files[PLAN])


def test_a_server_that_ignores_ranges_sends_it_all_again(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    mirror.once[FIRST] = [Fault(break_after=9000), Fault(ignores_range=True)]
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}


@pytest.mark.parametrize("headers", [{"ETag": ""}, {"ETag": 'W/"weak"'}])
def test_without_a_strong_etag_it_begins_anew(
    mirror: FileServer, shards: list[bytes], tmp_path: Path, headers: dict[str, str]
) -> None:
    mirror.once[FIRST] = [Fault(break_after=9000, headers=headers)]
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}
    assert "range" not in mirror.asked(FIRST)[1].headers


def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old_one(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    mirror.always[FIRST] = Fault(break_after=4000)
    assert run(mirror, tmp_path, count=1).exit_code == 1
    assert set(contents(tmp_path)) == {"validate0000.tfrecord.part", "validate0000.tfrecord.part.etag"}
    mirror.always.clear()
    mirror.files[FIRST] = shards[1]
    publish_plan(mirror)
    mirror.requests.clear()
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[1]}
    assert "range" in mirror.asked(FIRST)[0].headers


def test_another_part_than_asked_for_is_not_put_together(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    mirror.once[FIRST] = [Fault(break_after=9000), Fault(shifts_range=True)]
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}
    assert [request.headers.get("range") for request in mirror.asked(FIRST)] == [None, "bytes=9000-", None]


def test_a_part_as_long_as_the_file_begins_anew(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "validate0000.tfrecord.part").write_bytes(bytes(len(shards[0])))
    (tmp_path / "validate0000.tfrecord.part.etag").write_text(f'"{md5(shards[0]).hexdigest()}"')
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}


def test_a_wrong_file_never_gets_the_name_of_a_shard(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    wrong = bytearray(shards[0])
    wrong[700] ^= 1
    mirror.files[FIRST] = bytes(wrong)
    result = run(mirror, tmp_path)
    assert result.exit_code == 1
    assert f"{mirror.url}{FIRST}: its MD5 is not that of the download plan, 6 times" in result.stderr
    assert contents(tmp_path) == {"validate0001.tfrecord": shards[1]}
    assert "1 fetched, 1 failed" in result.output


def test_a_file_that_came_wrong_once_is_fetched_again(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    right = mirror.files[FIRST]
    wrong = {"x-goog-hash": f"crc32c={base64.b64encode(bytes(4)).decode()}"}
    mirror.once[FIRST] = [Fault(headers=wrong)]
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert contents(tmp_path) == {"validate0000.tfrecord": right}
    assert len(mirror.asked(FIRST)) == 2


def hashes_of(data: bytes, flip: int = 0) -> tuple[str, str]:
    digest, checksum = bytearray(md5(data).digest()), bytearray(crc32c(data).to_bytes(4, "big"))
    digest[0] ^= flip
    checksum[0] ^= flip
    return base64.b64encode(digest).decode(), base64.b64encode(checksum).decode()


@pytest.mark.parametrize("flip", [0, 1])
@pytest.mark.parametrize("kind", ["Content-MD5", "goog md5", "goog crc32c", "goog both"])
def test_the_servers_own_checksums_are_held(
    mirror: FileServer, shards: list[bytes], tmp_path: Path, kind: str, flip: int
) -> None:
    digest, checksum = hashes_of(shards[0], flip)
    headers = {
        "Content-MD5": {"Content-MD5": digest},
        "goog md5": {"x-goog-hash": f"md5={digest}"},
        "goog crc32c": {"x-goog-hash": f"crc32c={checksum}"},
        "goog both": {"x-goog-hash": f"crc32c={checksum},md5={hashes_of(shards[0])[0]}"},
    }[kind]
    del mirror.files[PLAN]
    mirror.always[FIRST] = Fault(headers=headers)
    result = run(mirror, tmp_path, count=1)
    assert result.exit_code == (1 if flip else 0), result.output
    assert ("is not the one that the server announced" in result.stderr) == bool(flip)
    assert ("validate0000.tfrecord" in contents(tmp_path)) != bool(flip)


def test_a_checksum_of_the_part_that_is_sent_is_not_taken_for_that_of_the_whole(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    rest = base64.b64encode(md5(shards[0][9000:]).digest()).decode()
    mirror.once[FIRST] = [Fault(break_after=9000), Fault(headers={"Content-MD5": rest})]
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert len(mirror.asked(FIRST)) == 2


def test_without_a_plan_the_records_own_checksums_decide(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    del mirror.files[PLAN]
    damaged = bytearray(shards[1])
    damaged[900] ^= 1
    mirror.files[SECOND] = bytes(damaged)
    result = run(mirror, tmp_path)
    assert result.exit_code == 1
    assert "No download plan is there" in result.stderr
    assert "it is damaged at byte 0: the CRC of a record's data is wrong" in result.stderr
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}


def test_what_is_there_and_right_is_not_fetched_again(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    run(mirror, tmp_path)
    mirror.requests.clear()
    result = run(mirror, tmp_path)
    assert [request.path for request in mirror.requests] == [PLAN]
    assert "2 there already" in result.output
    (tmp_path / "validate0000.tfrecord").write_bytes(shards[0][:-1])
    result = run(mirror, tmp_path)
    assert "1 fetched, 1 there already" in result.output
    assert contents(tmp_path) == whole(shards)


def test_two_downloads_do_not_write_into_one_folder(mirror: FileServer, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".download.lock"):
        result = run(mirror, tmp_path)
    assert result.exit_code == 2
    assert "Another download is writing" in result.output


def test_a_folder_that_takes_nothing_ends_the_run(mirror: FileServer, tmp_path: Path) -> None:
    (tmp_path / "validate0000.tfrecord").mkdir()
    (tmp_path / "validate0000.tfrecord" / "in the way").touch()
    result = run(mirror, tmp_path)
    assert result.exit_code == 1
    assert "validate0000.tfrecord cannot be written" in result.output


def wait_for_part(part: Path) -> None:
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 16_000) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_killed_download_goes_on(mirror: FileServer, shards: list[bytes], tmp_path: Path) -> None:
    mirror.once[FIRST] = [Fault(break_after=20_000, stalls_seconds=30)]
    arguments = ["youtube8m", "download", "--partition", "validate", "--count", "1", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "vidclf_train", *arguments, "--mirror", mirror.url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = tmp_path / "validate0000.tfrecord.part"
    wait_for_part(part)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert "validate0000.tfrecord" not in contents(tmp_path)
    kept = part.stat().st_size
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert mirror.asked(FIRST)[-1].headers["range"] == f"bytes={kept}-"
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}


def test_ctrl_c_does_not_wait_for_a_server_that_stalls(mirror: FileServer, tmp_path: Path) -> None:
    mirror.once[FIRST] = [Fault(break_after=20_000, stalls_seconds=30)]
    arguments = ["youtube8m", "download", "--partition", "validate", "--count", "1", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "vidclf_train", *arguments, "--mirror", mirror.url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_part(tmp_path / "validate0000.tfrecord.part")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - begin < 5
    assert "Traceback" not in errors
    assert (tmp_path / "validate0000.tfrecord.part").exists()

"""Shards from a server that breaks off, lies and refuses: what has a shard's name is whole and right."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from tests.train.youtube8m.made import crc32c, video, write_shard
from tests.train.youtube8m.server import Fault, FileServer
from vidclf_train.__main__ import main
from vidclf_train.youtube8m import fetch as fetch_module
from vidclf_train.youtube8m.shards import choose_mirror, list_shards, remote_name
from vidclf_train.youtube8m.web import FetchError, PassingError, Web

FIRST, SECOND = "/2/video/validate/validateaa.tfrecord", "/2/video/validate/validateab.tfrecord"
PLAN = "/2/download_plans/video_validate.json"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("shards")
    write_shard(folder / "a", [video(f"a{number:03d}", [0]) for number in range(8)])
    write_shard(folder / "b", [video(f"b{number:03d}", [1]) for number in range(6)])
    return [(folder / name).read_bytes() for name in "ab"]


@pytest.fixture
def mirror(server: FileServer, shards: list[bytes]) -> Iterator[FileServer]:
    """Two shards and their plan."""
    server.files = {FIRST: shards[0], SECOND: shards[1]}
    publish_plan(server)
    yield server


def publish_plan(server: FileServer) -> None:
    files = {
        path.rpartition("/")[2]: md5(data).hexdigest()
        for path, data in server.files.items()
        if path.endswith(".tfrecord")
    }
    server.files[PLAN] = json.dumps({"files": files}).encode()


def run(server: FileServer, folder: Path, *arguments: object, count: int = 2) -> Result:
    command = ["youtube8m", "download", "--partition", "validate", "--count", count, "--out", folder]
    command += ["--mirror", server.url, "--jobs", 2, *arguments]
    return CliRunner().invoke(main, [str(each) for each in command], catch_exceptions=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".download.lock"}


def whole(shards: list[bytes]) -> dict[str, bytes]:
    return {"validate0000.tfrecord": shards[0], "validate0001.tfrecord": shards[1]}


def test_shards_come_under_the_names_that_googles_script_gives(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    result = run(mirror, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "out") == whole(shards)
    assert "2 shards: 2 fetched (0.1 MB received)" in result.output


def test_names_count_in_base_62() -> None:
    # train0093 and train3749 are what Google's script makes of two real names.
    assert [remote_name("train", number) for number in (0, 25, 26, 61, 62, 93, 3749, 3843)] == [
        f"train{digits}.tfrecord" for digits in ("aa", "az", "aA", "a9", "ba", "bF", "8D", "99")
    ]


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


def test_too_many_requests_wait_as_long_as_the_server_says(
    mirror: FileServer, shards: list[bytes], tmp_path: Path
) -> None:
    mirror.once[FIRST] = [Fault(status=429, headers={"Retry-After": "1"})]
    begin = time.monotonic()
    assert run(mirror, tmp_path, count=1).exit_code == 0
    assert 1.0 <= time.monotonic() - begin < 4
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}


@pytest.mark.parametrize("header", ["100000", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_a_server_that_asks_to_wait_for_ever_is_given_up(
    mirror: FileServer, tmp_path: Path, header: str
) -> None:
    mirror.always[FIRST] = Fault(status=503, headers={"Retry-After": header})
    result = run(mirror, tmp_path, count=1)
    assert result.exit_code == 1
    assert "the server answers 503 Service Unavailable, and asks to wait" in result.stderr
    assert len(mirror.asked(FIRST)) == 1


@pytest.mark.parametrize("header", ["soon", "-5", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_retry_after_that_says_nothing_is_no_obstacle(
    mirror: FileServer, tmp_path: Path, header: str
) -> None:
    mirror.once[FIRST] = [Fault(status=500, headers={"Retry-After": header})]
    assert run(mirror, tmp_path, count=1).exit_code == 0


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (401, 1), (500, 6), (502, 6)])
def test_trouble_that_may_pass_is_tried_again_and_other_is_not(
    mirror: FileServer, shards: list[bytes], tmp_path: Path, status: int, tries: int
) -> None:
    mirror.always[FIRST] = Fault(status=status)
    result = run(mirror, tmp_path)
    assert result.exit_code == 1
    assert f"{FIRST}: the server answers {status}" in result.stderr
    assert len(mirror.asked(FIRST)) == tries
    assert contents(tmp_path) == {"validate0001.tfrecord": shards[1]}


def test_a_server_that_is_not_there_is_one_message(tmp_path: Path, server: FileServer) -> None:
    server.url = "http://127.0.0.1:9"
    result = run(server, tmp_path)
    assert result.exit_code == 1
    assert "Error: The download plan cannot be fetched: http://127.0.0.1:9/2/download_plans/" in result.output
    assert len(result.output.splitlines()) == 1


def test_thousands_are_not_tried_when_nothing_works(mirror: FileServer, tmp_path: Path) -> None:
    mirror.files = {}
    result = run(mirror, tmp_path, count=3844)
    assert result.exit_code == 1
    assert "3844 shards: 8 failed, 3836 given up (0.0 MB received)" in result.output
    assert len(mirror.requests) < 40


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


def test_redirects_are_followed_to_http_only(mirror: FileServer, shards: list[bytes], tmp_path: Path) -> None:
    mirror.once[FIRST] = [Fault(status=302, headers={"Location": f"{mirror.url}/elsewhere"})]
    mirror.files["/elsewhere"] = shards[0]
    mirror.always[SECOND] = Fault(status=302, headers={"Location": "file:///etc/passwd"})
    result = run(mirror, tmp_path)
    assert result.exit_code == 1
    assert f"{SECOND}: the server redirects to something else than http and https" in result.stderr
    assert contents(tmp_path) == {"validate0000.tfrecord": shards[0]}


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(301, headers={"Location": "http://example.org/b"})

    with Web() as web:
        web._client = httpx.Client(transport=httpx.MockTransport(answer))
        with (
            pytest.raises(FetchError, match="redirects from https to http"),
            web.get("https://example.org/a"),
        ):
            pass


def test_a_circle_of_redirects_ends(mirror: FileServer, tmp_path: Path) -> None:
    mirror.always[FIRST] = Fault(status=307, headers={"Location": FIRST})
    assert "redirects more than 5 times" in run(mirror, tmp_path, count=1).stderr
    assert len(mirror.asked(FIRST)) == 6


def test_a_compressed_answer_is_refused(mirror: FileServer, tmp_path: Path) -> None:
    mirror.always[FIRST] = Fault(headers={"Content-Encoding": "gzip"})
    assert "the server sends it compressed" in run(mirror, tmp_path, count=1).stderr
    assert mirror.asked(FIRST)[0].headers["accept-encoding"] == "identity"


def test_a_file_without_end_does_not_fill_the_disk(
    mirror: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "MOST_BYTES", 20_000)
    result = run(mirror, tmp_path, count=1)
    assert "it is longer than 20000 bytes, which no shard is" in result.stderr
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "plan",
    [b"<html>", b"[]", b'{"files": {}}', b'{"files": {"../../evil.tfrecord": "%s"}}' % (b"0" * 32),
     b'{"files": {"trainaa.tfrecord": "%s"}}' % (b"0" * 32), b'{"files": {"validateaa.tfrecord": "short"}}',
     b"[" * 100_000],
)  # fmt: skip
def test_a_plan_that_is_none_ends_the_run(mirror: FileServer, tmp_path: Path, plan: bytes) -> None:
    mirror.files[PLAN] = plan
    result = run(mirror, tmp_path / "out")
    assert result.exit_code == 1
    assert "Error: The download plan cannot be fetched" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org", "file:///etc", "example.org", "http://", "https://user:secret@example.org",
     "user:secret@example.org", "https://example.org/?key=secret", "https://example.org:secret/"],
)  # fmt: skip
def test_a_mirror_that_cannot_be_one_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    command = [
        "youtube8m",
        "download",
        "--partition",
        "test",
        "--count",
        "1",
        "--out",
        str(tmp_path),
        "--mirror",
    ]
    result = CliRunner().invoke(main, [*command, url], catch_exceptions=False)
    assert result.exit_code == 2
    assert "mirror" in result.output
    assert "secret" not in result.output


def test_the_mirrors_of_google_are_asked_by_https() -> None:
    mirror = choose_mirror("eu")
    assert [shard.url for shard in list_shards(mirror, "train", None, 94)][-1] == (
        "https://storage.googleapis.com/eu.data.yt8m.org/2/video/train/trainbF.tfrecord"
    )
    assert mirror.index == "https://storage.googleapis.com/data.yt8m.org"


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


def test_pauses_grow_and_tries_end() -> None:
    pauses: list[float] = []
    with Web(attempts=5, backoff_seconds=1.0) as web:
        web._stopped.wait = lambda seconds: bool(pauses.append(seconds))  # type: ignore[method-assign,assignment]

        def fail() -> None:
            raise PassingError("trouble")

        with pytest.raises(FetchError, match="trouble, 5 times"):
            web.patiently(fail)
    assert len(pauses) == 4
    assert all(0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses))

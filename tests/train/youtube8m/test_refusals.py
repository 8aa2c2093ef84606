"""Servers that refuse, redirect or ask to wait; plans and mirrors that are none."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from tests.train.youtube8m.downloads import FIRST, PLAN, SECOND, contents, run
from tests.train.youtube8m.server import Fault, FileServer
from vidclf_train.__main__ import main
from vidclf_train.youtube8m import fetch as fetch_module
from vidclf_train.youtube8m.shards import choose_mirror, list_shards, remote_name
from vidclf_train.youtube8m.web import FetchError, PassingError, Web


def test_names_count_in_base_62() -> None:
    # train0093 and train3749 are what Google's script makes of two real names.
    assert [remote_name("train", number) for number in (0, 25, 26, 61, 62, 93, 3749, 3843)] == [
        f"train{digits}.tfrecord" for digits in ("aa", "az", "aA", "a9", "ba", "bF", "8D", "99")
    ]


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

"""Fixtures of what comes over the network, all of it from this machine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.train.youtube8m.downloads import FIRST, SECOND, publish_plan
from tests.train.youtube8m.made import video, write_shard
from tests.train.youtube8m.server import FileServer, serve_files
from vidclf_train.youtube8m import command
from vidclf_train.youtube8m.web import Web


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server; the command's pauses between tries are short, and no proxy is in between."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(command, "Web", partial(Web, backoff_seconds=0.001, timeout_seconds=5.0))
    with serve_files() as files:
        yield files


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

"""What the tests of downloads share: two shards on a server, and the command."""

from __future__ import annotations

import json
from hashlib import md5
from pathlib import Path

from click.testing import CliRunner, Result

from tests.train.youtube8m.server import FileServer
from vidclf_train.__main__ import main

FIRST, SECOND = "/2/video/validate/validateaa.tfrecord", "/2/video/validate/validateab.tfrecord"
PLAN = "/2/download_plans/video_validate.json"


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

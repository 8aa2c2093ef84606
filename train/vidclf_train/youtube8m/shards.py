"""Which shards a partition of YouTube-8M has, where they are, and what they are called here.

As in Google's own `download.py` (http://data.yt8m.org/download.py): a download plan in JSON names the shards
of a partition with the MD5 of each; `trainbF.tfrecord` there is `train0093.tfrecord` here, where `bF` counts
in base 62 (a to z, A to Z, 0 to 9).
"""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass
from typing import Literal

from vidclf_train.youtube8m.web import FetchError, Web, check_base_url

Partition = Literal["train", "validate", "test"]
PARTITIONS: tuple[Partition, ...] = ("train", "validate", "test")

STORAGE = "https://storage.googleapis.com"
"""The buckets of YouTube-8M are web sites by http alone; under this name the same files come by https."""

_DIGITS = string.ascii_lowercase + string.ascii_uppercase + string.digits
SHARD_COUNT = len(_DIGITS) ** 2
"""3,844 in each partition."""

_MOST_PLAN_BYTES = 16 << 20
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_NOT_THERE = {403, 404, 410}


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where files are.

    Attributes:
        shards: Base URL of the shards.
        index: Base URL of the download plans and of the ids.
    """

    shards: str
    index: str


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard.

    Attributes:
        name: What it is called here.
        url: Where it is.
        md5: From the download plan, hexadecimal; None without a plan.
    """

    name: str
    url: str
    md5: str | None


def choose_mirror(wanted: str) -> Mirror:
    """Return where to fetch from: `us`, `eu`, `asia`, or a base URL that has `2/...` below it.

    Raises:
        UsageError: It is none of these.
    """
    if wanted in {"us", "eu", "asia"}:
        return Mirror(f"{STORAGE}/{wanted}.data.yt8m.org", f"{STORAGE}/data.yt8m.org")
    base = check_base_url(wanted)
    return Mirror(base, base)


def read_plan(web: Web, mirror: Mirror, partition: Partition) -> dict[str, str] | None:
    """Return the MD5 of each shard by its name there; None where the mirror has no download plan.

    Raises:
        FetchError: It cannot be fetched, or is no download plan of this partition.
    """
    url = f"{mirror.index}/2/download_plans/video_{partition}.json"

    def attempt() -> bytes:
        with web.get(url) as response:
            data = bytearray()
            for chunk in response.iter_raw():
                web.check_running()
                data += chunk
                if len(data) > _MOST_PLAN_BYTES:
                    raise FetchError("it is too long for a download plan")
            return bytes(data)

    try:
        return _parse_plan(web.patiently(attempt), partition)
    except FetchError as error:
        if error.status in _NOT_THERE:
            return None
        raise FetchError(f"{url}: {error}", error.status) from error


def _parse_plan(data: bytes, partition: Partition) -> dict[str, str]:
    try:
        plan = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FetchError("it is no JSON") from error
    files = plan.get("files") if isinstance(plan, dict) else None
    if not isinstance(files, dict) or not files:
        raise FetchError("it names no files")
    for name, md5 in files.items():
        if _number(name, partition) is None or not isinstance(md5, str) or not _MD5.fullmatch(md5):
            raise FetchError(f"{name!r:.60} is no shard of {partition} with an MD5")
    return files


def list_shards(mirror: Mirror, partition: Partition, plan: dict[str, str] | None, count: int) -> list[Shard]:
    """Return the first shards in the order of their numbers; without a plan the names follow the scheme."""
    names = plan if plan is not None else [remote_name(partition, number) for number in range(SHARD_COUNT)]
    numbers = sorted(number for name in names if (number := _number(name, partition)) is not None)
    return [
        Shard(
            name=f"{partition}{number:04d}.tfrecord",
            url=f"{mirror.shards}/2/video/{partition}/{(remote := remote_name(partition, number))}",
            md5=plan[remote] if plan is not None else None,
        )
        for number in numbers[:count]
    ]


def remote_name(partition: Partition, number: int) -> str:
    """Return what a shard is called on the server, e.g. `trainbF.tfrecord` for 93."""
    high, low = divmod(number, len(_DIGITS))
    return f"{partition}{_DIGITS[high]}{_DIGITS[low]}.tfrecord"


def _number(name: str, partition: Partition) -> int | None:
    found = re.fullmatch(rf"{partition}([a-zA-Z0-9])([a-zA-Z0-9])\.tfrecord", name)
    if found is None:
        return None
    return _DIGITS.index(found[1]) * len(_DIGITS) + _DIGITS.index(found[2])

"""Fetch one file over HTTP: go on where it broke off, check it, and only then give it its name.

What has come stands in `NAME.part`, and the strong ETag of the file that it is a part of in `NAME.part.etag`.
The rest is asked for with `Range` and `If-Range` (RFC 9110, 13.1.5 and 14.2): a server that knows no ranges,
or whose file is another one now, answers with the whole file, and it begins anew.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import httpx

from vidclf_train.youtube8m.web import FetchError, PassingError, Web

MOST_BYTES = 1 << 30
"""A shard of the video level has some MB, one of the frame level 300 MB."""

_PARTIAL = 206
_NOT_SATISFIABLE = 416
_ACCEPTED = frozenset({200, _PARTIAL, _NOT_SATISFIABLE})
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Announced:
    """What the server says about the whole file; None or empty where it says nothing.

    Attributes:
        byte_count: Its length.
        md5: Hexadecimal.
        crc32c: As a number.
    """

    byte_count: int | None
    md5: str | None
    crc32c: int | None


class Part:
    """What has come of a file so far; `received_count` is how many bytes of it came in this run.

    Args:
        path: Of the whole file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(f"{path.name}.part")
        self.received_count = 0
        self._etag_path = path.with_name(f"{path.name}.part.etag")

    def range_headers(self) -> dict[str, str]:
        """Return what to ask for: the rest, where it is known of which file this is a part."""
        if self.byte_count and (etag := self.etag):
            return {"Range": f"bytes={self.byte_count}-", "If-Range": etag}
        return {}

    @property
    def byte_count(self) -> int:
        """How much has come."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def etag(self) -> str:
        """The strong ETag of the file, or nothing: with a weak one it cannot be gone on with."""
        if not self._etag_path.exists():
            return ""
        text = self._etag_path.read_text("ascii", "replace")
        return text if _STRONG_ETAG.fullmatch(text) else ""

    def begin(self, etag: str) -> None:
        """Start anew with a file of this ETag."""
        self.discard()
        self._etag_path.write_text(etag, "ascii", "replace")

    def discard(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)
        self._etag_path.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the whole file its name."""
        self.path.replace(path)
        self._etag_path.unlink(missing_ok=True)


def fetch(
    web: Web, url: str, path: Path, *, md5: str | None = None, check: Callable[[Path], None] | None = None
) -> int:
    """Fetch a file and return how many bytes came over the network.

    Args:
        web: Retries.
        url: Of the file.
        path: Where it appears when it is whole and right.
        md5: What it must be, hexadecimal.
        check: Raises FetchError for a file whose content is wrong.

    Raises:
        FetchError: It cannot be had, or what comes is wrong again and again.
        StoppedError: The user stopped the run; what has come stays for the next one.
        OSError: It cannot be written.
    """
    part = Part(path)

    def attempt() -> None:
        announced = _receive(web, url, part)
        try:
            _compare(part.path, announced, md5)
            if check is not None:
                check(part.path)
        except FetchError as error:
            part.discard()
            raise PassingError(str(error)) from error

    web.patiently(attempt)
    part.finish(path)
    return part.received_count


def _receive(web: Web, url: str, part: Part) -> Announced:
    """Write what is missing, and return what the server says about the whole."""
    with web.get(url, part.range_headers(), _ACCEPTED) as response:
        if response.status_code == _NOT_SATISFIABLE:
            part.discard()
            raise PassingError("the server's file is shorter than what came before", 0.0)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise FetchError("the server sends it compressed, although it was asked not to")
        etag = response.headers.get("ETag", "")
        if response.status_code != _PARTIAL:
            part.begin(etag)
        elif not _continues(response, part, etag):
            part.discard()
            raise PassingError("the server sends another part than the one that was asked for", 0.0)
        announced = _announced(response)
        _write(web, response, part, announced)
    return announced


def _continues(response: httpx.Response, part: Part, etag: str) -> bool:
    """Whether a partial answer goes on exactly where the part ends, and is of the same file."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (
        found is not None
        and int(found[1]) == part.byte_count
        and (found[3] == "*" or int(found[2]) == int(found[3]) - 1)
        and etag in {"", part.etag}
    )


def _write(web: Web, response: httpx.Response, part: Part, announced: Announced) -> None:
    byte_count = part.byte_count
    with part.path.open("ab") as file:
        # As they come: of chunks of a wished size httpx loses what it gathered when the connection breaks.
        for chunk in response.iter_raw():
            web.check_running()
            byte_count += len(chunk)
            if byte_count > MOST_BYTES:
                file.close()
                part.discard()
                raise FetchError(f"it is longer than {MOST_BYTES} bytes, which no shard is")
            file.write(chunk)
            part.received_count += len(chunk)
    if announced.byte_count is not None and byte_count != announced.byte_count:
        raise PassingError(f"it broke off after {byte_count} of {announced.byte_count} bytes")


def _announced(response: httpx.Response) -> Announced:
    """Read length and checksums of the whole file.

    `x-goog-hash` is of the object as it is stored, also when a part of it is sent; `Content-MD5` is of what
    is sent.
    """
    headers = response.headers
    is_partial = response.status_code == _PARTIAL
    length = headers["Content-Range"].rpartition("/")[2] if is_partial else headers.get("Content-Length", "")
    hashes = {} if is_partial else {"md5": headers.get("Content-MD5", "")}
    if headers.get("x-goog-stored-content-encoding", "identity") == "identity":
        for named in headers.get_list("x-goog-hash", split_commas=True):
            name, _, value = named.strip().partition("=")
            hashes[name] = value
    md5, crc32c = _decoded(hashes.get("md5"), 16), _decoded(hashes.get("crc32c"), 4)
    return Announced(
        int(length) if length.isdecimal() else None,
        md5.hex() if md5 else None,
        int.from_bytes(crc32c, "big") if crc32c else None,
    )


def _decoded(text: str | None, byte_count: int) -> bytes | None:
    """Decode Base64; what is no checksum of this length is none."""
    try:
        value = base64.b64decode(text or "", validate=True)
    except binascii.Error:
        return None
    return value if len(value) == byte_count else None


def _compare(path: Path, announced: Announced, md5: str | None) -> None:
    """Hold a file against what its plan and its server say.

    Raises:
        FetchError: A checksum differs.
    """
    found_md5, found_crc = checksums(path)
    if md5 is not None and found_md5 != md5.lower():
        raise FetchError("its MD5 is not that of the download plan")
    if announced.md5 is not None and found_md5 != announced.md5:
        raise FetchError("its MD5 is not the one that the server announced")
    if announced.crc32c is not None and found_crc != announced.crc32c:
        raise FetchError("its CRC-32C is not the one that the server announced")


def checksums(path: Path) -> tuple[str, int]:
    """Return a file's MD5 (hexadecimal) and CRC-32C."""
    md5, crc32c = hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            md5.update(chunk)
            crc32c = google_crc32c.extend(crc32c, chunk)
    return md5.hexdigest(), crc32c

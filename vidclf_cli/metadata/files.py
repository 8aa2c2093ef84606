"""Read small files that others wrote: bounded in size, never blocking, whatever they hold."""

from __future__ import annotations

import codecs
import logging
import os
import re
import stat
from pathlib import Path

_LOG = logging.getLogger(__name__)
# Only charsets: a name such as `idna` or `unicode_escape` also names a Python codec.
CHARSET = re.compile(
    r"(?:utf-?(?:8|16)|us-ascii|iso-?8859-\d{1,2}|windows-?125\d|cp(?:437|850|125\d)|latin-?1|koi8-[ru]"
    r"|shift[_-]?jis|euc-(?:jp|kr)|gb(?:k|2312|18030)|big5)",
    re.IGNORECASE,
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def _open_without_blocking(path: str, flags: int) -> int:
    """Open so that a pipe that nobody writes to cannot hold up the run."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_blocks(path: Path, limit: int, count: int = 1) -> list[bytes]:
    """Read a regular file, or `count` blocks spread evenly over it when it is longer than `limit`.

    Returns:
        At most `limit` bytes in one or `count` blocks, the first from the start and the last up to the
        end (with one block: the start only); nothing, with a line in the log, when it cannot be read.
    """
    try:
        with open(path, "rb", opener=_open_without_blocking) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                return []
            if status.st_size <= limit or count == 1:
                return [stream.read(limit)]
            size = limit // count
            step = (status.st_size - size) // (count - 1)
            blocks = []
            for index in range(count):
                stream.seek((index * step) & ~3)  # whole characters of UTF-16 and UTF-32
                blocks.append(stream.read(size))
            return blocks
    except (OSError, ValueError) as error:
        _LOG.debug("not read: %r: %s", str(path), error)
        return []


def charset_of(head: bytes) -> str:
    """Name the charset that a byte order mark or the pattern of zero bytes gives away; empty if none does."""
    for mark, charset in _BOMS:
        if head.startswith(mark):
            return charset
    sample = head[:64]
    if len(sample) >= 4:
        half = len(sample) // 2
        if sample[1::2].count(0) > half * 0.8 and sample[0::2].count(0) == 0:
            return "utf-16-le"
        if sample[0::2].count(0) > half * 0.8 and sample[1::2].count(0) == 0:
            return "utf-16-be"
    return ""


def decode_text(data: bytes, declared: str = "") -> str:
    """Decode text of unknown charset; never fails.

    Byte order mark first, then UTF-8, then the charset that the file declares, then Windows-1252. The last
    character may be cut off.
    """
    if charset := charset_of(data):
        return data.decode(charset, "ignore").removeprefix("\ufeff")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data[: error.start].decode("utf-8")
    if CHARSET.fullmatch(declared):
        return data.decode(declared, "ignore")
    return data.decode("cp1252", "replace").replace("\ufffd", "")

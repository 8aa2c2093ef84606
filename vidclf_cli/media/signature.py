"""Tell a video from its first bytes, for files whose name says nothing.

A signature is a hint for finding candidates, not a verdict: a container may turn out to hold no picture.
Only the containers that say which they are within the first kilobyte are known here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

HEAD_BYTES = 1024
"""Enough for five transport stream packets (5 x 192) and the page headers of an Ogg file's streams."""

_GIF_SCAN_BYTES = 4 << 20
_PREFIXES = {
    b"FLV\x01": "flv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c": "asf",
    b"\x00\x00\x01\xba": "mpeg-ps",
    b"\x00\x00\x01\xb3": "mpeg-video",
    b".RMF": "realmedia",
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d": "wtv",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02": "mxf",
    b"nut/multimedia container\x00": "nut",
    b"DKIF": "ivf",
    b"YUV4MPEG2 ": "y4m",
    b"NSVf": "nsv",
    b"NSVs": "nsv",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
}
# https://mp4ra.org/registered-types/brands
_AUDIO_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"aax ", b"aaxc"})
_PICTURE_BRANDS = frozenset(
    {b"avif", b"avis", b"mif1", b"mif2", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
    | {b"crx ", b"jp2 ", b"jpx ", b"jpm ", b"jxl "}
)
_MOVING_BRANDS = frozenset({b"avis", b"msf1", b"hevc", b"hevx"})
_QUICKTIME_ATOMS = frozenset({b"moov", b"mdat", b"wide", b"pnot", b"free", b"skip"})
_OGG_VIDEO = (b"\x80theora", b"BBCD\x00", b"OVP80", b"KW-DIRAC")


def container_of(head: bytes) -> str:
    """Name the video container that a file starts with.

    Args:
        head: The first `HEAD_BYTES` bytes, or the whole file if it is shorter.

    Returns:
        A short name such as `matroska`; empty for sound, still pictures and everything else. `gif` says
        nothing about whether it moves: see `is_moving_gif`.
    """
    for prefix, name in _PREFIXES.items():
        if head.startswith(prefix):
            return name
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska" if b"matroska" in head[:128] or b"webm" in head[:128] else ""
    if head.startswith(b"RIFF"):
        return {b"AVI ": "avi", b"AMV ": "amv", b"CDXA": "mpeg-ps"}.get(head[8:12], "")
    if head.startswith(b"OggS"):
        return "ogg" if any(mark in head for mark in _OGG_VIDEO) else ""
    return _iso_media(head) or _transport_stream(head)


def _iso_media(head: bytes) -> str:
    """Recognise MP4, QuickTime, 3GP and moving AVIF by their first box."""
    size, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if kind == b"ftyp":
        declared = head[8 : min(size, HEAD_BYTES)]
        major = declared[:4]
        compatible = {declared[at : at + 4] for at in range(8, len(declared) - 3, 4)}
        if major in _AUDIO_BRANDS:
            return ""
        if major in _PICTURE_BRANDS:
            return "avif" if _MOVING_BRANDS & (compatible | {major}) else ""
        return "mp4" if len(major) == 4 else ""
    # Old QuickTime files have no ftyp; size 1 announces a 64 bit size, 0 means up to the end.
    # Only the data itself is ever larger than 256 MiB; four letters of text would be.
    plausible = size in (0, 1) or 8 <= size < 1 << 28 or (kind == b"mdat" and size >= 8)
    return "quicktime" if kind in _QUICKTIME_ATOMS and plausible else ""


def _transport_stream(head: bytes) -> str:
    """Recognise MPEG-TS (188 or 204 bytes a packet) and M2TS (192, sync byte after a time stamp)."""
    for packet, sync in ((188, 0), (192, 4), (204, 0)):
        positions = range(sync, len(head), packet)
        if len(positions) >= 3 and all(head[at] == 0x47 for at in positions):
            return "mpeg-ts"
    return ""


def is_moving_gif(stream: BinaryIO) -> bool:
    """Tell whether a GIF has a second picture, by walking over its blocks without decoding any.

    Args:
        stream: Positioned at the start of the file, buffered, seekable.

    Returns:
        False also when no second picture starts within the first 4 MiB.
    """
    header = stream.read(13)
    if len(header) < 13:
        return False
    _skip_palette(stream, header[10])
    pictures = 0
    while stream.tell() < _GIF_SCAN_BYTES:
        block = stream.read(1)
        if block == b"!":  # extension: a label, then data
            stream.seek(1, os.SEEK_CUR)
        elif block == b",":
            pictures += 1
            if pictures == 2:
                return True
            descriptor = stream.read(9)
            if len(descriptor) < 9:
                return False
            _skip_palette(stream, descriptor[8])
            stream.seek(1, os.SEEK_CUR)  # LZW code size
        else:  # the trailer, the end of the file, or no GIF after all
            return False
        while (length := stream.read(1)) not in (b"", b"\x00"):
            stream.seek(length[0], os.SEEK_CUR)
            if stream.tell() > _GIF_SCAN_BYTES:
                return False
    return False


def _skip_palette(stream: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        stream.seek(3 << ((flags & 7) + 1), os.SEEK_CUR)


def is_video(path: Path) -> bool:
    """Tell by its content whether a regular file is a video container or a moving picture.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        container = container_of(stream.read(HEAD_BYTES))
        if container != "gif":
            return bool(container)
        stream.seek(0)
        return is_moving_gif(stream)


def is_text(path: Path) -> bool:
    """Tell whether a file reads as text: not empty, UTF-8, no control characters but white space.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not just a character cut at the end of what was read
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(character >= " " or character in "\t\n\r\f" for character in text)

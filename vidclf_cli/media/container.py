"""Open a file with ffmpeg's demuxers: only this file, only as a video, reading as little as possible."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media.signature import HEAD_BYTES, container_of

if TYPE_CHECKING:
    from av.container import InputContainer

# Demuxers that read one file. Left out on purpose: everything that opens other files or addresses
# (hls, dash, concat, image2, imf, vobsub, sdp, rtsp), makes pictures out of anything (tty, lavfi,
# vapoursynth, rawvideo) or reads still pictures (the *_pipe family).
VIDEO_FORMATS = (
    "mov matroska avi flv live_flv kux asf asf_o mpegts mpeg mpegvideo m4v h261 h263 h264 hevc vvc evc vc1 "
    "cavsvideo dirac avs2 avs3 obu av1 ivf ogg gif apng mjpeg mpjpeg mxf gxf dv nut nuv nsv rm swf wtv ty "
    "dhav pva yuv4mpegpipe amv flic smk bink roq film_cpk ipmovie 4xm mtv mv thp vivo xmv ingenient dnxhd"
)
# Sound is opened as well, so that a song gets the reason `no-picture` and not `not-a-video`.
AUDIO_FORMATS = "mp3 aac flac wav w64 aiff au caf amr ac3 eac3 ac4 dts truehd mlp tta wv ape opus oga oma"

_SAFE = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(f"{VIDEO_FORMATS} {AUDIO_FORMATS}".split()),
}
# The headers of most containers name codec and size. Looking further makes ffmpeg decode frames before
# the first one is asked for: 6 ms of a 720p file, 235 ms of a 4K one, against 0.3 ms this way (no
# decoder is on the list, so that none is tried).
_QUICK = {**_SAFE, "probesize": "4096", "codec_whitelist": "none"}
_THOROUGH = {**_SAFE, "skip_frame": "nokey", "skip_loop_filter": "all", "threads": "1"}

# Streams of these appear while reading: a quick look may miss the sound.
_HEADERLESS = frozenset({"mpegts", "mpeg", "flv", "live_flv", "kux", "wtv", "nsv"})

_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"[playlist]", b"v=0\r\n", b"v=0\n", b"[Reference]")


def open_container(path: Path, frame_pixels: int, *, with_sound: bool = False) -> InputContainer:
    """Open `path` for reading; the name is never taken for an option, a protocol or a pattern.

    Args:
        path: The file; its name may hold any bytes.
        frame_pixels: Largest coded frame that may be decoded while looking for the streams.
        with_sound: Make sure that sound streams are found too.

    Raises:
        MediaError: `empty-file`, `unreadable`, `not-a-video`, `encrypted`, `damaged`.
    """
    _require_regular_file(path)
    container = _open(path, _QUICK)
    if _is_complete(container, with_sound):
        return container
    container.close()
    return _open(path, {**_THOROUGH, "max_pixels": str(frame_pixels)})


def silence_ffmpeg() -> None:
    """Keep ffmpeg's messages off stderr: what matters of them becomes a reason."""
    import av.logging

    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)


def _require_regular_file(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise MediaError(Code.UNREADABLE, f"cannot be read ({error.strerror or error})") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(Code.UNREADABLE, "not a regular file")
    if status.st_size == 0:
        raise MediaError(Code.EMPTY_FILE, "the file is empty")


def _open(path: Path, options: Mapping[str, str]) -> InputContainer:
    import av
    import av.error

    # "file:" takes the rest of the name as it is: no other protocol, no option, and bytes that are no
    # UTF-8 pass through os.fsencode.
    try:
        return av.open(
            f"file:{os.path.abspath(path)}",  # noqa: PTH100 - Path.resolve would follow links
            mode="r",
            options=dict(options),
            metadata_errors="replace",
        )
    except av.error.FFmpegError as error:
        raise _explain(path, error) from error
    except (UnicodeError, ValueError) as error:
        raise MediaError(Code.UNREADABLE, f"the name cannot be passed on ({error})") from error


def _is_complete(container: InputContainer, with_sound: bool) -> bool:
    videos = [stream for stream in container.streams.video if stream.codec_context is not None]
    has_picture = any(stream.codec_context.width > 0 for stream in videos)
    needs_sound = with_sound and container.format.name in _HEADERLESS and not container.streams.audio
    return has_picture and not needs_sound


def _explain(path: Path, error: Exception) -> MediaError:
    """Say why a file does not open, from the error and its first bytes."""
    if isinstance(error, MemoryError):
        return MediaError(Code.MEMORY_LIMIT, "its header is too large; --memory-limit lifts the limit")
    try:
        with path.open("rb") as file:
            head = file.read(1 << 20)
    except OSError as reason:
        return MediaError(Code.UNREADABLE, f"cannot be read ({reason.strerror or reason})")
    return _explain_head(path, head)


def _explain_head(path: Path, head: bytes) -> MediaError:
    if _is_encrypted_mp4(head):
        return MediaError(Code.ENCRYPTED, "its picture is encrypted (copy protection)")
    if head.lstrip()[:16].startswith(_PLAYLISTS) or b"<MPD" in head[:1024]:
        return MediaError(Code.NOT_A_VIDEO, "a playlist; the files that it names are not followed")
    kind = container_of(head[:HEAD_BYTES])
    if kind in {"mp4", "quicktime"} and not _has_moov(path):
        return MediaError(Code.DAMAGED, "cut off: the index at its end (moov) is missing")
    if kind:
        return MediaError(Code.DAMAGED, "its header cannot be read")
    if _is_text(head[:4096]):
        return MediaError(Code.NOT_A_VIDEO, "its content is text")
    return MediaError(Code.NOT_A_VIDEO, "its content is no known kind of video")


def _is_encrypted_mp4(head: bytes) -> bool:
    """Tell whether the sample table of an MP4 names a protected picture (`encv` with its `sinf` box)."""
    at = head.find(b"encv")
    return at > 0 and b"sinf" in head[at : at + 4096]


def _has_moov(path: Path) -> bool:
    """Look for a top-level `moov` box, box by box."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        at = 0
        for _ in range(1000):
            file.seek(at)
            header = file.read(16)
            if len(header) < 8:
                return False
            if header[4:8] == b"moov":
                return at + int.from_bytes(header[:4]) <= size
            length = int.from_bytes(header[:4])
            length = int.from_bytes(header[8:16]) if length == 1 else length
            if length < 8:
                return False
            at += length
    return False


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # a character cut in two at the end is no matter
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\r\n\t\f\ufeff" for character in text)

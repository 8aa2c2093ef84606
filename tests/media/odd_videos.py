"""Odd videos, made with ffmpeg's own sources and some surgery on bytes, and what must become of each.

    python -m tests.media.odd_videos FOLDER

makes them all in a folder.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidclf_cli.errors import Code

SCENES = "testsrc2=size=320x180:rate=25"
"""A moving picture with all colours."""

_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_CUTS = (*_X264, "-g", "250", "-force_key_frames", "expr:gte(t,n_forced*2.5)")
_VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8")
_VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
_HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25")
_AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1", "-g", "25")
_ONE_SHOT = (*_X264, "-g", "250", "-sc_threshold", "0", "-bf", "2", "-preset", "veryfast")


@dataclass(frozen=True)
class OddVideo:
    """A video, how it is made, and its outcome.

    Attributes:
        name: File name; its suffix decides the container unless `make` says otherwise.
        make: Makes the file at a path.
        outcome: `ok`, or the code of its reason.
        frame_counts: Fewest and most frames that 8 wanted ones give.
        note: What a note must say, empty for none.
    """

    name: str
    make: Callable[[Path], None]
    outcome: str = "ok"
    frame_counts: tuple[int, int] = (4, 8)
    note: str = ""


@functools.cache
def ffmpeg() -> str:
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def run_ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(
        [ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)],
        check=True,
        timeout=120,
    )


def encode(
    *arguments: str, source: str = SCENES, seconds: float = 20, sound: bool = False
) -> Callable[[Path], None]:
    """Return a maker that encodes a lavfi source."""

    def make(path: Path) -> None:
        inputs = ["-f", "lavfi", "-i", source]
        if sound:
            inputs += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
        run_ffmpeg(*inputs, "-t", str(seconds), *arguments, f"file:{path}")

    return make


def after(
    first: Callable[[Path], None], *arguments: str, before: tuple[str, ...] = ()
) -> Callable[[Path], None]:
    """Return a maker that runs ffmpeg over what another maker made (an MP4)."""

    def make(path: Path) -> None:
        source = path.with_name(f"source-of-{path.stem}.mp4")
        first(source)
        run_ffmpeg(*before, "-i", f"file:{source}", *arguments, f"file:{path}")
        source.unlink()

    return make


def changed(first: Callable[[Path], None], change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return a maker that changes the bytes of what another maker made."""

    def make(path: Path) -> None:
        first(path)
        path.write_bytes(change(path.read_bytes()))

    return make


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: _write(path, data)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _cut(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * share)]


def _flip_bits(data: bytes) -> bytes:
    """Damage the middle of every 4 KiB of the second half of the media data."""
    start = data.index(b"mdat") + len(data) // 2
    changed_data = bytearray(data)
    for at in range(start, len(data) - 64, 4096):
        changed_data[at : at + 48] = bytes(48)
    return bytes(changed_data)


def _lie_about_duration(seconds: int) -> Callable[[bytes], bytes]:
    """Write another duration into mvhd, tkhd and mdhd (version 0 boxes), leaving the sample table alone."""

    def change(data: bytes) -> bytes:
        changed_data = bytearray(data)
        scale = {}
        for box, at_scale, at_duration in ((b"mvhd", 12, 16), (b"mdhd", 12, 16), (b"tkhd", None, 20)):
            at = data.find(box)
            while at >= 0:
                body = at + 4
                if at_scale is not None:
                    scale[box] = int.from_bytes(data[body + at_scale : body + at_scale + 4])
                units = scale.get(box, scale[b"mvhd"])
                changed_data[body + at_duration : body + at_duration + 4] = (seconds * units).to_bytes(4)
                at = data.find(box, at + 4)
        edit = data.find(b"elst")
        if edit >= 0:  # its one entry would cut the video to the old duration
            changed_data[edit : edit + 4] = b"free"
        return bytes(changed_data)

    return change


def _declare_size(width: int, height: int) -> Callable[[bytes], bytes]:
    """Write another frame size into the sample description of an MP4; the codec's own header keeps its."""

    def change(data: bytes) -> bytes:
        at = data.index(b"mp4v") + 4 + 24
        changed_data = bytearray(data)
        changed_data[at : at + 4] = width.to_bytes(2) + height.to_bytes(2)
        return bytes(changed_data)

    return change


def _grow_vp8(data: bytes) -> bytes:
    """Make every VP8 keyframe but the first claim 16383x16383."""
    start = b"\x9d\x01\x2a"
    first = data.index(start) + len(start)
    changed_data = bytearray(data)
    at = data.find(start, first)
    while at >= 0:
        changed_data[at + 3 : at + 7] = b"\xff\x3f\xff\x3f"
        at = data.find(start, at + 1)
    return bytes(changed_data)


def joined_transport_streams(path: Path, *sizes: tuple[int, int]) -> None:
    """Join transport streams of several frame sizes, as broadcasts do."""
    data = b""
    for width, height in sizes:
        part = path.with_name(f"part-{width}.ts")
        encode(*_CUTS, source=f"testsrc2=size={width}x{height}:rate=25", seconds=5)(part)
        data += part.read_bytes()
        part.unlink()
    path.write_bytes(data)


def _with_cover(path: Path) -> None:
    """An MP4 whose first, larger picture is its cover."""
    cover = path.with_name("cover.jpg")
    run_ffmpeg("-f", "lavfi", "-i", "color=red:size=640x640", "-frames:v", "1", cover)
    inputs = ("-i", cover, "-f", "lavfi", "-i", SCENES)
    first = ("-map", "0", "-c:v:0", "copy", "-disposition:v:0", "attached_pic")
    run_ffmpeg(*inputs, *first, "-map", "1", "-c:v:1", "libx264", "-pix_fmt", "yuv420p", "-t", "4", path)
    cover.unlink()


def _song_with_cover(path: Path) -> None:
    cover = path.with_name("song-cover.jpg")
    run_ffmpeg("-f", "lavfi", "-i", "color=red:size=640x640", "-frames:v", "1", cover)
    inputs = ("-f", "lavfi", "-i", "sine", "-i", cover, "-map", "0", "-map", "1")
    run_ffmpeg(*inputs, "-t", "2", "-c:v", "copy", "-disposition:v:0", "attached_pic", path)
    cover.unlink()


def _declare_small_avi(data: bytes) -> bytes:
    """Write 64x36 into an AVI's stream format (BITMAPINFOHEADER); the JPEG frames keep their size."""
    at = data.index(b"strf") + 8 + 4
    return data[:at] + (64).to_bytes(4, "little") + (36).to_bytes(4, "little") + data[at + 8 :]


_SHORT = encode(*_CUTS, seconds=4)
_PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n"
_CONCAT = b"ffconcat version 1.0\nfile '/etc/hostname'\n"
_DASH = b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period></Period></MPD>\n'
_BLACK_START = (
    "color=black:size=320x180:rate=25:duration=5[b];testsrc2=size=320x180:rate=25:duration=15[c];[b][c]concat"
)

ODD_VIDEOS = (
    OddVideo("cuts.mp4", encode(*_CUTS, sound=True), frame_counts=(8, 8)),
    OddVideo("single-shot.mp4", encode(*_ONE_SHOT, sound=True), frame_counts=(4, 4)),
    OddVideo("one-keyframe.mp4", encode(*_ONE_SHOT, seconds=8), frame_counts=(4, 4)),
    OddVideo("one-frame.mp4", encode(*_X264, "-frames:v", "1"), frame_counts=(1, 1)),
    OddVideo("two-frames.mp4", encode(*_X264, "-frames:v", "2"), frame_counts=(2, 2)),
    OddVideo("2x2.mp4", encode(*_X264, source="testsrc2=size=2x2:rate=25", seconds=2), frame_counts=(1, 8)),
    OddVideo(
        "1x1.mkv", encode("-c:v", "ffv1", source="color=red:size=1x1:rate=25", seconds=1), frame_counts=(1, 8)
    ),
    OddVideo(
        "wide.mp4", encode(*_CUTS, source="testsrc2=size=1280x64:rate=25", seconds=4), frame_counts=(4, 8)
    ),
    OddVideo("rotated-90.mp4", after(_SHORT, "-c", "copy", before=("-display_rotation", "90"))),
    OddVideo("rotated-180.mp4", after(_SHORT, "-c", "copy", before=("-display_rotation", "180"))),
    OddVideo("rotated-270.mp4", after(_SHORT, "-c", "copy", before=("-display_rotation", "270"))),
    OddVideo("rotated-37.mp4", after(_SHORT, "-c", "copy", before=("-display_rotation", "37"))),
    OddVideo("anamorphic.mp4", encode(*_CUTS, "-vf", "setsar=2/1", seconds=4)),
    OddVideo(
        "variable-rate.mkv",
        encode(*_CUTS, "-vf", "select='lt(mod(n,50),5)+not(mod(n,7))'", "-fps_mode", "vfr"),
    ),
    OddVideo("silent.webm", encode(*_VP9, "-g", "25", seconds=4)),
    OddVideo("sound-only.mp4", encode("-c:a", "aac", source="anullsrc", seconds=2), Code.NO_PICTURE),
    OddVideo("song.mp3", encode("-c:a", "libmp3lame", source="sine", seconds=2), Code.NO_PICTURE),
    OddVideo("black-start.mp4", encode(*_CUTS, source=_BLACK_START), frame_counts=(4, 8)),
    OddVideo("all-black.mp4", encode(*_CUTS, source="color=black:size=320x180:rate=25", seconds=10)),
    OddVideo("cut-off.mp4", changed(_SHORT, _cut(0.8)), Code.DAMAGED),
    OddVideo(
        "cut-off-index-first.mp4",
        changed(encode(*_CUTS, "-movflags", "+faststart"), _cut(0.5)),
        note="damaged after",
    ),
    OddVideo("cut-off.mkv", changed(encode(*_CUTS), _cut(0.6))),
    OddVideo("cut-off.ts", changed(encode(*_CUTS), _cut(0.6))),
    OddVideo(
        "damaged-middle.mp4", changed(encode(*_CUTS), _flip_bits), frame_counts=(1, 8), note="damaged after"
    ),
    OddVideo("empty.mp4", content(b""), Code.EMPTY_FILE),
    OddVideo("text.mp4", content(b"This is a text, not a video.\n" * 40), Code.NOT_A_VIDEO),
    OddVideo("noise.mp4", content(bytes((7 * i * i + 13 * i) % 251 for i in range(5000))), Code.NOT_A_VIDEO),
    OddVideo("lies-143165-seconds.mp4", changed(encode(*_CUTS, seconds=1), _lie_about_duration(143_165))),
    OddVideo("lies-1-second.mp4", changed(encode(*_CUTS), _lie_about_duration(1))),
    OddVideo("live.mkv", encode(*_CUTS, "-f", "matroska", "-live", "1")),
    OddVideo("recorded.webm", encode(*_VP8, "-g", "50", "-f", "webm", "-live", "1")),
    OddVideo("fragmented.mp4", encode(*_CUTS, "-movflags", "frag_keyframe+empty_moov")),
    OddVideo("transport.ts", encode(*_CUTS, sound=True)),
    OddVideo("single-shot.ts", encode(*_ONE_SHOT, seconds=8)),
    OddVideo("program.mpg", encode("-c:v", "mpeg2video", "-b:v", "800k", "-g", "25")),
    OddVideo("bare.h264", encode(*_CUTS, "-f", "h264")),
    OddVideo("moving.gif", encode(source="testsrc2=size=160x90:rate=10", seconds=3)),
    OddVideo("still.gif", encode("-frames:v", "1", source="testsrc2=size=160x90"), Code.NOT_A_VIDEO),
    OddVideo("motion-jpeg.avi", encode("-c:v", "mjpeg", seconds=4), frame_counts=(8, 8)),
    OddVideo("prores.mov", encode("-c:v", "prores_ks", seconds=2), frame_counts=(8, 8)),
    OddVideo("palette.mkv", encode("-c:v", "png", "-pix_fmt", "pal8", seconds=2)),
    OddVideo("grey.mkv", encode("-c:v", "ffv1", "-pix_fmt", "gray10le", seconds=2)),
    OddVideo("alpha.mov", encode("-c:v", "png", "-pix_fmt", "rgba", seconds=2)),
    OddVideo("ten-bit.mkv", encode(*_X264, "-pix_fmt", "yuv420p10le", "-g", "25", seconds=4)),
    OddVideo(
        "full-range.mp4", encode(*_CUTS, "-vf", "scale=out_range=full", "-color_range", "pc", seconds=4)
    ),
    OddVideo("hevc.mp4", encode(*_HEVC, seconds=4)),
    OddVideo("av1.mkv", encode(*_AV1, seconds=3)),
    OddVideo("size-changes.ts", lambda path: joined_transport_streams(path, (320, 180), (180, 320))),
    OddVideo("cover.mp4", _with_cover, frame_counts=(4, 8)),
    OddVideo("cover-only.mp3", _song_with_cover, Code.NO_PICTURE),
    OddVideo(
        "huge.mov",
        encode("-c:v", "png", "-pix_fmt", "monob", "-frames:v", "1", source="color=red:size=9000x9000"),
        Code.FRAME_TOO_LARGE,
    ),
    OddVideo(
        "says-it-is-huge.mp4", changed(encode("-c:v", "mpeg4", seconds=2), _declare_size(65_000, 65_000))
    ),
    OddVideo("says-it-is-small.avi", changed(encode("-c:v", "mjpeg", seconds=2), _declare_small_avi)),
    OddVideo(
        "turns-huge.webm",
        changed(encode(*_VP8, "-g", "25", seconds=4), _grow_vp8),
        frame_counts=(1, 4),
        note="damaged after",
    ),
    OddVideo("playlist.mp4", content(_PLAYLIST), Code.NOT_A_VIDEO),
    OddVideo("script.mp4", content(_CONCAT), Code.NOT_A_VIDEO),
    OddVideo("manifest.mp4", content(_DASH), Code.NOT_A_VIDEO),
    OddVideo("later-start.mkv", after(_SHORT, "-c", "copy", "-output_ts_offset", "3600", "-copyts")),
)

NAMES = (
    "-i.mp4",
    "a 'b' \"c\" $(touch owned) `x`.mp4",
    "new\nline.mp4",
    "emoji 🎬 ünï.mp4",
    "http:example.mp4",
    "concat:a|b.mp4",
    "pipe:0.mp4",
    "file:x.mp4",
    "%03d.mp4",
    "a?b=c#d.mp4",
    "*.mp4",
)
"""Names that shells, options, protocols and patterns would make something of; all hold one short video."""

BYTES_NAME = b"caf\xe9-\xff.mp4"
"""A name that is no UTF-8."""


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for odd in ODD_VIDEOS:
        odd.make(folder / odd.name)


if __name__ == "__main__":
    main()

"""The clips that are measured: made by ffmpeg's own sources, the command kept beside each."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHORT_SECONDS = 20.0
SEGMENT_SECONDS = 2.5
FRAME_RATE = 25
_FREE_BOX_BYTES = 16

# Eight sources that differ in detail and motion; `{s}` is the clip's size. The automata are drawn at a
# quarter of it or less: single pixels that blink would eat the whole bit rate.
_SOURCES = (
    "testsrc2=s={s}:r={r}",
    "mandelbrot=s={s}:r={r}",
    "life=s=320x180:r={r}:mold=10:ratio=0.3:seed=7:death_color=#C83232:life_color=#00FF00:mold_color=#604030",
    "gradients=s={s}:r={r}:seed=3:speed=0.05",
    "cellauto=s=320x180:r={r}:seed=5:rule=110",
    "sierpinski=s={s}:r={r}:seed=9",
    "mandelbrot=s={s}:r={r}:start_x=-0.743643887:start_y=-0.131825904:start_scale=0.01",
    "testsrc=s={s}:r={r},hue=h=90",
)
_SOUND = "sine=r=48000:f=220,tremolo=f=0.7"

_PLACES = (
    "harbour",
    "market",
    "mountain hut",
    "railway station",
    "river bridge",
    "old library",
    "garden",
    "stadium",
)
_DOINGS = (
    "a walk at the",
    "cooking at the",
    "rain over the",
    "music from the",
    "a race past the",
    "winter at the",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of clip.

    Attributes:
        name: For file names and rows, e.g. `cuts-20s`.
        seconds: Its length.
        keyframe_counts: Fewest and most keyframes that it may have.
        command: The ffmpeg command that makes it, but for the output's path.
        made_from: The kind whose clip the command repeats, None for one that is drawn.
    """

    name: str
    seconds: float
    keyframe_counts: tuple[int, int]
    command: tuple[str, ...]
    made_from: Kind | None = None

    @property
    def printed(self) -> str:
        """The command as one types it."""
        return shlex.join(["ffmpeg", *self.command, f"{self.name}.mp4"])


def _encode(graph: str, seconds: float, bitrate: str, *video: str) -> tuple[str, ...]:
    maps = ("-filter_complex", graph, "-map", "[v]", "-map", "[a]", "-t", f"{seconds:g}")
    codec = ("-c:v", "libx264", "-preset", "medium", "-b:v", bitrate, *video)
    return (*maps, *codec, "-c:a", "aac", "-b:a", "128k")


def cuts(size: str = "1280x720", bitrate: str = "4M") -> Kind:
    """Return 20 s of H.264 with a cut, and a keyframe, every 2.5 s."""
    parts = [
        f"{source.format(s=size, r=FRAME_RATE)},scale={size}:flags=bicubic,setsar=1,noise=alls=8:allf=t,"
        f"format=yuv420p,trim=duration={SEGMENT_SECONDS},setpts=PTS-STARTPTS[s{index}]"
        for index, source in enumerate(_SOURCES)
    ]
    inputs = "".join(f"[s{index}]" for index in range(len(parts)))
    graph = ";".join([*parts, f"{inputs}concat=n={len(parts)}:v=1[v]", f"{_SOUND}[a]"])
    forced = ("-g", "250", "-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_SECONDS})")
    return Kind("cuts-20s", SHORT_SECONDS, (8, 12), _encode(graph, SHORT_SECONDS, bitrate, *forced))


def single_shot(size: str = "1280x720", bitrate: str = "4M") -> Kind:
    """Return 20 s of H.264 in one shot: a keyframe every 250 frames, so 2 of them."""
    frames = round(SHORT_SECONDS * FRAME_RATE)
    graph = (
        f"mandelbrot=s={size}:r={FRAME_RATE}:end_scale=0.05:end_pts={frames},noise=alls=8:allf=t,"
        f"format=yuv420p[v];{_SOUND}[a]"
    )
    gop = ("-g", "250", "-keyint_min", "250", "-sc_threshold", "0")
    return Kind("single-20s", SHORT_SECONDS, (2, 3), _encode(graph, SHORT_SECONDS, bitrate, *gop))


def tiny() -> Kind:
    """Return 2 s of 320x180, quick to read: for runs over thousands of videos."""
    graph = f"testsrc2=s=320x180:r={FRAME_RATE},noise=alls=4:allf=t,format=yuv420p[v];{_SOUND}[a]"
    return Kind("tiny-2s", 2.0, (1, 4), _encode(graph, 2.0, "200k", "-g", "25"))


def repeated(kind: Kind, times: int) -> Kind:
    """Return a clip that repeats another `times` times without encoding it anew.

    Packets, keyframe distance and index are those of a video of that length; only what is seen repeats.
    """
    seconds = kind.seconds * times
    low, high = kind.keyframe_counts
    name = f"{kind.name.split('-')[0]}-{seconds:g}s"
    source = f"{kind.name}.mp4"
    command = ("-stream_loop", str(times - 1), "-i", source, "-map", "0", "-c", "copy", "-t", f"{seconds:g}")
    # Sound is some ms longer than the picture: after 180 rounds of 20 s, 2 s of the last are cut off.
    return Kind(name, seconds, (int(0.99 * low * times), high * times + 1), command, made_from=kind)


def make_clip(kind: Kind, folder: Path) -> Path:
    """Make one clip in the folder, unless it is there already.

    Raises:
        RuntimeError: ffmpeg failed, or the clip has not the keyframes that its kind promises.
    """
    import imageio_ffmpeg

    target = folder / f"{kind.name}.mp4"
    if target.exists():
        return target
    if kind.made_from is not None:
        make_clip(kind.made_from, folder)
    partial = folder / f"{kind.name}.partial.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *kind.command, partial.name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ffmpeg could not make {kind.name}: {done.stderr.strip()}")
    found = len(keyframe_times(partial))
    low, high = kind.keyframe_counts
    if not low <= found <= high:
        raise RuntimeError(f"{kind.name} has {found} keyframes instead of {low} to {high}")
    partial.replace(target)
    return target


def keyframe_times(path: Path) -> list[float]:
    """Return the times of a video's keyframes in seconds, from its packets."""
    import av

    with av.open(str(path)) as container:
        packets = container.demux(video=0)
        return [float(p.pts * p.time_base) for p in packets if p.is_keyframe and p.pts is not None]


def copies(clip: Path, folder: Path, count: int) -> list[Path]:
    """Return `count` files with a clip's streams: other content to a fingerprint, other titles to a reader.

    Each is the clip's bytes and a trailing `free` box that holds a number, which players skip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{_title(number)}.mp4" for number in range(count)]
    wanted_bytes = clip.stat().st_size + _FREE_BOX_BYTES
    for number, path in enumerate(paths):
        if path.exists() and path.stat().st_size == wanted_bytes:
            continue
        box = _FREE_BOX_BYTES.to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        path.write_bytes(clip.read_bytes() + box)
    _remove_others(folder, paths)
    return paths


def _title(number: int) -> str:
    doing = _DOINGS[number % len(_DOINGS)]
    place = _PLACES[number // len(_DOINGS) % len(_PLACES)]
    return f"{doing} {place} part {number + 1}"


def _remove_others(folder: Path, paths: Sequence[Path]) -> None:
    for path in set(folder.iterdir()) - set(paths):
        path.unlink()

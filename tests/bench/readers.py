"""Other ways to read the same frames, each a plain loop in a process of its own.

    python -m tests.bench.readers bare|project|moviepy VIDEO...

prints the seconds of the loop. Start-up, imports and what can be known before are not timed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.clips import keyframe_times

FRAME_COUNT = 8
_CLOSE_SECONDS = 1e-3  # times are rounded to it
Steps = list[tuple[float, list[float]]]
"""What to decode: keyframes in seconds, and the times wanted from each on."""


def rate(way: str, paths: Sequence[Path], processes: int) -> float:
    """Return videos per second of so many processes that share the paths and nothing else."""
    shares = [paths[index::processes] for index in range(processes)]
    running = [_start(way, share) for share in shares if share]
    printed = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"reading the way `{way}` failed")
    seconds = [float(text) for text in printed]
    return sum(len(share) / taken for share, taken in zip(filter(None, shares), seconds, strict=True))


def _start(way: str, paths: Sequence[Path]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.readers", way, *map(str, paths)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _project_loop(paths: Sequence[Path]) -> Callable[[], None]:
    from vidclf_cli.media.sample import read_sample
    from vidclf_cli.media.types import SampleRequest

    def loop() -> None:
        for path in paths:
            read_sample(path, SampleRequest(frame_count=FRAME_COUNT))

    return loop


def _bare_loop(paths: Sequence[Path]) -> Callable[[], None]:
    """Return a loop that decodes exactly the frames that vidclf takes, and does nothing else.

    All copies of a clip have the same frames, so that the first one tells which they are.
    """
    from vidclf_cli.media.sample import read_sample
    from vidclf_cli.media.types import SampleRequest

    sample = read_sample(paths[0], SampleRequest(frame_count=FRAME_COUNT))
    steps = _steps(keyframe_times(paths[0]), sample.timestamps_seconds)

    def loop() -> None:
        for path in paths:
            _decode(path, steps)

    return loop


def _steps(keyframes: Sequence[float], wanted: Sequence[float]) -> Steps:
    steps: dict[float, list[float]] = {}
    for seconds in sorted(wanted):
        before = keyframes[max(bisect_right(keyframes, seconds + _CLOSE_SECONDS) - 1, 0)]
        steps.setdefault(before, []).append(seconds)
    return list(steps.items())


def _decode(path: Path, steps: Steps) -> None:
    """Decode with every saving that is known: quick opening, one thread, no waiting for later frames."""
    import av
    from av.stream import Discard

    # No decoder on the list: ffmpeg then decodes nothing while it looks for the streams.
    with av.open(str(path), options={"probesize": "4096", "codec_whitelist": "none"}) as container:
        stream = container.streams.video[0]
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        context = stream.codec_context
        context.thread_count = 1
        context.options = {"skip_loop_filter": "all"}
        base = float(stream.time_base or 1)
        for keyframe, wanted in steps:
            container.seek(round((keyframe + _CLOSE_SECONDS) / base), stream=stream)
            context.skip_frame = "NONREF"
            for packet in container.demux(stream):
                frames = context.decode(packet)
                if wanted[-1] <= keyframe + _CLOSE_SECONDS:
                    # The keyframe is all that is wanted: drained, the decoder gives it at once.
                    frames = frames or context.decode(None)
                if any((frame.pts or 0) * base >= wanted[-1] - _CLOSE_SECONDS for frame in frames):
                    break
            context.flush_buffers()


def _moviepy_loop(paths: Sequence[Path]) -> Callable[[], None]:
    from moviepy import VideoFileClip

    def loop() -> None:
        for path in paths:
            with VideoFileClip(str(path), audio=False) as clip:
                for index in range(FRAME_COUNT):
                    clip.get_frame(clip.duration * (index + 0.5) / FRAME_COUNT)

    return loop


_LOOPS = {"project": _project_loop, "bare": _bare_loop, "moviepy": _moviepy_loop}


def main(arguments: Sequence[str]) -> None:
    """Time one way over the videos named and print the seconds."""
    paths = [Path(name) for name in arguments[1:]]
    make_loop = _LOOPS[arguments[0]]
    make_loop(paths[:1])()  # imports what is imported late
    loop = make_loop(paths)
    start = time.perf_counter()
    loop()
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What is measured, one function per part of the table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import clips, command, memory, readers, timesformer, training, writing
from tests.bench.table import Row, Target

MEGABYTE = 1e6
SEGMENT_SECONDS = 10
_SEGMENTS = ("--segments", str(SEGMENT_SECONDS))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        short_count: Copies of each 20 s clip.
        long_count: Copies of each 300 s clip.
        few: Videos of the run that is taken off, so that start-up drops out.
        small_count: Videos in the small library whose memory is watched.
        large_count: Videos in the large one, also of the warm run.
        repeats: Cold runs per figure; their median counts.
        train_count: Vectors that a classifier is trained on.
        packed_count: Vectors in the smaller packed file, 16 KiB each; above 65,536 it is not read as a whole.
        row_count: Rows that are written in each format.
    """

    short_count: int = 24
    long_count: int = 20
    few: int = 2
    small_count: int = 100
    large_count: int = 2000
    repeats: int = 3
    train_count: int = 1440
    packed_count: int = 73_000
    row_count: int = 100_000


QUICK = Plan(
    short_count=6,
    long_count=4,
    small_count=20,
    large_count=100,
    repeats=1,
    train_count=120,
    packed_count=3000,
    row_count=5000,
)
LONG_TIMES = 15
HOUR_TIMES = 180


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and with what it is measured.

    Attributes:
        work: Folder of the clips.
        plan: How much.
        cores: Cores that everything measured shares.
    """

    work: Path
    plan: Plan
    cores: int

    def library(self, kind: clips.Kind, count: int) -> list[Path]:
        """Return so many files of one kind, made if they are not there."""
        return clips.copies(clips.make_clip(kind, self.work), self.work / f"{kind.name}-{count}", count)


def kinds() -> list[clips.Kind]:
    """Return every kind of clip that is measured, in the order that they are made in."""
    cuts, single = clips.cuts(), clips.single_shot()
    long_ones = [clips.repeated(cuts, LONG_TIMES), clips.repeated(single, LONG_TIMES)]
    return [cuts, single, *long_ones, clips.tiny(), *hour_kinds()]


def hour_kinds() -> list[clips.Kind]:
    """Return the kinds of an hour each: with a keyframe every 2.5 s, and every 10 s."""
    return [clips.repeated(kind, HOUR_TIMES) for kind in (clips.cuts(), clips.single_shot())]


def parts() -> dict[str, Callable[[Bench], Iterator[Row]]]:
    """Return the parts of the table by name."""
    return {
        "help": help_rows,
        "cold": cold_rows,
        "segments": segment_rows,
        "memory": memory_and_warm_rows,
        "peers": peer_rows,
        "training": training_rows,
    }


def needs_clips(names: Sequence[str]) -> bool:
    """Tell whether any of these parts reads videos."""
    return not {"help", "training"}.issuperset(names)


def help_rows(_bench: Bench) -> Iterator[Row]:
    """Measure how fast the command answers."""
    note = "median of 10, whole process"
    yield Row("vidclf --help", command.help_seconds(), "s", Target("at most", 0.25), note)


def cold_rows(bench: Bench) -> Iterator[Row]:
    """Measure cold runs of each kind, the floor under them, and what length and MoviePy cost."""
    cuts, single, long_cuts, long_single, *_ = kinds()
    for kind, long_kind, limit, name in (
        (cuts, long_cuts, 4.0, "20 s, cuts"),
        (single, long_single, 3.0, "20 s, single shot"),
    ):
        yield from _cold_kind(bench, kind, long_kind, limit, name)


def _cold_kind(
    bench: Bench, kind: clips.Kind, long_kind: clips.Kind, limit: float, name: str
) -> Iterator[Row]:
    plan = bench.plan
    paths = bench.library(kind, plan.short_count)
    whole = command.cold(paths, plan.repeats)
    each = _seconds_per_video(paths, whole, plan)
    floor = readers.rate("bare", paths, bench.cores)
    wanted = Target("at least", limit)
    below = f"; the floor is {floor:.2f}: out of reach on this machine" if floor < limit else ""
    note = f"{plan.short_count} videos, start-up included, median of {plan.repeats}{below}"
    yield Row(f"cold, {name}", plan.short_count / whole, "videos/s", wanted, note)
    yield Row("  without start-up", 1 / each, "videos/s", None, f"{_slope(plan.short_count, plan)}")
    plain = f"same frames, plain loop in {bench.cores} processes"
    yield Row("  floor: bare decode", floor, "videos/s", None, f"PyAV, {plain}, no scaling or encoding")
    own = readers.rate("project", paths, bench.cores)
    yield Row("  floor: read_sample", own, "videos/s", None, f"vidclf's own reading, {plain}")
    yield Row("  time over the bare decode's", each * floor, "x", None, "without start-up")
    few = paths[: max(plan.few, 4)]
    moviepy = readers.rate("moviepy", few, bench.cores)
    yield Row("  MoviePy get_frame x 8", moviepy, "videos/s", None, f"{len(few)} videos, reading only")
    yield Row("  MoviePy's reading over our whole", 1 / moviepy / each, "x", None, "time per video")
    yield _length_row(bench, long_kind, each, name)


def _length_row(bench: Bench, long_kind: clips.Kind, short_each: float, name: str) -> Row:
    plan = bench.plan
    paths = bench.library(long_kind, plan.long_count)
    each = _seconds_per_video(paths, command.cold(paths, plan.repeats), plan)
    note = f"time per video without start-up; 300 s: {1 / each:.2f} videos/s"
    return Row(f"  {long_kind.seconds:g} s over {name}", each / short_each, "x", Target("at most", 1.5), note)


def _seconds_per_video(paths: Sequence[Path], whole: float, plan: Plan) -> float:
    """Return what one more video costs: the run over all less the run over a few.

    Raises:
        RuntimeError: The longer run was the quicker one, so that nothing can be said.
    """
    few = command.cold(paths[: plan.few], plan.repeats)
    each = (whole - few) / (len(paths) - plan.few)
    if each <= 0:
        raise RuntimeError("start-up took longer than the videos: measure more of them")
    return each


def _slope(count: int, plan: Plan) -> str:
    return f"from runs over {count} and {plan.few} videos"


def segment_rows(bench: Bench) -> Iterator[Row]:
    """Measure timelines of films of an hour, cold and from the cache, and their memory."""
    for kind in hour_kinds():
        name = f"1 h of 720p, --segments {SEGMENT_SECONDS}, {kind.name.split('-')[0]}"
        path = clips.make_clip(kind, bench.work)
        runs = [_timeline_run(path) for _ in range(bench.plan.repeats)]
        cold, warm = (median(each) for each in zip(*runs, strict=True))
        apart = kind.seconds / len(clips.keyframe_times(path))
        note = f"start-up included, median of {bench.plan.repeats}; a keyframe every {apart:.3g} s"
        yield Row(name, cold, "s", Target("at most", 10), note)
        yield Row("  from the cache", warm, "s", None, "start-up included")
    if memory.available():
        with tempfile.TemporaryDirectory(prefix="vidclf-cache-") as cache:
            run = command.classify([path], Path(cache), _SEGMENTS, watch_memory=True)
        note = f"cold, sampled every 100 ms, {run.processes} processes at the peak"
        yield Row("  peak PSS", run.peak_bytes / MEGABYTE, "MB", Target("at most", 900), note)


def _timeline_run(path: Path) -> tuple[float, float]:
    """Return the seconds of a run over one video with an empty cache, and of the next one.

    Raises:
        RunFailedError: A part of it could not be read.
    """
    with tempfile.TemporaryDirectory(prefix="vidclf-cache-") as cache:
        runs = [command.classify([path], Path(cache), _SEGMENTS) for _ in range(2)]
    if any(run.statuses["failed"] or run.statuses.total() < 2 for run in runs):
        raise command.RunFailedError(f"{runs[0].statuses} rows of {path.name}")
    return runs[0].seconds, runs[1].seconds


def memory_and_warm_rows(bench: Bench) -> Iterator[Row]:
    """Measure the peak memory of small and large libraries, and the large one once more from the cache."""
    plan = bench.plan
    cuts, tiny = clips.cuts(), clips.tiny()
    small, large = bench.library(tiny, plan.small_count), bench.library(tiny, plan.large_count)
    peaks = []
    with tempfile.TemporaryDirectory(prefix="vidclf-cache-") as cache:
        for name, paths, folder in (
            (f"{len(small):,} tiny videos", small, Path(cache, "small")),
            (f"{len(large):,} tiny videos", large, Path(cache, "large")),
            (f"{plan.short_count} of 720p", bench.library(cuts, plan.short_count), Path(cache, "720p")),
        ):
            row = _memory_row(paths, folder, f"peak PSS, {name}")
            peaks.append(row.value)
            yield row
        if peaks[0] and peaks[1]:
            # A peak between two samples is missed, so runs differ by some percent; growth would be far more.
            note = "memory must not grow with the library; 10 % is the sampling's"
            yield Row("  large over small", peaks[1] / peaks[0], "x", Target("at most", 1.1), note)
        yield from _warm_rows(large, small, Path(cache, "large"), Path(cache, "small"), plan)


def _memory_row(paths: Sequence[Path], cache: Path, name: str) -> Row:
    target = Target("at most", 900)
    watch = memory.available()
    run = command.classify(_folders(paths), cache, watch_memory=watch)
    if not watch:
        return Row(name, None, "MB", target, "this system does not tell the PSS of a process")
    note = f"cold, sampled every 100 ms, {run.processes} processes at the peak, took {run.seconds:.1f} s"
    return Row(name, run.peak_bytes / MEGABYTE, "MB", target, note)


def _warm_rows(
    large: Sequence[Path], small: Sequence[Path], large_cache: Path, small_cache: Path, plan: Plan
) -> Iterator[Row]:
    whole = median(command.classify(_folders(large), large_cache).seconds for _ in range(plan.repeats))
    few = median(command.classify(_folders(small), small_cache).seconds for _ in range(plan.repeats))
    note = f"{len(large):,} videos, start-up included, median of {plan.repeats}"
    yield Row("warm, all cached", len(large) / whole, "videos/s", Target("at least", 500), note)
    each = (whole - few) / (len(large) - len(small))
    value = 1 / each if each > 0 else None
    yield Row(
        "  without start-up", value, "videos/s", None, f"from runs over {len(large):,} and {len(small)}"
    )
    for format_name, seconds in writing.seconds_to_write(plan.row_count, large_cache):
        name = f"  writing {plan.row_count:,} rows, {format_name}"
        share = 100 * seconds / plan.row_count / each if each > 0 else None
        note = f"of the time of a warm run over as many; {seconds:.2f} s"
        yield Row(name, share, "%", Target("at most", 5), note)


def peer_rows(bench: Bench) -> Iterator[Row]:
    """Measure TimeSformer's forward pass beside a cold run."""
    name = "TimeSformer-base, forward of 8 frames"
    if not timesformer.installed():
        yield Row(name, None, "s/video", None, f"not installed: {timesformer.INSTALL}")
        return
    seconds = timesformer.seconds_per_video(bench.cores)
    note = f"random weights, {bench.cores} threads, no decoding, median of 3"
    yield Row(name, seconds, "s/video", None, note)
    paths = bench.library(clips.cuts(), bench.plan.short_count)
    whole = command.cold(paths, 1) / len(paths)
    yield Row("  over our whole, 20 s cuts", seconds / whole, "x", None, "time per video, start-up included")


def training_rows(bench: Bench) -> Iterator[Row]:
    """Measure how long training takes, and whether its memory grows with a file that is streamed."""
    plan = bench.plan
    if not training.installed():
        yield Row("train, recipe auto", None, "s", None, f"not installed: {training.INSTALL}")
        return
    size = f"{plan.train_count:,} x {training.DIMENSION:,}"
    for kind, name, limit, repeats in (
        ("auto", "recipe auto", 15.0, plan.repeats),
        ("paper", "recipe paper", 110.0, 1),
        ("linear", "linear head", 2.0, plan.repeats),
    ):
        runs = [training.run("seconds", kind, plan.train_count) for _ in range(repeats)]
        note = f"made clusters, median of {repeats}, accuracy {runs[0]['accuracy']:.2f}; without start-up"
        seconds = median(each["seconds"] for each in runs)
        yield Row(f"train, {name}, {size}", seconds, "s", Target("at most", limit), note)
    yield from _streamed_rows(bench)


def _streamed_rows(bench: Bench) -> Iterator[Row]:
    peaks = []
    for count in (bench.plan.packed_count, 2 * bench.plan.packed_count):
        with tempfile.TemporaryDirectory(prefix="vidclf-packed-", dir=bench.work) as folder:
            path = Path(folder, "rows.h5")
            training.write_packed(path, count)
            size = path.stat().st_size
            run = training.run("memory", path)
        peaks.append(run["peak_bytes"])
        note = f"peak RSS; {count:,} vectors, linear and wide head, 1 epoch in {run['seconds']:.0f} s"
        yield Row(f"train, packed file of {size / 1e9:.2f} GB", peaks[-1] / MEGABYTE, "MB", None, note)
    is_streamed = bench.plan.packed_count * 4 * training.DIMENSION > training.streamed_bytes()
    target = Target("at most", 1.1) if is_streamed else None
    note = (
        "memory must not grow with a file that is streamed" if is_streamed else "read as a whole: too small"
    )
    yield Row("  large over small", peaks[1] / peaks[0], "x", target, note)


def _folders(paths: Sequence[Path]) -> list[Path]:
    """Return the folders that hold the paths: 2,000 names do not go on a command line."""
    return sorted({path.parent for path in paths})

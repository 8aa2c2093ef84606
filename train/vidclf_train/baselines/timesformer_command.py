"""`python -m vidclf_train baselines timesformer`: fine-tune it, or measure what that would cost."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress, TaskID

from vidclf_cli.cli.terminal import printable, say
from vidclf_cli.errors import UsageError
from vidclf_cli.labelled import LabelledVideos, read_labelled
from vidclf_cli.media.types import Limits
from vidclf_train.baselines.printing import describe_figures, print_label_table, write_json
from vidclf_train.youtube8m.progress import show_progress

DEFAULT_WEIGHTS = "facebook/timesformer-base-finetuned-k400"
_FOLDER = click.Path(file_okay=False, path_type=Path)
_MEASURED_VIDEOS = 20
"""So many are decoded to tell what decoding costs, spread evenly over the data."""

_DATA_OPTIONS = (
    click.argument("data", required=False, type=click.Path(exists=True, path_type=Path)),
    click.option("--root", type=_FOLDER, help="What paths of a CSV are relative to. [default: its folder]"),
    click.option(
        "--group-column",
        metavar="NAME",
        help="The CSV's column that names a video's source. [default: group, source or source_url]",
    ),
    click.option("--jobs", type=click.IntRange(1, 256), help="Processes that read. [default: by the cores]"),
    click.option(
        "--time-limit",
        default=60.0,
        show_default=True,
        type=click.FloatRange(0.1, 86_400),
        metavar="SECONDS",
        help="For reading one video.",
    ),
    click.option(
        "--memory-limit",
        default=1024,
        show_default=True,
        type=click.IntRange(64, 1 << 20),
        metavar="MIB",
        help="For reading one video.",
    ),
    click.option(
        "--max-frame-pixels",
        default=8192 * 8192,
        show_default=True,
        type=click.IntRange(1, 1 << 30),
        metavar="N",
        help="Largest frame that is decoded, width x height.",
    ),
    click.option(
        "--frame-limit",
        default=20.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        metavar="GB",
        help="Most that decoded frames may take in --out while it runs.",
    ),
)
_TRAINING_OPTIONS = (
    click.option(
        "--weights",
        default=DEFAULT_WEIGHTS,
        show_default=True,
        help="A name on the Hugging Face hub, or a folder.",
    ),
    click.option("--revision", help="Branch, tag or commit on the hub. [default: its main branch]"),
    click.option("--out", type=_FOLDER, help="Folder for everything that comes out."),
    click.option("--epochs", default=10, show_default=True, type=click.IntRange(1, 1000)),
    click.option("--batch-size", default=8, show_default=True, type=click.IntRange(1, 1024)),
    click.option(
        "--accumulate",
        default=1,
        show_default=True,
        type=click.IntRange(1, 1024),
        help="Batches per step of the optimiser.",
    ),
    click.option(
        "--learning-rate", default=1e-4, show_default=True, type=click.FloatRange(0, 1, min_open=True)
    ),
    click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 1 << 31)),
    click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"])),
)
_MEASURING_OPTIONS = (
    click.option(
        "--measure-only",
        is_flag=True,
        help="Train nothing: measure what a video costs with random weights of base size, and extrapolate. "
        f"Decoding is measured on up to {_MEASURED_VIDEOS} videos of DATA, when it is given.",
    ),
    click.option(
        "--videos",
        default=1800,
        show_default=True,
        type=click.IntRange(10),
        help="With --measure-only: how many videos to extrapolate to.",
    ),
    click.option(
        "--repeats",
        default=5,
        show_default=True,
        type=click.IntRange(1, 1000),
        help="With --measure-only: how often each part is measured.",
    ),
    click.option(
        "--json",
        "json_target",
        metavar="FILE",
        help="With --measure-only: write every figure as JSON, `-` for stdout (instead of the text).",
    ),
)


def timesformer(data: Path | None, **values: Any) -> None:
    """Fine-tune TimeSformer on labelled videos: DATA is a CSV, or a folder with one sub-folder per label.

    Given again, a command that was interrupted goes on. Ends with 1 when videos could not be read.
    """
    require_extra()
    if values["measure_only"]:
        _measure(data, values)
    elif data is None or values["out"] is None:
        raise click.UsageError("DATA and --out are needed, or --measure-only.")
    else:
        click.get_current_context().exit(_fine_tune(data, values))


timesformer_command = click.command("timesformer")(timesformer)
for _option in (*_DATA_OPTIONS, *_TRAINING_OPTIONS, *_MEASURING_OPTIONS):
    timesformer_command = _option(timesformer_command)


def require_extra() -> None:
    """Find out whether the packages of the extra are there, without importing them.

    Raises:
        UsageError: One is not.
    """
    for package in ("torch", "transformers"):
        if sys.modules.get(package, ...) is None or importlib.util.find_spec(package) is None:
            raise UsageError(
                f"The package {package} is not installed, and TimeSformer needs it.",
                "Install the extra: `pip install 'vidclf[baselines]'`.",
            )


def _fine_tune(data: Path, values: dict[str, Any]) -> int:
    """Run it and return the exit code."""
    # Both take seconds to import, and belong to an extra.
    from vidclf_train.baselines.timesformer import Events, ReadOptions, fine_tune  # noqa: PLC0415
    from vidclf_train.baselines.tuning import Plan  # noqa: PLC0415
    from vidclf_train.baselines.weights import Source  # noqa: PLC0415

    labelled = _labelled(data, values)
    plan = Plan(
        epoch_count=values["epochs"],
        batch_size=values["batch_size"],
        accumulation=values["accumulate"],
        learning_rate=values["learning_rate"],
        seed=values["seed"],
    )
    options = ReadOptions(values["jobs"], _limits(values), round(values["frame_limit"] * 1e9))
    source = Source(values["weights"], values["revision"])
    with show_progress() as progress:
        events = Events(lambda line: say(printable(line)), _Bar(progress).update)
        done = fine_tune(labelled, source, values["out"], plan, options, values["device"], events)
    for split, metrics in done.metrics.items():
        click.echo(f"{split}: {metrics.row_count} videos; {describe_figures(metrics.figures)}")
    print_label_table(done.table.labels, done.metrics["test"].labels)
    click.echo(done.cost.description)
    click.echo(f"all epochs: {done.training_seconds:.0f} s; everything is in {values['out']}")
    return 1 if done.table.failed_count else 0


class _Bar:
    """Shows how far decoding is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def update(self, what: str, done: int, total: int) -> None:
        """Show it; the bar appears with the first call."""
        if self._task is None:
            self._task = self._progress.add_task(what, total=total)
        self._progress.update(self._task, completed=done, total=total, visible=done < total)


def _measure(data: Path | None, values: dict[str, Any]) -> None:
    """Measure, and print what was measured apart from what was extrapolated."""
    from vidclf_train.baselines.cost import extrapolate, measure_cost  # noqa: PLC0415 - as above
    from vidclf_train.device import choose_training_device  # noqa: PLC0415

    device = choose_training_device(values["device"])
    paths = [] if data is None else _few(_labelled(data, values))
    say(f"TimeSformer-base with random weights; on {device.name} ({device.reason})")
    measured = measure_cost(device, values["batch_size"], values["repeats"], paths, _limits(values))
    ways = {"as measured": measured.per_video(values["batch_size"] * values["accumulate"])}
    if device.name == "cpu":
        idle = measured.per_video(values["batch_size"] * values["accumulate"], idle=True)
        ways["processor time on idle cores"] = idle
    hours = {name: extrapolate(cost, values["videos"], values["epochs"]) for name, cost in ways.items()}
    if values["json_target"] != "-":
        click.echo(measured.description)
        for name, cost in ways.items():
            parts = ", ".join(f"{part} {value:.2f} h" for part, value in hours[name].items())
            click.echo(f"{name}: {cost.description}")
            click.echo(
                f"  extrapolated, not measured: {values['videos']} videos x {values['epochs']} epochs take "
                f"{sum(hours[name].values()):.1f} h ({parts})"
            )
    document = {
        "device": f"{device.name}, {device.dtype}",
        "measured": measured.to_dict(),
        "cost_per_video_seconds": {name: asdict(cost) for name, cost in ways.items()},
        "extrapolated_hours": {"videos": values["videos"], "epochs": values["epochs"], **hours},
    }
    write_json(document, values["json_target"])


def _few(labelled: LabelledVideos) -> list[Path]:
    videos: Sequence[Any] = labelled.videos
    return [video.path for video in videos[:: max(1, -(-len(videos) // _MEASURED_VIDEOS))]]


def _labelled(data: Path, values: dict[str, Any]) -> LabelledVideos:
    labelled = read_labelled(data, root=values["root"], group_column=values["group_column"])
    for note in labelled.notes:
        say(printable(note))
    return labelled


def _limits(values: dict[str, Any]) -> Limits:
    return Limits(
        seconds=values["time_limit"],
        memory_bytes=values["memory_limit"] << 20,
        frame_pixels=values["max_frame_pixels"],
    )

"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vidclf_cli.cli.log import verbose_option

if TYPE_CHECKING:
    from vidclf_cli.pipeline.options import RunOptions

Command = TypeVar("Command", bound=Callable[..., Any])


class NamedPath(click.Path):
    """A path that says something: an empty one (`"$UNSET"`) would be the current folder."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Refuse an empty string."""
        if value == "":
            self.fail("the path is empty; `.` is the current folder.", parameter, context)
        return super().convert(value, parameter, context)


class NumberRange(click.FloatRange):
    """A range of numbers; `nan` is none, though it is neither too small nor too large."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Refuse what is no number."""
        number = super().convert(value, parameter, context)
        if math.isnan(number):
            self.fail(f"{value!r} is no number.", parameter, context)
        return number


paths_argument = click.argument(
    "paths", nargs=-1, required=True, metavar="PATHS...", type=NamedPath(path_type=Path)
)

cache_dir_option = click.option(
    "--cache-dir",
    type=NamedPath(file_okay=False, path_type=Path),
    help="Where vectors are kept between runs. [default: the user's cache folder; env VIDCLF_CACHE_DIR]",
)

_RUN_OPTIONS = (
    click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        help="Leave out files and folders of this name (`trailers`, `*.gif`), or with a `/` of this path "
        "below the folder given (`movies/old*`). Upper and lower case differ. Repeatable.",
    ),
    click.option(
        "--frames",
        type=click.IntRange(1, 256),
        default=8,
        show_default=True,
        help="Frames per video, at most.",
    ),
    click.option(
        "--jobs",
        "-j",
        type=click.IntRange(1, 256),
        help="Processes that read videos. [default: by the cores]",
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where the encoder runs.",
    ),
    cache_dir_option,
    click.option(
        "--verify-content", is_flag=True, help="Know files again by all their bytes instead of by 16 blocks."
    ),
    click.option(
        "--time-limit",
        type=NumberRange(0.1, 86_400),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="For reading one video.",
    ),
    click.option(
        "--memory-limit",
        type=click.IntRange(64, 1 << 20),
        default=1024,
        show_default=True,
        metavar="MIB",
        help="For reading one video.",
    ),
    click.option(
        "--max-frame-pixels",
        type=click.IntRange(1, 1 << 30),
        default=8192 * 8192,
        show_default=True,
        metavar="N",
        help="Largest frame that is decoded, width x height.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="Errors only."),
    verbose_option,
)


def run_options(command: Command) -> Command:
    """Add the options of every command that reads videos."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


def to_run_options(values: dict[str, Any]) -> RunOptions:
    """Take the values of `run_options` out of a command's keyword arguments."""
    from vidclf_cli.media.types import Limits
    from vidclf_cli.pipeline.options import RunOptions

    return RunOptions(
        exclude=values.pop("exclude"),
        frame_count=values.pop("frames"),
        jobs=values.pop("jobs"),
        device=values.pop("device"),
        cache_folder=values.pop("cache_dir"),
        verify_content=values.pop("verify_content"),
        limits=Limits(
            seconds=values.pop("time_limit"),
            memory_bytes=values.pop("memory_limit") << 20,
            frame_pixels=values.pop("max_frame_pixels"),
        ),
    )

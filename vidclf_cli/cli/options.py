"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

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


class ModelName(click.types.StringParamType):
    """A classifier: the name of a shipped one, or a file. A shell completes both."""

    name = "name|file"

    def shell_complete(
        self, _context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the shipped names that begin so, and have the shell look for files."""
        from vidclf_cli.errors import VidclfError
        from vidclf_cli.shipped import shipped_classifiers

        try:
            names = shipped_classifiers()
        except VidclfError:  # A broken installation shows when the command runs.
            names = ()
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return [CompletionItem(incomplete, type="file"), *found]


paths_argument = click.argument(
    "paths", nargs=-1, required=True, metavar="PATHS...", type=NamedPath(path_type=Path)
)

cache_dir_option = click.option(
    "--cache-dir",
    type=NamedPath(file_okay=False, path_type=Path),
    help="Where vectors are kept between runs. [default: the user's cache folder; env VIDCLF_CACHE_DIR]",
)


def _split_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    names = tuple(name for each in value.split(",") if (name := each.strip()))
    if not names:
        raise click.BadParameter("it names no space; e.g. local/visual,local/metadata.")
    return names


def embeddings_option(default: str) -> Callable[[Command], Command]:
    """Return the option that names embedding spaces, as a tuple; empty where it is not given."""
    return click.option(
        "--embeddings",
        metavar="SPACES",
        callback=_split_names,
        help="Embedding spaces, separated by commas: local/visual, local/concepts, local/metadata, "
        "local/audio, and those of other packages (`vidclf doctor` lists them). "
        f"[default: {default}]",
    )


target_precision_option = click.option(
    "--target-precision",
    type=NumberRange(0.0, 1.0, min_open=True, max_open=True),
    metavar="SHARE",
    help="Give a label only where it is right in so many of the cases (0.9), by the thresholds that the "
    "classifier holds for that; `vidclf tune` sets them. [default: the classifier's own thresholds]",
)

_DATA_OPTIONS = (
    click.option(
        "--root",
        type=NamedPath(file_okay=False, path_type=Path),
        help="What the paths of a CSV are relative to. [default: the CSV's folder]",
    ),
    click.option(
        "--group-column",
        metavar="NAME",
        help="The CSV's column that says which source a video comes from. [default: group, source or "
        "source_url]",
    ),
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
        help="For reading one video, or one part of a timeline.",
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


def data_options(command: Command) -> Command:
    """Add the options of every command that measures on labelled videos."""
    for option in reversed(_DATA_OPTIONS):
        command = option(command)
    return command


def split_option(default: str) -> Callable[[Command], Command]:
    """Return the option that names a part of a packed file."""
    return click.option(
        "--split",
        type=click.Choice(["test", "validation", "train", "rest", "large-test", "all"]),
        help="The part of a packed file that is measured; large-test is test and rest. "
        f"[default: {default}, where the file has parts]",
    )


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

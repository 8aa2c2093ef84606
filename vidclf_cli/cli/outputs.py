"""Options of `vidclf classify` that say where the answers go."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vidclf_cli.cli.terminal import is_terminal

if TYPE_CHECKING:
    from vidclf_cli.library import Library

TABLE = "table"
_STDOUT = "-"

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the answers go.

    Attributes:
        target: The file of the rows, `-` for standard output.
        format_name: What was chosen; None goes by the target.
        force: Replace what vidclf did not write.
        update: Keep rows of videos that did not change.
        retry_failed: But not those of videos that could not be read.
        summary: A file about the run.
        nfo: Write labels into `.nfo` files.
        sidecar: Write rows as JSON beside videos.
        chapters: Write timelines beside videos.
        dry_run: Write nothing of all this.
        quiet: Say errors only.
    """

    target: str
    format_name: str | None
    force: bool
    update: bool
    retry_failed: bool
    summary: str | None
    nfo: bool
    sidecar: bool
    chapters: bool
    dry_run: bool
    quiet: bool

    @property
    def is_beside(self) -> bool:
        """Whether anything is written beside videos."""
        return self.nfo or self.sidecar or self.chapters


_ROW_OPTIONS = (
    click.option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where the rows go, `-` for stdout. [default: a table on a terminal, else CSV on stdout]",
    ),
    click.option(
        "--format",
        "format_name",
        type=click.Choice(["csv", "jsonl", "parquet", "sqlite", "vtt", TABLE]),
        help="`vtt` is the chapters of one video. [default: by the suffix of --out: .csv, .jsonl, .parquet, "
        ".sqlite, .db or .vtt]",
    ),
    click.option(
        "--force", is_flag=True, help="Replace an --out that vidclf did not write, or that has other columns."
    ),
    click.option(
        "--update",
        is_flag=True,
        help="Bring the --out that is there up to date: rows of videos that did not change are taken over, "
        "those of videos that are gone dropped.",
    ),
    click.option(
        "--retry-failed", is_flag=True, help="As --update, and try videos again that could not be read."
    ),
    click.option(
        "--summary",
        metavar="FILE",
        help="Write what the run did as JSON, `-` for stdout. [default: only the last line on stderr]",
    ),
)
_BESIDE_OPTIONS = (
    click.option(
        "--write-nfo",
        "nfo",
        is_flag=True,
        help="Write each label as <tag> and <genre> into the video's .nfo, for Kodi and Jellyfin. What is "
        "there is merged, and backed up as .nfo.bak.",
    ),
    click.option(
        "--write-sidecar",
        "sidecar",
        is_flag=True,
        help="Write each video's rows as JSON beside it, as name.mp4.vidclf.json.",
    ),
    click.option(
        "--write-chapters",
        "chapters",
        is_flag=True,
        help="With --segments: write each video's timeline beside it, as name.chapters.vtt.",
    ),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Say what would be done, and do nothing of it. With --write-... videos are classified (and "
        "cached) and what would be written is shown.",
    ),
)


def row_options(command: Command) -> Command:
    """Add the options that say where rows go."""
    return _add(command, _ROW_OPTIONS)


def beside_options(command: Command) -> Command:
    """Add the options that say what is written beside videos."""
    return _add(command, _BESIDE_OPTIONS)


def to_outputs(values: dict[str, Any]) -> Outputs:
    """Take the values of `row_options` and `beside_options` out of a command's keyword arguments."""
    out, format_name = values.pop("out"), values.pop("format_name")
    if format_name is None and out is None and is_terminal(sys.stdout):
        format_name = TABLE
    retry_failed = values.pop("retry_failed")
    return Outputs(
        target=_STDOUT if out is None else out,
        format_name=format_name,
        force=values.pop("force"),
        update=values.pop("update") or retry_failed,
        retry_failed=retry_failed,
        summary=values.pop("summary"),
        nfo=values.pop("nfo"),
        sidecar=values.pop("sidecar"),
        chapters=values.pop("chapters"),
        dry_run=values.pop("dry_run"),
        quiet=values.pop("quiet"),
    )


def check_count(format_name: str, library: Library) -> None:
    """Refuse to put several videos into a file that is about one.

    Raises:
        UsageError: There is not exactly one.
    """
    from vidclf_cli.errors import UsageError
    from vidclf_cli.writers import CHAPTERS

    if format_name == CHAPTERS and len(library.videos) != 1:
        raise UsageError(
            f"A file of chapters is about one video, and {len(library.videos):,} were found.",
            "Name one video, or give --write-chapters for a file beside each.",
        )


def _add(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command

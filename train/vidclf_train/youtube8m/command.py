"""`python -m vidclf_train youtube8m`: build a dataset from shards, download shards, resolve ids."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from vidclf_cli.cli.terminal import printable, say
from vidclf_cli.errors import VidclfError
from vidclf_train.vocabulary import PAPER_CLASSES, read_verticals
from vidclf_train.youtube8m.build import Built, build
from vidclf_train.youtube8m.download import Ending, download
from vidclf_train.youtube8m.members import Classes, Outcome, find_shards
from vidclf_train.youtube8m.progress import show_progress
from vidclf_train.youtube8m.resolve import Status, read_ids, resolve
from vidclf_train.youtube8m.shards import (
    PARTITIONS,
    SHARD_COUNT,
    Partition,
    choose_mirror,
    list_shards,
    read_plan,
)
from vidclf_train.youtube8m.web import FetchError, Web


@click.group()
def youtube8m() -> None:
    """YouTube-8M (May 2018), video level: get it, and make a dataset of it."""


mirror_option = click.option(
    "--mirror",
    default="us",
    show_default=True,
    help="us, eu, asia, or the base URL of a copy that has `2/video/...` below it.",
)


@youtube8m.command("build")
@click.option(
    "--shards",
    "folders",
    required=True,
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of *.tfrecord files; can be given several times.",
)
@click.option(
    "--vocabulary",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="vocabulary.csv of 2018.",
)
@click.option(
    "--per-class",
    required=True,
    type=click.IntRange(min=0),
    help="So many videos of each class are sampled and split 8:1:1; 0 takes all. The others are kept beside.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Packed HDF5.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1), help="Decides which ones."
)
@click.option(
    "--classes",
    "class_names",
    default=",".join(PAPER_CLASSES),
    help="Verticals, separated by commas. Default: the paper's ten.",
)
@click.pass_context
def build_command(
    context: click.Context,
    folders: tuple[Path, ...],
    vocabulary: Path,
    per_class: int,
    out: Path,
    seed: int,
    class_names: str,
) -> None:
    """Make a labelled dataset of the videos that belong to one class alone.

    A video belongs to a class when the first verticals of all its labels are that one vertical.
    """
    names = tuple(name.strip() for name in class_names.split(",") if name.strip())
    classes = Classes(names, read_verticals(vocabulary))
    shards = find_shards(folders)

    with show_progress() as progress:
        built = build(
            lambda: progress.track(shards, description="reading"),
            classes,
            out,
            per_class=per_class,
            seed=seed,
            say=lambda line: say(printable(line)),
        )
    _print_summary(built, len(shards), per_class, out)
    context.exit(1 if built.tally.has_losses else 0)


@youtube8m.command("download")
@click.option("--partition", required=True, type=click.Choice(PARTITIONS), help="`test` has no labels.")
@click.option("--count", required=True, type=click.IntRange(1, SHARD_COUNT), help="The first of 3,844.")
@click.option("--out", "folder", required=True, type=click.Path(file_okay=False, path_type=Path))
@mirror_option
@click.option("--jobs", default=4, show_default=True, type=click.IntRange(1, 32), help="At a time.")
@click.pass_context
def download_command(
    context: click.Context, partition: Partition, count: int, folder: Path, mirror: str, jobs: int
) -> None:
    """Fetch video-level shards. What broke off goes on; a file appears only when it is whole and right."""
    place = choose_mirror(mirror)
    with Web() as web, show_progress() as progress:
        try:
            plan = read_plan(web, place, partition)
        except FetchError as error:
            raise VidclfError(f"The download plan cannot be fetched: {error}.", "Try again later.") from error
        if plan is None:
            say("No download plan is there: names follow the scheme, and no MD5 from a plan is checked.")
        shards = list_shards(place, partition, plan, count)
        endings, byte_count = Counter[Ending](), 0
        done = progress.track(
            download(web, shards, folder, jobs=jobs), total=len(shards), description=partition
        )
        for each in done:
            endings[each.ending] += 1
            byte_count += each.received_count
            if each.ending is Ending.FAILED:
                say(printable(f"{each.shard.url}: {each.reason}"))
    parts = [f"{endings[ending]} {ending}" for ending in Ending if endings[ending]]
    click.echo(f"{folder}: {len(shards)} shards: {', '.join(parts)} ({byte_count / 1e6:.1f} MB received)")
    context.exit(1 if endings[Ending.FAILED] or endings[Ending.GIVEN_UP] else 0)


@youtube8m.command("resolve")
@click.option(
    "--ids",
    "ids_path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A packed dataset, or a text with one id per line.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="CSV.")
@mirror_option
@click.option("--jobs", default=8, show_default=True, type=click.IntRange(1, 64), help="At a time.")
@click.pass_context
def resolve_command(context: click.Context, ids_path: Path, out: Path, mirror: str, jobs: int) -> None:
    """Find the YouTube ids of videos. Begun again, it asks only about those that are not known yet."""
    ids = read_ids(ids_path)
    statuses = Counter[Status]()
    with Web() as web, show_progress() as progress:
        rows = resolve(web, choose_mirror(mirror), ids, out, jobs=jobs)
        for row in progress.track(rows, total=len(ids), description="resolving"):
            statuses[row.status] += 1
    parts = [f"{statuses[status]} {status}" for status in Status if statuses[status]]
    click.echo(f"{out}: {len(ids)} ids: {', '.join(parts)}")
    if statuses[Status.REMOVED] == len(ids) >= 5:
        click.echo("Every single one is said to be removed: does this mirror have ids at all?")
    context.exit(1 if statuses[Status.FAILED] or statuses[Status.INVALID] else 0)


def _print_summary(built: Built, shard_count: int, per_class: int, out: Path) -> None:
    click.echo(_table(built))
    for each in built.classes:
        if not each.found:
            click.echo(f"{each.name}: no video is there, so it is no label of the dataset")
        elif each.sampled < per_class:
            click.echo(
                f"{each.name}: only {each.found} videos are there, fewer than {per_class}: all are taken"
            )
    tally = built.tally
    total = sum(tally.outcomes.values())
    click.echo(f"{total} videos in {shard_count} shards:")
    for outcome in Outcome:
        if tally.outcomes[outcome]:
            click.echo(f"{tally.outcomes[outcome]:>8} {outcome}")
    if tally.damage_count or tally.unreadable_count:
        click.echo(
            f"damaged: {tally.damage_count} places; shards that could not be read: {tally.unreadable_count}"
        )
    click.echo(f"{out}: {tally.outcomes[Outcome.MEMBER]} rows")


def _table(built: Built) -> str:
    columns = ("found", "sampled", "train", "validation", "test", "rest")
    rows = [(each.name, *(getattr(each, column) for column in columns)) for each in built.classes]
    rows.append(("all", *(sum(row[place] for row in rows) for place in range(1, len(columns) + 1))))
    width = max(len(row[0]) for row in rows)
    lines = ["".ljust(width) + "".join(f"{column:>12}" for column in columns)]
    lines += [f"{name:<{width}}" + "".join(f"{count:>12}" for count in counts) for name, *counts in rows]
    return "\n".join(lines)

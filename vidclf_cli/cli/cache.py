"""`vidclf cache`: what is kept between runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidclf_cli.cli.options import cache_dir_option
from vidclf_cli.cli.progress import show_steps
from vidclf_cli.cli.quantities import Age, Size, size_text
from vidclf_cli.cli.terminal import printable
from vidclf_cli.wording import counted

if TYPE_CHECKING:
    from vidclf_cli.cache.prune import Pruned
    from vidclf_cli.cache.verify import Verified

_MOST_LISTED = 20


@click.group()
def cache() -> None:
    """Look at what is kept between runs, check it, and remove what is not needed.

    Deleting the whole folder costs time, nothing else: what it held is computed again. Vectors of a paid
    service would have to be paid for again.

    \b
      vidclf cache info
      vidclf cache verify --repair
      vidclf cache prune --older-than 90d --max-size 10GB --dry-run
    """


@cache.command()
@cache_dir_option
def info(cache_dir: Path | None) -> None:
    """Show where the cache is, how much it holds and how large it is.

    \b
      vidclf cache info
      vidclf cache info --cache-dir /data/vidclf
    """
    from vidclf_cli.cache import default_folder, measure
    from vidclf_cli.cache.inventory import Kind

    size = measure(cache_dir or default_folder())
    click.echo(f"folder     {printable(str(size.folder))}")
    for name, kind in (("videos", Kind.VIDEO), ("timelines", Kind.TIMELINE)):
        click.echo(f"{name:<10} {size.counts[kind]} ({size_text(size.byte_counts[kind])})")
    click.echo(f"texts      {size.text_count}")
    for name, kind in (("trainings", Kind.TRAINING), ("damaged", Kind.DAMAGED)):
        what = ", interrupted" if kind is Kind.TRAINING and size.counts[kind] else ""
        click.echo(f"{name:<10} {size.counts[kind]} ({size_text(size.byte_counts[kind])}{what})")
    click.echo(f"size       {size_text(size.byte_count)}")


@cache.command()
@click.option(
    "--repair",
    is_flag=True,
    help="Rename damaged files to *.damaged; what they held is computed again when it is needed. "
    "[default: only report]",
)
@click.option("--quiet", "-q", is_flag=True, help="Errors only.")
@cache_dir_option
def verify(repair: bool, quiet: bool, cache_dir: Path | None) -> int:
    """Read all that is cached, and hold it against its check sums.

    \b
      vidclf cache verify
      vidclf cache verify --repair

    A run finds damage by itself when it meets it; this finds it beforehand, after a power cut or on an old
    disk. Files that a newer vidclf wrote are counted and left as they are.

    Exit code: 0 all is whole, or was repaired; 1 something is damaged; 2 wrong usage; 130 interrupted.
    """
    from vidclf_cli.cache import default_folder
    from vidclf_cli.cache.verify import verify as verify_cache

    with show_steps("files", quiet) as progress:
        found = verify_cache(cache_dir or default_folder(), repair=repair, progress=progress)
    _show_verified(found, quiet)
    return 1 if any(not damage.is_repaired for damage in found.damages) else 0


@cache.command()
@click.option(
    "--older-than",
    type=Age(),
    metavar="AGE",
    help="Remove what was not used for so long: 90d, 12h, 2w. Used is written, or read by a run; the time is "
    "kept to the day. [default: nothing goes by its age]",
)
@click.option(
    "--max-size",
    type=Size(),
    metavar="SIZE",
    help="Remove what was used least recently until no more than this is left: 10GB, 500MB, 2GiB. "
    "[default: any size]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@cache_dir_option
def prune(older_than: float | None, max_size: int | None, dry_run: bool, cache_dir: Path | None) -> None:
    """Remove from the cache what was not used for long, or what is too much.

    \b
      vidclf cache prune --older-than 90d --dry-run
      vidclf cache prune --older-than 90d
      vidclf cache prune --max-size 10GB

    Vectors of videos and along them, interrupted trainings and records of outputs go by their last use.
    Damaged files that were set aside and temporary files of killed processes always go. Vectors of texts
    and the index of paths stay. What a running vidclf holds is left, and symbolic links are never touched.
    """
    from vidclf_cli.cache import default_folder
    from vidclf_cli.cache.prune import Limits
    from vidclf_cli.cache.prune import prune as prune_cache

    if older_than is None and max_size is None:
        raise click.UsageError("Say what is to go: --older-than 90d, --max-size 10GB, or both.")
    folder = cache_dir or default_folder()
    _show_pruned(prune_cache(folder, Limits(older_than, max_size), dry_run=dry_run), max_size, dry_run)


def _show_verified(found: Verified, quiet: bool) -> None:
    for damage in found.damages[:_MOST_LISTED]:
        done = ": repaired" if damage.is_repaired else ""
        click.echo(printable(f"damaged  {damage.path}: {damage.problem}{done}"))
    if len(found.damages) > _MOST_LISTED:
        click.echo(f"damaged  {len(found.damages) - _MOST_LISTED:,} more")
    if found.newer:
        click.echo(
            f"newer    {counted(len(found.newer), 'file')} of a newer vidclf, not looked into: upgrade it"
        )
    if not quiet:
        parts = [f"{count:,} {kind.value}" for kind, count in found.counts.items() if count]
        parts.append(f"{found.text_count:,} texts")
        bad = len(found.damages)
        click.echo(f"read     {', '.join(parts)}: {f'{bad:,} damaged' if bad else 'all whole'}")
    if any(not damage.is_repaired for damage in found.damages):
        click.echo("`vidclf cache verify --repair` sets damaged files aside.")


def _show_pruned(pruned: Pruned, max_size: int | None, dry_run: bool) -> None:
    verb = "would remove" if dry_run else "removed"
    for kind, count in pruned.counts.items():
        click.echo(f"{verb} {count:,} {kind.value} ({size_text(pruned.byte_counts[kind])})")
    if not pruned.counts:
        click.echo(f"{verb} nothing")
    if pruned.busy_count:
        click.echo(f"left {pruned.busy_count:,} that a running process uses: run it again later")
    click.echo(f"{size_text(pruned.kept_byte_count)} {'would stay' if dry_run else 'stay'}")
    if max_size is not None and pruned.kept_byte_count > max_size and not pruned.busy_count:
        click.echo("More than --max-size: vectors of texts and the index of paths are not pruned.")

"""`vidclf cache`: what is kept between runs."""

from __future__ import annotations

from pathlib import Path

import click

from vidclf_cli.cli.options import cache_dir_option


@click.group()
def cache() -> None:
    """Look at what is kept between runs."""


@cache.command()
@cache_dir_option
def info(cache_dir: Path | None) -> None:
    """Show where the cache is, how much it holds and how large it is."""
    from vidclf_cli.cache import default_folder, measure

    size = measure(cache_dir or default_folder())
    click.echo(f"folder   {size.folder}")
    click.echo(f"videos   {size.video_count}")
    click.echo(f"texts    {size.text_count}")
    click.echo(f"damaged  {size.damaged_count}")
    click.echo(f"size     {size.byte_count / 1e6:.1f} MB")

"""`python -m vidclf_train pack`: files of single videos into one dataset file, which trains faster."""

from __future__ import annotations

from pathlib import Path

import click

from vidclf_cli.dataset import write_dataset
from vidclf_cli.errors import UsageError
from vidclf_train.dataset import find_individual

_BLOCK_ROWS = 512


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write."
)
@click.option("--space", "spaces", multiple=True, metavar="ID", help="Take this space only; may be repeated.")
@click.option("--sampling", "samplings", multiple=True, metavar="ID=NAME",
              help="Of this space take this sampling; may be repeated.")  # fmt: skip
@click.option("--multi", is_flag=True, help="A video may have several labels, even if none has.")
@click.option("--group-column", metavar="NAME", help="The column that says which source a video comes from.")
def pack(
    data: Path,
    out: Path,
    spaces: tuple[str, ...],
    samplings: tuple[str, ...],
    multi: bool,
    group_column: str | None,
) -> None:
    """Pack HDF5 files of single videos into one.

    DATA is a CSV (path,label[,group]) of files as the cache keeps them, or a folder with one sub-folder of
    such files per label.
    """
    chosen = dict(_pair(each) for each in samplings)
    files = find_individual(data, spaces=spaces, samplings=chosen, multi=multi, group_column=group_column)
    for note in files.notes:
        click.echo(note, err=True)
    labelled = files.labelled
    with write_dataset(out, files.dimensions, labelled.task, labelled.labels) as writer:
        for begin in range(0, len(files), _BLOCK_ROWS):
            part = files.load(begin, begin + _BLOCK_ROWS)
            vectors = {space: part.vectors[space][:] for space in files.dimensions}
            writer.append(vectors, part.targets, part.ids, part.groups)
    spaces_text = ", ".join(f"{space} ({size})" for space, size in files.dimensions.items())
    click.echo(f"{out}: {len(files):,} rows, {len(labelled.labels)} labels; {spaces_text}")


def _pair(text: str) -> tuple[str, str]:
    space, separator, sampling = text.rpartition("=")
    if not separator or not space or not sampling:
        raise UsageError(f"`--sampling {text}` is not understood.", "Write SPACE=NAME.")
    return space, sampling

"""`vidclf embed`: fill the cache, write nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidclf_cli.cli.options import embeddings_option, paths_argument, run_options, to_run_options


@click.command()
@paths_argument
@embeddings_option("local, which is all of them")
@run_options
def embed(paths: tuple[Path, ...], embeddings: tuple[str, ...], quiet: bool, **values: Any) -> int:
    """Compute the vectors of videos and keep them in the cache; label nothing.

    Every space of the local embedder is filled: picture, concepts, sound and text. A later `classify` with
    any classifier or labels then reads no video at all. Run it from cron, or before a long journey.

    \b
      vidclf embed ./videos
      vidclf embed ./videos --embeddings local,my/clip
    """
    from vidclf_cli.cli.progress import show_progress, show_start, show_summary
    from vidclf_cli.local_spaces import ALL_LOCAL
    from vidclf_cli.pipeline.run import CacheFilling

    with CacheFilling(paths, to_run_options(values), embeddings or (ALL_LOCAL,)) as job:
        show_start(job, quiet)
        with show_progress(job, quiet):
            for _ in job.results():
                pass
        show_summary(job, None, quiet)
        return job.exit_code

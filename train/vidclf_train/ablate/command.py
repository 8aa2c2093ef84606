"""`python -m vidclf_train ablate`: the paper's tables, repeated with several seeds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path

import click
import torch

from vidclf_cli.dataset import open_dataset
from vidclf_train.ablate.outcome import Outcome, check_dataset, run
from vidclf_train.ablate.printing import describe_data, render
from vidclf_train.ablate.store import RunStore, file_digest, locked
from vidclf_train.ablate.tables import TABLE_NAMES, Configuration, Table, make_tables

_Task = tuple[Configuration, int]


@click.command()
@click.argument("data", metavar="DATASET.h5", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--table", "names", multiple=True, type=click.Choice([*TABLE_NAMES, "all"]), default=("all",),
              help="Which comparison; may be repeated.  [default: all]")  # fmt: skip
@click.option("--space", "spaces", multiple=True, metavar="ID", help="Use this space only; may be repeated.")
@click.option("--seeds", type=click.IntRange(1),
              help="Each draws a split and weights of its own.  [default: 5, with --quick 1]")  # fmt: skip
@click.option("--json", "json_path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Keep every finished run here: the same command goes on where it was.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at a time.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--known", "only_known", is_flag=True, help="Run nothing: print what FILE holds so far.")
@click.option("--quick", is_flag=True, help="3 epochs: does it run? (no figures to quote)")
def ablate(
    data: Path,
    names: tuple[str, ...],
    spaces: tuple[str, ...],
    seeds: int | None,
    json_path: Path | None,
    jobs: int,
    device: str,
    only_known: bool,
    quick: bool,
) -> None:
    """Train what the paper compares, and print it beside the paper's numbers.

    DATASET.h5 is a packed file with splits, as `youtube8m build` makes it. A run that FILE holds already is
    not repeated, as long as data, recipe, seed, device and versions are the same.
    """
    seed_count = seeds or (1 if quick else 5)
    chosen = [name for name in TABLE_NAMES if "all" in names or name in names]
    with open_dataset(data) as stored:
        dataset = stored.of_spaces(spaces or tuple(stored.vectors))
        check_dataset(dataset, seed_count)
        tables = make_tables(tuple(dataset.vectors), chosen, quick=quick)
        described = describe_data(dataset)
    with nullcontext() if only_known else locked(json_path):
        store = RunStore(json_path, file_digest(data), device)
        if not only_known:
            _run_missing(data, tables, range(seed_count), store, jobs, device)
    click.echo("QUICK: 3 epochs, no figures to quote\n" if quick else "", nl=quick)
    click.echo(described)
    for table in tables:
        outcomes = {
            row.name: {
                seed: outcome
                for seed in range(seed_count)
                if (outcome := store.get(row.configuration, seed)) is not None
            }
            for row in table.rows
        }
        click.echo(f"\n{render(table, outcomes)}")
    for name in chosen:
        if name not in {table.name for table in tables}:
            click.echo(f"\n{name}: left out, the data has no metadata vectors")


def _run_missing(
    data: Path, tables: Sequence[Table], seeds: Sequence[int], store: RunStore, jobs: int, device: str
) -> None:
    """Run what is not known yet, seed by seed, so that an early look has all rows."""
    names: dict[Configuration, str] = {}
    for table in tables:
        for row in table.rows:
            names.setdefault(row.configuration, f"{table.name}: {row.name}")
    tasks = [(each, seed) for seed in seeds for each in names]
    missing = [task for task in tasks if store.get(*task) is None]
    click.echo(f"{len(tasks)} runs, {len(tasks) - len(missing)} of them known", err=True)
    for number, (task, outcome) in enumerate(_run(data, missing, jobs, device), start=1):
        store.add(*task, outcome)
        click.echo(
            f"{number}/{len(missing)} {names[task[0]]}, seed {task[1]}: "
            f"large {100 * outcome.balanced_accuracy:.1f} %, {outcome.seconds:.1f} s",
            err=True,
        )


def _run(data: Path, tasks: Sequence[_Task], jobs: int, device: str) -> Iterator[tuple[_Task, Outcome]]:
    """Yield every task with what it gave, as they end."""
    if jobs == 1:
        for task in tasks:
            yield task, run(data, *task, device)
        return
    # Forked processes would share the locks of torch's threads.
    pool = ProcessPoolExecutor(min(jobs, max(1, len(tasks))), get_context("spawn"), _limit_threads, (jobs,))
    try:
        running = {pool.submit(run, data, *task, device): task for task in tasks}
        for done in as_completed(running):
            yield running[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _limit_threads(jobs: int) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, min(torch.get_num_threads(), cores // jobs)))

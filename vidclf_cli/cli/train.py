"""`vidclf train`: labelled videos in, a classifier file out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from vidclf_cli.cli.options import NamedPath, embeddings_option, run_options, to_run_options
from vidclf_cli.cli.progress import Lines
from vidclf_cli.cli.terminal import can_draw, console, printable, say
from vidclf_cli.wording import counted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vidclf_cli.pipeline.run import Job
    from vidclf_train.teach import Taught

_PACKAGES = ("torch", "onnx", "onnxscript", "sklearn", "matplotlib", "umap")
_MOST_SEED = (1 << 32) - 1


@click.command()
@click.argument("data", metavar="DATA", type=NamedPath(path_type=Path))
@click.option(
    "--out",
    "-o",
    required=True,
    metavar="FILE",
    type=NamedPath(path_type=Path),
    help="The classifier, e.g. my.onnx. Its card my.md and pictures in my_figures/ go beside it.",
)
@click.option(
    "--recipe",
    default="auto",
    show_default=True,
    metavar="NAME|FILE",
    help="How it is trained: `auto` compares linear and deeper heads by cross-validation and keeps the "
    "better or their mix, `paper` is one network as in the paper; or a TOML file of your own.",
)
@embeddings_option("local, which is all local ones; of a dataset file all that it holds")
@click.option("--multi", is_flag=True, help="A video may have several labels. [default: when one has]")
@click.option(
    "--group-column",
    metavar="NAME",
    help="Column of the CSV that says which source a clip comes from: clips of one source are never both "
    "trained and tested on. [default: group, source or source_url]",
)
@click.option(
    "--root",
    metavar="FOLDER",
    type=NamedPath(file_okay=False, path_type=Path),
    help="What the paths of the CSV are relative to. [default: the folder of the CSV]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, _MOST_SEED),
    default=0,
    show_default=True,
    help="The same data, recipe and seed give the same file.",
)
@click.option("--name", metavar="TEXT", help="What the classifier calls itself. [default: the name of --out]")
@click.option(
    "--licence",
    default="not stated",
    show_default=True,
    metavar="TEXT",
    help="Under which terms others may use it; stands in its card.",
)
@click.option("--no-figures", is_flag=True, help="Draw no pictures: saves some 10 s.")
@click.option(
    "--checkpoint",
    metavar="FOLDER",
    type=NamedPath(file_okay=False, path_type=Path),
    help="Where an interrupted training keeps its state; the same command goes on from there. "
    "[default: in the cache]",
)
@run_options
def train(data: Path, out: Path, quiet: bool, **values: Any) -> int:
    """Train a classifier on your own labels, for `vidclf classify --model`.

    DATA is a folder with one sub-folder per label, a CSV with the columns `path` and `label` (several labels
    joined by `|`, optionally `group`), or a packed dataset file (.h5). Two labels with three clips each are
    the least that can be measured.

    \b
      vidclf train ./clips --out my.onnx
      vidclf train labels.csv --out my.onnx --group-column source_url
      vidclf train labels.csv --out my.onnx --embeddings local/visual,local/metadata --recipe paper

    Videos are embedded through the cache, so nothing is embedded twice. Needs the extra `train`:
    pip install 'vidclf[train]'. docs/training.md says more.

    Exit code: 0 all fine, 1 the classifier is written, but some videos could not be read, 2 wrong usage or
    data, 130 interrupted.
    """
    _require_packages()
    # Here torch is imported, which takes seconds.
    from vidclf_train.sources import SourceOptions
    from vidclf_train.teach import TeachOptions, teach

    run = to_run_options(values)
    options = TeachOptions(
        source=SourceOptions(
            embeddings=values.pop("embeddings"),
            multi=values.pop("multi"),
            group_column=values.pop("group_column"),
            root=values.pop("root"),
        ),
        recipe=values.pop("recipe"),
        seed=values.pop("seed"),
        name=values.pop("name"),
        licence=values.pop("licence"),
        figures=not values.pop("no_figures"),
        checkpoint_folder=values.pop("checkpoint"),
    )
    with _Onlooker(quiet) as onlooker:
        taught = teach(data, out, options, run, onlooker)
    if not quiet:
        for line in _report(taught):
            say(printable(line))
    return 1 if taught.failures else 0


def _require_packages() -> None:
    from importlib.util import find_spec

    from vidclf_cli.errors import UsageError

    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise UsageError(
            f"`vidclf train` needs {missing[0]}, which is not installed.",
            "Install the extra: `pip install 'vidclf[train]'`; with pipx: "
            "`pipx inject vidclf 'vidclf[train]'`.",
        )


class _Onlooker:
    """Shows on stderr what happens: sentences always, bars on a terminal."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._stack = ExitStack()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._lines: dict[str, Lines] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def note(self, text: str) -> None:
        """Say a sentence."""
        if not self._quiet:
            say(printable(text))

    @contextmanager
    def embedding(self, job: Job) -> Iterator[None]:
        """Show what is embedded where, a bar, and what became of the videos."""
        from vidclf_cli.cli.progress import show_progress, show_start, show_summary

        show_start(job, self._quiet)
        with show_progress(job, self._quiet):
            yield
        show_summary(job, None, self._quiet)

    def training(self, what: str, done: int, total: int) -> None:
        """Show a bar per part of the training; where none can be drawn, a line now and then."""
        if self._quiet:
            return
        if not can_draw(sys.stderr):
            self._lines.setdefault(what, Lines("parts", what)).show(done, total)
            return
        if self._bars is None:
            self._bars = self._stack.enter_context(_bars())
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(printable(what), total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)


def _bars() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    # Names of parts are plain text: `[` begins no markup.
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console(sys.stderr), transient=True)


def _report(taught: Taught) -> Iterator[str]:
    """Yield the lines that a person reads last: how good it is, where it is, what to do with it."""
    from vidclf_train.card_text import FIGURES, UNMEASURED, cautions, evaluated, interval_text

    part = evaluated(taught.card)
    if part:
        what = "test" if "test" in taught.card.metrics else "held-out"
        rows = counted(part["row_count"], f"{what} row")
        if taught.card.metrics["data"]["is_grouped"]:
            rows += f" of {counted(part['group_count'], 'source')}"
        yield f"On {rows}, with 95 % intervals:"
        for key, name in FIGURES.items():
            if key in part:
                yield f"  {name:<20} {interval_text(part[key])}"
        yield f"  {'calibration error':<20} {part['calibration_error']:.3f}"
        answered = part["answered"]
        if answered["accuracy"] is not None:
            yield (
                f"  {'answered':<20} {answered['coverage']:.3f}, of those right {answered['accuracy']:.3f}; "
                "the rest is `unknown`"
            )
    else:
        yield UNMEASURED
    for caution in cautions(taught.card):
        yield f"Careful: {caution}"
    if taught.failures:
        yield f"{len(taught.failures)} of the videos could not be read and took no part."
    pictures = f", {taught.figures[0].parent}/ ({len(taught.figures)} pictures)" if taught.figures else ""
    yield f"Written: {taught.out} ({taught.classifier}), {taught.card_file}{pictures}"
    yield _next_step(taught)


def _next_step(taught: Taught) -> str:
    from vidclf_cli.embedders.registry import find_space

    if strange := [each.space for each in taught.card.inputs if find_space(each.space) is None]:
        return (
            f"Next: vidclf evaluate {taught.out} DATASET.h5 (not classify: this vidclf makes no vectors of "
            f"{strange[0]})"
        )
    return f"Next: vidclf classify ./videos --model {taught.out}"

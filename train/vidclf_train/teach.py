"""From labelled data to a classifier file with its card and pictures: what `vidclf train` does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from vidclf_cli.cache import default_folder
from vidclf_cli.cache.prune import training_lock
from vidclf_cli.classifier_card import ClassifierCard
from vidclf_cli.classifier_file import check_classifier_target
from vidclf_cli.dataset import Dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.pipeline.options import RunOptions
from vidclf_cli.records import Result
from vidclf_cli.writers.output import open_output
from vidclf_train.card import NO_LICENCE, build_card
from vidclf_train.card_text import MARK, card_text
from vidclf_train.checkpoint import make_folder
from vidclf_train.device import choose_training_device
from vidclf_train.export import export_classifier
from vidclf_train.figures import draw_figures, figures_folder, remove_figures
from vidclf_train.fitted import Fitted
from vidclf_train.recipe import Recipe, load_recipe
from vidclf_train.sources import Source, SourceOptions, open_source
from vidclf_train.train import train_classifier
from vidclf_train.watcher import Nobody, Watcher

DEFAULT_RECIPE = "auto"
_SAMPLE_COUNT = 128  # Real rows that torch and ONNX Runtime are compared on.


@dataclass(frozen=True, slots=True)
class TeachOptions:
    """What is made of the data.

    Attributes:
        source: How the data is to be understood.
        recipe: One that ships, or a TOML file.
        seed: The same data, recipe, seed and software give the same file.
        name: What the classifier calls itself; None is the file's name without its suffix.
        licence: Under which terms it may be used.
        figures: Whether pictures are drawn.
        checkpoint_folder: Where an interrupted training keeps its state; None is in the cache folder.
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    recipe: str = DEFAULT_RECIPE
    seed: int = 0
    name: str | None = None
    licence: str = NO_LICENCE
    figures: bool = True
    checkpoint_folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Taught:
    """What came out.

    Attributes:
        card: What the classifier file says of itself.
        classifier: Its name @ first 12 of its SHA-256.
        out: The file.
        card_file: The Markdown card beside it.
        figures: The pictures.
        failures: Videos that could not be read, and so took no part.
    """

    card: ClassifierCard
    classifier: str
    out: Path
    card_file: Path
    figures: tuple[Path, ...]
    failures: tuple[Result, ...]


def teach(
    data: Path, out: Path, options: TeachOptions, run: RunOptions, watcher: Watcher | None = None
) -> Taught:
    """Train a classifier on labelled data and write it.

    Args:
        data: A CSV, a folder with one sub-folder per label, or a packed dataset file.
        out: The classifier file; `my.md` and `my_figures` go beside `my.onnx`. An older one is replaced when
            the new one is whole.
        options: What is made of the data.
        run: How videos are read and embedded; its device is that of the training, too.
        watcher: Is told what happens.

    Raises:
        UsageError: The data, the recipe or a place to write to cannot be used.
        CacheError: The cache cannot be used.
        ClassifierError: What was trained does not survive its export.
        OutputError: Something cannot be written.
    """
    watcher = watcher or Nobody()
    check_out(out)
    name = out.stem if options.name is None else options.name
    for what, text in (("--name", name), ("--licence", options.licence)):
        if not text.strip() or not text.isprintable():
            raise UsageError(f"{what} is {text!r}, not a line of text.", "Give it a few words.")
    recipe = load_recipe(options.recipe)
    device = choose_training_device(run.device)
    checkpoints = _checkpoints(data, recipe, options, run)
    make_folder(checkpoints)
    with _held(checkpoints, options, run), open_source(data, options.source, run, watcher) as source:
        _check_dimensions(source.dataset, data)
        watcher.note(
            f"Training: recipe {recipe.name} on {device.name} ({device.reason}), seed {options.seed}."
        )
        fitted = train_classifier(
            source.dataset,
            recipe,
            seed=options.seed,
            device=run.device,
            checkpoint_folder=checkpoints,
            progress=watcher.training,
        )
        noted = _tell_notes(fitted, source, checkpoints, watcher)
        taught = _write(*noted, out, name, options, watcher)
    # Only now: until everything is written, the same command would go on from there.
    with contextlib.suppress(OSError):
        shutil.rmtree(checkpoints)
    return taught


def _check_dimensions(dataset: Dataset, data: Path) -> None:
    """Refuse vectors that no video could ever have: nobody could classify with what they teach."""
    known = {space.id: space.dimension for space in local_spaces().values()}
    for name, table in dataset.vectors.items():
        if table.shape[1] != known.get(name, table.shape[1]):
            raise UsageError(
                f"{data} has vectors of {table.shape[1]} numbers of {name}, which has {known[name]}.",
                "Make it again, or give its vectors another name.",
            )


@contextlib.contextmanager
def _held(checkpoints: Path, options: TeachOptions, run: RunOptions) -> Iterator[None]:
    """Keep `vidclf cache prune` from the state of this training; a twin of it may hold the lock already."""
    with contextlib.ExitStack() as stack:
        if options.checkpoint_folder is None:
            lock = training_lock(run.cache_folder or default_folder(), checkpoints.name)
            with contextlib.suppress(OSError):  # A timeout is one, too.
                lock.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(lock, timeout=0))
        yield


def check_out(out: Path) -> None:
    """Find out before anything is read whether the classifier can be written.

    Raises:
        UsageError: It cannot, or a file of the user's own is in the way.
    """
    check_classifier_target(out)
    card, folder = out.with_suffix(".md"), figures_folder(out)
    if card.exists() and MARK not in _text_of(card):
        raise UsageError(
            f"{card} is in the way: the classifier's card would replace it, and it is none.",
            "Rename it, or give --out another name.",
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder} is in the way: the pictures go there.", "Rename it, or give --out another name."
        )


def _text_of(card: Path) -> str:
    try:
        return card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _checkpoints(data: Path, recipe: Recipe, options: TeachOptions, run: RunOptions) -> Path:
    """Return the folder of this training: what decides the weights is checked again by each checkpoint."""
    folder = options.checkpoint_folder or (run.cache_folder or default_folder()) / "training"
    made_by = [str(data.absolute()), asdict(recipe), asdict(options.source), options.seed]
    key = hashlib.blake2b(json.dumps(made_by, default=str, sort_keys=True).encode(), digest_size=10)
    return folder / key.hexdigest()


def _tell_notes(fitted: Fitted, source: Source, checkpoints: Path, watcher: Watcher) -> tuple[Fitted, Source]:
    """Pass on what the training noticed: all of it to the watcher, and to the card what concerns the data.

    That a training went on from a checkpoint changes nothing in what came out, and names a place.
    """
    notes = [str(note) for note in fitted.report.get("notes", ())]
    for note in notes:
        watcher.note(note)
    lasting = tuple(note for note in notes if str(checkpoints) not in note)
    provenance = replace(source.provenance, notes=(*source.provenance.notes, *lasting))
    report = {key: value for key, value in fitted.report.items() if key != "notes"}
    return replace(fitted, report=report), replace(source, provenance=provenance)


def _write(
    fitted: Fitted, source: Source, out: Path, name: str, options: TeachOptions, watcher: Watcher
) -> Taught:
    dataset = source.dataset
    card = build_card(
        fitted, dataset, source.provenance, name=name, licence=options.licence, seed=options.seed
    )
    watcher.training("writing the classifier", 0, 1)
    samples = _sample(dataset, options.seed)
    classifier = export_classifier(
        fitted, card, out, {space: table[:] for space, table in samples.vectors.items()}
    )
    card_file, folder = out.with_suffix(".md"), figures_folder(out)
    remove_figures(folder)
    # Before the pictures, which take longest: whoever stops there has a classifier and its card.
    _write_card(card, fitted, card_file, ())
    watcher.training("writing the classifier", 1, 1)
    figures: tuple[Path, ...] = ()
    if options.figures:
        watcher.training("drawing pictures", 0, 1)
        figures = draw_figures(fitted, dataset, folder, seed=options.seed)
        _write_card(card, fitted, card_file, figures)
        watcher.training("drawing pictures", 1, 1)
    return Taught(card, classifier.name, out, card_file, figures, source.failures)


def _write_card(card: ClassifierCard, fitted: Fitted, path: Path, figures: tuple[Path, ...]) -> None:
    pictures = {each.name: f"{each.parent.name}/{each.name}" for each in figures}
    with open_output(str(path)) as stream:
        stream.write(card_text(card, fitted.report, pictures))


def _sample(dataset: Dataset, seed: int) -> Dataset:
    rows = np.arange(len(dataset))
    if len(rows) > _SAMPLE_COUNT:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _SAMPLE_COUNT, replace=False))
    return dataset.load(rows)

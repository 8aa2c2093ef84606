"""The pictures beside a classifier: what it mixes up, how honest it is, how it learnt, what it saw."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset
from vidclf_cli.errors import OutputError
from vidclf_cli.metrics import confusion_counts, reliability
from vidclf_cli.pictures import (
    drawable_names,
    drawing,
    new_figure,
    save_confusion,
    save_picture,
    save_reliability,
)
from vidclf_train.fitted import Curve, Fitted, HeldOut
from vidclf_train.side_by_side import kept_thread_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONFUSION, RELIABILITY, LEARNING_CURVE, UMAP = PICTURES = (
    "confusion.png",
    "reliability.png",
    "learning_curve.png",
    "umap.png",
)
"""Names of the pictures, in the order in which they are drawn."""

_MOST_POINTS = 5000
"""UMAP takes 2 s for 2,000 rows and 7 s for 5,000 (one core, after 6 s of compiling): sampled beyond."""

_LEAST_FOR_UMAP = 10
_NEIGHBOUR_COUNT = 15  # UMAP's own default.
_MOST_LEGEND_ENTRIES = 30
_MOST_CONFUSION_LABELS = 300
_GREY = (0.75, 0.75, 0.75, 1.0)


def figures_folder(out: Path) -> Path:
    """Return where the pictures of a classifier file go: `my_figures` beside `my.onnx`."""
    return out.with_name(f"{out.stem}_figures")


def remove_figures(folder: Path) -> None:
    """Remove the pictures of an older classifier, and the folder when nothing else is in it.

    Raises:
        OutputError: They cannot be removed.
    """
    try:
        for name in PICTURES:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The pictures in {folder} cannot be replaced ({error.strerror}).", "Check its permissions."
        ) from error
    with contextlib.suppress(OSError):
        folder.rmdir()


def draw_figures(fitted: Fitted, dataset: Dataset, folder: Path, *, seed: int = 0) -> tuple[Path, ...]:
    """Draw what there is to draw.

    Confusion matrix and reliability diagram are of the test rows, where there are any, else of the held-out
    ones. There is no confusion matrix of labels that do not exclude each other, or of more than 300, and no
    learning curve where nothing was trained by epochs.

    Args:
        fitted: What was trained.
        dataset: The rows that it was trained on.
        folder: Made when it is not there.
        seed: Of the sample and the layout of the embeddings.

    Returns:
        The files that were written.

    Raises:
        OutputError: One cannot be written.
    """
    written = []
    shown = fitted.test or fitted.held_out
    if len(shown.rows):
        if fitted.task == "single" and len(fitted.labels) <= _MOST_CONFUSION_LABELS:
            counts = confusion_counts(shown.probabilities, dataset.targets[shown.rows])
            save_confusion(counts, fitted.labels, folder / CONFUSION)
            written.append(folder / CONFUSION)
        _save_reliability(shown, dataset, folder / RELIABILITY)
        written.append(folder / RELIABILITY)
    if fitted.curves:
        save_curves(fitted.curves, folder / LEARNING_CURVE)
        written.append(folder / LEARNING_CURVE)
    save_map(dataset.of_spaces(fitted.spaces), folder / UMAP, seed=seed)
    written.append(folder / UMAP)
    return tuple(written)


def save_curves(curves: Sequence[Curve], path: Path) -> None:
    """Draw loss and accuracy by epoch; the epoch that was kept is marked.

    Raises:
        OutputError: It cannot be written.
    """
    with drawing():
        figure = new_figure(8.5, 4.0)
        losses, accuracies = figure.subplots(1, 2)
        for number, curve in enumerate(curves):
            colour = f"C{number % 10}"
            epochs = np.arange(1, len(curve.train_loss) + 1)
            # With many networks the name of each stands once, at its validation loss.
            losses.plot(epochs, curve.train_loss, "--", color=colour, alpha=0.6, linewidth=1)
            losses.plot(epochs, curve.validation_loss, color=colour, label=curve.name)
            accuracies.plot(epochs, curve.validation_accuracy, color=colour)
            best = curve.best_epoch
            losses.plot(epochs[best], curve.validation_loss[best], "o", color=colour)
            accuracies.plot(epochs[best], curve.validation_accuracy[best], "o", color=colour)
        losses.plot([], [], "--", color="0.4", linewidth=1, label="training")
        losses.plot([], [], "o", color="0.4", label="epoch kept")
        for axes in (losses, accuracies):
            axes.xaxis.get_major_locator().set_params(integer=True)
        losses.set(xlabel="epoch", ylabel="loss")
        accuracies.set(xlabel="epoch", ylabel="accuracy on validation rows")
        if len(curves) <= _MOST_LEGEND_ENTRIES:
            losses.legend(fontsize=7)
        save_picture(figure, path)


def save_map(dataset: Dataset, path: Path, *, seed: int = 0) -> None:
    """Draw the rows in two dimensions, coloured by label: what the classifier has to go by.

    Unit vectors of all spaces, concatenated as the classifier does, by UMAP (McInnes et al. 2018, cosine
    distance); by principal components where there are fewer than 10 rows, which is too few for UMAP. A row
    with several labels has the colour of its rarest.

    Args:
        dataset: Of which up to 5,000 rows are drawn.
        path: Of the PNG file.
        seed: Of sample and layout.

    Raises:
        OutputError: It cannot be written.
    """
    rows = np.arange(len(dataset))
    if len(rows) > _MOST_POINTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST_POINTS, replace=False))
    sample = dataset.load(rows)
    points, how = lay_out(_unit_vectors(sample), seed)
    if len(rows) < len(dataset):
        how = f"{how} of {len(rows):,} of {len(dataset):,} rows"
    with drawing():
        figure = new_figure(9.0, 6.0)
        axes = figure.add_subplot()
        _scatter(axes, points, _label_of_each(sample), dataset.labels)
        axes.set_title(how)
        axes.set(xticks=[], yticks=[])
        save_picture(figure, path)


def lay_out(vectors: NDArray[np.float32], seed: int) -> tuple[NDArray[np.float32], str]:
    """Return where to draw the rows, shape (rows, 2), and by which method.

    Args:
        vectors: Shape (rows, dimension); rows of zeros are allowed.
        seed: The same seed gives the same layout.
    """
    if len(vectors) < _LEAST_FOR_UMAP:
        return _principal_components(vectors), "principal components: fewer than 10 rows are too few for UMAP"
    with warnings.catch_warnings(), kept_thread_count():
        warnings.simplefilter("ignore")
        import umap  # noqa: PLC0415 - it compiles for seconds, and only this picture needs it

        neighbours = _nearest(vectors, min(_NEIGHBOUR_COUNT, len(vectors) - 1))
        layout = umap.UMAP(
            n_neighbors=neighbours[0].shape[1],
            metric="cosine",
            random_state=seed,
            n_jobs=1,  # What a seed means anyway; asked for more it complains.
            precomputed_knn=neighbours,
            force_approximation_algorithm=True,  # Else it looks for the neighbours all the same.
        ).fit_transform(vectors)
    return np.asarray(layout, np.float32), "UMAP of the embeddings"


def _nearest(vectors: NDArray[np.float32], count: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the rows nearest to each by cosine distance, itself first, and how far: each (rows, count).

    UMAP's own search compiles for 5 s, and then takes 6 s for 2,000 rows; this takes 0.3 s.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    distances = np.maximum(1 - unit @ unit.T, 0)
    np.fill_diagonal(distances, -1)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return nearest.astype(np.int32), np.maximum(np.take_along_axis(distances, nearest, axis=1), 0)


def _principal_components(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = vectors - vectors.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(vectors), 2), np.float32)
    kept = min(2, len(lengths))
    points[:, :kept] = left[:, :kept] * lengths[:kept]
    return points


def _unit_vectors(dataset: Dataset) -> NDArray[np.float32]:
    parts = []
    for table in dataset.vectors.values():
        rows = table[:]
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        parts.append((rows / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32))
    return np.concatenate(parts, axis=1)


def _label_of_each(dataset: Dataset) -> NDArray[np.int64]:
    """Return a label number per row, -1 for rows without a label."""
    targets = dataset.targets
    if targets.ndim == 1:
        return targets.astype(np.int64)
    frequency = targets.sum(axis=0)
    rarest = np.where(targets > 0, frequency, len(targets) + 1).argmin(axis=1)
    return np.asarray(np.where(targets.any(axis=1), rarest, -1), np.int64)


def _scatter(
    axes: Axes, points: NDArray[np.float32], numbers: NDArray[np.int64], labels: Sequence[str]
) -> None:
    """Draw the points; the most frequent labels have a colour and a name, others are grey."""
    counts = np.bincount(numbers[numbers >= 0], minlength=len(labels))
    named = np.sort(np.argsort(-counts, kind="stable")[:_MOST_LEGEND_ENTRIES])
    named = named[counts[named] > 0]
    names = drawable_names(labels)
    others = ~np.isin(numbers, named)
    size = float(np.clip(4000 / max(len(points), 1), 6, 60))
    if others.any():
        axes.scatter(points[others, 0], points[others, 1], s=size, color=_GREY, label=" others")
    for colour, label in zip(_colours(len(named)), named, strict=True):
        # A leading space: Matplotlib leaves names that begin with `_` out of its legends.
        chosen = points[numbers == label]
        axes.scatter(chosen[:, 0], chosen[:, 1], s=size, color=colour, label=f" {names[label]}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps  # noqa: PLC0415 - not every import of this module draws

    if count <= 10:
        return [colormaps["tab10"](number) for number in range(count)]
    if count <= 20:
        return [colormaps["tab20"](number) for number in range(count)]
    return [colormaps["gist_rainbow"](number / count) for number in range(count)]


def _save_reliability(shown: HeldOut, dataset: Dataset, path: Path) -> None:
    bins = reliability(shown.probabilities, dataset.targets[shown.rows])
    what = "most probable label" if dataset.task == "single" else "labels, each by itself"
    save_reliability(bins, path, what)

"""The paper's first baseline: a video's label is the one whose name's embedding is nearest to the video's.

That needs a space that texts and videos share. Which spaces do is known from their ids.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset, open_dataset
from vidclf_cli.embedders.base import TextEmbedder
from vidclf_cli.embedders.local import LocalMetadata
from vidclf_cli.errors import UsageError
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.metrics import Estimate, LabelTable, measure

DEFAULT_TEMPLATE = "{}"
TEXT_EMBEDDERS: Mapping[str, Callable[[], TextEmbedder]] = {"local/metadata": LocalMetadata}
"""What turns label names into vectors here, by the alias of the space."""

JOINT_PROVIDERS = frozenset({"twelvelabs"})
"""Every part of one of their models' revisions (visual, audio, text) is one space: Marengo was trained so."""

_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1")
_BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class LabelVectors:
    """Where the labels lie.

    Attributes:
        space: Id of the space.
        vectors: Label to its vector, of any length but zero.
        origin: Where they come from, for people.
    """

    space: str
    vectors: Mapping[str, NDArray[np.float32]]
    origin: str


@dataclass(frozen=True, slots=True)
class ZeroShotFigures:
    """How often the nearest label is the right one.

    Attributes:
        labels: In the order of the table.
        row_count: Videos that were measured.
        left_out_count: Videos that have nothing in the space: no label is nearest to nothing.
        figures: Name to figure with its interval, sources drawn with replacement.
        table: The figures of each label.
    """

    labels: tuple[str, ...]
    row_count: int
    left_out_count: int
    figures: Mapping[str, Estimate]
    table: LabelTable

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        columns = {
            name: self.table.to_dict()[name] for name in ("count", "given", "precision", "recall", "f1")
        }
        return {
            "row_count": self.row_count,
            "left_out_count": self.left_out_count,
            **{name: figure.to_dict() for name, figure in self.figures.items()},
            "labels": list(self.labels),
            "per_label": columns,
        }


def share_space(first: str, second: str) -> bool:
    """Tell whether vectors of two spaces may be compared.

    They may when the ids are one, or name parts of one revision of a model that embeds everything into one
    space.

    Args:
        first: `provider/model@revision/part`.
        second: The same.
    """
    model, _, part = first.rpartition("/")
    other_model, _, other_part = second.rpartition("/")
    joint = model.partition("/")[0] in JOINT_PROVIDERS
    return first == second or bool(joint and part and other_part and model == other_model)


def find_space(dataset: Dataset, name: str) -> str:
    """Return the id of a space of the data that is named by its id or its alias.

    Raises:
        UsageError: The data has no such space.
    """
    known = local_spaces()
    space = known[name].id if name in known else name
    if space not in dataset.vectors:
        raise UsageError(
            f"There are no vectors of {name!r} in the data.", f"It holds {', '.join(dataset.vectors)}."
        )
    return space


def embed_labels(labels: Sequence[str], name: str, templates: Sequence[str]) -> LabelVectors:
    """Embed the names of labels.

    Args:
        labels: Their names.
        name: Which text embedder, by the alias or the id of its space.
        templates: What the names are put into, at `{}`; a label's vector is the mean of their unit vectors.

    Raises:
        UsageError: There is no such text embedder, or a template has no place for the name.
    """
    makers = {**TEXT_EMBEDDERS, **{local_spaces()[alias].id: make for alias, make in TEXT_EMBEDDERS.items()}}
    if name not in makers:
        raise UsageError(
            f"{name!r} turns no text into vectors here.",
            f"Use {', '.join(TEXT_EMBEDDERS)}, or give vectors made elsewhere with --label-vectors.",
        )
    for template in templates:
        if "{}" not in template:
            raise UsageError(f"The template {template!r} has no {{}} for the label.", 'E.g. "a video of {}".')
    embedder = makers[name]()
    texts = [template.replace("{}", label) for label in labels for template in templates]
    parts = np.split(embedder.embed(texts), len(labels))
    means = {label: part.mean(axis=0) for label, part in zip(labels, parts, strict=True)}
    return LabelVectors(embedder.space.id, means, f"{name}, names as {', '.join(map(repr, templates))}")


def read_label_vectors(path: Path, space: str) -> LabelVectors:
    """Read vectors of labels from a file.

    Args:
        path: A packed dataset whose rows are texts about their label, or an `.npz` with `labels` (n,),
            `vectors` (n, dimension) and `space`, an id.
        space: That of the videos; of a dataset's spaces the one that shares it is taken.

    Raises:
        UsageError: It cannot be read, or holds no vectors that can be compared with the videos'.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Check the spelling.")
    if not h5py.is_hdf5(path):
        found, rows, names = _read_npz(path)
    else:
        with open_dataset(path) as dataset:
            shared = [each for each in dataset.vectors if share_space(space, each)]
            found = space if space in shared else next(iter(shared), next(iter(dataset.vectors)))
            rows = np.asarray(dataset.vectors[found][:], np.float32)
            if dataset.task == "multi":
                raise UsageError(f"{path} has several labels per row.", "Give texts of one label each.")
            names = [dataset.labels[number] for number in dataset.targets]
    vectors: dict[str, NDArray[np.float32]] = {}
    labels = np.array(names)
    for label in dict.fromkeys(names):
        vectors[label] = _unit(rows[labels == label]).mean(axis=0)
    return LabelVectors(found, vectors, str(path))


def measure_zero_shot(
    dataset: Dataset, space: str, labels: LabelVectors, rows: NDArray[np.int64] | None = None
) -> ZeroShotFigures:
    """Give each video the label that is nearest by cosine, and hold that against the truth.

    Args:
        dataset: Videos with one label each.
        space: Id of the space whose vectors are compared.
        labels: Vectors of all the dataset's labels, in a space that shares it.
        rows: Ascending numbers of those that are measured; None is all.

    Raises:
        UsageError: The spaces are not one, a label has no vector, or there is nothing to measure.
    """
    if not share_space(space, labels.space):
        raise UsageError(
            f"Vectors of {space!r} and of {labels.space!r} ({labels.origin}) do not lie in one space: "
            "what is nearest to what says nothing.",
            "Compare vectors that one model made of videos and of texts.",
        )
    if dataset.task == "multi":
        raise UsageError(
            "Videos have several labels here, and a video is nearest to one.", "Keep one label per video."
        )
    anchors = _anchors(dataset.labels, labels, dataset.vectors[space].shape[1])
    wanted = np.arange(len(dataset)) if rows is None else rows
    scores = np.empty((len(wanted), len(anchors)), np.float32)
    present = np.zeros(len(wanted), bool)
    for begin in range(0, len(wanted), _BLOCK_ROWS):
        part = slice(begin, begin + _BLOCK_ROWS)
        block = _unit(np.asarray(dataset.vectors[space][wanted[part]], np.float32))
        scores[part], present[part] = block @ anchors.T, block.any(axis=1)
    if not present.any():
        raise UsageError(f"No video has anything in {space!r}.", "Name another space with --space.")
    kept = [int(row) for row in wanted[present]]
    # Cosines as shares of the row: which is the largest counts, and nothing here reads them as confidence.
    shares = np.exp(scores[present])
    shares /= shares.sum(axis=1, keepdims=True)
    found = measure(shares, dataset.targets[kept], "single", [dataset.groups[row] for row in kept])
    return ZeroShotFigures(
        labels=dataset.labels,
        row_count=len(kept),
        left_out_count=len(wanted) - len(kept),
        figures={name: found.figures[name] for name in _FIGURES},
        table=found.labels,
    )


def _anchors(names: Sequence[str], labels: LabelVectors, dimension: int) -> NDArray[np.float32]:
    missing = [name for name in names if name not in labels.vectors]
    if missing:
        raise UsageError(
            f"{labels.origin} has no vector for {len(missing)} of {len(names)} labels: {missing[0]!r} ...",
            "Give one for each label of the data, named alike.",
        )
    anchors = np.stack([labels.vectors[name] for name in names]).astype(np.float32)
    if anchors.shape[1] != dimension:
        raise UsageError(
            f"Label vectors of {labels.origin} have {anchors.shape[1]} numbers, the videos' {dimension}.",
            "Make both with one model.",
        )
    if not np.isfinite(anchors).all() or not anchors.any(axis=1).all():
        raise UsageError(
            f"A label vector of {labels.origin} is zero, or holds numbers that are not finite.",
            "Embed the labels again.",
        )
    return _unit(anchors)


def _read_npz(path: Path) -> tuple[str, NDArray[np.float32], list[str]]:
    try:
        with np.load(path, allow_pickle=False) as data:
            space, names, rows = str(data["space"]), data["labels"].astype(str), data["vectors"]
    except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path} cannot be read as label vectors ({' '.join(str(error).split())[:120]}).",
            "It is a packed dataset, or an .npz with `labels`, `vectors` and `space`.",
        ) from error
    if rows.ndim != 2 or names.shape != (len(rows),) or rows.dtype.kind != "f":
        raise UsageError(
            f"{path} cannot be used: {names.shape} labels and vectors of the shape {rows.shape}.",
            "`labels` has the shape (n,), `vectors` (n, dimension).",
        )
    return space, rows.astype(np.float32), [str(name) for name in names]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length; rows of zeros stay."""
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    result: NDArray[np.float32] = rows / np.maximum(lengths, np.float32(1e-9))
    return result

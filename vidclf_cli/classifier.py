"""A classifier file: load it, check it, run it. What it may hold is described in docs/formats.md."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.classifier_card import METADATA_KEY, ClassifierCard, ClassifierInput, parse_card
from vidclf_cli.embedders.registry import can_make, find_space
from vidclf_cli.errors import ClassifierError, EncoderError
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.onnx_file import NotOnnxError, OnnxSummary, summarize
from vidclf_cli.precision import bars_for
from vidclf_cli.runtime import Device, open_session
from vidclf_cli.scoring import Task, Vectors, count_rows
from vidclf_cli.shipped import shipped_classifiers, shipped_folder, verified_file

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SUFFIX = ".onnx"
SIZE_LIMIT = 512 << 20  # Bytes. The largest network of the paper with every local space as input has 90 MB.
_ONNX_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_BATCH = 1024
_DEVICE = Device("cpu", "a few thousand numbers per video")
_MAKE_ONE = "Name a classifier file made for vidclf, or a shipped one (`vidclf models`)."


class Classifier:
    """A classifier that was loaded and checked; a `Scorer`.

    Attributes:
        card: What the file says of itself.
        path: Where it was read.
    """

    def __init__(self, path: Path, digest: str, card: ClassifierCard, session: InferenceSession) -> None:
        self.path = path
        self.card = card
        self._digest = digest
        self._session = session

    @property
    def name(self) -> str:
        """File name without suffix @ first 12 of the file's SHA-256."""
        return f"{self.path.stem}@{self._digest[:12]}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `probabilities`."""
        return self.card.labels

    @property
    def task(self) -> Task:
        """`single` or `multi`."""
        return self.card.task

    @property
    def spaces(self) -> tuple[str, ...]:
        """Ids of the spaces that are read."""
        return tuple(each.space for each in self.card.inputs)

    @property
    def required_spaces(self) -> tuple[str, ...]:
        """Ids of the spaces without which nothing can be said."""
        return tuple(each.space for each in self.card.inputs if each.required)

    @property
    def min_confidence(self) -> float:
        """Below it the answer is unknown."""
        return self.card.min_confidence

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Labels whose own bar differs from `min_confidence`."""
        return self.card.thresholds

    def read_bytes(self) -> bytes:
        """Return the file's bytes once more.

        Raises:
            ClassifierError: They cannot be read, or are others than those that were loaded.
        """
        data = _read(self.path)
        if hashlib.sha256(data).hexdigest() != self._digest:
            raise _refusal(self.path, "it was changed meanwhile", "Run the command again.")
        return data

    def bars_at(self, target_precision: float) -> tuple[float, ...]:
        """Return the bar of each label at a precision, from the next higher one that the file holds.

        Raises:
            UsageError: It holds none for it, or no label reaches it.
        """
        return bars_for(self.card.precision, self.labels, target_precision, self.name)

    def probabilities(self, vectors: Vectors) -> NDArray[np.float32]:
        """Score a batch of any size.

        Args:
            vectors: Space id to shape (rows, dimension). A space that is absent counts as rows of zeros,
                others than the classifier's are not looked at.

        Returns:
            Calibrated probabilities, shape (rows, labels).

        Raises:
            ClassifierError: The graph fails, or gives numbers that are no probabilities.
            ValueError: An array has another dimension than the space, or another number of rows.
        """
        row_count = count_rows(vectors)
        if row_count == 0:
            return np.empty((0, len(self.labels)), np.float32)
        feeds = {each.name: _rows_of(each, vectors, row_count) for each in self.card.inputs}
        batches = [
            self._run({name: rows[start : start + _BATCH] for name, rows in feeds.items()})
            for start in range(0, row_count, _BATCH)
        ]
        return batches[0] if len(batches) == 1 else np.concatenate(batches)

    def _run(self, feeds: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        row_count = len(next(iter(feeds.values())))
        try:
            result = np.asarray(self._session.run(["probabilities"], feeds)[0])
        except Exception as error:  # ONNX Runtime's own exceptions share no public base class.
            raise _refusal(self.path, f"its graph fails on {row_count} rows") from error
        if result.shape != (row_count, len(self.labels)):
            raise _refusal(
                self.path, f"it has {len(self.labels)} labels, and its output the shape {result.shape}"
            )
        total = result.sum(axis=1)
        if not (np.all(result >= 0) and np.all(result <= 1 + 1e-4)):  # Not so for NaN, too.
            raise _refusal(self.path, "its `probabilities` are no numbers from 0 to 1")
        if self.task == "single" and np.any(np.abs(total - 1) > 1e-2):
            raise _refusal(self.path, "its `probabilities` do not add up to 1, as those of one label must")
        return result.astype(np.float32, copy=False)


def load_classifier(model: str | Path) -> Classifier:
    """Load and check a classifier.

    Args:
        model: Name of a shipped classifier (`topics-10`), or a file.

    Raises:
        ClassifierError: It cannot be used; one line says why and what to do.
    """
    path = _find(model)
    data = _read(path)
    card = _check_file(path, data)
    try:
        session = open_session(data, _DEVICE, thread_count=1)
    except EncoderError as error:
        raise _refusal(path, "ONNX Runtime does not accept its graph") from error
    _check_graph(path, card, session)
    classifier = Classifier(path, hashlib.sha256(data).hexdigest(), card, session)
    for row_count in (1, 2):  # That any number of rows is accepted shows only when it runs.
        zeros = {each.space: np.zeros((row_count, each.dimension), np.float32) for each in card.inputs}
        classifier.probabilities(zeros)
    return classifier


def check_can_embed(classifier: Classifier) -> None:
    """Check that videos can be embedded into every space that a classifier reads.

    Raises:
        ClassifierError: It reads a space that cannot be filled here, or that has another dimension here.
        EmbedderError: The package that would fill one does not work.
    """
    for each in classifier.card.inputs:
        space = find_space(each.space)
        if space is None:
            advice = f"{can_make()} Upgrade vidclf or install what fills it, or train again."
            raise _refusal(classifier.path, f"it needs vectors of {each.space!r}", advice)
        if space.dimension != each.dimension:
            raise _refusal(
                classifier.path,
                f"it takes {each.dimension} numbers of {each.space}, which has {space.dimension}",
                "Train again, with the embedder that is installed now.",
            )


def _find(model: str | Path) -> Path:
    """Return the file of a classifier; a shipped one's hash is checked."""
    path = Path(model)
    if path.suffix == SUFFIX or path.exists() or len(path.parts) != 1:
        return path
    try:
        names = shipped_classifiers()
        if str(model) in names:
            return verified_file(shipped_folder() / "classifiers" / f"{model}{SUFFIX}")
    except EncoderError as error:
        raise ClassifierError(error.message, error.advice) from error
    raise ClassifierError(
        f"There is no classifier {str(model)!r}.",
        f"Shipped are {', '.join(names)}; a file ends with {SUFFIX}.",
    )


def _read(path: Path) -> bytes:
    """Return a file's bytes: what is checked is what is loaded, whatever happens to the file meanwhile."""
    try:
        if path.is_dir():
            raise ClassifierError(f"{path} is a folder, not a classifier.", _MAKE_ONE)
        if path.exists() and not path.is_file():
            raise ClassifierError(f"{path} is no regular file.", _MAKE_ONE)
        size = path.stat().st_size
        if size > SIZE_LIMIT:
            raise ClassifierError(
                f"{path} has {size >> 20} MB, and a classifier at most {SIZE_LIMIT >> 20} MB.", _MAKE_ONE
            )
        return path.read_bytes()
    except OSError as error:
        raise ClassifierError(f"{path} cannot be read ({error.strerror}).", _MAKE_ONE) from error


def _check_file(path: Path, data: bytes) -> ClassifierCard:
    """Refuse whatever can be refused before ONNX Runtime sees a byte of it."""
    try:
        summary = summarize(data)
    except NotOnnxError as error:
        raise ClassifierError(f"{path} is no ONNX file ({error}).", _MAKE_ONE) from error
    if METADATA_KEY not in summary.metadata:
        raise ClassifierError(
            f"{path} is an ONNX file, but no vidclf classifier: it does not say which labels it gives.",
            _MAKE_ONE,
        )
    card = parse_card(summary.metadata[METADATA_KEY], str(path))
    _check_summary(path, summary)
    _check_dimensions(path, card)
    return card


def _check_summary(path: Path, summary: OnnxSummary) -> None:
    if summary.has_external_data:
        raise _refusal(path, "its weights stand in other files", "Save it again as one file.")
    if strange := sorted(summary.domains - _ONNX_DOMAINS):
        raise _refusal(
            path, f"it needs operators of {strange[0]!r}", "Export it with ONNX's own operators only."
        )
    if summary.has_bad_numbers:
        raise _refusal(
            path, "some of its weights are no finite numbers", "Train it again, with a lower learning rate."
        )


def _check_dimensions(path: Path, card: ClassifierCard) -> None:
    """Hold the inputs against the spaces that are known; vectors of others may come from elsewhere."""
    dimensions = {space.id: space.dimension for space in local_spaces().values()}
    for each in card.inputs:
        dimension = dimensions.get(each.space, each.dimension)
        if each.dimension != dimension:
            raise _refusal(path, f"it takes {each.dimension} numbers of {each.space}, which has {dimension}")


def _check_graph(path: Path, card: ClassifierCard, session: InferenceSession) -> None:
    """Hold the graph against the card."""
    in_graph = {each.name: each for each in session.get_inputs()}
    if set(in_graph) != {each.name for each in card.inputs}:
        raise _refusal(
            path, f"its graph has the inputs {', '.join(sorted(in_graph))}, and its description others"
        )
    for each in card.inputs:
        found = in_graph[each.name]
        if found.type != "tensor(float)" or len(found.shape) != 2:
            raise _refusal(path, f"its input {each.name!r} is no float32 table")
        if found.shape[1] != each.dimension:
            raise _refusal(
                path, f"its input {each.name!r} takes {found.shape[1]} numbers, not {each.dimension}"
            )
    outputs = {each.name: each for each in session.get_outputs()}
    if "probabilities" not in outputs or outputs["probabilities"].type != "tensor(float)":
        raise _refusal(path, "its graph has no float32 output `probabilities`")


def _rows_of(each: ClassifierInput, vectors: Vectors, row_count: int) -> NDArray[np.float32]:
    rows = vectors.get(each.space)
    if rows is None:
        return np.zeros((row_count, each.dimension), np.float32)
    if rows.ndim != 2 or rows.shape[1] != each.dimension:
        raise ValueError(f"{each.space} needs shape (rows, {each.dimension}), not {rows.shape}")
    return np.ascontiguousarray(rows, np.float32)


def _refusal(path: Path, problem: str, advice: str = "") -> ClassifierError:
    return ClassifierError(f"{path} cannot be used: {problem}.", advice or _MAKE_ONE)

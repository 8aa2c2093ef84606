"""Pictures of how good a classifier is, as PNG files: confusion, reliability, what a precision costs.

Matplotlib is used through its Figure objects only: no window, no display, no state that stays. It keeps
quiet, whatever home folder and fonts it finds, and labels are drawn as written: `$` begins no formula.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.errors import OutputError
from vidclf_cli.metrics import Answered, Reliability
from vidclf_cli.tuning import Tuning, one_bar_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CELL_TEXTS = 30
"""Labels up to which a confusion matrix shows its counts."""

_MOST_NAMES = 100
"""Labels up to which the axes name them."""

_LONGEST_NAME = 28
_DOTS_PER_INCH = 150
_SANS = "DejaVu Sans"  # comes with Matplotlib
_OTHER_SCRIPTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR",
    "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback",
    "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic", "Arial Unicode MS", "Noto Sans", "Noto Sans Devanagari", "Noto Sans Thai",
    "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Emoji",
)  # fmt: skip
_NOT_DRAWABLE = "#n stands for the n-th label: no font of this machine has its letters"


@contextmanager
def drawing() -> Iterator[None]:
    """Run Matplotlib without a word to anybody, and without the user's own style.

    Its logger warns where it finds no folder to write to (a read-only home), and fonts that lack a letter
    make warnings; both say nothing that a user of vidclf could act upon.
    """
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update({"text.parse_math": False, "font.family": list(_families())})
            yield
    finally:
        logger.setLevel(level)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the file appears only when it is whole.

    Raises:
        OutputError: It cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(picture.getvalue())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror or error}.", "Name a folder that can be written to."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def drawable_names(labels: Sequence[str]) -> list[str]:
    """Return labels as `drawing` can draw them: shortened, and `#n` where no font has the letters."""
    letters = _letters()
    return [
        _shortened(label) if all(ord(char) in letters for char in label) else f"#{number}"
        for number, label in enumerate(labels, start=1)
    ]


def save_confusion(counts: NDArray[np.int64], labels: Sequence[str], path: Path) -> None:
    """Draw which label (row) was taken for which (column), coloured by the share of the row.

    Up to 30 labels the cells show their counts, up to 100 the axes name the labels.

    Args:
        counts: Shape (labels, labels), as `confusion_counts` gives them.
        labels: Names of rows and columns.
        path: Of the PNG file.

    Raises:
        OutputError: It cannot be written.
    """
    with drawing():
        size = min(3.5 + 0.32 * len(labels), 14.0) if len(labels) <= _MOST_NAMES else 9.0
        figure = new_figure(size + 1, size)
        axes = figure.add_subplot()
        shares = _shares(counts)
        # Labels are counted from 1, as `#n` is.
        extent = (0.5, len(labels) + 0.5, len(labels) + 0.5, 0.5)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", extent=extent)
        axes.set_facecolor("0.85")  # a label without examples has no shares
        figure.colorbar(image, ax=axes, label="share of the row", shrink=0.8)
        axes.set_xlabel("given")
        axes.set_ylabel("true")
        if len(labels) <= _MOST_NAMES:
            _name_axes(axes, labels)
        if len(labels) <= MOST_CELL_TEXTS:
            _write_counts(axes, counts, shares)
        save_picture(figure, path)


def save_reliability(bins: Reliability, path: Path, what: str = "most probable label") -> None:
    """Draw how often each confidence was right, above how often it came.

    Args:
        bins: As `reliability` gives them.
        path: Of the PNG file.
        what: What the decisions are about, for the axis.

    Raises:
        OutputError: It cannot be written.
    """
    with drawing():
        figure = new_figure(5.5, 6.5)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        edges = np.linspace(0, 1, len(bins.counts) + 1)
        full = bins.counts > 0
        width = 1 / len(bins.counts)
        above.bar(edges[:-1][full], bins.accuracy[full], width, align="edge", color="C0", edgecolor="white")
        above.plot([0, 1], [0, 1], "--", color="0.4", label="as it should be")
        above.plot(bins.confidence[full], bins.accuracy[full], "o", color="C1", label="mean of the bin")
        above.set_title(f"expected calibration error {bins.error:.3f}")
        above.set_ylabel("share that is right")
        above.set_xlim(0, 1)
        above.set_ylim(0, 1)
        above.legend(loc="upper left")
        below.bar(edges[:-1], bins.counts, width, align="edge", color="0.6", edgecolor="white")
        below.set_ylabel("decisions")
        below.set_xlabel(f"confidence of the {what}")
        save_picture(figure, path)


def save_precision(tuning: Tuning, path: Path) -> None:
    """Draw what each precision costs: how often labels are right, against how much is answered.

    A line for one threshold for all labels, points for thresholds per label at each precision kept.

    Args:
        tuning: As `tune_rows` gives it.
        path: Of the PNG file.

    Raises:
        OutputError: It cannot be written.
    """
    with drawing():
        figure = new_figure(6.5, 5)
        axes = figure.add_subplot()
        coverage, precision = one_bar_curve(tuning.rows)
        axes.plot(coverage, precision, color="0.6", label="one threshold for all labels")
        points = [each.answered for each in tuning.points]
        axes.plot([each.coverage for each in points], [each.accuracy for each in points], "o",
                  color="C0", label="thresholds per label, by precision")  # fmt: skip
        for each in tuning.points:
            place = (each.answered.coverage, each.answered.accuracy)
            axes.annotate(f"{each.target:g}", place, xytext=(4, 4), textcoords="offset points", fontsize=8)
        _draw_answered(axes, tuning.before, "s", "C2", "thresholds before")
        _draw_answered(axes, tuning.checked, "D", "C3", f"for {tuning.target:g}, checked on other rows")
        axes.axhline(tuning.target, linestyle="--", color="0.4", linewidth=1)
        axes.set_xlabel("coverage: share of the videos that get a label")
        axes.set_ylabel("precision: share of the labels given that is right")
        axes.set_xlim(0, 1.02)
        low = min([tuning.target, *precision.tolist(), *(each.accuracy for each in points)])
        axes.set_ylim(max(0.0, low - 0.05), 1.02)
        axes.legend(loc="lower left")
        save_picture(figure, path)


def _draw_answered(axes: Axes, answered: Answered, marker: str, colour: str, label: str) -> None:
    """Draw one point with its interval; nothing where no label is given."""
    estimate = answered.precision
    if not np.isfinite(estimate.value):
        return
    reach = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
    interval = np.nan_to_num(np.clip(reach, 0, None))
    axes.errorbar([answered.coverage], [estimate.value], yerr=interval, fmt=marker, color=colour, capsize=3,
                  label=label)  # fmt: skip


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    totals = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.where(totals > 0, counts / np.maximum(totals, 1), np.nan), np.float64)


def _name_axes(axes: Axes, labels: Sequence[str]) -> None:
    names = drawable_names(labels)
    size = 9 if len(labels) <= MOST_CELL_TEXTS else 6
    ticks = range(1, len(labels) + 1)
    axes.set_xticks(ticks, names, rotation=90, fontsize=size)
    axes.set_yticks(ticks, names, fontsize=size)
    if any(
        name.startswith("#") and not label.startswith("#") for name, label in zip(names, labels, strict=True)
    ):
        axes.set_title(_NOT_DRAWABLE, fontsize=7)


def _write_counts(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.6 else "black"
        count = counts[row, column]
        text = f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
        axes.text(column + 1, row + 1, text, ha="center", va="center", fontsize=7, color=colour)


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST_NAME else f"{label[: _LONGEST_NAME - 1]}…"


@cache
def _families() -> tuple[str, ...]:
    """Return Matplotlib's own font, then what this machine has for other scripts."""
    from matplotlib.font_manager import fontManager

    there = {entry.name for entry in fontManager.ttflist}
    return (_SANS, *(name for name in _OTHER_SCRIPTS if name in there))


@cache
def _letters() -> frozenset[int]:
    """Return the code points that can be drawn."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    found: set[int] = set()
    for family in _families():
        font: Any = get_font(fontManager.findfont(FontProperties(family=family), fallback_to_default=False))
        found.update(font.get_charmap())
    return frozenset(found)

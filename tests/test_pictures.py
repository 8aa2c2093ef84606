import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidclf_cli.errors import OutputError
from vidclf_cli.metrics import reliability
from vidclf_cli.pictures import (
    drawable_names,
    drawing,
    new_figure,
    save_confusion,
    save_picture,
    save_reliability,
)


def _counts(label_count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9, (label_count, label_count))


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


@pytest.mark.parametrize("label_count", [2, 31, 1000])
def test_a_confusion_matrix_of_any_size_is_a_picture_that_fits_a_screen(
    label_count: int, tmp_path: Path
) -> None:
    path = tmp_path / "confusion.png"
    save_confusion(_counts(label_count), [f"label {number}" for number in range(label_count)], path)
    assert all(400 <= side <= 2400 for side in _size(path))


def test_every_label_has_its_own_cell_up_to_1000(tmp_path: Path) -> None:
    blank, one = tmp_path / "blank.png", tmp_path / "one.png"
    counts = np.zeros((1000, 1000), int)
    np.fill_diagonal(counts, 1)
    names = [f"{number}" for number in range(1000)]
    save_confusion(counts, names, blank)
    counts[700] = 0
    counts[700, 20] = 1
    save_confusion(counts, names, one)
    with Image.open(blank) as before, Image.open(one) as after:
        assert np.any(np.asarray(before) != np.asarray(after))


@pytest.mark.filterwarnings("error")
def test_labels_are_drawn_as_they_are_written_and_without_warnings(tmp_path: Path) -> None:
    labels = ["$", "$x^2$", r"\frac{1}{0}$$", "猫", "кошка", "हिन्दी", "a" * 200, "_x", "🐱", "#"]
    save_confusion(_counts(len(labels)), labels, tmp_path / "confusion.png")
    assert _size(tmp_path / "confusion.png")


def test_a_label_whose_letters_no_font_has_is_shown_by_its_number() -> None:
    with drawing():
        names = drawable_names(["a$b", "\U00013000", "x" * 90])
    assert names[:2] == ["a$b", "#2"]
    assert len(names[2]) < 40


def test_a_reliability_diagram_is_drawn_even_of_one_decision(tmp_path: Path) -> None:
    save_reliability(reliability([[0.7, 0.3]], np.array([0])), tmp_path / "reliability.png")
    assert _size(tmp_path / "reliability.png")


def test_a_picture_appears_only_when_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with drawing():
        figure = new_figure(2, 2)
        with pytest.raises(OutputError, match="Cannot write"):
            save_picture(figure, tmp_path / "file" / "a.png")
        (tmp_path / "taken.png").mkdir()
        with pytest.raises(OutputError, match="Cannot write"):
            save_picture(figure, tmp_path / "taken.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.png"]


_DRAW = """
import sys
from pathlib import Path
import numpy as np
from vidclf_cli.pictures import save_confusion
save_confusion(np.eye(3, dtype=int), ["a", "$", "\\u732b"], Path(sys.argv[1]))
assert "matplotlib.pyplot" not in sys.modules
import logging, matplotlib
assert logging.getLogger("matplotlib").level == logging.NOTSET
assert matplotlib.rcParams["font.family"] == ["serif"], matplotlib.rcParams["font.family"]
"""


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_nothing_is_said_without_display_and_with_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.family: serif\nbackend: TkAgg\n")
    environment = {key: value for key, value in os.environ.items() if key not in {"DISPLAY", "MPLCONFIGDIR"}}
    # Root may write to a read-only folder; nobody may write below a file.
    environment |= {"HOME": str(home / "file"), "MPLBACKEND": "TkAgg",
                    "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}  # fmt: skip
    (home / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", _DRAW, str(tmp_path / "confusion.png")],
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert _size(tmp_path / "confusion.png")

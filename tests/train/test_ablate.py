"""The paper's tables repeated: what is printed, what is compared, what an interruption costs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from vidclf_cli.dataset import Split, open_dataset, write_dataset
from vidclf_train.ablate import command
from vidclf_train.ablate.outcome import redrawn
from vidclf_train.ablate.printing import paired_difference
from vidclf_train.ablate.tables import TABLE_NAMES, make_tables

VISUAL, AUDIO, METADATA = "some@1/visual", "other@1/audio", "words@1/metadata"
PAPER = {
    "features": {"visual": 72.8, "+ audio": 73.9, "+ metadata": 81.1, "+ audio and metadata": 79.4},
    "noise": {"no noise": 72.8, "noise 0.01": 72.2, "noise 0.05": 72.8, "noise 0.1": 73.3,
              "noise 0.5": 75.0, "noise 1": 70.0},
    "architecture": {"4 layers": 81.1, "3 layers": 80.6, "5 layers": 78.3, "attention": 79.4},
    "metadata-noise": {"no noise": 81.1, "noise 0.1": 80.0, "noise 0.5": 80.0, "noise 1": 82.2},
    "recipes": {},
}  # fmt: skip


def _pack(path: Path, *, has_splits: bool = True, group_size: int = 1, shift: float = 0.0) -> Path:
    """Three labels, one of them rare; per label 12 videos train, 4 validate, 4 test, the others are rest."""
    counts = {"cat": 105, "dog": 101, "owl": 24}
    random = np.random.default_rng(3)
    targets = np.repeat(np.arange(3, dtype=np.int32), list(counts.values()))
    marks = [Split.TRAIN] * 12 + [Split.VALIDATION] * 4 + [Split.TEST] * 4
    splits = np.concatenate([marks + [Split.REST] * (count - 20) for count in counts.values()])
    vectors = {
        space: random.standard_normal((len(targets), size)).astype(np.float32) + shift
        for space, size in ((VISUAL, 5), (AUDIO, 3))
    }
    vectors[VISUAL][np.arange(len(targets)), targets] += 3
    names = [f"v{number}" for number in range(len(targets))]
    groups = [f"g{number // group_size}" for number in range(len(targets))]
    dimensions = {space: table.shape[1] for space, table in vectors.items()}
    with write_dataset(path, dimensions, "single", list(counts), has_splits=has_splits) as writer:
        writer.append(vectors, targets, names, groups, splits.astype(np.uint8) if has_splits else None)
    return path


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return _pack(tmp_path / "rows.h5")


def _ablate(*arguments: object) -> Result:
    return CliRunner().invoke(command.ablate, ["--quick", *map(str, arguments)])


def _row(output: str, name: str) -> list[str]:
    (line,) = (line for line in output.splitlines() if line.startswith(f"{name}  "))
    return re.split(r"\s{2,}", line.strip())


class Counting:
    """Stands before the real run, counts, and may be interrupted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop_after: int | None = None) -> None:
        self.seeds: list[int] = []
        self.stop_after = stop_after
        self._run = command.run
        monkeypatch.setattr(command, "run", self)

    def __call__(self, data: Path, configuration: Any, seed: int, device: str) -> Any:
        if len(self.seeds) == self.stop_after:
            raise KeyboardInterrupt
        self.seeds.append(seed)
        return self._run(data, configuration, seed, device)


def test_a_row_that_a_process_of_its_own_trained_has_its_figures(packed: Path, tmp_path: Path) -> None:
    kept = tmp_path / "runs.json"
    tables = ("--table", "features", "--table", "metadata-noise")
    done = _ablate(packed, *tables, "--space", VISUAL, "--jobs", 2, "--json", kept)
    assert done.exit_code == 0, done.output
    paper, *figures, seeds = _row(done.stdout, "visual")[1:]
    assert (paper, seeds, len(figures)) == ("72.8", "1", 8)  # All but the differences.
    assert "36 videos train" in done.stdout
    assert "without owl" in done.stdout
    assert "metadata-noise: left out" in done.stdout
    assert len(json.loads(kept.read_text())["runs"]) == 1


def test_an_interrupted_ablation_goes_on_where_it_was(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (packed, "--table", "features", "--seeds", 2, "--json", tmp_path / "runs.json")
    first = Counting(monkeypatch, stop_after=3)
    assert _ablate(*arguments).exit_code != 0
    assert first.seeds == [0, 0, 1]
    so_far = _ablate(*arguments, "--known")
    assert (_row(so_far.stdout, "visual")[-1], _row(so_far.stdout, "+ audio")[-1]) == ("2", "1")
    first.stop_after = None
    done = _ablate(*arguments)
    assert first.seeds == [0, 0, 1, 1]
    assert _row(done.stdout, "+ audio")[-1] == "2"
    assert len(_row(done.stdout, "+ audio")) == 13
    # Rows of several tables are trained once.
    again = _ablate(*arguments[:3], "--table", "noise", *arguments[3:], "--known")
    assert _row(again.stdout, "no noise")[-1] == "2"


def test_other_data_is_measured_anew(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--table", "features", "--json", tmp_path / "runs.json")
    runs = Counting(monkeypatch)
    _ablate(packed, *arguments)
    _pack(packed, shift=0.1)
    _ablate(packed, *arguments)
    assert len(runs.seeds) == 4


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_the_papers_numbers_stand_where_the_paper_gives_them(name: str) -> None:
    (table,) = make_tables([VISUAL, AUDIO, METADATA], [name])
    assert {row.name: row.paper for row in table.rows if row.paper is not None} == PAPER[name]


def test_recipes_are_compared_on_the_same_vectors() -> None:
    (table,) = make_tables([VISUAL, AUDIO], ["recipes"])
    assert [(row.name, row.reference) for row in table.rows] == [
        ("paper, visual", None),
        ("linear, visual", "paper, visual"),
        ("auto, visual", "paper, visual"),
        ("paper, visual + audio", None),
        ("linear, visual + audio", "paper, visual + audio"),
        ("auto, visual + audio", "paper, visual + audio"),
    ]


def test_without_metadata_no_row_speaks_of_it() -> None:
    tables = make_tables([VISUAL, AUDIO], TABLE_NAMES)
    assert [table.name for table in tables] == ["features", "noise", "architecture", "recipes"]
    assert not [row for table in tables for row in table.rows if "metadata" in row.name]


def test_a_seed_redraws_the_split_and_keeps_its_counts(packed: Path) -> None:
    with open_dataset(packed) as dataset:
        own, first, again, second = (redrawn(dataset, seed) for seed in (0, 1, 1, 2))
        assert np.array_equal(own.splits, dataset.splits)
        assert np.array_equal(first.splits, again.splits)
        for other in (own, second):
            assert not np.array_equal(first.splits, other.splits)
            for label in range(3):
                of_label = dataset.targets == label
                assert sorted(first.splits[of_label]) == sorted(other.splits[of_label])


def test_differences_are_taken_seed_by_seed() -> None:
    found = paired_difference([0.51, 0.72, 0.93], [0.50, 0.70, 0.90])
    assert found.mean == pytest.approx(0.02)
    # t(2, 0.975) = 4.3027, standard error 0.01 / sqrt(3)
    assert found.half_width == pytest.approx(4.3027 * 0.01 / math.sqrt(3), rel=1e-4)
    assert math.isnan(paired_difference([0.5], [0.4]).half_width)


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"has_splits": False}, (), "does not say which rows are for training"),
        ({"group_size": 2}, ("--seeds", 2), "share sources"),
    ],
)
def test_data_that_cannot_be_compared_on_is_refused(
    tmp_path: Path, changes: dict[str, Any], arguments: tuple[object, ...], message: str
) -> None:
    done = _ablate(_pack(tmp_path / "rows.h5", **changes), *arguments)
    assert message in str(done.exception)


def test_a_file_that_is_no_ablation_is_left_alone(packed: Path, tmp_path: Path) -> None:
    other = tmp_path / "runs.json"
    other.write_text('{"mine": 1}')
    done = _ablate(packed, "--table", "features", "--json", other)
    assert "was not written by this command" in str(done.exception)
    assert other.read_text() == '{"mine": 1}'

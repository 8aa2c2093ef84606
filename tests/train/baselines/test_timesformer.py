"""Fine-tuning end to end with a tiny network: it learns, fails visibly, and goes on after an interruption."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidclf_cli.errors import UsageError, VidclfError
from vidclf_cli.labelled import LabelledVideos, read_labelled

pytest.importorskip("torch", reason="the extra [baselines] is not installed")
pytest.importorskip("transformers", reason="the extra [baselines] is not installed")

from vidclf_train.baselines.outcome import FineTuned
from vidclf_train.baselines.timesformer import Events, ReadOptions, fine_tune
from vidclf_train.baselines.tuning import Plan
from vidclf_train.baselines.weights import Source, load_model, read_architecture

PLAN = Plan(epoch_count=4, batch_size=4, learning_rate=1e-2)


@pytest.fixture
def labelled(two_kinds: Path) -> LabelledVideos:
    return read_labelled(two_kinds)


@pytest.fixture
def tune(labelled: LabelledVideos, tiny_weights: Path) -> Callable[..., FineTuned]:
    def run(
        out: Path,
        data: LabelledVideos = labelled,
        plan: Plan = PLAN,
        say: Callable[[str], None] = lambda _: None,
    ) -> FineTuned:
        source = Source(str(tiny_weights))
        return fine_tune(data, source, out, plan, ReadOptions(jobs=1), "cpu", Events(say))

    return run


def test_it_learns_what_is_easy_and_writes_everything(
    tune: Callable[..., FineTuned], labelled: LabelledVideos, tmp_path: Path
) -> None:
    said: list[str] = []
    done = tune(tmp_path / "out", say=said.append)
    assert done.metrics["test"].figures["accuracy"].value == 1.0
    assert done.curve.train_loss[-1] < done.curve.train_loss[0] / 2
    assert done.curve.best_epoch == int(np.argmin(done.curve.validation_loss))
    assert done.table.split_counts == {"training": 20, "validation": 2, "test": 2}

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "metrics.json", "model", "predictions.csv",
    ]  # fmt: skip
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"]["value"] == 1.0
    assert set(metrics["cost_per_video_seconds"]) == {"decoding", "forward", "training"}
    assert all(seconds > 0 for seconds in metrics["cost_per_video_seconds"].values())
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [
        str(video.path.relative_to(labelled.root or "")) for video in labelled.videos
    ]
    assert all(bool(row["prediction"]) == (row["split"] in ("validation", "test")) for row in rows)
    assert any("epoch 4 of 4" in line for line in said)
    # The model that is kept is the one that was measured, and can be the start of another run.
    saved = read_architecture(Source(str(tmp_path / "out" / "model")))
    assert load_model(saved, done.table.labels, 0).config.id2label == {0: "dark", 1: "light"}


def test_the_network_of_the_best_epoch_is_kept(
    tune: Callable[..., FineTuned], two_kinds: Path, tmp_path: Path
) -> None:
    table = tmp_path / "nothing-to-learn.csv"
    names = [f"{kind}/{number}.mp4" for kind in ("dark", "light") for number in range(12)]
    table.write_text("path,label\n" + "".join(f"{name},{'ab'[row % 2]}\n" for row, name in enumerate(names)))
    data, plan = read_labelled(table, root=two_kinds), replace(PLAN, learning_rate=0.05)
    done = tune(tmp_path / "out", data=data, plan=plan)
    rows = done.table.clips("validation").targets
    loss = -np.log(done.probabilities["validation"][np.arange(len(rows)), rows]).mean()
    assert min(done.curve.validation_loss) < 0.98 * done.curve.validation_loss[-1]  # the last is not the best
    assert loss == pytest.approx(min(done.curve.validation_loss), rel=1e-4)


def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(
    tune: Callable[..., FineTuned], tmp_path: Path
) -> None:
    straight = tune(tmp_path / "straight")

    def interrupt(line: str) -> None:
        if line.startswith("epoch 2 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "resumed", say=interrupt)
    frames = sorted((tmp_path / "resumed" / "frames").glob("*.npy"))
    times = [path.stat().st_mtime_ns for path in frames]
    said: list[str] = []

    def look(line: str) -> None:
        said.append(line)
        if line.startswith("epoch 3 "):
            assert [path.stat().st_mtime_ns for path in frames] == times  # nothing was decoded again

    resumed = tune(tmp_path / "resumed", say=look)
    assert any("goes on after epoch 2" in line for line in said)
    assert not any(line.startswith(("epoch 1 ", "epoch 2 ")) for line in said)
    assert resumed.curve == straight.curve
    np.testing.assert_array_equal(resumed.probabilities["test"], straight.probabilities["test"])


def test_a_damaged_file_is_an_error_row_and_no_black_clip(
    tune: Callable[..., FineTuned], two_kinds: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(two_kinds, data)
    (data / "dark" / "3.mp4").write_bytes((two_kinds / "dark" / "3.mp4").read_bytes()[:900])
    table = data / "table.csv"
    names = [f"{label}/{number}.mp4" for label in ("dark", "light") for number in range(12)]
    lines = [f"{name},{name.split('/')[0]}" for name in [*names, "dark/gone.mp4"]]
    table.write_text("path,label\n" + "\n".join(lines) + "\n")
    done = tune(tmp_path / "out", data=read_labelled(table), plan=replace(PLAN, epoch_count=1))
    assert done.table.failed_count == 2
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        failed = {row["path"]: row for row in csv.DictReader(file) if row["status"] == "failed"}
    assert set(failed) == {"dark/3.mp4", "dark/gone.mp4"}
    assert failed["dark/3.mp4"]["reason"].startswith("damaged: ")
    assert failed["dark/gone.mp4"]["reason"] == "unreadable: there is no such file"
    assert all(row["split"] == row["prediction"] == "" for row in failed.values())
    assert sum(done.table.split_counts.values()) == 23


def test_batches_that_are_added_up_count_like_one(tune: Callable[..., FineTuned], tmp_path: Path) -> None:
    plan = replace(PLAN, epoch_count=1)
    whole = tune(tmp_path / "whole", plan=replace(plan, batch_size=6))
    added = tune(tmp_path / "added", plan=replace(plan, batch_size=2, accumulation=3))
    assert added.curve.train_loss == pytest.approx(whole.curve.train_loss, rel=1e-4)
    assert added.curve.validation_loss == pytest.approx(whole.curve.validation_loss, rel=1e-3)


def test_copies_stand_on_one_side_and_agree(
    tune: Callable[..., FineTuned], two_kinds: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(two_kinds, data)
    for number in range(12):
        shutil.copy(data / "dark" / f"{number}.mp4", data / "dark" / f"copy-{number}.mp4")
    done = tune(tmp_path / "out", data=read_labelled(data), plan=replace(PLAN, epoch_count=1))
    sides: dict[str, set[str]] = {}
    for reading, split in zip(done.table.readings, done.table.splits, strict=True):
        sides.setdefault(reading.content, set()).add(split)
    assert all(len(each) == 1 for each in sides.values())
    shutil.copy(data / "dark" / "0.mp4", data / "light" / "copy.mp4")
    with pytest.raises(UsageError, match="copies of one video, labelled 'dark' and 'light'"):
        tune(tmp_path / "other", data=read_labelled(data))


def test_what_would_be_wrong_after_hours_is_refused_before(
    tune: Callable[..., FineTuned], labelled: LabelledVideos, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="several labels"):
        tune(tmp_path / "multi", data=replace(labelled, task="multi"))
    few = replace(labelled, videos=(*labelled.videos[:1], *labelled.videos[-1:]))
    with pytest.raises(UsageError, match="2 videos of 2 sources leave nothing for validation"):
        tune(tmp_path / "few", data=few)
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "metrics.json").touch()
    with pytest.raises(UsageError, match="holds a finished run"):
        tune(tmp_path / "done")


def test_hours_of_another_run_are_not_overwritten(tune: Callable[..., FineTuned], tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        if line.startswith("epoch 1 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "out", say=interrupt)
    before = (tmp_path / "out" / "checkpoint.pt").read_bytes()
    with pytest.raises(UsageError, match=r"another training \(its plan differs\)"):
        tune(tmp_path / "out", plan=replace(PLAN, learning_rate=1e-3))
    assert (tmp_path / "out" / "checkpoint.pt").read_bytes() == before


def test_a_loss_that_is_no_number_ends_the_run(tune: Callable[..., FineTuned], tmp_path: Path) -> None:
    with pytest.raises(VidclfError, match="Lower --learning-rate"):
        tune(tmp_path / "out", plan=replace(PLAN, learning_rate=1e30))


def test_real_clips_with_their_sources_apart(shared_data: Path, tiny_weights: Path, tmp_path: Path) -> None:
    lines = (shared_data / "moderation" / "labels.csv").read_text(encoding="utf-8").splitlines()
    table = tmp_path / "some.csv"
    table.write_text("\n".join([lines[0], *lines[1::3]]) + "\n", encoding="utf-8")
    labelled = read_labelled(table, root=shared_data / "moderation", group_column="source_url")
    done = fine_tune(labelled, Source(str(tiny_weights)), tmp_path / "out", replace(PLAN, epoch_count=1),
                     ReadOptions(jobs=2), "cpu", Events(lambda _: None))  # fmt: skip
    assert done.table.failed_count == 0
    sides: dict[str, set[str]] = {}
    for group, split in zip(done.table.groups, done.table.splits, strict=True):
        sides.setdefault(group, set()).add(split)
    assert all(len(each) == 1 for each in sides.values())
    assert done.metrics["test"].row_count == done.table.split_counts["test"] > 0

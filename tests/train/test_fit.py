"""Training is deterministic, survives a kill to the bit, and says what goes wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.train.fitted_models import some_rows
from vidclf_cli.dataset import Dataset
from vidclf_cli.errors import UsageError, VidclfError
from vidclf_train import fit
from vidclf_train.batches import make_batches
from vidclf_train.device import choose_training_device
from vidclf_train.fit import FittedNetwork, fit_network, predict_logits
from vidclf_train.real_clips import WELL_FITTING
from vidclf_train.recipe import NetworkHead
from vidclf_train.split import grouped_folds

CPU = choose_training_device("cpu")
TRAIN, VALIDATION = np.arange(80), np.arange(80, 120)
# Everything that draws random numbers.
HEAD = NetworkHead("wide", hidden=(24,), dropout=(0.2,), noise=0.3, modality_dropout=0.2, mixup=0.3,
                   label_smoothing=0.05, batch_size=8, epochs=6, peak_learning_rate=1e-2)  # fmt: skip


def train(
    head: NetworkHead = HEAD, seed: int = 1, checkpoint: Path | None = None, data: Dataset | None = None
) -> FittedNetwork:
    return fit_network(data or some_rows(120), TRAIN, VALIDATION, head, seed, CPU, checkpoint)


def weights(fitted: FittedNetwork) -> dict[str, torch.Tensor]:
    return dict(fitted.network.state_dict())


def are_equal(one: FittedNetwork, other: FittedNetwork) -> bool:
    found, expected = weights(one), weights(other)
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A checkpoint after every epoch, however short."""
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)
    yield


def test_a_network_learns_what_there_is_to_learn() -> None:
    fitted = train()
    assert max(fitted.curve.validation_accuracy) > 0.95
    assert fitted.curve.train_loss[-1] < fitted.curve.train_loss[0]
    assert [len(fitted.curve.train_loss), len(fitted.curve.validation_loss)] == [6, 6]


@pytest.mark.parametrize("kind", ["mlp-3", "mlp-4", "mlp-5", "attention"])
def test_every_architecture_trains(kind: str) -> None:
    fitted = train(NetworkHead(kind, epochs=1, batch_size=40))  # type: ignore[arg-type]
    assert np.isfinite(fitted.curve.train_loss).all()


def test_several_labels_per_row_are_learnt() -> None:
    data = some_rows(120, task="multi")
    fitted = train(replace(HEAD, epochs=12, mixup=0), data=data)
    logits = predict_logits(fitted.network, data, VALIDATION)
    assert ((logits > 0) == data.targets[VALIDATION]).mean() > 0.8
    assert fitted.curve.validation_accuracy[fitted.best_epoch] > 0.8


def test_the_seed_decides_the_weights() -> None:
    assert are_equal(train(seed=1), train(seed=1))
    assert not are_equal(train(seed=1), train(seed=2))


def test_training_leaves_the_global_random_numbers_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(replace(HEAD, epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_the_weights_are_those_of_the_epoch_with_the_least_validation_loss() -> None:
    data = some_rows(120)
    fitted = train(replace(HEAD, epochs=15, peak_learning_rate=0.3))
    losses = fitted.curve.validation_loss
    assert fitted.best_epoch == fitted.curve.best_epoch == int(np.argmin(losses)) < 14
    logits = torch.from_numpy(predict_logits(fitted.network, data, VALIDATION))
    targets = torch.from_numpy(data.targets[VALIDATION]).long()
    assert torch.nn.functional.cross_entropy(logits, targets).item() == pytest.approx(min(losses), rel=1e-4)
    assert not fitted.network.training


def test_where_the_last_epoch_is_kept_validation_rows_change_no_weight() -> None:
    data, head = some_rows(120), replace(HEAD, epochs=15, peak_learning_rate=0.3, keep_best=False)
    fitted = train(head)
    losses = fitted.curve.validation_loss
    assert int(np.argmin(losses)) < 14
    assert np.isfinite(losses).all()
    assert fitted.best_epoch == fitted.curve.best_epoch == 14
    assert are_equal(fitted, fit_network(data, TRAIN, np.arange(0), head, 1, CPU))


def test_without_validation_rows_the_last_epoch_is_kept() -> None:
    fitted = fit_network(some_rows(120), TRAIN, np.arange(0), HEAD, 1, CPU)
    assert fitted.best_epoch == 5
    assert np.isnan(fitted.curve.validation_loss).all()


def test_rare_labels_count_as_much_when_they_are_balanced() -> None:
    random = np.random.default_rng(0)
    targets = (random.random(600) < 0.06).astype(np.int32)
    vectors = random.standard_normal((600, 4)).astype(np.float32)
    vectors[:, 0] += 2 * targets
    names = [str(row) for row in range(600)]
    data = Dataset(("often", "rare"), "single", names, targets, names, {"v": vectors})
    rare = np.flatnonzero(targets[400:]) + 400
    found = []
    for balanced in (False, True):
        head = replace(HEAD, mixup=0, noise=0, batch_size=32, class_balanced=balanced)
        fitted = fit_network(data, np.arange(400), np.arange(0), head, 0, CPU)
        found.append((predict_logits(fitted.network, data, rare).argmax(axis=1) == 1).mean())
    assert found[1] > found[0] + 0.5


def test_a_file_is_streamed_where_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "make_batches", partial(make_batches, memory_bytes=0))
    fitted = train()
    assert max(fitted.curve.validation_accuracy) > 0.95


CODE = """
import sys
from pathlib import Path
from tests.train import test_fit
from vidclf_train import fit
fit.CHECKPOINT_SECONDS = 0.0
fit.fit_network(test_fit.some_rows(120), test_fit.TRAIN, test_fit.VALIDATION, test_fit.HEAD, 1, test_fit.CPU,
                Path(sys.argv[1]), lambda done, of: print(done, flush=True) or (done == 4 and input()))
"""


def test_a_training_that_was_killed_ends_with_the_same_bits(tmp_path: Path) -> None:
    checkpoint = tmp_path / "folder" / "network.pt"
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(checkpoint)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "4":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    # In a process of its own like the killed one: what other tests loaded may change how bits are rounded.
    code = (
        "import sys, torch; from dataclasses import astuple; from pathlib import Path\n"
        "from tests.train.test_fit import train\n"
        "fitted = train(checkpoint=Path(sys.argv[1])) if sys.argv[1] else train()\n"
        "torch.save(fitted.network.state_dict(), sys.argv[2])\n"
        "print(astuple(fitted.curve)); print(*fitted.notes)"
    )
    curves, notes, weights = [], [], []
    for number, argument in enumerate((str(checkpoint), "")):
        saved = tmp_path / f"{number}.pt"
        command = [sys.executable, "-c", code, argument, str(saved)]
        curve, note = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[
            :2
        ]
        curves.append(curve)
        notes.append(note)
        weights.append(torch.load(saved, weights_only=True))
    assert notes == [f"Training goes on after epoch 4, from {checkpoint}.", ""]
    assert curves[0] == curves[1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    assert [path.name for path in checkpoint.parent.iterdir()] == ["network.pt"]


def test_a_finished_training_returns_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(checkpoint=tmp_path / "network.pt")
    monkeypatch.setattr(fit._Training, "run_epoch", None)
    again = train(checkpoint=tmp_path / "network.pt")
    assert are_equal(first, again)
    assert again.curve == first.curve
    assert again.seconds > first.seconds / 2  # Those before the last checkpoint was written count.


def test_short_epochs_do_not_write_a_checkpoint_each(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    seen: list[bool] = []
    fit_network(some_rows(120), TRAIN, VALIDATION, HEAD, 1, CPU, path, lambda *_: seen.append(path.exists()))
    assert seen == [False] * 5 + [True]


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize(("what", "change"), [
    ("recipe", {"head": replace(HEAD, noise=0.31)}),
    ("seed", {"seed": 2}),
    ("data", {"data": replace(some_rows(120), labels=("cat", "dog", "cart"))}),
    ("data", {"data": replace(some_rows(120), vectors={"other": np.ones((120, 2), np.float32)})}),
])  # fmt: skip
def test_a_checkpoint_of_another_training_is_not_used(
    tmp_path: Path, what: str, change: dict[str, object]
) -> None:
    path = tmp_path / "network.pt"
    train(checkpoint=path)
    other = train(checkpoint=path, **change)  # type: ignore[arg-type]
    assert other.notes == (f"{path} belongs to another training (its {what} differs); training starts anew.",)
    assert are_equal(other, train(**change))  # type: ignore[arg-type]


def half(content: bytes, _: FittedNetwork) -> bytes:
    return content[: len(content) // 2]


def nothing(_: bytes, __: FittedNetwork) -> bytes:
    return b""


def something_else(_: bytes, __: FittedNetwork) -> bytes:
    return b"no checkpoint"


def flipped_bit_in_a_weight(content: bytes, fitted: FittedNetwork) -> bytes:
    changed = bytearray(content)
    changed[content.index(weights(fitted)["0.weight"].numpy().tobytes()) + 7] ^= 16
    return bytes(changed)


@pytest.mark.parametrize("spoil", [half, nothing, something_else, flipped_bit_in_a_weight])
def test_a_damaged_checkpoint_is_set_aside(
    tmp_path: Path, spoil: Callable[[bytes, FittedNetwork], bytes]
) -> None:
    path = tmp_path / "network.pt"
    expected = train(checkpoint=path)
    path.write_bytes(spoil(path.read_bytes(), expected))
    fitted = train(checkpoint=path)
    (note,) = fitted.notes
    assert note.startswith(f"{path} is damaged")
    assert note.endswith("and now called network.damaged; training starts anew.")
    assert (tmp_path / "network.damaged").exists()
    assert are_equal(fitted, expected)
    assert train(checkpoint=path).notes[0].startswith("Parts that were finished before")


def test_a_checkpoint_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VidclfError, match=r"checkpoint .* cannot be written .* Free some space"):
        train(checkpoint=tmp_path / "file" / "network.pt")


def test_a_loss_that_is_no_number_ends_training_with_advice() -> None:
    head = replace(HEAD, peak_learning_rate=1e38, warmup_epochs=0)
    with pytest.raises(VidclfError, match=r"wide failed in epoch 1.*Lower `peak_learning_rate`"):
        train(head)


@pytest.mark.parametrize("rows", [np.arange(0), np.arange(1)])
def test_fewer_than_two_rows_cannot_be_trained_on(rows: NDArray[np.int64]) -> None:
    with pytest.raises(UsageError, match=rf"{len(rows)} row\(s\) are left"):
        fit_network(some_rows(120), rows, VALIDATION, HEAD, 1, CPU)


def test_two_rows_are_enough() -> None:
    fitted = fit_network(some_rows(120), np.arange(2), VALIDATION, HEAD, 1, CPU)
    assert np.isfinite(fitted.curve.validation_loss).all()


def test_balanced_labels_need_one_label_per_row() -> None:
    with pytest.raises(UsageError, match="class_balanced"):
        train(replace(HEAD, class_balanced=True), data=some_rows(120, task="multi"))


def test_real_clips_of_unseen_sources_are_told_apart(shared_data: Path) -> None:
    clips = np.load(shared_data / "topics" / "real_clips.npz")
    rows = np.flatnonzero(np.isin(clips["vertical"], WELL_FITTING))
    labels, targets = np.unique(clips["vertical"][rows], return_inverse=True)
    groups = [str(group) for group in clips["group"][rows]]
    vectors = {name: clips[name][rows].astype(np.float32) for name in ("visual", "title")}
    names = [str(row) for row in rows]
    data = Dataset(tuple(labels), "single", names, targets.astype(np.int32), groups, vectors)
    head = NetworkHead("wide", hidden=(256,), noise=0.7, batch_size=32, epochs=12, peak_learning_rate=3e-3)
    right = 0
    for fold in grouped_folds(groups, data.targets, 3):
        training = np.setdiff1d(np.arange(len(data)), fold)
        fitted = fit_network(data, training, np.arange(0), head, 0, CPU)
        right += int((predict_logits(fitted.network, data, fold).argmax(axis=1) == data.targets[fold]).sum())
    assert right / len(data) > 0.76  # 0.80 in five folds

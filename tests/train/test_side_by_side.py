"""Independent trainings run on a thread each, give the same results, and stop when one of them fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.train.clusters import clusters
from tests.train.test_heads import CPU, WIDE, plan_of
from vidclf_train import heads
from vidclf_train.fit import FittedNetwork, fit_network
from vidclf_train.recipe import load_recipe
from vidclf_train.side_by_side import Check, run_side_by_side
from vidclf_train.train import train_classifier


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_two_run_at_a_time_on_one_thread_each_and_results_keep_their_order() -> None:
    together = threading.Barrier(2, timeout=20)
    done: list[int] = []

    def training(number: int) -> tuple[int, int]:
        together.wait()  # Breaks when nothing runs beside it.
        return number, torch.get_num_threads()

    found = run_side_by_side([lambda _, n=n: training(n) for n in range(4)], 2, done.append)  # type: ignore[misc]
    assert found == [(number, 1) for number in range(4)]
    assert done == [1, 2, 3, 4]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_one_after_the_other_each_has_all_threads() -> None:
    trainings = [lambda _: (threading.current_thread(), torch.get_num_threads())] * 2
    assert run_side_by_side(trainings, 1, lambda _: None) == [(threading.main_thread(), 2)] * 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_ends_the_others_and_those_that_wait(error: type[BaseException]) -> None:
    begun = threading.Event()
    ended = threading.Event()
    late: list[bool] = []

    def fails(_: Check) -> None:
        assert begun.wait(20)
        raise error("this one")

    def goes_on(check: Check) -> None:
        begun.set()
        try:
            while not ended.wait(0.01):
                check()
        finally:
            ended.set()

    def comes_late(_: Check) -> None:
        late.append(True)
        ended.wait(0.05)  # Long enough for whoever waits to hear of the failure.

    threads = torch.get_num_threads()
    with pytest.raises(error, match="this one"):
        run_side_by_side([fails, goes_on, *[comes_late] * 20], 2, lambda _: None)
    assert ended.is_set()
    assert len(late) < 20
    assert torch.get_num_threads() == threads


def test_an_interrupt_of_whoever_waits_ends_all() -> None:
    def goes_on(check: Check) -> None:
        while True:
            check()
            threading.Event().wait(0.01)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_side_by_side([lambda _: None, goes_on], 2, interrupt)


def test_a_classifier_is_the_same_to_the_bit_whatever_the_number_of_threads() -> None:
    data = clusters(60, gap=1.5)
    recipe = load_recipe("auto")
    before = torch.get_num_threads()
    found = []
    try:
        for thread_count in (1, 2, 3):
            torch.set_num_threads(thread_count)
            found.append(train_classifier(data, recipe, device="cpu").model.state_dict())
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert found[0].keys() == other.keys()
        assert all(torch.equal(found[0][name], other[name]) for name in other)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("memory_bytes", "are_in_turn"), [(1 << 30, False), (100, True)])
def test_folds_that_fill_the_memory_are_trained_one_by_one(
    monkeypatch: pytest.MonkeyPatch, memory_bytes: int, are_in_turn: bool
) -> None:
    threads: set[threading.Thread] = set()

    def noted(*arguments: Any, **options: Any) -> FittedNetwork:
        threads.add(threading.current_thread())
        return fit_network(*arguments, **options)

    monkeypatch.setattr(heads, "MEMORY_BYTES", memory_bytes)
    monkeypatch.setattr(heads, "fit_network", noted)
    data = clusters(60)
    heads.HeadTraining(data, plan_of(data), 0, CPU, None).train(WIDE, 0, lambda *_: None)
    assert (threads == {threading.main_thread()}) == are_in_turn

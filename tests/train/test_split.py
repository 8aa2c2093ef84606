"""Splits keep groups whole and labels in training, however awkward the groups are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidclf_train.split import grouped_folds, grouped_split

Targets = NDArray[np.int32]


def labels_of(rows: NDArray[np.int64], targets: Targets) -> set[int]:
    return set(targets[rows].tolist())


def check_whole_groups(parts: Sequence[NDArray[np.int64]], groups: Sequence[str]) -> None:
    owner: dict[str, int] = {}
    for number, rows in enumerate(parts):
        assert np.array_equal(rows, np.unique(rows))
        for row in rows:
            assert owner.setdefault(groups[row], number) == number


rows_of_groups = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(rows=rows_of_groups, seed=st.integers(0, 1000))
def test_a_split_keeps_groups_whole_and_every_label_in_training(
    rows: list[tuple[int, int]], seed: int
) -> None:
    targets = np.array([label for label, _ in rows], np.int32)
    groups = [f"g{group}" for _, group in rows]
    parts = grouped_split(groups, targets, (8, 1, 1), seed)
    check_whole_groups(parts, groups)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(rows)))
    assert labels_of(parts[0], targets) == set(targets.tolist())


@settings(max_examples=150, deadline=None)
@given(rows=rows_of_groups, fold_count=st.integers(2, 6), seed=st.integers(0, 1000))
def test_folds_keep_groups_whole_and_every_label_in_every_training(
    rows: list[tuple[int, int]], fold_count: int, seed: int
) -> None:
    targets = np.array([label for label, _ in rows], np.int32)
    groups = [f"g{group}" for _, group in rows]
    folds = grouped_folds(groups, targets, fold_count, seed)
    check_whole_groups(folds, groups)
    for held_out in folds:
        training = np.setdiff1d(np.arange(len(rows)), held_out)
        assert labels_of(training, targets) == set(targets.tolist())


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sets(st.integers(0, 3)), st.integers(0, 9)), min_size=1, max_size=40),
    seed=st.integers(0, 1000),
)
def test_rows_with_several_labels_or_none_are_split_likewise(
    rows: list[tuple[set[int], int]], seed: int
) -> None:
    targets = np.zeros((len(rows), 4), np.uint8)
    for row, (labels, _) in enumerate(rows):
        targets[row, list(labels)] = 1
    groups = [str(group) for _, group in rows]
    parts = grouped_split(groups, targets, (8, 1, 1), seed)
    check_whole_groups(parts, groups)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(rows)))
    assert np.array_equal(targets[parts[0]].any(axis=0), targets.any(axis=0))
    for held_out in grouped_folds(groups, targets, 3, seed):
        training = np.setdiff1d(np.arange(len(rows)), held_out)
        assert np.array_equal(targets[training].any(axis=0), targets.any(axis=0))


def test_rows_without_sources_are_split_exactly_by_label() -> None:
    targets = np.repeat(np.arange(10, dtype=np.int32), 180)
    groups = [str(row) for row in range(1800)]
    for part, count in zip(grouped_split(groups, targets), (144, 18, 18), strict=True):
        assert Counter(targets[part].tolist()) == dict.fromkeys(range(10), count)
    for fold in grouped_folds(groups, targets, 5):
        assert Counter(targets[fold].tolist()) == dict.fromkeys(range(10), 36)


def test_rare_labels_are_spread_over_folds_where_rows_have_several() -> None:
    random = np.random.default_rng(0)
    targets = (random.random((3000, 20)) < 0.1).astype(np.uint8)
    targets[:, 19] = 0
    targets[random.choice(3000, 25, replace=False), 19] = 1
    folds = grouped_folds([str(row) for row in range(3000)], targets, 5)
    assert [int(targets[fold, 19].sum()) for fold in folds] == [5] * 5


def test_large_and_small_sources_balance_out() -> None:
    # As clips cut from films: one source in ten has half of a label's clips.
    random = np.random.default_rng(3)
    groups, targets = [], []
    for label in range(4):
        for source, count in enumerate([60, *random.integers(1, 8, 30)]):
            groups += [f"{label}-{source}"] * int(count)
            targets += [label] * int(count)
    numbers = np.array(targets, np.int32)
    parts = grouped_split(groups, numbers, (8, 1, 1), seed=1)
    check_whole_groups(parts, groups)
    totals = np.bincount(numbers)
    for part, share in zip(parts, (0.8, 0.1, 0.1), strict=True):
        found = np.bincount(numbers[part], minlength=4) / totals
        assert np.abs(found - share).max() < 0.03


def test_sources_with_many_labels_are_balanced_too() -> None:
    random = np.random.default_rng(0)
    groups = [str(number) for number in random.integers(150, size=3000)]
    targets = random.integers(6, size=3000).astype(np.int32)
    for fold in grouped_folds(groups, targets, 5):
        assert np.abs(np.bincount(targets[fold]) / np.bincount(targets) - 0.2).max() < 0.05


def test_two_labels_with_three_clips_each_give_something_to_every_part() -> None:
    targets = np.array([0, 0, 0, 1, 1, 1], np.int32)
    for seed in range(10):
        parts = grouped_split(list("abcdef"), targets, seed=seed)
        assert [len(part) for part in parts] == [4, 1, 1]
        assert [len(fold) for fold in grouped_folds(list("abcdef"), targets, 3, seed)] == [2, 2, 2]


def test_labels_with_one_row_each_are_all_in_training() -> None:
    targets = np.arange(40, dtype=np.int32)
    parts = grouped_split([str(row) for row in range(40)], targets, (1, 1, 1))
    assert [len(part) for part in parts] == [40, 0, 0]


def test_a_part_that_would_get_nothing_gets_one_source_where_training_can_do_without() -> None:
    targets = np.array([0, 0, 1, 1], np.int32)
    assert [len(part) for part in grouped_split(list("abcd"), targets)] == [2, 1, 1]
    assert [len(part) for part in grouped_split(list("aabc"), targets)] == [3, 1, 0]


def test_a_large_source_is_balanced_by_all_the_small_ones() -> None:
    groups = [*("large",) * 10, *(f"small {number}" for number in range(10))]
    for seed in range(10):
        assert [len(fold) for fold in grouped_folds(groups, np.zeros(20, np.int32), 2, seed)] == [10, 10]


def test_a_labels_only_source_is_never_held_out() -> None:
    groups = ["only", "only", *"abcdef"]
    targets = np.array([0, 0, 1, 1, 1, 1, 1, 1], np.int32)
    for seed in range(10):
        assert {0, 1} <= set(grouped_split(groups, targets, (1, 1, 1), seed)[0].tolist())
        held_out = np.concatenate(grouped_folds(groups, targets, 3, seed))
        assert not {0, 1} & set(held_out.tolist())


def test_one_source_alone_stays_in_training() -> None:
    targets = np.array([0, 1, 1], np.int32)
    assert [len(part) for part in grouped_split(["a"] * 3, targets)] == [3, 0, 0]
    assert [len(fold) for fold in grouped_folds(["a"] * 3, targets, 4)] == [0, 0, 0, 0]


def test_a_share_of_nothing_gets_nothing() -> None:
    targets = np.repeat(np.arange(3, dtype=np.int32), 40)
    for groups in ([str(row) for row in range(120)], [str(row // 2) for row in range(120)]):
        assert [len(part) for part in grouped_split(groups, targets, (9, 0, 1))] == [108, 0, 12]


@pytest.mark.parametrize("size", [1, 2])
def test_the_seed_decides_the_split(size: int) -> None:
    groups = [str(row // size) for row in range(200)]
    targets = (np.arange(200) // size % 5).astype(np.int32)
    first, again, other = (grouped_split(groups, targets, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_million_rows_are_split_in_seconds() -> None:
    targets = np.random.default_rng(0).integers(1000, size=1_000_000).astype(np.int32)
    groups = [str(row) for row in range(1_000_000)]
    begun = time.process_time()
    parts = grouped_split(groups, targets)
    assert time.process_time() - begun < 10  # 1 s on a free core
    assert [len(part) for part in parts] == [800_000, 100_000, 100_000]

"""Noise stays within the paper's bound, a row keeps a modality, mixtures are what they say."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidclf_train.augment import add_noise, drop_modalities, mix_rows
from vidclf_train.unit import unit_rows


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unit_vectors(rows: int, dimension: int, seed: int = 0) -> torch.Tensor:
    return unit_rows(torch.randn(rows, dimension, generator=generator(seed)))


@settings(max_examples=150, deadline=None)
@given(
    strength=st.floats(0, 0.999),
    dimension=st.integers(1, 300),
    seed=st.integers(0, 2**32),
)
def test_noise_moves_a_unit_vector_no_further_than_the_papers_bound(
    strength: float, dimension: int, seed: int
) -> None:
    vectors = unit_vectors(16, dimension, seed)
    noisy = add_noise(vectors, strength, generator(seed + 1)).double()
    assert torch.allclose(noisy.norm(dim=1), torch.ones(16, dtype=torch.float64), atol=1e-5)
    distances = 1 - (noisy * vectors.double()).sum(dim=1)
    assert distances.max() <= 1 - math.sqrt(1 - strength**2) + 1e-5


def test_the_bound_is_reached_so_that_a_weaker_noise_would_be_noticed() -> None:
    # In two dimensions some directions of many are at the right angle that moves a vector furthest.
    vectors = unit_vectors(20_000, 2)
    distances = 1 - (add_noise(vectors, 0.5, generator(1)) * vectors).sum(dim=1)
    assert distances.max() == pytest.approx(1 - math.sqrt(0.75), abs=1e-4)


def test_noise_is_longest_where_dimensions_are_many() -> None:
    # Two random directions of 1,024 dimensions are nearly at right angles: cos = 1 / sqrt(1 + strength^2).
    vectors = unit_vectors(500, 1024)
    cosines = (add_noise(vectors, 0.5, generator(1)) * vectors).sum(dim=1)
    assert cosines.mean() == pytest.approx(1 / math.sqrt(1.25), abs=2e-3)


def test_rows_of_zeros_stay_zeros() -> None:
    vectors = unit_vectors(4, 8)
    vectors[2] = 0
    noisy = add_noise(vectors, 0.5, generator())
    assert not noisy[2].any()
    assert noisy[[0, 1, 3]].any(dim=1).all()


def test_rows_of_any_magnitude_get_unit_length() -> None:
    rows = torch.tensor([[3e30, -4e30], [3e-20, 4e-20], [0.0, 0.0], [3.0, 4.0]])
    expected = torch.tensor([[0.6, -0.8], [0.6, 0.8], [0.0, 0.0], [0.6, 0.8]])
    assert torch.allclose(unit_rows(rows), expected)


@settings(max_examples=60, deadline=None)
@given(
    present=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40),
    probability=st.floats(0, 0.999),
    seed=st.integers(0, 2**32),
)
def test_dropping_never_takes_the_last_modality_of_a_row(
    present: list[tuple[bool, bool, bool]], probability: float, seed: int
) -> None:
    marks = torch.tensor(present)
    parts = [unit_vectors(len(present), 5, number) * marks[:, number, None] for number in range(3)]
    dropped = drop_modalities(parts, probability, generator(seed))
    there = torch.stack([part.any(dim=1) for part in dropped], dim=1)
    assert torch.equal(there.any(dim=1), marks.any(dim=1))
    for before, after in zip(parts, dropped, strict=True):
        # A vector is whole or gone, and nothing appears.
        assert all(torch.equal(b, a) or not a.any() for b, a in zip(before, after, strict=True))


def test_modalities_are_dropped_as_often_as_asked() -> None:
    parts = [torch.ones(20_000, 1) for _ in range(4)]
    dropped = drop_modalities(parts, 0.3, generator())
    # All four at once would go with a probability of 0.0081; then one of them stays.
    share = 1 - torch.cat(dropped).mean().item()
    assert share == pytest.approx(0.3 - 0.0081 / 4, abs=0.01)


def test_one_modality_alone_is_never_dropped() -> None:
    part = unit_vectors(50, 3)
    assert torch.equal(drop_modalities([part], 0.9, generator())[0], part)


def test_a_mixture_is_between_its_two_rows_with_shares_that_add_up() -> None:
    vectors, targets = torch.eye(6), torch.eye(6)
    (mixed,), shares = mix_rows([vectors], targets, 0.4, generator())
    assert torch.allclose(shares.sum(dim=1), torch.ones(6))
    assert torch.allclose(mixed.norm(dim=1), torch.ones(6))
    # Rows and targets are the same here, so a mixture points where its shares point.
    assert torch.allclose(mixed, unit_rows(shares), atol=1e-6)
    assert ((shares > 0).sum(dim=1) <= 2).all()


@pytest.mark.parametrize("concentration", [0.1, 0.4, 1.0, 3.0])
def test_the_shares_of_mixtures_are_beta_distributed(concentration: float) -> None:
    rows = torch.eye(400)
    found = [mix_rows([rows], rows, concentration, generator(seed))[1].diagonal() for seed in range(10)]
    shares = torch.cat(found)  # One in 400 rows is mixed with itself and keeps all.
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * concentration + 1)), rel=0.1)

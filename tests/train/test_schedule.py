"""The learning rate rises in equal parts and falls as half a cosine, as torch's own schedulers do."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from vidclf_train.schedule import learning_rate


def rates(steps: int, warmup: int) -> list[float]:
    return [learning_rate(step, steps, warmup, 1e-4, 1e-6) for step in range(steps)]


def test_the_papers_schedule() -> None:
    found = rates(3600, 180)
    assert found[0] == pytest.approx(1e-4 / 180)
    assert found[89] == pytest.approx(5e-5)
    assert found[179] == pytest.approx(1e-4)
    assert max(found) == found[179]
    assert found[-1] == pytest.approx(1e-6)
    assert all(after < before for before, after in pairwise(found[179:]))


def test_the_cosine_is_torchs() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-4)
    scheduler = CosineAnnealingLR(optimiser, T_max=100, eta_min=1e-6)
    expected = []
    for _ in range(100):
        optimiser.step()
        scheduler.step()
        expected.append(optimiser.param_groups[0]["lr"])
    assert rates(100, 0) == pytest.approx(expected)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 1), (1, 5), (7, 7), (3, 10)])
def test_short_trainings_have_rates_too(steps: int, warmup: int) -> None:
    assert all(math.isfinite(rate) and 0 < rate <= 1e-4 for rate in rates(steps, warmup))

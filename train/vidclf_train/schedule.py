"""The learning rate of every step: linear warm-up, then a cosine."""

from __future__ import annotations

import math


def learning_rate(step: int, step_count: int, warmup_step_count: int, peak: float, final: float) -> float:
    """Return the learning rate of a step.

    It rises in equal parts to `peak`, reached by the last step of the warm-up, and falls as half a cosine to
    `final`, reached by the last step of all.

    Args:
        step: From 0.
        step_count: Of the whole training.
        warmup_step_count: Of the warm-up.
        peak: After the warm-up.
        final: At the end.
    """
    if step < warmup_step_count:
        return peak * (step + 1) / warmup_step_count
    progress = (step + 1 - warmup_step_count) / max(step_count - warmup_step_count, 1)
    return final + (peak - final) * (1 + math.cos(math.pi * progress)) / 2

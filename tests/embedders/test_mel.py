import math

import numpy as np
import pytest
from numpy.typing import NDArray

from vidclf_cli.embedders.mel import BAND_COUNT, SAMPLE_RATE, log_mel


def tone(hertz: float, seconds: float = 0.5) -> NDArray[np.float32]:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def slow_log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """The formula of the docstring, written out term by term."""

    def mel(hertz: float) -> float:
        return 2595.0 * math.log10(1.0 + hertz / 700.0)

    edges = [
        700.0 * (10.0 ** ((mel(60.0) + (mel(7600.0) - mel(60.0)) * i / 65) / 2595.0) - 1.0) for i in range(66)
    ]
    rows = []
    for start in range(0, len(waveform) - 400 + 1, 160):
        window = [waveform[start + n] * (0.5 - 0.5 * np.cos(2 * np.pi * n / 400)) for n in range(400)]
        phases = -2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512
        power = np.abs(np.exp(phases) @ np.array(window)) ** 2
        row = []
        for band in range(64):
            low, middle, high = edges[band : band + 3]
            total = 0.0
            for index in range(257):
                hertz = index * 16000 / 512
                if low < hertz <= middle:
                    total += power[index] * (hertz - low) / (middle - low)
                elif middle < hertz < high:
                    total += power[index] * (high - hertz) / (high - middle)
            row.append(np.log(total + 1e-3))
        rows.append(row)
    return np.array(rows)


def test_agrees_with_the_formula_written_out() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 1200).astype(np.float32)
    np.testing.assert_allclose(log_mel(noise), slow_log_mel(noise), atol=1e-3)


@pytest.mark.parametrize("hertz", [200.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_the_band_of_its_pitch(hertz: float) -> None:
    mels = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7600 / 700), BAND_COUNT + 2)
    centres = 700 * (10 ** (mels[1:-1] / 2595) - 1)
    loudest = int(log_mel(tone(hertz)).mean(axis=0).argmax())
    assert abs(loudest - int(np.abs(centres - hertz).argmin())) <= 1


def test_less_than_one_window_has_no_rows() -> None:
    assert log_mel(np.zeros(399, np.float32)).shape == (0, BAND_COUNT)
    assert log_mel(np.zeros(400, np.float32)).shape == (1, BAND_COUNT)


def test_long_sound_is_the_same_in_blocks() -> None:
    long = np.tile(tone(440.0), 90)  # 45 s: more windows than one block holds
    whole = log_mel(long)
    assert len(whole) > 4096
    np.testing.assert_allclose(whole[4200:4300], log_mel(long[4200 * 160 :])[:100], atol=1e-4)

"""Log-mel spectrogram in numpy: how loud each of 64 bands of pitch is, every 10 ms."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
BAND_COUNT = 64

_WINDOW = 400  # 25 ms
_HOP = 160  # 10 ms
_TRANSFORM = 512
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7_600.0
# Added before the logarithm: about -60 dB below a loud band, so that hiss below hearing makes no feature.
_FLOOR = 1e-3
_BLOCK = 4096  # Windows transformed together: 41 s of sound, 8 MB of spectrum.


def log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the log-mel spectrogram.

    The power spectrum of Hann windows of 25 ms every 10 ms, summed in triangular bands that are equally wide
    on the mel scale m = 2595 log10(1 + f / 700) (O'Shaughnessy 1987), natural logarithm.

    Args:
        waveform: Mono, 16 kHz, in -1..1, shape (samples,).

    Returns:
        Shape (windows, 64); no rows for less than 25 ms of sound.
    """
    if waveform.size < _WINDOW:
        return np.empty((0, BAND_COUNT), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(waveform, _WINDOW)[::_HOP]
    blocks = []
    for start in range(0, len(windows), _BLOCK):
        spectrum = np.fft.rfft(windows[start : start + _BLOCK] * _hann(), _TRANSFORM, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        blocks.append(np.log(power @ mel_filters() + np.float32(_FLOOR)))
    return np.concatenate(blocks)


@cache
def mel_filters() -> NDArray[np.float32]:
    """Return the weight of each frequency in each band, shape (257, 64)."""
    frequencies = np.linspace(0.0, SAMPLE_RATE / 2, _TRANSFORM // 2 + 1)
    lowest, highest = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700.0 * (10.0 ** (np.linspace(lowest, highest, BAND_COUNT + 2) / 2595.0) - 1.0)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies[:, None] - left) / (centre - left)
    falling = (right - frequencies[:, None]) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@cache
def _hann() -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)

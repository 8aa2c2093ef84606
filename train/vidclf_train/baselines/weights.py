"""TimeSformer's configuration and weights, by their name on the Hugging Face hub or out of a folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub.utils.logging
import torch
import transformers
from transformers import AutoConfig, TimesformerConfig, TimesformerForVideoClassification
from transformers.utils import cached_file, extract_commit_hash

from vidclf_cli.errors import OutputError, UsageError
from vidclf_train.baselines.processing import PROCESSOR_NAME, Processing, read_processing

_HEAD = "classifier."
_ADVICE = (
    "Give --weights a folder that was made where the hub can be reached: "
    "`hf download facebook/timesformer-base-finetuned-k400 --local-dir FOLDER`."
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """Where pretrained weights come from.

    Attributes:
        name: A name on the hub, or a folder.
        revision: Branch, tag or commit on the hub; None is its main branch.
    """

    name: str
    revision: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder here."""
        return Path(self.name).is_dir()

    @property
    def where(self) -> dict[str, str]:
        """What functions that fetch are told beside the name."""
        return {} if self.is_folder or self.revision is None else {"revision": self.revision}

    @property
    def description(self) -> str:
        """For people."""
        if self.is_folder:
            return f"the folder {self.name}"
        return f"{self.name} ({self.revision or 'main branch'}) from the Hugging Face hub"


@dataclass(frozen=True, slots=True)
class Architecture:
    """What weights say of themselves before they are loaded.

    Attributes:
        source: Where they come from.
        commit: The commit on the hub that they are of; empty for a folder.
        frame_count: Frames per video.
        image_size: Side of a frame in pixels.
        processing: What is done to frames.
        has_processor: Whether the weights say so themselves; else it is TimeSformer's own.
    """

    source: Source
    commit: str
    frame_count: int
    image_size: int
    processing: Processing
    has_processor: bool

    @property
    def description(self) -> str:
        """For people."""
        origin = "as its processor says" if self.has_processor else "TimeSformer's own: it has no processor"
        return f"frames: {self.frame_count} per video, {self.processing.description} ({origin})"


def read_architecture(source: Source) -> Architecture:
    """Read the configuration; weights are fetched later.

    Raises:
        UsageError: There is no such folder, the hub cannot be reached or has no such weights, or they are
            not TimeSformer's.
    """
    _be_quiet()
    if not source.is_folder and (source.name.startswith((".", "/", "~")) or source.name.count("/") != 1):
        raise UsageError(f"{source.name} is no folder, and no name on the hub.", _ADVICE)
    commit = _fetch(source, lambda: _find_commit(source))
    pinned = replace(source, revision=commit or source.revision)
    config = _fetch(source, lambda: AutoConfig.from_pretrained(source.name, **pinned.where))
    if not isinstance(config, TimesformerConfig):
        raise UsageError(
            f"{source.name} holds a {config.model_type} network, and not TimeSformer.",
            "Give --weights those of a TimeSformer, e.g. facebook/timesformer-base-finetuned-k400.",
        )
    image_size = int(str(config.image_size))  # its type allows a pair; TimeSformer's are numbers
    processor = _fetch(source, lambda: _read_processor(pinned))
    return Architecture(
        source=source,
        commit=commit,
        frame_count=int(config.num_frames),
        image_size=image_size,
        processing=read_processing(processor, image_size),
        has_processor=processor is not None,
    )


def _find_commit(source: Source) -> str:
    """Return the commit on the hub, so that all files are of one; empty for a folder.

    Raises:
        OSError: There is nothing of that name.
    """
    path = cached_file(source.name, "config.json", **source.where)
    if path is None:  # The library says no more of this file.
        raise OSError("it has no config.json.")
    return "" if source.is_folder else str(extract_commit_hash(path, None) or "")


def _read_processor(source: Source) -> dict[str, Any] | None:
    """Return the processor's configuration, None where the weights come without one."""
    path = cached_file(
        source.name, PROCESSOR_NAME, **source.where, _raise_exceptions_for_missing_entries=False
    )
    if path is None:
        return None
    values: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return dict(values)


def load_model(
    architecture: Architecture, labels: Sequence[str], seed: int
) -> TimesformerForVideoClassification:
    """Load the weights, with a new head for the labels.

    Args:
        architecture: Of the weights.
        labels: What the head tells apart.
        seed: Of the head's random weights.

    Raises:
        UsageError: They cannot be read, or lack more than the head.
    """
    _be_quiet()
    source = architecture.source
    torch.manual_seed(seed)
    model, found = _fetch(
        source,
        lambda: TimesformerForVideoClassification.from_pretrained(
            source.name,
            **replace(source, revision=architecture.commit or source.revision).where,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
        ),
    )
    mismatched = {str(key[0] if isinstance(key, tuple) else key) for key in found["mismatched_keys"]}
    lacking = sorted(key for key in {*found["missing_keys"], *mismatched} if not key.startswith(_HEAD))
    if lacking:
        raise UsageError(
            f"{source.name} lacks {len(lacking)} parts of the network that it describes ({lacking[0]} ...).",
            "Fetch it again.",
        )
    loaded: TimesformerForVideoClassification = model
    return loaded


def save_model(model: TimesformerForVideoClassification, architecture: Architecture, folder: Path) -> None:
    """Write the network with its processor; the folder appears when it is whole.

    Raises:
        OutputError: It cannot be written.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        model.save_pretrained(partial)
        architecture.processing.save(partial)
        shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed right after
        partial.rename(folder)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror or error}).",
            "Free space and run again: it goes on after the last epoch.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch(source: Source, load: Callable[[], T]) -> T:
    """Read something, from the hub or a folder, whatever the library raises when it cannot."""
    try:
        return load()
    except Exception as error:  # a damaged file raises what its parser likes
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        what = "read" if source.is_folder else "fetched"
        advice = "It must be a folder as `save_pretrained` writes it." if source.is_folder else _ADVICE
        raise UsageError(f"The weights {source.name} cannot be {what}: {reason}", advice) from error


def _be_quiet() -> None:
    """Keep reports and bars of the libraries off standard error: what matters of them becomes a message."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    huggingface_hub.utils.logging.set_verbosity_error()

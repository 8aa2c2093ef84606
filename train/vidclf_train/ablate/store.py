"""Finished runs in a JSON file, so that an ablation that was interrupted goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vidclf_cli import __version__
from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.writers.output import open_output
from vidclf_train.ablate.outcome import Outcome
from vidclf_train.ablate.tables import Configuration
from vidclf_train.recipe import Head

_FORMAT = 1


class RunStore:
    """Knows what was run already; a file is written anew, as a whole, after every run.

    Args:
        path: The file; None keeps nothing.
        data_digest: Of the data's file.
        device: Where it is run.
    """

    def __init__(self, path: Path | None, data_digest: str, device: str) -> None:
        self._path = path
        self._made_of = {
            "data": data_digest,
            "device": device,
            "vidclf": __version__,
            "torch": version("torch"),
        }
        self._runs: dict[str, dict[str, Any]] = _read(path) if path else {}

    def get(self, configuration: Configuration, seed: int) -> Outcome | None:
        """Return what a run gave, None when there was none of this data, recipe, seed and version."""
        run = self._runs.get(self._key(configuration, seed))
        return Outcome(**run["outcome"]) if run else None

    def add(self, configuration: Configuration, seed: int, outcome: Outcome) -> None:
        """Keep what a run gave, at once.

        Raises:
            OutputError: The file cannot be written.
        """
        self._runs[self._key(configuration, seed)] = {
            "spaces": list(configuration.spaces),
            "recipe": asdict(configuration.recipe),
            "seed": seed,
            "made_of": self._made_of,
            "outcome": asdict(outcome),
        }
        if self._path:
            with open_output(str(self._path), "--json") as stream:
                json.dump({"vidclf_ablation": _FORMAT, "runs": self._runs}, stream, indent=1)
                stream.write("\n")

    def _key(self, configuration: Configuration, seed: int) -> str:
        recipe = configuration.recipe
        made_by = {
            **self._made_of,
            "spaces": configuration.spaces,
            "split_shares": recipe.split_shares,
            "folds": recipe.folds,
            "heads": [_settings(head) for head in recipe.heads],
            "seed": seed,
        }
        return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Keep a second ablation away from the file.

    Raises:
        UsageError: One is writing to it.
        OutputError: There is no such folder.
    """
    if path is None:
        yield
        return
    try:
        lock = FileLock(path.with_name(f".{path.name}.lock")).acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"Another ablation is writing to {path}.", "Wait for it, or name another file."
        ) from error
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}).", "Name another file with --json."
        ) from error
    with lock:
        yield


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _settings(head: Head) -> dict[str, Any]:
    """Return what a head has beside the defaults: a setting that is new changes no run that knows it not."""
    values = {field.name: getattr(head, field.name) for field in fields(head)}
    chosen = {field.name: values[field.name] for field in fields(head) if values[field.name] != field.default}
    return {"type": type(head).__name__, **chosen}


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refusal(path, str(error)) from error
    if not isinstance(document, Mapping) or document.get("vidclf_ablation") != _FORMAT:
        raise _refusal(path, "it was not written by this command")
    runs = document.get("runs")
    names = {field.name for field in fields(Outcome)}
    if not isinstance(runs, dict) or any(
        not isinstance(run, dict) or set(run.get("outcome", ())) != names for run in runs.values()
    ):
        raise _refusal(path, "its runs have other figures than this version's")
    return runs


def _refusal(path: Path, problem: str) -> UsageError:
    return UsageError(
        f"{path} holds no ablation that can go on ({problem}).", "Name another file with --json."
    )

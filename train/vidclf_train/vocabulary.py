"""The YouTube-8M vocabulary (2018): 3,862 entities with names, verticals and Wikipedia descriptions."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

PAPER_CLASSES = (
    "Arts & Entertainment",
    "Autos & Vehicles",
    "Business & Industrial",
    "Computers & Electronics",
    "Food & Drink",
    "Games",
    "Law & Government",
    "Pets & Animals",
    "Reference",
    "Sports",
)
"""The ten classes of the paper: verticals; with all that have entities there are 24."""

NO_VERTICAL = "(Unknown)"
_COLUMNS = {"Name", "Vertical1", "WikiDescription", "TrainVideoCount"}
_INDEX_COLUMNS = {"Index", "Vertical1"}
_DESCRIPTION_CHARACTERS = 200
"""Of name and description together. 600 took twice the time for the same accuracy by cross-validation."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One line of the vocabulary.

    Attributes:
        name: E.g. `Acoustic guitar`.
        vertical: Its first vertical, e.g. `Arts & Entertainment`.
        description: The beginning of its Wikipedia article, may be empty.
        video_count: Training videos of YouTube-8M that have it.
    """

    name: str
    vertical: str
    description: str
    video_count: int

    @property
    def long_text(self) -> str:
        """Name and the beginning of the description."""
        return f"{self.name}. {self.description}"[:_DESCRIPTION_CHARACTERS]


def read_vocabulary(path: Path) -> list[Entity]:
    """Return the entities that have a name and a vertical.

    Raises:
        click.UsageError: The file is no such table.
    """
    entities = [
        Entity(row["Name"], row["Vertical1"], row["WikiDescription"], int(row["TrainVideoCount"]))
        for row in _read_rows(path, _COLUMNS)
    ]
    return [each for each in entities if each.name and each.vertical not in {"", NO_VERTICAL}]


def read_verticals(path: Path) -> dict[int, str]:
    """Return the first vertical of every entity by its `Index`, which is what the videos' labels are.

    Entities without a name are among them, and those whose vertical is `NO_VERTICAL`.

    Raises:
        click.UsageError: The file is no such table.
    """
    try:
        return {
            int(row["Index"]): row["Vertical1"] or NO_VERTICAL for row in _read_rows(path, _INDEX_COLUMNS)
        }
    except (ValueError, csv.Error) as error:  # A text that is no UTF-8 is a ValueError, too.
        raise click.UsageError(f"{path} is no vocabulary of YouTube-8M ({error}).") from error


def _read_rows(path: Path, columns: set[str]) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if missing := columns - set(rows.fieldnames or ()):
            raise click.UsageError(f"{path} has no column {', '.join(sorted(missing))}.")
        yield from rows


def verticals_of(entities: list[Entity], minimum: int = 1) -> list[str]:
    """Return the verticals that at least `minimum` entities have, sorted."""
    counts = Counter(each.vertical for each in entities)
    return sorted(vertical for vertical, count in counts.items() if count >= minimum)


def video_shares(entities: list[Entity], labels: list[str]) -> list[float]:
    """Return which share of the labels' training videos each label has (a video counts once per entity)."""
    counts = Counter[str]()
    for each in entities:
        counts[each.vertical] += each.video_count
    total = sum(counts[label] for label in labels)
    return [counts[label] / total for label in labels]

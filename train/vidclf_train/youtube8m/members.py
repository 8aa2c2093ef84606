"""Read the videos of the wanted classes from shards, and count what becomes of all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from vidclf_cli.errors import UsageError
from vidclf_train.youtube8m.examples import UnusableVideoError, Video, parse_video
from vidclf_train.youtube8m.tfrecord import Damage, Record, read_records

NAMED_EXAMPLES = 20
"""Of each kind of trouble with single videos so many are named; all are counted. Damage is always named."""


class Outcome(StrEnum):
    """What became of a record; the values are what the summary prints."""

    MEMBER = "of the classes"
    SEVERAL = "with labels of several verticals"
    OTHER = "of another vertical"
    UNLABELLED = "without labels"
    FOREIGN = "with labels that the vocabulary lacks"
    DUPLICATE = "there more than once, kept once"
    UNUSABLE = "unusable, left out"


@dataclass(slots=True)
class Tally:
    """What was met while shards were read.

    Attributes:
        say: Takes one line about each trouble.
        outcomes: How many records ended how.
        damage_count: Places in shards where no record could be read.
        unreadable_count: Shards that could not be opened, or not read to their end.
    """

    say: Callable[[str], None]
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    damage_count: int = 0
    unreadable_count: int = 0

    @property
    def has_losses(self) -> bool:
        """Whether something that should have been there was not readable."""
        return bool(self.damage_count or self.unreadable_count or self.outcomes[Outcome.UNUSABLE])

    def note(self, outcome: Outcome, line: str) -> None:
        """Count a record, and name it while there are few of its kind."""
        self.outcomes[outcome] += 1
        if self.outcomes[outcome] <= NAMED_EXAMPLES:
            self.say(line)
        elif self.outcomes[outcome] == NAMED_EXAMPLES + 1:
            self.say(f"More videos are {outcome}; from here on they are only counted.")


@dataclass(frozen=True, slots=True)
class Classes:
    """Which videos belong to which class.

    Attributes:
        names: At least two verticals, each once.
        verticals: The first vertical of each entity by its number.
    """

    names: tuple[str, ...]
    verticals: Mapping[int, str]

    def __post_init__(self) -> None:
        """Raise UsageError for classes that are no verticals, there twice, or fewer than two."""
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):
            raise UsageError("At least two classes are needed, each once.", "Look at --classes.")
        known = set(self.verticals.values())
        for name in self.names:
            if name not in known:
                raise UsageError(
                    f"The vocabulary has no vertical {name!r}.", f"It has {', '.join(sorted(known))}."
                )

    def place(self, labels: Sequence[int]) -> tuple[Outcome, int]:
        """Return what a video with these labels is, and its class's number: -1 where it has none.

        It belongs to a class when the first verticals of all its labels are that one vertical.
        """
        verticals = {self.verticals.get(label) for label in labels}
        if not verticals:
            return Outcome.UNLABELLED, -1
        if None in verticals:
            return Outcome.FOREIGN, -1
        if len(verticals) > 1:
            return Outcome.SEVERAL, -1
        (vertical,) = verticals
        if vertical not in self.names:
            return Outcome.OTHER, -1
        return Outcome.MEMBER, self.names.index(vertical)


def find_shards(folders: Sequence[Path]) -> list[Path]:
    """Return the `*.tfrecord` files of the folders, sorted by name within each.

    Raises:
        UsageError: A folder has none.
    """
    shards: list[Path] = []
    for folder in folders:
        found = sorted(path for path in folder.glob("*.tfrecord") if path.is_file())
        if not found:
            raise UsageError(
                f"{folder} holds no *.tfrecord file.",
                "`python -m vidclf_train youtube8m download` fetches some.",
            )
        shards += found
    return shards


def read_members(shards: Iterable[Path], classes: Classes, tally: Tally) -> Iterator[tuple[Video, int]]:
    """Yield the videos of the classes with their class's number, each id once, in the order of the shards."""
    seen: set[str] = set()
    for path in shards:
        for record in _read_shard(path, tally):
            where = f"{path} at byte {record.offset}"
            try:
                video = parse_video(record.data)
            except UnusableVideoError as error:
                tally.note(Outcome.UNUSABLE, f"{where}: a video is left out, {error}")
                continue
            outcome, number = classes.place(video.labels)
            if outcome is not Outcome.MEMBER:
                tally.outcomes[outcome] += 1
            elif video.id in seen:
                tally.note(Outcome.DUPLICATE, f"{where}: {video.id!r} was there before, and is kept once")
            else:
                seen.add(video.id)
                tally.outcomes[outcome] += 1
                yield video, number


def _read_shard(path: Path, tally: Tally) -> Iterator[Record]:
    """Yield the records that are whole; damage is counted and said, and does not end the run."""
    try:
        for record in read_records(path):
            if isinstance(record, Damage):
                tally.damage_count += 1
                tally.say(f"{path} at byte {record.offset}: {record.reason}")
            else:
                yield record
    except OSError as error:
        tally.unreadable_count += 1
        tally.say(f"{path} cannot be read ({error.strerror or error}).")

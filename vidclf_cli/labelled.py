"""Labelled videos: a CSV of paths and labels, or a folder with one sub-folder per label.

Nothing is silently dropped: what is left out is counted in the notes, and what contradicts itself is refused
with both places named. docs/formats.md (Labelled data) describes what is read.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidclf_cli.classifier_card import UNKNOWN, label_problem
from vidclf_cli.errors import Code, Reason, UsageError
from vidclf_cli.label_table import LABEL_SEPARATOR, read_label_table
from vidclf_cli.labelled_paths import PathFinder
from vidclf_cli.library import find_folders, find_videos, id_of, order_key
from vidclf_cli.scoring import Task
from vidclf_cli.wording import counted, one_line, some
from vidclf_cli.writers.csv import unguard

"""How many of many a message names."""

_PARTS = frozenset({"train", "training", "val", "valid", "validation", "eval", "test", "testing"})
"""Folders of these names only are the parts of a data set, each with the labels in it."""

_SHAPE = "Name a CSV with the columns `path` and `label`, or a folder with one sub-folder per label."


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """A video and what it shows.

    Attributes:
        path: Where it is, absolute.
        labels: At least one; exactly one where the task is `single`.
        group: Which source it comes from; its own id where nobody said.
    """

    path: Path
    labels: tuple[str, ...]
    group: str


@dataclass(frozen=True, slots=True)
class LabelledVideos:
    """What was read.

    Attributes:
        videos: Each real path once, in the order of their ids.
        notes: What was left out or looks odd, a sentence each.
        labels: All labels of `videos`, sorted.
        task: `multi` when a video has several labels, or when it was asked for.
        root: The folder that paths are relative to; sidecar tables are looked for there. None: each
            video's own folder.
        missing: Labelled files that are not there, or are no regular files.
    """

    videos: tuple[LabelledVideo, ...]
    notes: tuple[str, ...]
    labels: tuple[str, ...]
    task: Task
    root: Path | None = None
    missing: tuple[LabelledVideo, ...] = ()


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one place says of one file.

    Attributes:
        place: For messages: `line 7`, or the file's id.
        path: Absolute.
        real: The same for every spelling of one file.
        labels: At least one.
        group: Empty where the place does not say.
        exists: Whether a regular file is there.
    """

    place: str
    path: str
    real: str
    labels: tuple[str, ...]
    group: str
    exists: bool


def read_labelled(
    data: Path,
    *,
    multi: bool = False,
    root: Path | None = None,
    group_column: str | None = None,
    exclude: Sequence[str] = (),
    for_training: bool = True,
) -> LabelledVideos:
    """Read which videos have which labels.

    Args:
        data: A CSV, or a folder with one sub-folder per label.
        multi: Videos may have several labels, even if none has.
        root: What the paths of a CSV are relative to; None is the CSV's own folder.
        group_column: The CSV's column that says which source a video comes from.
        exclude: Globs of paths and names to leave out of a folder.
        for_training: Refuse data of one label only, and note labels with one video only.

    Raises:
        UsageError: It cannot be read, contradicts itself, or holds too few labels.
    """
    if is_folder := _is_folder(data):
        if root is not None or group_column is not None:
            raise UsageError(f"{data} is a folder: it has neither columns nor another root.", _SHAPE)
    elif exclude:
        raise UsageError(f"{data} names its videos itself.", "Delete the lines that you do not want.")
    folder = data if is_folder else data.parent if root is None else root
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Name the folder that the paths are relative to.")
    collection = _Collection(
        Path(os.path.realpath(folder)), str(data), multi=multi, for_training=for_training
    )
    return collection.of_folder(exclude) if is_folder else collection.of_table(data, group_column)


def _is_folder(data: Path) -> bool:
    try:
        mode = data.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UsageError(
            f"There is no file or folder {one_line(str(data))} that can be read ({error}).", _SHAPE
        ) from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise UsageError(f"{data} is neither a file nor a folder.", _SHAPE)
    return stat.S_ISDIR(mode)


class _Collection:
    """Gathers what the places say, and holds it against each other."""

    def __init__(self, root: Path, name: str, *, multi: bool, for_training: bool) -> None:
        self._root = root
        self._name = name
        self._multi = multi
        self._for_training = for_training
        self._notes: list[str] = []

    def of_table(self, path: Path, group_column: str | None) -> LabelledVideos:
        """Read a CSV."""
        every = read_label_table(path, group_column)
        rows = [row for row in every if not row.is_segment]
        if len(rows) < len(every):
            parts = dict.fromkeys(row.path for row in every if row.is_segment)
            self._note(f"{counted(len(every) - len(rows), 'row')} about segments left out", parts)
        bare = [row for row in rows if not row.labels]
        if bare:
            self._note(f"{counted(len(bare), 'row')} without a label left out", (row.path for row in bare))
        finder = PathFinder(self._root)
        claims = []
        for row in rows:
            if row.labels:
                found = finder.find(row.path)
                labels = tuple(dict.fromkeys(label_of(unguard(label)) for label in row.labels))
                place = f"line {row.line}"
                claims.append(_Claim(place, found.path, found.real, labels, row.group, found.exists))
        return self._merge(claims)

    def of_folder(self, exclude: Sequence[str]) -> LabelledVideos:
        """Search a folder with one sub-folder per label."""
        folders = find_folders(self._root, exclude)
        if not folders:
            raise UsageError(f"{self._name} has no sub-folders.", _SHAPE)
        if all(each.name.casefold() in _PARTS for each in folders):
            raise UsageError(
                f"The sub-folders of {self._name} ({some([each.name for each in folders])}) are named like "
                "parts of a data set, not like labels.",
                f"Name one of them: {Path(self._name) / folders[0].name}",
            )
        inside = find_videos([self._root], exclude)
        # A label's folder that is a link to elsewhere was named by whoever made it, so it is followed.
        outside = [find_videos([each], exclude) for each in folders if not _leads_inside(each, self._root)]
        libraries = [inside, *outside]
        paths = [video.path for library in libraries for video in library.videos]
        beside = [path for path in paths if path.parent == self._root]
        if beside:
            names = [path.name for path in beside]
            self._note(f"{counted(len(beside), 'video')} beside the folders left out, having no label", names)
        paths += [path for library in libraries for path in library.repeated]
        claims = [self._claim_of(path) for path in paths if path.parent != self._root]
        labelled = {claim.labels[0] for claim in claims}
        if empty := [each.name for each in folders if label_of(each.name) not in labelled]:
            self._note(f"{counted(len(empty), 'folder')} without a video", empty)
        self._notes += [f"{problem}." for library in libraries for problem in library.problems]
        # The search of the root counted the links to outside as other files.
        if others := sum(library.other_count for library in libraries) - len(outside):
            passed = counted(others, "other file")
            self._notes.append(f"{passed} passed over: no videos, or links that lead out of the folder.")
        if (self._root / "labels.csv").is_file():
            self._notes.append(
                "labels.csv in the folder was not read, since the folders say the labels: to use it, name it."
            )
        if not claims:
            raise UsageError(
                f"The sub-folders of {self._name} hold no video.",
                f"{_SHAPE} Vectors of single videos are joined by `python -m vidclf_train pack`.",
            )
        return self._merge(claims)

    def _claim_of(self, path: Path) -> _Claim:
        relative = path.relative_to(self._root)
        label = label_of(relative.parts[0])
        if LABEL_SEPARATOR in label:
            raise UsageError(
                f"The folder {relative.parts[0]!r} of {self._name} cannot be a label: "
                f"`{LABEL_SEPARATOR}` stands between several labels.",
                "Rename it; for videos with several labels use a CSV.",
            )
        place = one_line(id_of(str(relative)))
        return _Claim(place, str(path), os.path.realpath(path), (label,), "", exists=True)

    def _merge(self, claims: Sequence[_Claim]) -> LabelledVideos:
        if not claims:
            raise UsageError(
                f"No row of {self._name} has a label.",
                "Fill the column `label`; the rows need the delimiter that the header has.",
            )
        self._check_labels(claims)
        task: Task = "multi" if self._multi or any(len(claim.labels) > 1 for claim in claims) else "single"
        by_file: dict[str, list[_Claim]] = defaultdict(list)
        for claim in claims:
            by_file[claim.real].append(claim)
        self._note_repeated(by_file.values(), task)
        found = [(self._id_of(same[0].path), same[0].exists, same) for same in by_file.values()]
        found.sort(key=lambda entry: order_key(entry[0]))
        videos = tuple(self._agree(name, same, task) for name, exists, same in found if exists)
        missing = tuple(self._agree(name, same, task) for name, exists, same in found if not exists)
        self._check_missing(videos, missing)
        labels = self._count_labels(videos, missing)
        return LabelledVideos(videos, tuple(self._notes), labels, task, self._root, missing)

    def _agree(self, name: str, same: Sequence[_Claim], task: Task) -> LabelledVideo:
        """Make one video of what all places say of it."""
        first = same[0]
        named: dict[str, _Claim] = {}
        for claim in same:
            if claim.group:
                named.setdefault(claim.group, claim)
            if task == "single" and claim.labels != first.labels:
                raise UsageError(
                    f"{self._name}: {one_line(first.path)} is {first.labels[0]!r} in {first.place} "
                    f"and {claim.labels[0]!r} in {claim.place}.",
                    "Keep one of them; if a video may have several labels, ask for a multi-label classifier.",
                )
        groups = list(named)
        if len(groups) > 1:
            raise UsageError(
                f"{self._name}: {one_line(first.path)} is of the source {groups[0]!r} in "
                f"{named[groups[0]].place} and of {groups[1]!r} in {named[groups[1]].place}.",
                "Keep one of them.",
            )
        labels = tuple(dict.fromkeys(label for claim in same for label in claim.labels))
        return LabelledVideo(Path(first.path), labels, groups[0] if groups else name)

    def _check_labels(self, claims: Iterable[_Claim]) -> None:
        first_places: dict[str, str] = {}
        for claim in claims:
            for label in claim.labels:
                first_places.setdefault(label, claim.place)
        for label, place in first_places.items():
            if problem := label_problem(label):
                advice = (
                    "Leave such videos out; if `none of these` is to be a class of its own, "
                    "call it e.g. `other`."
                    if label.casefold() == UNKNOWN
                    else "Rename it."
                )
                raise UsageError(
                    f"{self._name}: {label[:40]!r} ({place}) cannot be a label: it {problem}.", advice
                )
        spellings: dict[str, set[str]] = defaultdict(set)
        for label in first_places:
            spellings[unicodedata.normalize("NFKC", label).casefold()].add(label)
        for same in spellings.values():
            if len(same) > 1:
                names = " and ".join(repr(label) for label in sorted(same))
                self._notes.append(f"{names} are written almost alike, and count as different labels.")

    def _check_missing(self, videos: Sequence[LabelledVideo], missing: Sequence[LabelledVideo]) -> None:
        if not missing:
            return
        names = [video_id(video.path, self._root) for video in missing]
        if not videos:
            raise UsageError(
                f"None of the {len(missing)} files of {self._name} is there as a file: {some(names)}.",
                f"Paths are relative to {self._root}; --root names another folder.",
            )
        self._note(f"{counted(len(missing), 'labelled file')} not there, or no regular file", names)

    def _count_labels(
        self, videos: Sequence[LabelledVideo], missing: Sequence[LabelledVideo]
    ) -> tuple[str, ...]:
        counts = Counter(label for video in videos for label in video.labels)
        lost = {label for video in missing for label in video.labels} - counts.keys()
        if lost:
            self._note(
                f"{counted(len(lost), 'label')} left out, since none of its files is there", sorted(lost)
            )
        if not self._for_training:
            return tuple(sorted(counts))
        if len(counts) < 2:
            (only,) = counts
            raise UsageError(
                f"{self._name} has one label only, {only!r}: there is nothing to tell apart.",
                f"None of the files of {some(sorted(lost))} is there; paths are relative to {self._root}."
                if lost
                else "Label videos that show something else, too (`other`).",
            )
        if single := sorted(label for label, count in counts.items() if count == 1):
            self._note(
                f"{counted(len(single), 'label')} with one video only, too few to learn from and test with",
                single,
            )
        return tuple(sorted(counts))

    def _note_repeated(self, files: Iterable[Sequence[_Claim]], task: Task) -> None:
        again = [self._id_of(same[0].path) for same in files if len(same) > 1]
        if again:
            united = ", with the labels of all places" if task == "multi" else ""
            self._note(f"{counted(len(again), 'file')} named more than once, counted once{united}", again)

    def _note(self, what: str, names: Iterable[str]) -> None:
        self._notes.append(f"{what}: {some(list(names))}.")

    def _id_of(self, path: str) -> str:
        return _id_below(path, self._root)


def video_id(path: Path, root: Path | None) -> str:
    """Return what a labelled video is called: its path relative to the root, or all of it outside of that."""
    return _id_below(str(path), root)


def _id_below(path: str, root: Path | None) -> str:
    prefix = "" if root is None else f"{str(root).rstrip(os.sep)}{os.sep}"
    return id_of(path.removeprefix(prefix))


def label_of(name: str) -> str:
    """Return the label that a cell or a folder names: two Unicode forms of one text are one label."""
    return unicodedata.normalize("NFC", name).strip()


def _leads_inside(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(root)


def why_missing(path: Path) -> Reason:
    """Return why a labelled file is no video that could be read, for its failed row."""
    is_there = path.exists()
    return Reason(Code.UNREADABLE, "this is no regular file" if is_there else "there is no such file")

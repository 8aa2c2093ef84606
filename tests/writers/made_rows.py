"""Rows as `to_row` makes them, of every status and with everything that is hard to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hypothesis import strategies as st

from vidclf_cli.errors import Code, Reason
from vidclf_cli.records import Evidence, LabelScore, Prediction, Result, Status, Video
from vidclf_cli.writers import open_rows
from vidclf_cli.writers.row import Row, to_row

MODEL = "topics-10@0123456789ab"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
_SHARES = st.floats(0, 1)


def video(name: str, folder: Path = Path("/videos")) -> Video:
    return Video(name, folder / name, folder, 1, 2, 3)


def row(name: str = "a.mp4", label: str = "Sports", segment: tuple[float, float] | None = None) -> Row:
    prediction = Prediction(
        (label,), 0.9123, (LabelScore("Games", 0.05),), (Evidence("visual", 'a "helmet", red', 0.5),)
    )
    return to_row(
        Result(video(name), Status.OK, None, prediction, ("visual", "metadata"), 12.346, MODEL, segment)
    )


def failed_row(name: str) -> Row:
    return to_row(Result(video(name), Status.FAILED, Reason(Code.EMPTY_FILE, "the file is empty")))


def unknown_row(name: str) -> Row:
    reason = Reason(Code.LOW_CONFIDENCE, "the best guess, Games, is below 0.5")
    prediction = Prediction((), 0.31, (LabelScore("Games", 0.31),), (), reason)
    return to_row(Result(video(name), Status.UNKNOWN, reason, prediction, ("metadata",), None, MODEL))


def many(count: int) -> Iterator[Row]:
    for number in range(count):
        name = f"folder {number % 7}/clip {number}.mp4"
        yield (row, failed_row, unknown_row)[number % 3](name)


@st.composite
def any_rows(draw: st.DrawFn) -> list[Row]:
    """Draw rows with any text in every place that holds text."""
    made = []
    for _ in range(draw(st.integers(0, 4))):
        scores = draw(st.lists(st.builds(LabelScore, TEXTS, _SHARES), max_size=3))
        evidence = draw(st.lists(st.builds(Evidence, st.just("visual"), TEXTS, _SHARES), max_size=2))
        prediction = Prediction((draw(TEXTS),), draw(_SHARES), tuple(scores), tuple(evidence))
        seconds = draw(st.none() | st.floats(0, 1e6))
        result = Result(video(draw(TEXTS)), Status.OK, None, prediction, (), seconds, draw(TEXTS))
        made.append(to_row(result))
    return made


def write(path: Path, format_name: str, rows: list[Row]) -> Path:
    with open_rows(str(path), format_name) as writer:
        for each in rows:
            writer.write(each)
    return path

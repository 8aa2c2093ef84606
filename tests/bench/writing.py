"""Writing rows in every format, without anything else of a run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from vidclf_cli.records import Evidence, LabelScore, Prediction, Result, Status, Video
from vidclf_cli.writers import FORMATS, open_rows
from vidclf_cli.writers.row import to_row


def seconds_to_write(count: int, work: Path) -> Iterator[tuple[str, float]]:
    """Yield each format with the seconds that so many results take to become rows in a file.

    Args:
        count: How many.
        work: Where the files go; they are removed.
    """
    results = [_result(number) for number in range(count)]
    with tempfile.TemporaryDirectory(prefix="vidclf-rows-", dir=work) as folder:
        for format_name in FORMATS:
            start = time.perf_counter()
            with open_rows(str(Path(folder, format_name)), format_name) as writer:
                for result in results:
                    writer.write(to_row(result))
            yield format_name, time.perf_counter() - start


def _result(number: int) -> Result:
    """Return a result as long as those of a real library."""
    name = f"Season {number % 12 + 1}/A walk along the river, part {number}.mp4"
    share = number % 1000 / 1000
    scores = tuple(LabelScore(label, share / 2) for label in ("Travel", "Sports", "People & Blogs"))
    evidence = tuple(
        Evidence("visual", what, share) for what in ("lakeside", "canoe", "suspension bridge", "paddle")
    )
    prediction = Prediction(("Outdoors",), share, scores, evidence)
    folder = Path("/library")
    video = Video(name, folder / name, folder, 1 << 30, number, number)
    return Result(video, Status.OK, None, prediction, ("visual", "metadata"), 61.5, "topics-10@0123456789ab")

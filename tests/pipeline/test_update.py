"""Which rows of an output still hold, and how they are put together with new ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.writers.made_rows import MODEL, failed_row, row, unknown_row, video
from vidclf_cli.cache.outputs import Remembered
from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.library import Library, Problem, order_key
from vidclf_cli.pipeline.options import ClassifyOptions
from vidclf_cli.pipeline.rows import VideoRows, group_results
from vidclf_cli.pipeline.statistics import Statistics
from vidclf_cli.pipeline.update import Update, merge, plan_update, reason_for_all, settings_of
from vidclf_cli.records import Prediction, Result, Status
from vidclf_cli.writers.row import Row

SETTINGS = settings_of(ClassifyOptions(labels=("a", "b"), min_confidence=0.8), MODEL, 8)
ROOT = Path("/videos")


def library(*names: str, problems: Sequence[Problem] = (), folders: Sequence[str] = ("",)) -> Library:
    videos = sorted((video(name) for name in names), key=lambda each: order_key(each.id))
    places = tuple((ROOT / folder, folder) for folder in folders)
    return Library(tuple(videos), 0, tuple(problems), (), places)


def known(*names: str) -> dict[str, str]:
    return {name: f"state of {name}" for name in names}


def plan(found: Library, rows: list[Row], **changes: Any) -> Update:
    names = [each["path"] for each in rows]
    signatures = known(*(each.id for each in found.videos)) | changes.pop("signatures", {})
    remembered = Remembered(SETTINGS, known(*names), 0)
    return plan_update(found, lambda: rows, remembered, signatures, model=MODEL, **changes)


def todo(update: Update) -> list[str]:
    return [each.id for each in update.todo]


def test_rows_of_unchanged_videos_are_kept_and_the_others_computed() -> None:
    rows = [row("a"), row("b"), row("gone")]
    update = plan(library("a", "b", "new"), rows, signatures={"b": "another state"})
    assert list(update.kept) == ["a"]
    assert todo(update) == ["b", "new"]
    assert update.dropped_count == 1
    assert update.description == "Update: 1 video taken over, 2 new or changed, 1 gone and dropped."


def test_a_state_that_cannot_be_told_is_computed() -> None:
    remembered = Remembered(SETTINGS, {"a": ""}, 0)
    update = plan_update(library("a"), lambda: [row("a")], remembered, {"a": ""}, model=MODEL)
    assert todo(update) == ["a"]


def test_failed_and_unknown_rows_are_kept_until_failed_ones_are_to_be_tried_again() -> None:
    rows = [
        failed_row("a"),
        unknown_row("b"),
        row("c"),
        dict(row("c", segment=(0, 5))) | {"status": "failed"},
    ]
    assert todo(plan(library("a", "b", "c"), rows)) == []
    assert todo(plan(library("a", "b", "c"), rows, retry_failed=True)) == ["a", "c"], "a failed segment, too"


def test_a_row_of_another_classifier_is_made_anew() -> None:
    other = dict(row("a")) | {"model": "topics-24@ffffffffffff"}
    assert todo(plan(library("a", "b"), [other, row("b")])) == ["a"]


def test_segments_belong_to_their_video() -> None:
    rows = [row("a"), row("a", segment=(0, 5)), row("a", segment=(5, 9)), row("b")]
    update = plan(library("a", "b"), rows, signatures={"b": "another state"})
    merged = list(merge(update, lambda: rows, [VideoRows("b", (row("b", "New"),))], Statistics()))
    assert [each.rows for each in merged] == [tuple(rows[:3]), (row("b", "New"),)]


@pytest.mark.parametrize(
    "rows",
    [
        [row("b"), row("a")],
        [row("a"), row("a"), row("b")],
        [row("a"), row("b"), row("a", segment=(0, 5))],
        [row("a", segment=(0, 5)), row("a"), row("b")],
    ],
)
def test_a_file_that_somebody_sorted_is_made_anew(rows: list[Row]) -> None:
    update = plan(library("a", "b"), rows)
    assert todo(update) == ["a", "b"]
    assert update.description == "Update: all rows are made anew, since its rows are not in vidclf's order."


def test_rows_below_a_folder_that_could_not_be_looked_into_are_kept() -> None:
    rows = [row("a"), row("closed/b"), row("closed/deep/c"), row("closed2/d"), row("gone")]
    found = library("a", problems=[Problem(ROOT / "closed", "Permission denied", "closed")])
    update = plan(found, rows)
    assert update.kept == {"a": video("a"), "closed/b": None, "closed/deep/c": None}
    assert update.dropped_count == 2
    assert "2 of those taken over could not be looked for" in update.description
    merged = list(merge(update, lambda: rows, [], Statistics()))
    assert [(each.id, each.video is None) for each in merged] == [
        ("a", False),
        ("closed/b", True),
        ("closed/deep/c", True),
    ]


def test_without_any_video_the_output_stays() -> None:
    with pytest.raises(UsageError, match="No video was found"):
        plan(library(), [row("a")])


def test_a_folder_in_which_nothing_is_any_more_is_taken_for_a_drive_that_is_not_there() -> None:
    rows = [row("nas/a"), row("nas/b"), row("own/c")]
    with pytest.raises(UsageError, match=r"/videos/nas.*2 videos; it stays"):
        plan(library("own/c", folders=("nas", "own")), rows)
    assert plan(library("nas/b", "own/c", folders=("nas", "own")), rows).dropped_count == 1
    closed = Problem(ROOT / "nas", "Input/output error", "nas")
    assert plan(library("own/c", folders=("nas", "own"), problems=[closed]), rows).dropped_count == 0


@pytest.mark.parametrize(
    ("settings", "mtime_ns", "verify", "why"),
    [
        (SETTINGS, 5, False, ""),
        (SETTINGS, 6, False, ""),
        (SETTINGS, 4, False, "older"),
        (SETTINGS, 5, True, "--verify-content"),
        (SETTINGS | {"top_k": 5}, 5, False, "another top_k"),
        (SETTINGS | {"vidclf": "9", "model": "x"}, 5, False, "another model, vidclf"),
        ({name: SETTINGS[name] for name in SETTINGS if name != "dense"}, 5, False, "another dense"),
    ],
)
def test_other_settings_or_an_older_file_leave_nothing(
    settings: dict[str, Any], mtime_ns: int, verify: bool, why: str
) -> None:
    remembered = Remembered(settings, {}, 5)
    reason = reason_for_all(remembered, SETTINGS, mtime_ns, verify_content=verify)
    assert why in reason
    assert bool(why) == bool(reason)


def test_an_output_of_which_nothing_is_known_is_made_anew() -> None:
    assert "nothing is known" in reason_for_all(None, SETTINGS, 0)


def test_every_option_of_a_classification_is_a_setting() -> None:
    fields = {each.name for each in dataclasses.fields(ClassifyOptions)}
    assert fields <= settings_of(ClassifyOptions(), MODEL, 8).keys()


def test_a_reason_to_make_all_anew_still_counts_what_is_gone_and_asks_for_drives() -> None:
    update = plan(library("a"), [row("a"), row("gone")], reason="they were made with another top_k")
    assert (todo(update), update.dropped_count) == (["a"], 1)
    with pytest.raises(UsageError, match="nas"):
        plan(library("own/c", folders=("nas", "own")), [row("nas/a")], reason="of settings")


def _reads(*answers: list[Row]) -> Callable[[], list[Row]]:
    waiting = iter(answers)
    return lambda: next(waiting)


@pytest.mark.parametrize("second", [[], [row("b")], [row("a"), row("a")]])
def test_an_output_that_changes_while_it_is_read_is_an_error(second: list[Row]) -> None:
    update = Update((), {"a": video("a")})
    with pytest.raises(OutputError, match="changed by another program"):
        list(merge(update, _reads(second), [], Statistics()))


@given(
    st.sets(st.sampled_from([f"{folder}{number}.mp4" for folder in ("", "A/", "b/") for number in range(12)]))
)
def test_the_merged_rows_are_in_the_order_of_a_fresh_run(kept: set[str]) -> None:
    names = [f"{folder}{number}.mp4" for folder in ("", "A/", "b/") for number in range(12)]
    found = library(*names)
    rows = [row(each.id, "Old") for each in found.videos if each.id in kept]
    update = plan(found, rows)
    new = [VideoRows(each.id, (row(each.id, "New"),), each) for each in update.todo]
    statistics = Statistics()
    merged = list(merge(update, lambda: rows, new, statistics))
    assert [each.id for each in merged] == [each.id for each in found.videos]
    assert [each.video for each in merged] == list(found.videos)
    assert {each.id for each in merged if each.rows[0]["label"] == "Old"} == kept
    assert statistics.taken_over_count == len(kept)


def test_rows_taken_over_count_like_new_ones() -> None:
    segment = dict(row("c", segment=(0, 5))) | {"status": "failed"}
    rows = [failed_row("a"), unknown_row("b"), row("c"), segment]
    statistics = Statistics()
    list(merge(plan(library("a", "b", "c"), rows), lambda: rows, [], statistics))
    assert statistics.finished_count == 3
    assert statistics.status_counts == {Status.FAILED: 1, Status.UNKNOWN: 1, Status.OK: 1}
    assert statistics.reason_counts == {"empty-file": 1, "low-confidence": 1}
    assert statistics.failed_segment_count == 1


def test_results_of_one_video_are_grouped() -> None:
    own = Result(video("a"), Status.OK, None, Prediction(("x",), 1.0))
    results = [own, dataclasses.replace(own, segment=(0.0, 1.0)), dataclasses.replace(own, video=video("b"))]
    assert [(each.id, len(each.rows), each.video) for each in group_results(results)] == [
        ("a", 2, video("a")),
        ("b", 1, video("b")),
    ]
    assert list(group_results([])) == []

from __future__ import annotations

from pathlib import Path

import pytest

from vidclf_cli.metadata import Sidecars, collect_text
from vidclf_cli.metadata.label_names import LabelNames
from vidclf_cli.records import Video

LABELS = ("cat", "Table Tennis", "noFight", "Fußball", "video", "42", "ApplyEyeMakeup", "料理")


@pytest.mark.parametrize(
    "name",
    [
        "cat",
        "CAT",
        "The cat 2",
        "cat_0001",
        "my cat video",
        "v_cat_g01_c03",
        "TableTennis",
        "table-tennis",
        "tennis table",
        "tabletennis",
        "no Fight",
        "fight",
        "fußball",
        "FUSSBALL",
        "video",
        "apply eye makeup",
        "料理",
    ],
)
def test_a_name_that_only_repeats_a_label_gives_it_away(name: str) -> None:
    assert LabelNames(LABELS).only(name, ())


@pytest.mark.parametrize(
    "name",
    ["cat on a piano", "concatenate", "cats", "table", "makeup", "eye", "7", "", "42", "clip", "日本料理"],
)
def test_a_name_that_says_more_or_less_does_not(name: str) -> None:
    assert not LabelNames(LABELS).only(name, ())


def test_parts_of_the_videos_own_labels_give_them_away() -> None:
    names = LabelNames(LABELS)
    assert names.only("makeup", ["ApplyEyeMakeup"])
    assert names.only("cat table", ["cat", "Table Tennis"])
    assert not names.only("cat table", ["cat"])
    assert not names.only("7", ["42"])


def test_a_text_that_holds_the_own_label_is_told_from_others() -> None:
    assert LabelNames.within("My cat on a piano", ["dog", "cat"])
    assert LabelNames.within("tabletennis final", ["Table Tennis"])
    assert not LabelNames.within("concatenate", ["cat"])
    assert not LabelNames.within("table for two", ["Table Tennis"])
    assert not LabelNames.within("cat", ["42"])


def test_names_that_give_a_label_away_are_no_text_about_the_video(tmp_path: Path) -> None:
    names = LabelNames(["cat", "dog"])

    def text(path: str) -> str:
        video = Video(path, tmp_path / path, tmp_path, 1, 1, 1)
        return collect_text(video, {}, Sidecars([video]), lambda name: names.only(name, ())).text

    assert text("cat/cat_0001.mp4") == ""
    assert text("cat/piano concert.mp4") == "piano concert."
    assert text("holiday in Rome/cat/cat_0001.mp4") == "holiday in Rome."
    assert text("Rome/holiday/dog/piano.mp4") == "piano. holiday. Rome."

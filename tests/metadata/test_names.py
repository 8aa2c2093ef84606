from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidclf_cli.metadata.names import clean_file_name, clean_folder_name, clean_title

_NOTHING = [
    "IMG_0042",
    "DSC01234",
    "DSC_0001",
    "DSCN1234",
    "VID_20200101_123456",
    "VID-20200101-WA0003",
    "GOPR0123",
    "GX010042",
    "GH010001",
    "MVI_1234",
    "PXL_20210810_123456789",
    "PXL_20210810_123456789.TS",
    "MAH01234",
    "C0012",
    "P1010042",
    "DJI_0042",
    "00012",
    "20200101_123456",
    "2012",
    "WhatsApp Video 2020-01-01 at 12.30.45",
    "WhatsApp Video 2023-07-08 at 9.05.11 PM (1)",
    "Telegram video 2021",
    "Screen Recording 2023-05-04 at 10.11.12 AM",
    "Screen_Recording_20210304-123456_YouTube",
    "screencast 2020-01-01 12-00-00",
    "RPReplay_Final1612345678",
    "Snapchat-1234567890",
    "snaptik_7012345678901234567",
    "ssstik.io_1612345678",
    "trim.4F2A1B3C-1234-4ABC-9DEF-1234567890AB",
    "550e8400-e29b-41d4-a716-446655440000",
    "d41d8cd98f00b204e9800998ecf8427e",
    "k3jf92ld8s",
    "dQw4w9WgXcQ [dQw4w9WgXcQ]",
    "video (1)",
    "video - Copy (2)",
    "final_final_v2",
    "Untitled",
    "clip12",
    "fi004",
    "nofi001",
    "a",
    "...",
    "___",
    "1080p",
    "S01E02",
    "Episode 5",
    "1920x1080",
    "[1080p]",
    "Movie.2010.1080p.x264-GRP",
]


@pytest.mark.parametrize("stem", [*_NOTHING, ""])
def test_names_that_say_nothing_become_empty(stem: str) -> None:
    assert clean_file_name(stem) == ""


@pytest.mark.parametrize(
    ("stem", "text"),
    [
        ("The.Matrix.1999.1080p.BluRay.x264-GROUP", "The Matrix"),
        ("Some.Show.S01E02.The.Beginning.720p.WEB-DL.DD5.1.H.264-NTb", "Some Show The Beginning"),
        ("[SubGroup] Cool Anime - 03 [1080p][ABCD1234]", "Cool Anime"),
        ("Never Gonna Give You Up (Official Video) [dQw4w9WgXcQ]", "Never Gonna Give You Up"),
        ("Never Gonna Give You Up-dQw4w9WgXcQ", "Never Gonna Give You Up"),
        ("Cat-playing-basketball", "Cat playing basketball"),
        ("CatPlayingPiano", "Cat Playing Piano"),
        ("my iPhone review", "my iPhone review"),
        ("cats_1080p_funny", "cats funny"),
        ("2020-08-10 Birthday party at Anna's", "Birthday party at Anna's"),
        ("birthday-12.08.2020", "birthday"),
        ("IMG_1234 birthday", "birthday"),
        ("How to cook pasta (easy recipe)", "How to cook pasta easy recipe"),
        ("tokyo-walk-3840x2160", "tokyo walk"),
        ("Кот_играет_на_пианино", "Кот играет на пианино"),
        ("猫がピアノを弾く", "猫がピアノを弾く"),
        ("Café_con_leche", "Café con leche"),
        ("football (final)", "football"),
    ],
)
def test_what_a_person_wrote_stays(stem: str, text: str) -> None:
    assert clean_file_name(stem) == text


def test_names_in_legacy_bytes_are_read() -> None:
    assert clean_file_name(os.fsdecode(b"caf\xe9_con_leche")) == "café con leche"


@pytest.mark.parametrize(
    "folder",
    [
        "videos",
        "My Videos",
        "DCIM",
        "100APPLE",
        "101_PANA",
        "Camera Roll",
        "Downloads",
        "New folder",
        "2020",
        "2020-01",
        "2020-01-01",
        "Season 01",
        "test",
        "train",
        "VIDEO_TS",
        "WhatsApp Video",
        "tmp",
        "TV Shows",
        "-",
    ],
)
def test_folders_that_say_nothing_become_empty(folder: str) -> None:
    assert clean_folder_name(folder) == ""


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("Sports", "Sports"),
        ("2020-01-01 Beach", "Beach"),
        ("Breaking Bad (2008)", "Breaking Bad"),
        ("trains", "trains"),
    ],
)
def test_folders_that_say_something_stay(folder: str, text: str) -> None:
    assert clean_folder_name(folder) == text


def test_a_title_stays_as_written_unless_it_is_a_file_name() -> None:
    assert clean_title("My trip to Rome (part 2, 4K)") == "My trip to Rome (part 2, 4K)"
    assert clean_title("IMG_0042") == ""
    assert clean_title("holiday_in_rome_2019") == "holiday in rome"
    assert clean_title("Untitled video") == ""


@given(st.one_of(st.text(max_size=400), st.binary(max_size=255).map(os.fsdecode)))
def test_any_name_gives_short_valid_text(name: str) -> None:
    for text in (clean_file_name(name), clean_folder_name(name)):
        text.encode("utf-8")
        assert len(text) <= 1000
        assert text == " ".join(text.split())


@given(st.text(alphabet="aA0_-[](). x:", max_size=255))
def test_any_name_of_separators_is_answered(name: str) -> None:
    clean_file_name(name)

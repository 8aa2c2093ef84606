"""Labelled videos: what a table or folders say, and what is said about what they should not say."""

from __future__ import annotations

import csv
import io
import os
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from vidclf_cli.errors import Code, Reason, UsageError
from vidclf_cli.label_table import read_label_table
from vidclf_cli.labelled import LabelledVideos, read_labelled
from vidclf_cli.records import Prediction, Result, Status
from vidclf_cli.writers.csv import CsvWriter
from vidclf_cli.writers.row import to_row

MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isommp42"


def make(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MP4 + bytes([number]))


def table(root: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    path = root / name
    path.write_bytes(text.encode(encoding))
    return path


def refusal(data: Path, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        read_labelled(data, **options)
    assert caught.value.advice
    assert "\n" not in str(caught.value)
    return str(caught.value)


def labels_by_name(labelled: LabelledVideos) -> dict[str, tuple[str, ...]]:
    return {video.path.name: video.labels for video in labelled.videos}


@pytest.fixture
def four(tmp_path: Path) -> Path:
    make(tmp_path, "a.mp4", "b.mp4", "c.mp4", "sub/d.mp4")
    return tmp_path


FOUR = "path,label\na.mp4,cat\nb.mp4,dog\nc.mp4,cat\nsub/d.mp4,dog\n"


def test_a_table_is_read(four: Path) -> None:
    labelled = read_labelled(table(four, FOUR))
    assert labelled.task == "single"
    assert labelled.labels == ("cat", "dog")
    assert labelled.notes == ()
    assert labelled.missing == ()
    assert labelled.root == four
    assert [(video.path, video.labels, video.group) for video in labelled.videos] == [
        (four / "a.mp4", ("cat",), "a.mp4"),
        (four / "b.mp4", ("dog",), "b.mp4"),
        (four / "c.mp4", ("cat",), "c.mp4"),
        (four / "sub" / "d.mp4", ("dog",), "sub/d.mp4"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_of_all_programs_are_read(four: Path, delimiter: str, newline: str, encoding: str) -> None:
    text = FOUR.replace(",", delimiter).replace("\n", newline)
    assert len(read_labelled(table(four, text, encoding=encoding)).videos) == 4


@pytest.mark.parametrize(
    "header", ["file,labels", "Filename , CATEGORY", "file_name,class", '"path","label"']
)
def test_columns_may_be_called_otherwise(four: Path, header: str) -> None:
    text = FOUR.replace("path,label", header)
    assert labels_by_name(read_labelled(table(four, text)))["a.mp4"] == ("cat",)


def test_other_columns_and_empty_lines_are_not_looked_at(four: Path) -> None:
    text = "n,label,note,path,\n1,cat,x,a.mp4,\n\n2, dog ,,b.mp4,,\n,,,,\n"
    assert labels_by_name(read_labelled(table(four, text))) == {"a.mp4": ("cat",), "b.mp4": ("dog",)}


def test_several_labels_make_the_task_multi(four: Path) -> None:
    labelled = read_labelled(table(four, "path,label\na.mp4,cat|dog\nb.mp4, dog | | cow |dog\nc.mp4,cat\n"))
    assert labelled.task == "multi"
    assert labelled.labels == ("cat", "cow", "dog")
    assert [video.labels for video in labelled.videos] == [("cat", "dog"), ("dog", "cow"), ("cat",)]
    assert read_labelled(table(four, FOUR), multi=True).task == "multi"


@pytest.mark.parametrize(
    ("header", "chosen", "groups"),
    [
        ("path,label,group", None, ["x", "x", "c.mp4", "y"]),
        ("path,label,source", None, ["x", "x", "c.mp4", "y"]),
        ("path,label,Source_URL", None, ["x", "x", "c.mp4", "y"]),
        ("path,label,channel", None, ["a.mp4", "b.mp4", "c.mp4", "sub/d.mp4"]),
        ("path,label,channel", "Channel", ["x", "x", "c.mp4", "y"]),
    ],
)
def test_a_column_says_the_source(four: Path, header: str, chosen: str | None, groups: list[str]) -> None:
    text = f"{header}\na.mp4,cat,x\nb.mp4,dog, x \nc.mp4,cat,\nsub/d.mp4,dog,y\n"
    labelled = read_labelled(table(four, text), group_column=chosen)
    assert [video.group for video in labelled.videos] == groups


def test_the_column_group_wins_over_source(four: Path) -> None:
    text = "path,source,label,group\na.mp4,s,cat,g\nb.mp4,s,dog,h\n"
    assert [video.group for video in read_labelled(table(four, text)).videos] == ["g", "h"]


def test_paths_are_relative_to_the_table_or_to_a_root_or_absolute(four: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "tables"
    elsewhere.mkdir()
    text = f"path,label\n../a.mp4,cat\n{four / 'b.mp4'},dog\n./../sub/../sub/d.mp4,dog\n"
    videos = read_labelled(table(elsewhere, text)).videos
    assert [video.path for video in videos] == [four / "a.mp4", four / "b.mp4", four / "sub" / "d.mp4"]
    videos = read_labelled(table(elsewhere, FOUR), root=four).videos
    assert [video.group for video in videos] == ["a.mp4", "b.mp4", "c.mp4", "sub/d.mp4"]


def test_a_table_is_named_relative_to_the_working_directory(
    four: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(four, FOUR)
    monkeypatch.chdir(four)
    assert read_labelled(Path("labels.csv")).videos[0].path == four / "a.mp4"


def test_what_classify_wrote_is_read_after_it_was_corrected_by_hand(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    names = ["-a.mp4", 'Größe, "b".mp4', "c.mp4", "sub/=d.mp4", "e.mp4", "f.mp4"]
    if os.name != "nt":
        names += ["back\\slash.mp4", os.fsdecode(b"not-\xe9-utf8.mp4")]
    make(videos, *names)
    stream = io.StringIO(newline="")
    writer = CsvWriter(stream)
    from vidclf_cli.library import find_videos

    for number, video in enumerate(find_videos([videos]).videos):
        prediction = Prediction((("cat", "+dog")[number % 2],), 0.9)
        status, reason = Status.OK, None
        if video.id == "e.mp4":
            prediction = Prediction((), 0.1, reason=(reason := Reason(Code.LOW_CONFIDENCE, "low, very")))
            status = Status.UNKNOWN
        writer.write(to_row(Result(video, status, reason, None if video.id == "f.mp4" else prediction)))
    labelled = read_labelled(table(tmp_path, stream.getvalue(), "out.csv"), root=videos)
    assert {str(video.path.relative_to(videos)) for video in labelled.videos} == set(names) - {
        "e.mp4",
        "f.mp4",
    }
    assert labelled.labels == ("+dog", "cat")
    assert labelled.missing == ()
    assert labelled.notes == ("2 rows without a label left out: e.mp4, f.mp4.",)


def test_rows_about_segments_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4")
    text = (
        "path,label,segment_start_seconds,segment_end_seconds\n"
        "a.mp4,cat,,\na.mp4,cat,0,10\na.mp4,dog,10,20\nb.mp4,dog,,\n"
    )
    labelled = read_labelled(table(tmp_path, text))
    assert [video.labels for video in labelled.videos] == [("cat",), ("dog",)]
    assert labelled.notes[0] == "2 rows about segments left out: a.mp4."


def test_other_spellings_of_one_name_are_found(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "café.mp4")
    make(tmp_path, unicodedata.normalize("NFD", composed), "dir/b.mp4", " c.mp4")
    text = f"path,label\n{composed},cat\ndir\\b.mp4 ,dog\n c.mp4,cow\n"
    labelled = read_labelled(table(tmp_path, text))
    assert labelled.missing == ()
    assert len(labelled.videos) == 3


def test_a_name_with_both_escapes_of_a_vidclf_row_is_found(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"-c\xe9.mp4")).touch()
    (tmp_path / "b.mp4").touch()
    labelled = read_labelled(table(tmp_path, "path,label\n'-c\\xe9.mp4,cat\nb.mp4,dog\n"))
    assert labelled.missing == ()


def test_missing_files_are_kept_apart_and_said(four: Path) -> None:
    (four / "folder.mp4").mkdir()
    lost = "".join(f"lost{number}.mp4,cow\n" for number in range(5))
    labelled = read_labelled(table(four, f"{FOUR}folder.mp4,cat\n{lost}"))
    assert len(labelled.videos) == 4
    assert [video.path.name for video in labelled.missing] == [
        "folder.mp4",
        *(f"lost{number}.mp4" for number in range(5)),
    ]
    assert labelled.labels == ("cat", "dog")
    assert labelled.notes == (
        "6 labelled files not there, or no regular file: folder.mp4, lost0.mp4, lost1.mp4 and 3 more.",
        "1 label left out, since none of its files is there: cow.",
    )


def test_one_label_left_since_the_others_files_are_missing_is_said_so(four: Path) -> None:
    text = refusal(table(four / "sub", FOUR.replace("sub/", "")))
    assert "one label only, 'dog'" in text
    assert f"None of the files of cat is there; paths are relative to {four / 'sub'}" in text


def test_when_every_file_is_missing_the_root_is_named(tmp_path: Path) -> None:
    text = refusal(table(tmp_path, FOUR))
    assert "None of the 4 files" in text
    assert str(tmp_path) in text
    assert "--root" in text


def test_rows_without_a_label_are_left_out_and_said(four: Path) -> None:
    labelled = read_labelled(table(four, "path,label\na.mp4,cat\nb.mp4,dog\nc.mp4,\nsub/d.mp4\n"))
    assert len(labelled.videos) == 2
    assert "2 rows without a label left out: c.mp4, sub/d.mp4." in labelled.notes
    assert "No row" in refusal(table(four, "path,label\na.mp4,\nb.mp4, | \n"))


def test_a_label_with_one_video_is_said_and_kept(four: Path) -> None:
    labelled = read_labelled(table(four, FOUR.replace("b.mp4,dog", "b.mp4,cow")))
    assert labelled.labels == ("cat", "cow", "dog")
    (note,) = labelled.notes
    assert note.startswith("2 labels with one video only")
    assert note.endswith("cow, dog.")


def test_one_label_is_nothing_to_learn(four: Path) -> None:
    assert "one label only, 'cat'" in refusal(table(four, FOUR.replace("dog", "cat")))
    labelled = read_labelled(table(four, FOUR.replace("dog", "cat")), for_training=False)
    assert labelled.labels == ("cat",)


def test_a_path_twice_with_one_label_counts_once(four: Path) -> None:
    labelled = read_labelled(table(four, f"{FOUR}./a.mp4,cat\n{four}/a.mp4,cat\nsub/../b.mp4,dog\n"))
    assert len(labelled.videos) == 4
    assert labelled.notes == ("2 files named more than once, counted once: a.mp4, b.mp4.",)


@pytest.mark.parametrize("again", ["a.mp4", "./a.mp4", "sub/../a.mp4", "link.mp4"])
def test_one_file_with_two_labels_is_refused_with_both_lines(four: Path, again: str) -> None:
    (four / "link.mp4").symlink_to("a.mp4")
    text = refusal(table(four, f"{FOUR}\n{again},dog\n"))
    assert "a.mp4 is 'cat' in line 2 and 'dog' in line 7" in text
    labelled = read_labelled(table(four, f"{FOUR}\n{again},dog\n"), multi=True)
    assert labels_by_name(labelled)["a.mp4"] == ("cat", "dog")
    assert "with the labels of all places" in labelled.notes[0]


def test_one_file_with_two_sources_is_refused(four: Path) -> None:
    text = "path,label,group\na.mp4,cat,x\nb.mp4,dog,z\na.mp4,cat,\na.mp4,cat,y\n"
    assert "of the source 'x' in line 2 and of 'y' in line 5" in refusal(table(four, text))


@pytest.mark.parametrize("label", ["unknown", "Unknown", "UNKNOWN "])
def test_unknown_is_no_label(four: Path, label: str) -> None:
    text = refusal(table(four, FOUR.replace("dog", label)))
    assert "(line 3) cannot be a label" in text
    assert "`other`" in text
    assert "cannot be a label" in refusal(table(four, f"{FOUR}a.mp4,cat|{label}\n"), multi=True)


@pytest.mark.parametrize(
    "label",
    [
        "x" * 501,
        "a\x07b",
        "a\u202eb",
        '"two\nlines"',
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_labels_that_no_classifier_can_hold_are_refused(four: Path, label: str) -> None:
    assert "too long or has control characters" in refusal(table(four, FOUR.replace("dog", label)))


def test_labels_that_are_written_almost_alike_are_said(four: Path) -> None:
    labelled = read_labelled(table(four, FOUR.replace("sub/d.mp4,dog", "sub/d.mp4,Dog")))
    assert labelled.labels == ("Dog", "cat", "dog")
    assert "'Dog' and 'dog' are written almost alike, and count as different labels." in labelled.notes


def test_two_unicode_forms_of_one_label_are_one_label(four: Path) -> None:
    composed = unicodedata.normalize("NFC", "café")
    text = FOUR.replace("a.mp4,cat", f"a.mp4,{composed}")
    text = text.replace("c.mp4,cat", f"c.mp4,{unicodedata.normalize('NFD', composed)}")
    labelled = read_labelled(table(four, text))
    assert labelled.labels == (composed, "dog")
    assert labelled.notes == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty, or its first line is"),
        ("\n\n", "is empty, or its first line is"),
        ("a.mp4,cat\nb.mp4,dog\n", "names no column `path`"),
        ("path,title\na.mp4,cat\n", "names no column `label`"),
        ("path|label\na.mp4|cat\n", "names no column `path`"),
        ("path,label\n", "a header and no rows"),
        ("path,label,path\na.mp4,cat,b.mp4\n", "two columns `path`"),
        ("path,label\na, b.mp4,cat\n", "line 2 has 3 cells"),
        ("path,label\na.mp4,cat\n,dog\n", "line 3 names no file"),
        ('path,label\na.mp4,"cat\nb.mp4,dog\nc.mp4,cat\n', "begins in line 2 is broken"),
        ('path,label\na.mp4,"cat" dog\n', "begins in line 2 is broken"),
        (f"path,label\na.mp4,{'x' * 200_000}\n", "begins in line 2 is broken"),
        ("path\0,label\n", "is no text"),
        ("path,label\na\0.mp4,cat\n", "line 2 holds a zero byte"),
    ],
)
def test_a_table_that_is_none_is_refused(four: Path, text: str, problem: str) -> None:
    assert problem in refusal(table(four, text))


def test_lines_are_counted_as_an_editor_does(four: Path) -> None:
    text = 'path,label,note\na.mp4,cat,"two\nlines"\n\nb.mp4,unknown,\n'
    assert "(line 5)" in refusal(table(four, text))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_another_encoding_is_refused(four: Path, encoding: str) -> None:
    text = refusal(table(four, FOUR.replace("dog", "vögel"), encoding=encoding))
    assert "no text in UTF-8" in text or "is no text" in text
    assert "CSV" in text


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(os.urandom(100_000))
    assert "no text" in refusal(tmp_path / "a.mp4")
    assert "no file or folder" in refusal(tmp_path / "none.csv")
    assert "no file or folder" in refusal(tmp_path / "a\0b")
    assert "no file or folder" in refusal(tmp_path / "a.mp4" / "b.csv")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "neither a file nor a folder" in refusal(tmp_path / "pipe")


def test_an_absurd_size_is_refused_without_reading_it(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(300 << 20)
    assert "at most 256 MB" in refusal(tmp_path / "a.csv")


def test_more_rows_than_allowed_are_refused_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf_cli.label_table._ROW_LIMIT", 1000)
    path = table(tmp_path, "path,label\n" + "a.mp4,cat\n" * 1000)
    assert len(read_label_table(path)) == 1000
    assert "more than 1,000 rows" in refusal(table(tmp_path, "path,label\n" + "a.mp4,cat\n" * 200_000))


def test_a_group_column_that_is_not_there_is_refused(four: Path) -> None:
    text = refusal(table(four, FOUR), group_column="channel")
    assert "no column 'channel'" in text
    assert "path, label" in text


def test_folders_say_the_labels(tmp_path: Path) -> None:
    make(tmp_path, "cat/a.mp4", "cat/deep/er/b.mp4", "dog/a.mp4", "dog/c.mkv", ".hidden/x.mp4")
    labelled = read_labelled(tmp_path)
    assert (labelled.task, labelled.labels, labelled.notes) == ("single", ("cat", "dog"), ())
    assert [
        (str(video.path.relative_to(tmp_path)), video.labels, video.group) for video in labelled.videos
    ] == [
        ("cat/a.mp4", ("cat",), "cat/a.mp4"),
        ("cat/deep/er/b.mp4", ("cat",), "cat/deep/er/b.mp4"),
        ("dog/a.mp4", ("dog",), "dog/a.mp4"),
        ("dog/c.mkv", ("dog",), "dog/c.mkv"),
    ]


def test_what_is_passed_over_in_folders_is_said(tmp_path: Path) -> None:
    make(tmp_path, "cat/a.mp4", "cat/b.mp4", "dog/a.mp4", "dog/b.mp4", "loose.mp4", "cat/notes.txt")
    (tmp_path / "empty").mkdir()
    table(tmp_path, FOUR)
    assert read_labelled(tmp_path).notes == (
        "1 video beside the folders left out, having no label: loose.mp4.",
        "1 folder without a video: empty.",
        "2 other files passed over: no videos, or links that lead out of the folder.",
        "labels.csv in the folder was not read, since the folders say the labels: to use it, name it.",
    )


def test_folders_and_files_are_excluded(tmp_path: Path) -> None:
    make(tmp_path, "cat/a.mp4", "cat/bad.mp4", "dog/a.mp4", "dog/old/b.mp4", "cow/a.mp4", "cow/b.mp4")
    labelled = read_labelled(tmp_path, exclude=["cow", "bad*", "dog/old"])
    assert [video.group for video in labelled.videos] == ["cat/a.mp4", "dog/a.mp4"]
    assert not any("cow" in note for note in labelled.notes)
    assert "names its videos itself" in refusal(table(tmp_path, FOUR), exclude=["bad*"])


def test_a_folder_of_a_label_may_be_a_link_to_elsewhere(tmp_path: Path) -> None:
    make(tmp_path, "real/cats/a.mp4", "real/cats/b.mp4", "data/dog/c.mp4", "data/dog/d.mp4")
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "real" / "cats")
    labelled = read_labelled(tmp_path / "data")
    assert [(video.group, video.labels) for video in labelled.videos] == [
        ("cat/a.mp4", ("cat",)),
        ("cat/b.mp4", ("cat",)),
        ("dog/c.mp4", ("dog",)),
        ("dog/d.mp4", ("dog",)),
    ]
    assert labelled.notes == ()


def test_a_link_to_a_video_of_another_label_is_a_contradiction(tmp_path: Path) -> None:
    make(tmp_path, "cat/a.mp4", "cat/b.mp4", "dog/c.mp4", "dog/d.mp4")
    (tmp_path / "dog" / "also.mp4").symlink_to("../cat/a.mp4")
    text = refusal(tmp_path)
    assert "'cat' in cat/a.mp4 and 'dog' in dog/also.mp4" in text
    labelled = read_labelled(tmp_path, multi=True)
    assert {video.group: video.labels for video in labelled.videos}["cat/a.mp4"] == ("cat", "dog")


@pytest.mark.parametrize(
    "names", [("train", "val"), ("Train", "test"), ("training", "validation", "testing")]
)
def test_parts_of_a_data_set_are_no_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    make(tmp_path, *(f"{name}/cat/a.mp4" for name in names))
    text = refusal(tmp_path)
    assert "parts of a data set" in text
    assert str(tmp_path / min(names, key=str.casefold)) in text


def test_folders_that_cannot_be_labels_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "1", "unknown/a.mp4", "cat/b.mp4")
    assert "'unknown' (unknown/a.mp4) cannot be a label" in refusal(tmp_path / "1")
    make(tmp_path / "2", "cat|dog/a.mp4", "cat/b.mp4")
    assert "'cat|dog'" in refusal(tmp_path / "2")
    make(tmp_path / "3", "a\nb/a.mp4", "cat/b.mp4")
    assert "control characters" in refusal(tmp_path / "3")
    make(tmp_path / "4", "cat/a.mp4")
    assert "one label only" in refusal(tmp_path / "4")
    make(tmp_path / "5", "a.mp4", "b.mp4")
    assert "has no sub-folders" in refusal(tmp_path / "5")
    (tmp_path / "6" / "cat").mkdir(parents=True)
    assert "hold no video" in refusal(tmp_path / "6")
    assert "neither columns" in refusal(tmp_path / "4", group_column="source")
    assert "neither columns" in refusal(tmp_path / "4", root=tmp_path)
    if os.name != "nt":
        make(tmp_path / "7", os.fsdecode(b"caf\xe9/a.mp4"), "cat/b.mp4")
        assert "control characters" in refusal(tmp_path / "7")


def test_a_row_takes_microseconds(tmp_path: Path) -> None:
    make(tmp_path, *(f"{number}.mp4" for number in range(50)))
    real = (f"{number}.mp4,label {number % 7}\n" for number in range(50))
    lost = (f"{'x' * 40}/{number}.mp4,label {number % 7}\n" for number in range(20_000))
    path = table(tmp_path, "path,label\n" + "".join(real) + "".join(lost))
    begun = time.process_time()
    labelled = read_labelled(path)
    assert time.process_time() - begun < 5  # 0.9 s on 2 CPU cores: a million rows in a minute
    assert (len(labelled.videos), len(labelled.missing)) == (50, 20_000)


def test_the_real_moderation_clips_are_read(shared_data: Path) -> None:
    labelled = read_labelled(shared_data / "moderation" / "labels.csv")
    assert (len(labelled.videos), labelled.labels, labelled.notes) == (90, ("fight", "noFight"), ())
    with (shared_data / "moderation" / "labels.csv").open() as stream:
        sources = {row["path"]: row["source_url"] for row in csv.DictReader(stream)}
    assert {str(v.path.relative_to(labelled.root or "")): v.group for v in labelled.videos} == sources
    by_folder = read_labelled(shared_data / "moderation")
    assert [(v.path, v.labels) for v in by_folder.videos] == [(v.path, v.labels) for v in labelled.videos]

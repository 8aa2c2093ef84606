from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vidclf_cli.library import find_videos
from vidclf_cli.metadata import MetadataText, Sidecars, collect_text


def _collect(root: Path, tags: dict[str, str] | None = None) -> dict[str, MetadataText]:
    videos = find_videos([root]).videos
    sidecars = Sidecars(videos)
    return {video.id: collect_text(video, tags or {}, sidecars) for video in videos}


def _write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def test_sources_in_order_of_trust(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "Cooking/omelette_basics.mp4": "",
            "Cooking/omelette_basics.info.json": json.dumps({"title": "Perfect eggs"}),
            "Cooking/omelette_basics.nfo": "<movie><title>Breakfast lesson</title></movie>",
            "Cooking/omelette_basics.en.srt": "1\n00:00:01,000 --> 00:00:02,000\nBeat them well\n",
            "metadata.csv": "path,title\nCooking/omelette_basics.mp4,Chef school\n",
        },
    )
    texts = _collect(tmp_path, {"title": "Pan and butter", "comment": "Lavf61.1.100"})
    assert texts["Cooking/omelette_basics.mp4"] == MetadataText(
        "Perfect eggs. Breakfast lesson. Chef school. Pan and butter. omelette basics. Cooking."
        " Beat them well.",
        ("info-json", "nfo", "table", "subtitles", "container", "file-name", "folder-name"),
    )


def test_a_name_that_says_nothing_leaves_the_folder_or_nothing(tmp_path: Path) -> None:
    _write(
        tmp_path, {"Sports/IMG_0042.mp4": "", "DCIM/100APPLE/IMG_0001.MOV": "", "VID_20200101_101010.mp4": ""}
    )
    texts = _collect(tmp_path)
    assert texts["Sports/IMG_0042.mp4"] == MetadataText("Sports.", ("folder-name",))
    assert texts["DCIM/100APPLE/IMG_0001.MOV"] == MetadataText()
    assert texts["VID_20200101_101010.mp4"] == MetadataText()


def test_the_root_and_what_is_above_it_say_nothing(tmp_path: Path) -> None:
    _write(tmp_path, {"Sports/IMG_0042.mp4": ""})
    assert _collect(tmp_path / "Sports") == {"IMG_0042.mp4": MetadataText()}


def test_movie_nfo_is_about_the_only_video_of_its_folder(tmp_path: Path) -> None:
    nfo = "<movie><title>Deep sea</title></movie>"
    _write(
        tmp_path,
        {"1/a.mp4": "", "1/movie.nfo": nfo, "2/a.mp4": "", "2/b.mp4": "", "2/movie.nfo": nfo},
    )
    texts = _collect(tmp_path)
    assert texts["1/a.mp4"].text == "Deep sea."
    assert texts["2/a.mp4"].text == ""


def test_the_show_is_found_above_the_season_but_not_above_the_root(tmp_path: Path) -> None:
    show = "<tvshow><title>Garden Club</title><genre>Nature</genre></tvshow>"
    _write(tmp_path, {"show/Season 01/S01E01.mkv": "", "show/tvshow.nfo": show})
    assert _collect(tmp_path)["show/Season 01/S01E01.mkv"].sources == ("show-nfo",)
    assert _collect(tmp_path / "show" / "Season 01")["S01E01.mkv"] == MetadataText()


def test_a_sidecar_of_another_video_with_the_same_beginning_is_not_taken(tmp_path: Path) -> None:
    _write(tmp_path, {"a.mp4": "", "a.b.mp4": "", "a.b.nfo": "<movie><title>Harbour</title></movie>"})
    _write(tmp_path, {"a.part2.srt": "1\n00:00:01,000 --> 00:00:02,000\nHello there\n"})
    texts = _collect(tmp_path)
    assert texts["a.mp4"].text == ""
    assert texts["a.b.mp4"].text == "Harbour."


def test_sidecars_may_carry_the_suffix_of_the_video(tmp_path: Path) -> None:
    _write(tmp_path, {"a.mp4": "", "a.mp4.info.json": '{"title": "Harbour"}', "a.MP4.NFO": "x"})
    assert _collect(tmp_path)["a.mp4"].text == "Harbour."


def test_a_bare_name_in_the_table_must_be_unambiguous_in_the_library(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {"x/a.mp4": "", "y/a.mp4": "", "y/b.mp4": "", "metadata.csv": "path,title\na.mp4,Cat\nb.mp4,Dog\n"},
    )
    texts = _collect(tmp_path)
    assert [texts[name].text for name in ("x/a.mp4", "y/a.mp4", "y/b.mp4")] == ["", "", "Dog."]


def test_links_of_sidecars_out_of_the_root_are_not_read(tmp_path: Path) -> None:
    _write(
        tmp_path, {"root/a.mp4": "", "root/b.mp4": "", "secret.nfo": "<movie><title>Secret</title></movie>"}
    )
    _write(
        tmp_path,
        {"root/inside.x": "<movie><title>Harbour</title></movie>", "secret.csv": "path,title\nb.mp4,Secret"},
    )
    (tmp_path / "root/a.nfo").symlink_to("inside.x")
    (tmp_path / "root/b.nfo").symlink_to("../secret.nfo")
    (tmp_path / "root/metadata.csv").symlink_to("../secret.csv")
    texts = _collect(tmp_path / "root")
    assert texts["a.mp4"].text == "Harbour."
    assert texts["b.mp4"].text == ""


def test_hostile_sidecars_end_nothing(tmp_path: Path) -> None:
    _write(tmp_path, {"a.mp4": "", "b.mp4": "", "c.mp4": "", "d.mp4": ""})
    os.mkfifo(tmp_path / "a.nfo")
    (tmp_path / "a.info.json").mkdir()
    os.mkfifo(tmp_path / "metadata.csv")
    with (tmp_path / "b.info.json").open("wb") as stream:
        stream.truncate(100 << 20)
    (tmp_path / "c.info.json").write_bytes(b'{"title": ' + b"[" * 200_000)
    (tmp_path / "d.nfo").symlink_to("d.nfo")
    assert set(_collect(tmp_path).values()) == {MetadataText()}


def test_a_pipe_that_somebody_writes_to_is_not_read(tmp_path: Path) -> None:
    _write(tmp_path, {"a.mp4": ""})
    os.mkfifo(tmp_path / "a.nfo")
    writer = os.open(tmp_path / "a.nfo", os.O_RDWR)
    try:
        os.write(writer, b"<movie><title>Endless</title></movie>")
        assert _collect(tmp_path)["a.mp4"] == MetadataText()
    finally:
        os.close(writer)


@pytest.mark.skipif(os.sep != "/", reason="file systems elsewhere want valid Unicode")
def test_sidecars_of_odd_names_are_found(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    for stem in (b"caf\xe9", b"-x", b"a\nb", b"$(touch x)"):
        Path(os.fsdecode(folder + b"/" + stem + b".mp4")).touch()
        Path(os.fsdecode(folder + b"/" + stem + b".nfo")).write_text("<movie><title>Harbour</title></movie>")
    texts = _collect(tmp_path)
    assert len(texts) == 4
    assert all(text.text.startswith("Harbour.") for text in texts.values())


def test_a_folder_is_listed_once_for_all_its_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, {f"film {n}.mp4": "" for n in range(300)})
    videos = find_videos([tmp_path]).videos
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(path), scandir(path))[1])
    sidecars = Sidecars(videos)
    for video in videos:
        collect_text(video, {}, sidecars)
    assert len(listed) == 1

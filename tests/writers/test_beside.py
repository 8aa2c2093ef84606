"""Files beside videos: made, merged, backed up, and left alone where they are somebody else's."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.writers.made_rows import failed_row, row, unknown_row
from vidclf_cli.library import find_videos
from vidclf_cli.metadata import Sidecars, collect_text
from vidclf_cli.records import Video
from vidclf_cli.writers import beside
from vidclf_cli.writers.beside import Change, FilesBeside
from vidclf_cli.writers.nfo import NfoMaker
from vidclf_cli.writers.row import Row
from vidclf_cli.writers.sidecar import SidecarMaker

OLD = b"<movie>\r\n  <title>Mine</title>\r\n</movie>\r\n"


def videos_in(folder: Path, *names: str) -> list[Video]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return list(find_videos([folder]).videos)


def tag(
    folder: Path,
    label: str = "Sports",
    show: Callable[[Change], None] | None = None,
    rows: list[Row] | None = None,
) -> FilesBeside:
    """Write `.nfo` files beside all videos of a folder, as a run does."""
    found = find_videos([folder]).videos
    files = FilesBeside([NfoMaker(Sidecars(found))], show)
    for video in found:
        files.write(video, rows or [row(video.id, label)])
    return files


def tags(path: Path) -> list[str]:
    return [child.text or "" for child in ET.parse(path).getroot().findall("tag")]


def reasons(files: FilesBeside) -> dict[str, str]:
    return {path.name: text for path, text in files.problems}


def skip_if_writable(path: Path) -> None:
    if os.access(path, os.W_OK):
        pytest.skip("this user may write everywhere")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_video_without_one_gets_a_new_file(tmp_path: Path) -> None:
    videos_in(tmp_path, "a clip.mp4", "Show S01E02.mkv")
    files = tag(tmp_path, "Sports|Music")
    assert files.changed_count == 2
    assert tags(tmp_path / "a clip.nfo") == ["Sports", "Music"]
    assert ET.parse(tmp_path / "a clip.nfo").getroot().tag == "movie"
    assert ET.parse(tmp_path / "a clip.nfo").getroot().findtext("title") == "a clip"
    assert ET.parse(tmp_path / "Show S01E02.nfo").getroot().tag == "episodedetails"
    assert names(tmp_path) == {"a clip.mp4", "a clip.nfo", "Show S01E02.mkv", "Show S01E02.nfo"}
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a clip.nfo").stat().st_mode) == 0o666 & ~umask


def test_an_episode_is_known_by_its_show(tmp_path: Path) -> None:
    videos_in(tmp_path, "Show/Season 1/pilot.mp4")
    (tmp_path / "Show" / "tvshow.nfo").write_text("<tvshow/>")
    tag(tmp_path)
    assert ET.parse(tmp_path / "Show/Season 1/pilot.nfo").getroot().tag == "episodedetails"
    assert (tmp_path / "Show" / "tvshow.nfo").read_text() == "<tvshow/>", "it is about all episodes"


def test_what_is_about_a_whole_show_is_not_taken_for_a_video_of_that_name(tmp_path: Path) -> None:
    videos_in(tmp_path, "tvshow.mp4", "pilot.mp4")
    assert "whole show" in reasons(tag(tmp_path))["tvshow.nfo"]
    assert names(tmp_path) == {"tvshow.mp4", "pilot.mp4", "pilot.nfo"}


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("a.s1.e2.mp4", "episodedetails"),
        ("Show 1x02 Pilot.mp4", "episodedetails"),
        ("clip_S01E02.mp4", "episodedetails"),
        ("relay 4x400.mp4", "movie"),
        ("1920x1080.mp4", "movie"),
        ("notes1e2.mp4", "movie"),
    ],
)
def test_episodes_are_known_by_their_number(tmp_path: Path, name: str, root: str) -> None:
    videos_in(tmp_path, name)
    tag(tmp_path)
    assert ET.parse(tmp_path / Path(name).with_suffix(".nfo")).getroot().tag == root


def test_an_old_file_is_merged_its_mode_kept_and_its_first_state_backed_up(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    nfo = tmp_path / "a.nfo"
    nfo.write_bytes(OLD)
    nfo.chmod(0o640)
    tag(tmp_path, "Sports")
    assert tags(nfo) == ["Sports"]
    assert stat.S_IMODE(nfo.stat().st_mode) == 0o640
    assert (tmp_path / "a.nfo.bak").read_bytes() == OLD
    tag(tmp_path, "Music")
    assert tags(nfo) == ["Music"]
    assert (tmp_path / "a.nfo.bak").read_bytes() == OLD
    assert names(tmp_path) == {"a.mp4", "b.mp4", "a.nfo", "b.nfo", "a.nfo.bak"}, (
        "one backup, of the first state"
    )


def test_a_backup_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.nfo").write_bytes(OLD)
    (tmp_path / "a.nfo.bak").write_bytes(b"somebody's")
    tag(tmp_path)
    assert (tmp_path / "a.nfo.bak").read_bytes() == b"somebody's"
    assert (tmp_path / "a.nfo.bak.1").read_bytes() == OLD


def test_what_is_backed_up_already_is_not_backed_up_twice(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.nfo").write_bytes(OLD)
    tag(tmp_path)
    (tmp_path / "a.nfo").write_bytes(OLD)  # a media centre wrote it anew
    tag(tmp_path)
    assert tags(tmp_path / "a.nfo") == ["Sports"]
    assert names(tmp_path) == {"a.mp4", "b.mp4", "a.nfo", "b.nfo", "a.nfo.bak"}


def test_a_file_that_has_all_of_it_is_not_written_again(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    tag(tmp_path)
    before = [(tmp_path / name).stat() for name in ("a.nfo", "b.nfo")]
    assert tag(tmp_path).changed_count == 0
    after = [(tmp_path / name).stat() for name in ("a.nfo", "b.nfo")]
    assert [(each.st_ino, each.st_mtime_ns) for each in before] == [
        (each.st_ino, each.st_mtime_ns) for each in after
    ]


def test_only_ok_rows_give_labels_and_unknown_ones_take_those_of_earlier_runs_away(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    tag(tmp_path, rows=[unknown_row("a.mp4")])
    tag(tmp_path, rows=[failed_row("a.mp4")])
    assert names(tmp_path) == {"a.mp4", "b.mp4"}
    (tmp_path / "a.nfo").write_bytes(OLD)
    tag(tmp_path)
    tag(tmp_path, rows=[failed_row("a.mp4")])
    assert tags(tmp_path / "a.nfo") == ["Sports"], (
        "a video that cannot be read today has not changed its label"
    )
    tag(tmp_path, rows=[unknown_row("a.mp4")])
    assert (tmp_path / "a.nfo").read_bytes() == OLD


@pytest.mark.parametrize("name", ["movie.nfo", "film.mkv.nfo", "film.NFO"])
def test_the_file_that_is_read_is_the_one_that_is_written(tmp_path: Path, name: str) -> None:
    videos_in(tmp_path, "film.mkv")
    (tmp_path / name).write_bytes(OLD)
    tag(tmp_path)
    assert tags(tmp_path / name) == ["Sports"]
    assert names(tmp_path) == {"film.mkv", name, f"{name}.bak"}


def test_two_videos_that_share_a_file_do_not_fight_over_it(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mkv", "a.mp4")
    files = tag(tmp_path)
    assert "belongs to a.mkv, too" in reasons(files)["a.nfo"]
    assert tags(tmp_path / "a.nfo") == ["Sports"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        OLD + b"https://www.themoviedb.org/movie/603",
        b"<html/>",
        OLD.replace(b"Mine", b"\xff"),
    ],
)
def test_what_is_no_media_centres_xml_stays_and_is_named(tmp_path: Path, data: bytes) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.nfo").write_bytes(data)
    files = tag(tmp_path)
    assert list(reasons(files)) == ["a.nfo"]
    assert (tmp_path / "a.nfo").read_bytes() == data
    assert tags(tmp_path / "b.nfo") == ["Sports"], "the others are written"


def test_a_file_that_appeared_meanwhile_is_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    link = os.link

    def appear(source: Path, target: Path) -> None:
        monkeypatch.undo()
        (tmp_path / "a.nfo").write_bytes(OLD)
        link(source, target)

    monkeypatch.setattr(os, "link", appear)
    tag(tmp_path)
    assert tags(tmp_path / "a.nfo") == ["Sports"]
    assert b"Mine" in (tmp_path / "a.nfo").read_bytes()
    assert (tmp_path / "a.nfo.bak").read_bytes() == OLD


def test_a_file_that_changed_meanwhile_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.nfo").write_bytes(OLD)
    newer = OLD.replace(b"Mine", b"Edited by hand")
    temporary = beside._temporary

    def edit(folder: Path, data: bytes):  # type: ignore[no-untyped-def]
        monkeypatch.undo()
        (tmp_path / "a.nfo").write_bytes(newer)
        return temporary(folder, data)

    monkeypatch.setattr(beside, "_temporary", edit)
    tag(tmp_path)
    assert b"Edited by hand" in (tmp_path / "a.nfo").read_bytes()
    assert tags(tmp_path / "a.nfo") == ["Sports"]
    assert newer in {path.read_bytes() for path in tmp_path.glob("a.nfo.bak*")}


def test_one_that_never_stands_still_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    count = 0

    def always(source: Path, target: Path) -> None:
        nonlocal count
        count += 1
        raise FileExistsError

    monkeypatch.setattr(os, "link", always)
    assert reasons(tag(tmp_path))["a.nfo"] == "another program keeps writing it"
    assert count == 6
    assert names(tmp_path) == {"a.mp4", "b.mp4"}


def test_without_hard_links_files_are_renamed_and_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "b.nfo").write_bytes(OLD)

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert not reasons(tag(tmp_path))
    assert tags(tmp_path / "a.nfo") == ["Sports"]
    assert (tmp_path / "b.nfo.bak").read_bytes() == OLD
    assert names(tmp_path) == {"a.mp4", "b.mp4", "a.nfo", "b.nfo", "b.nfo.bak"}


def test_without_hard_links_a_file_that_appeared_meanwhile_is_merged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")

    def appear(source: Path, target: Path) -> None:
        if not target.exists() and target.name == "a.nfo":
            target.write_bytes(OLD)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", appear)
    tag(tmp_path)
    assert b"Mine" in (tmp_path / "a.nfo").read_bytes()
    assert tags(tmp_path / "a.nfo") == ["Sports"]


def test_a_link_out_of_the_library_is_never_written_through(tmp_path: Path) -> None:
    library, outside = tmp_path / "library", tmp_path / "outside"
    videos_in(library, "a.mp4", "b.mp4", "c.mp4")
    outside.mkdir()
    (outside / "secret.nfo").write_bytes(OLD)
    (library / "a.nfo").symlink_to(outside / "secret.nfo")
    (library / "b.nfo").symlink_to(library / "nowhere.nfo")
    (library / "kept.xml").write_bytes(OLD)
    (library / "c.nfo").symlink_to("kept.xml")
    files = tag(library)
    assert "leads out" in reasons(files)["a.nfo"]
    assert "leads nowhere" in reasons(files)["b.nfo"]
    assert names(outside) == {"secret.nfo"}
    assert (outside / "secret.nfo").read_bytes() == OLD
    assert (library / "c.nfo").is_symlink()
    assert tags(library / "kept.xml") == ["Sports"]


def test_a_folder_that_became_a_link_to_elsewhere_is_not_written(tmp_path: Path) -> None:
    library, outside = tmp_path / "library", tmp_path / "outside"
    found = videos_in(library, "sub/a.mp4")
    videos_in(outside, "a.mp4")
    (library / "sub" / "a.mp4").unlink()
    (library / "sub").rmdir()
    (library / "sub").symlink_to(outside)
    files = FilesBeside([SidecarMaker()])
    files.write(found[0], [row("sub/a.mp4")])
    assert "outside of the library" in reasons(files)["a.mp4.vidclf.json"]
    assert names(outside) == {"a.mp4"}


def test_a_read_only_folder_is_told_once(tmp_path: Path) -> None:
    videos_in(tmp_path, "closed/a.mp4", "closed/b.mp4", "open/c.mp4")
    (tmp_path / "closed").chmod(0o555)
    skip_if_writable(tmp_path / "closed")
    try:
        files = tag(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert reasons(files) == {"closed": "cannot be written (Permission denied); 2 files not written there"}
    assert tags(tmp_path / "open" / "c.nfo") == ["Sports"]


def test_a_folder_that_takes_no_file_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos_in(tmp_path, "closed/a.mp4", "closed/b.mp4", "open/c.mp4")
    opened = Path.open

    def refuse(path: Path, mode: str = "r", *arguments: object) -> object:
        if "x" in mode and path.parent.name == "closed":
            raise OSError(30, "Read-only file system")
        return opened(path, mode, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", refuse)
    files = tag(tmp_path)
    assert reasons(files) == {
        "closed": "cannot be written (Read-only file system); 2 files not written there"
    }
    assert tags(tmp_path / "open" / "c.nfo") == ["Sports"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.nfo").write_bytes(OLD)

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    files = tag(tmp_path)
    assert list(reasons(files).values()) == [
        "cannot be written (No space left on device); 2 files not written there"
    ]
    assert names(tmp_path) == {"a.mp4", "b.mp4", "a.nfo"}
    assert (tmp_path / "a.nfo").read_bytes() == OLD


def test_a_write_protected_file_is_left_alone(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.nfo").write_bytes(OLD)
    (tmp_path / "a.nfo").chmod(0o444)
    skip_if_writable(tmp_path / "a.nfo")
    assert reasons(tag(tmp_path)) == {"a.nfo": "it is write-protected"}
    assert (tmp_path / "a.nfo").read_bytes() == OLD


def test_a_pipe_holds_nothing_up(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    os.mkfifo(tmp_path / "a.nfo")
    assert reasons(tag(tmp_path)) == {"a.nfo": "it is no file"}


def test_what_is_only_shown_is_not_written(tmp_path: Path) -> None:
    videos_in(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.nfo").write_bytes(OLD)
    shown: list[Change] = []
    files = tag(tmp_path, show=shown.append)
    assert [(change.path.name, change.before, change.keeps_backup) for change in shown] == [
        ("a.nfo", OLD, True),
        ("b.nfo", None, False),
    ]
    assert files.changed_count == 2
    assert names(tmp_path) == {"a.mp4", "b.mp4", "a.nfo"}
    assert (tmp_path / "a.nfo").read_bytes() == OLD


@pytest.mark.parametrize("old", [None, OLD, b"<movie><title>Trip</title><genre>Music</genre></movie>"])
@pytest.mark.parametrize("name", ["holiday at the sea.mp4", "IMG_0042.mp4"])
def test_what_vidclf_wrote_is_no_evidence_for_the_next_run(
    tmp_path: Path, old: bytes | None, name: str
) -> None:
    (video,) = videos_in(tmp_path, name)
    nfo = video.path.with_suffix(".nfo")
    if old is not None:
        nfo.write_bytes(old)
    before = collect_text(video, {}, Sidecars([video])).text
    for label in ("Sports", "Food & Drink", "Music"):
        tag(tmp_path, label)
        assert label in tags(nfo) or label == "Music"
        assert collect_text(video, {}, Sidecars([video])).text == before


def test_a_sidecar_holds_the_rows_as_json(tmp_path: Path) -> None:
    (video,) = videos_in(tmp_path, "a.mp4")
    segment = row("a.mp4", segment=(0.0, 5.0))
    files = FilesBeside([SidecarMaker()])
    files.write(video, [row("a.mp4"), segment])
    path = tmp_path / "a.mp4.vidclf.json"
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "vidclf_sidecar": 1,
        "row": row("a.mp4"),
        "segments": [segment],
    }
    FilesBeside([SidecarMaker()]).write(video, [failed_row("a.mp4")])
    assert json.loads(path.read_text(encoding="utf-8"))["row"]["status"] == "failed"
    assert names(tmp_path) == {"a.mp4", "a.mp4.vidclf.json"}, "no backup of what is ours"
    assert len(find_videos([tmp_path]).videos) == 1


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'{"vidclf_sidecar": "x"}', b'{"vidclf_sidecar": 2}', b"[" * 99999]
)
def test_a_sidecar_that_is_not_ours_is_left_alone(tmp_path: Path, data: bytes) -> None:
    (video,) = videos_in(tmp_path, "a.mp4")
    (tmp_path / "a.mp4.vidclf.json").write_bytes(data)
    files = FilesBeside([SidecarMaker()])
    files.write(video, [row("a.mp4")])
    assert list(reasons(files)) == ["a.mp4.vidclf.json"]
    assert (tmp_path / "a.mp4.vidclf.json").read_bytes() == data


def test_a_name_that_is_too_long_for_a_sidecar_costs_that_one_only(tmp_path: Path) -> None:
    long = f"{'x' * 248}.mp4"
    found = videos_in(tmp_path, long, "b.mp4")
    files = FilesBeside([SidecarMaker()])
    for video in found:
        files.write(video, [row(video.id)])
    assert [text.split(" (")[0] for text in reasons(files).values()] == ["it cannot be read"]
    assert names(tmp_path) == {long, "b.mp4", "b.mp4.vidclf.json"}

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vidclf_cli.errors import UsageError
from vidclf_cli.library import find_videos, id_of, order_key

MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isommp42"


def _make(root: Path, *names: str, content: bytes = MP4) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _ids(*paths: Path, exclude: tuple[str, ...] = ()) -> list[str]:
    return [video.id for video in find_videos(paths, exclude).videos]


def test_suffixes_and_signatures_decide(tmp_path: Path) -> None:
    _make(tmp_path, "a.mp4", "b.MKV", "no_suffix", "strange.x7z", "c.txt", "d.jpg", "e.mp4.part", "f.mp3")
    _make(tmp_path, "empty.mp4", "empty", "g.ts", content=b"")
    _make(tmp_path, "named.mp4", "code.ts", "readme", content=b"export const a = 1\n")
    library = find_videos([tmp_path])
    found = {video.id for video in library.videos}
    assert found == {"a.mp4", "b.MKV", "no_suffix", "strange.x7z", "empty.mp4", "g.ts", "named.mp4"}
    assert library.other_count == 7
    assert library.problems == ()


def test_a_video_carries_what_the_cache_asks_for(tmp_path: Path) -> None:
    _make(tmp_path, "sub/a.mp4")
    (video,) = find_videos([tmp_path]).videos
    status = (tmp_path / "sub/a.mp4").stat()
    assert video.path == tmp_path / "sub/a.mp4"
    assert video.root == tmp_path
    assert (video.size_bytes, video.mtime_ns, video.inode) == (len(MP4), status.st_mtime_ns, status.st_ino)


def test_still_pictures_count_as_other_unless_named(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (8, 8), (90 * shade, 0, 0)) for shade in range(3)]
    pictures[0].save(tmp_path / "still.gif")
    pictures[0].save(tmp_path / "moving.gif", save_all=True, append_images=pictures[1:])
    library = find_videos([tmp_path])
    assert [video.id for video in library.videos] == ["moving.gif"]
    assert library.other_count == 1
    assert _ids(tmp_path / "still.gif") == ["still.gif"]


def test_hidden_and_system_folders_are_passed_over_unless_named(tmp_path: Path) -> None:
    _make(tmp_path, "a.mp4", "._a.mp4", ".hidden/b.mp4", "@eaDir/c.mp4", "$RECYCLE.BIN/d.mp4", ".e.mp4")
    library = find_videos([tmp_path])
    assert [video.id for video in library.videos] == ["a.mp4"]
    assert library.other_count == 0
    assert _ids(tmp_path / ".hidden") == ["b.mp4"]


def test_ids_are_relative_to_the_common_parent(tmp_path: Path) -> None:
    _make(tmp_path, "one/a.mp4", "two/deep/b.mp4", "two/c.mp4")
    assert _ids(tmp_path / "one") == ["a.mp4"]
    assert _ids(tmp_path / "one" / "a.mp4") == ["a.mp4"]
    assert _ids(tmp_path / "two" / "deep", tmp_path / "one") == ["one/a.mp4", "two/deep/b.mp4"]
    assert _ids(tmp_path / "two" / "c.mp4", tmp_path / "two" / "deep") == ["c.mp4", "deep/b.mp4"]


def test_relative_paths_and_dots_give_the_same_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path, "sub/a.mp4")
    monkeypatch.chdir(tmp_path / "sub")
    for path in (Path(), Path("../sub"), Path("a.mp4"), Path("../sub/./a.mp4")):
        assert _ids(path) == ["a.mp4"]
    assert _ids(Path("..")) == ["sub/a.mp4"]


def test_one_real_path_counts_once_and_hard_links_are_two(tmp_path: Path) -> None:
    _make(tmp_path, "a.mp4")
    (tmp_path / "b.mp4").hardlink_to(tmp_path / "a.mp4")
    (tmp_path / "link.mp4").symlink_to("a.mp4")
    assert _ids(tmp_path, tmp_path, tmp_path / "a.mp4", tmp_path / "link.mp4") == ["a.mp4", "b.mp4"]


def test_links_are_followed_inside_the_root_only(tmp_path: Path) -> None:
    _make(tmp_path, "root/.annex/x1", "outside/secret.mp4", "root/b/c.mp4")
    root = tmp_path / "root"
    (root / "film.mp4").symlink_to(".annex/x1")
    (root / "out.mp4").symlink_to("../outside/secret.mp4")
    (root / "outfolder").symlink_to("../outside")
    (root / "prefix").symlink_to(tmp_path / "root-2")
    _make(tmp_path, "root-2/d.mp4")
    (root / "dangling.mp4").symlink_to("gone")
    library = find_videos([root])
    assert [video.id for video in library.videos] == ["b/c.mp4", "film.mp4"]
    assert library.other_count == 4
    assert _ids(root / "out.mp4") == ["out.mp4"]  # named: followed


def test_link_loops_end(tmp_path: Path) -> None:
    _make(tmp_path, "a/b/film.mp4")
    (tmp_path / "a/b/up").symlink_to("..")
    (tmp_path / "a/self").symlink_to("self")
    (tmp_path / "x").symlink_to("y")
    (tmp_path / "y").symlink_to("x")
    assert _ids(tmp_path) == ["a/b/film.mp4"]


def test_folders_that_all_link_to_each_other_are_walked_once_each(tmp_path: Path) -> None:
    names = "abcdefgh"
    _make(tmp_path, *(f".store/{name}/film.mp4" for name in names))
    for name in names:
        for other in names:
            (tmp_path / ".store" / name / f"to_{other}").symlink_to(f"../{other}")
    (tmp_path / "start").symlink_to(".store/a")
    library = find_videos([tmp_path])
    assert len(library.videos) == len(names)
    assert library.other_count == 0


def test_a_link_to_a_hidden_folder_is_walked_once(tmp_path: Path) -> None:
    _make(tmp_path, ".store/a.mp4")
    (tmp_path / "one").symlink_to(".store")
    (tmp_path / "two").symlink_to(".store")
    assert _ids(tmp_path) == ["one/a.mp4"]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (("*.mkv",), ["a.mp4", "raw/c.mp4", "raw/old/d.mp4"]),
        (("raw",), ["a.mp4", "b.mkv"]),
        (("raw/",), ["a.mp4", "b.mkv"]),
        (("a.mp4/",), ["a.mp4", "b.mkv", "raw/c.mp4", "raw/old/d.mp4"]),
        (("raw/old",), ["a.mp4", "b.mkv", "raw/c.mp4"]),
        (("/raw/*",), ["a.mp4", "b.mkv"]),
        (("[ab].m*", "old"), ["raw/c.mp4"]),
        (("", "/"), ["a.mp4", "b.mkv", "raw/c.mp4", "raw/old/d.mp4"]),
    ],
)
def test_exclude(tmp_path: Path, exclude: tuple[str, ...], left: list[str]) -> None:
    _make(tmp_path, "a.mp4", "b.mkv", "raw/c.mp4", "raw/old/d.mp4")
    assert _ids(tmp_path, exclude=exclude) == left


def test_exclude_holds_for_named_files(tmp_path: Path) -> None:
    _make(tmp_path, "a.mp4", "sample.mp4")
    assert _ids(tmp_path / "a.mp4", tmp_path / "sample.mp4", exclude=("sample*",)) == ["a.mp4"]


def test_the_order_is_that_of_a_person(tmp_path: Path) -> None:
    _make(tmp_path, "clip10.mp4", "clip2.mp4", "Clip1.mp4", "b/x.mp4", "a b/x.mp4", "a/x.mp4", "clip²3.mp4")
    expected = ["a/x.mp4", "a b/x.mp4", "b/x.mp4", "Clip1.mp4", "clip2.mp4", "clip10.mp4", "clip²3.mp4"]
    assert _ids(tmp_path) == expected


@given(st.lists(st.text(max_size=20), max_size=8))
def test_any_ids_can_be_ordered(ids: list[str]) -> None:
    assert sorted(sorted(ids), key=order_key) == sorted(sorted(ids, reverse=True), key=order_key)


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere want valid Unicode")
def test_ids_of_odd_names_are_utf8_and_never_collide(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    names = [
        b"caf\xe9.mp4",
        b"caf\\xe9.mp4",
        b"caf\\\\xe9.mp4",
        "café.mp4".encode(),
        "cafe\u0301.mp4".encode(),
    ]
    names += [
        b"-rf.mp4",
        b"a\nb.mp4",
        b"a\rb\t.mp4",
        b"$(x) `y` 'z' \"q\".mp4",
        "🐱.mp4".encode(),
        b"\xff\xfe.mp4",
    ]
    for name in names:
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(MP4)
    ids = _ids(tmp_path)
    assert len(set(ids)) == len(names)
    for video_id in ids:
        video_id.encode("utf-8")
    assert "caf\\xe9.mp4" in ids
    assert "a\nb.mp4" in ids


@pytest.mark.skipif(os.sep != "/", reason="backslashes separate folders there")
@given(st.binary(max_size=12), st.binary(max_size=12))
def test_different_paths_have_different_ids(one: bytes, other: bytes) -> None:
    ids = [id_of(os.fsdecode(name)) for name in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)
    ids[0].encode("utf-8")


def test_a_missing_path_is_a_usage_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file or folder") as caught:
        find_videos([tmp_path / "gone\udcff.mp4"])
    assert caught.value.advice
    str(caught.value).encode("utf-8")
    _make(tmp_path, "a.mp4")
    for path in (tmp_path / "a.mp4" / "b", Path("a\0b"), tmp_path / ("x" * 300)):
        with pytest.raises(UsageError):
            find_videos([path])


def test_pipes_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to("pipe.mp4")
    library = find_videos([tmp_path])
    assert library.videos == ()
    assert library.other_count == 3
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        find_videos([tmp_path / "pipe.mp4"])


def test_no_paths_and_empty_folders_give_an_empty_library(tmp_path: Path) -> None:
    assert find_videos([]).videos == ()
    assert find_videos([tmp_path]).videos == ()


def test_an_unreadable_folder_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    _make(tmp_path, "a.mp4", "locked/b.mp4")
    deep = tmp_path / "deep"
    deep.mkdir()
    descriptor = os.open(deep, os.O_RDONLY)
    try:  # deeper than the longest path that the system opens: unreadable for root too
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=descriptor)
            below = os.open("d" * 250, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
    finally:
        os.close(descriptor)
    (tmp_path / "locked").chmod(0)
    try:
        library = find_videos([tmp_path])
    finally:
        (tmp_path / "locked").chmod(0o755)
    assert "a.mp4" in [video.id for video in library.videos]
    assert library.problems
    assert all(problem.text for problem in library.problems)


def test_real_files_are_sorted_as_documented(shared_data: Path) -> None:
    folder = shared_data / "videos"
    library = find_videos([folder])
    every = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    no_candidates = every - {video.id for video in library.videos}
    assert no_candidates == {
        "androidx_media/avif_white-1x1.avif",
        "magika/mitra_wav_riff.wav",
        "small/gif.gif",
        "small/gif-transparent.gif",
    }
    assert library.other_count == len(no_candidates)
    named = find_videos([folder / name for name in sorted(every)])
    assert len(named.videos) == len(every)


def test_digits_of_other_scripts_sort_as_letters(tmp_path: Path) -> None:
    names = ["a", "²", "٣", "10", "9"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "v.mp4").write_bytes(b"x")
    assert [video.id[:-6] for video in find_videos([tmp_path]).videos] == ["9", "10", "a", "²", "٣"]

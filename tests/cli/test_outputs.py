"""Where the answers of `vidclf classify` go: formats, re-runs, files beside videos, dry runs."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import Run, read_rows
from tests.media.odd_videos import encode

OLD = 1_600_000_000


def age(folder: Path) -> None:
    """Give everything a date long ago: what changed within 3 s of a run is never taken for unchanged."""
    for path in folder.rglob("*"):
        os.utime(path, (OLD, OLD))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    videos = tmp_path / "videos"
    (videos / "cooking").mkdir(parents=True)
    encode("-c:v", "libx264", "-g", "25", source="testsrc2=size=160x90:rate=25", seconds=2)(
        videos / "football match.mp4"
    )
    pasta = videos / "cooking" / "pasta recipe.mp4"
    encode("-c:v", "libx264", "-g", "25", source="mandelbrot=size=160x90", seconds=2)(pasta)
    (videos / "broken.mp4").write_bytes(b"")
    age(videos)
    return videos


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_an_update_computes_what_is_new_or_changed_and_drops_what_is_gone(vidclf: Run, folder: Path) -> None:
    out = folder.parent / "labels.csv"
    vidclf("classify", folder, "--out", out)
    first = out.read_bytes()
    again = vidclf("classify", folder, "--out", out, "--update", "--summary", "run.json")
    assert again.returncode == 1, "the row of the broken one is still there"
    assert "3 videos taken over, 0 new or changed." in again.stderr
    assert out.read_bytes() == first
    counts = json.loads((folder.parent / "run.json").read_text(encoding="utf-8"))["counts"]
    assert (counts["taken_over"], counts["computed"], counts["failed"]) == (3, 0, 1)

    (folder / "cooking" / "pasta recipe.mp4").unlink()
    shutil.copy(folder / "football match.mp4", folder / "2 new.mp4")
    shutil.copy(folder / "football match.mp4", folder / "broken.mp4")
    (folder / "football match.nfo").write_text("<movie><plot>Cooking pasta in a kitchen.</plot></movie>")
    changed = vidclf("classify", folder, "--out", out, "--update")
    assert changed.returncode == 0, changed.stderr
    assert "0 videos taken over, 3 new or changed, 1 gone and dropped." in changed.stderr
    assert "0 taken over, 1 dropped" in changed.stderr
    vidclf("classify", folder, "--out", "fresh.csv")
    assert out.read_bytes() == (folder.parent / "fresh.csv").read_bytes(), "as a fresh run would write it"


def test_failed_videos_are_tried_again_when_asked_for(vidclf: Run, folder: Path) -> None:
    vidclf("classify", folder, "--out", "labels.sqlite", "--time-limit", "0.1")
    done = vidclf("classify", folder, "--out", "labels.sqlite", "--retry-failed")
    assert "taken over" in done.stderr
    with closing(sqlite3.connect(folder.parent / "labels.sqlite")) as connection:
        found = dict(connection.execute("SELECT path, status FROM results"))
    assert found.pop("broken.mp4") == "failed"
    assert set(found.values()) <= {"ok", "unknown"}


def test_other_settings_make_all_rows_anew_and_an_empty_folder_changes_nothing(
    vidclf: Run, folder: Path
) -> None:
    out = folder.parent / "labels.jsonl"
    vidclf("classify", folder, "--out", out)
    done = vidclf("classify", folder, "--out", out, "--update", "--top-k", "1")
    assert "all rows are made anew, since they were made with another top_k." in done.stderr
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert max(len(row["alternatives"]) for row in rows) == 1
    before = out.read_bytes()
    folder.rename(folder.parent / "elsewhere")
    folder.mkdir()
    gone = vidclf("classify", folder, "--out", out, "--update")
    assert gone.returncode == 2
    assert "No video was found, so the output stays as it is." in gone.stderr
    assert out.read_bytes() == before


def test_parquet_by_suffix(vidclf: Run, folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    vidclf("classify", folder, "--out", "labels.parquet")
    table = parquet.read_table(folder.parent / "labels.parquet").to_pylist()
    assert [row["path"] for row in table] == ["broken.mp4", "cooking/pasta recipe.mp4", "football match.mp4"]


def test_what_somebody_else_wrote_is_refused_before_any_video_is_read(vidclf: Run, folder: Path) -> None:
    mine = folder.parent / "labels.csv"
    mine.write_text("path,label\nfootball match.mp4,football\n")
    done = vidclf("classify", folder, "--out", mine)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--force" in done.stderr
    assert mine.read_text().startswith("path,label\n")
    assert not (folder.parent / "cache").exists()


def test_tags_go_beside_videos_and_labels_are_the_same_afterwards(vidclf: Run, folder: Path) -> None:
    (folder / "football match.nfo").write_text("https://www.themoviedb.org/movie/603\n")
    options = ("--out", "labels.csv", "--min-confidence", "0.3", "--write-nfo", "--write-sidecar")
    done = vidclf("classify", folder, *options, "--summary", "run.json")
    assert done.returncode == 1
    assert "football match.nfo: it is not XML" in done.stderr
    labels = (folder.parent / "labels.csv").read_bytes()
    row = read_rows(folder.parent / "labels.csv")["cooking/pasta recipe.mp4"]
    nfo = ET.parse(folder / "cooking" / "pasta recipe.nfo").getroot()
    assert [each.text for each in nfo.findall("tag")] == [row["label"]] == ["Food & Drink"]
    sidecar = json.loads((folder / "cooking" / "pasta recipe.mp4.vidclf.json").read_text(encoding="utf-8"))
    assert sidecar["row"]["label"] == "Food & Drink"
    summary = json.loads((folder.parent / "run.json").read_text(encoding="utf-8"))
    assert [Path(each["path"]).name for each in summary["not_written"]] == ["football match.nfo"]
    assert summary["exit_code"] == 1

    beside = snapshot(folder)
    vidclf("classify", folder, *options)
    assert (folder.parent / "labels.csv").read_bytes() == labels, "its own tags are no evidence"
    assert snapshot(folder) == beside


def test_a_dry_run_writes_nothing_and_says_what_would_be_done(vidclf: Run, folder: Path) -> None:
    before = snapshot(folder.parent)
    done = vidclf("classify", folder, "--out", "labels.csv", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "3 videos found, 0 other files ignored",
        "0 in the cache already, 3 would be read",
        "Rows would go to labels.csv, as csv",
    ]
    assert snapshot(folder.parent) == before
    assert not (folder.parent / "cache").exists()

    vidclf("classify", folder, "--out", "labels.csv")
    (folder / "broken.mp4").unlink()
    cached = snapshot(folder.parent)
    dry = vidclf("classify", folder, "--out", "other.csv", "--dry-run")
    assert "2 in the cache already, 0 would be read" in dry.stdout
    update = vidclf("classify", folder, "--out", "labels.csv", "--update", "--dry-run")
    assert "2 videos taken over, 0 new or changed, 1 gone and dropped." in update.stdout
    frames = vidclf("classify", folder, "--out", "other.csv", "--dry-run", "--frames", "4")
    assert "0 in the cache already, 2 would be read" in frames.stdout
    assert snapshot(folder.parent) == cached


def test_a_dry_run_shows_what_would_be_written_beside_videos(vidclf: Run, folder: Path) -> None:
    nfo = folder / "cooking" / "pasta recipe.nfo"
    nfo.write_text("<movie>\n  <title>Pasta</title>\n</movie>\n")
    before = snapshot(folder)
    done = vidclf("classify", folder, "--out", "labels.csv", "--write-nfo", "--write-sidecar", "--dry-run")
    lines = done.stdout.splitlines()
    assert f"+++ {nfo}" in lines
    assert "+  <tag>Food &amp; Drink</tag>" in lines
    assert "   <title>Pasta</title>" in lines
    assert "(a copy of what is there would be kept as pasta recipe.nfo.bak)" in lines
    assert sum(line.startswith("+++ ") and line.endswith(".vidclf.json") for line in lines) == 3
    assert "files would be written, none was" in done.stderr
    assert snapshot(folder) == before
    assert not (folder.parent / "labels.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--update",), "--out"),
        (("--retry-failed", "--out", "-"), "--out"),
        (("--update", "--format", "table", "--out", "labels.txt"), "--out"),
        (("--out", "labels.csv", "--summary", "./labels.csv"), "the same place"),
        (("--out", "labels.csv", "--summary", "no/such/run.json"), "--summary"),
        (("--out", "labels.csv", "--summary", "run.json", "--dry-run"), "--dry-run"),
        (("--out", "-", "--format", "parquet"), "standard output"),
        (("--out", "labels.csv", "--write-chapters"), "--segments"),
        (("--out", "labels.vtt", "--segments", "10", "--dry-run"), "one video"),
    ],
)
def test_options_that_do_not_fit_are_told_at_once(
    vidclf: Run, folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = vidclf("classify", folder, *arguments)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert not (folder.parent / "cache").exists()

"""`vidclf classify --segments` from outside: the joins of a video are found, cached, written as chapters."""

from __future__ import annotations

import csv
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests import classifier_files
from tests.cli.conftest import Run
from tests.media.odd_videos import run_ffmpeg
from vidclf_cli.embedders.local import concept_names

STEP = 4.0
CLIPS = (("coffee.png", "coffee", 20), ("chelsea.png", "cat", 14), ("rocket.jpg", "rocket", 18))
"""Picture, label, seconds: the joins lie at 20 s and at 34 s."""

JOINS = (20.0, 34.0)
SEEN = (("espresso", "cup", "coffee mug"), ("tabby", "tiger cat", "Egyptian cat"), ("missile", "projectile"))
"""Concepts that speak for each label."""


def picture(name: str) -> Path:
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-image is not installed")
    return Path(spec.origin).parent / "data" / name


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three clips of one picture each, slowly zoomed."""
    folder = tmp_path_factory.mktemp("clips")
    paths = []
    for name, label, seconds in CLIPS:
        path = folder / f"{label}.mp4"
        zoom = "scale=-2:360,crop=360:360,zoompan=z='min(1+on/1500,1.15)':d=1:s=256x256:fps=10"
        codec = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "30")
        still = ("-loop", "1", "-framerate", "10", "-i", picture(name), "-t", str(seconds))
        run_ffmpeg(*still, "-vf", zoom, *codec, path)
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the three labels by the concepts seen."""
    weights = np.zeros((1000, 3), np.float32)
    for label, concepts in enumerate(SEEN):
        weights[[concept_names().index(concept) for concept in concepts], label] = 6

    def put_weights(graph: onnx.ModelProto) -> None:
        (table,) = (each for each in graph.graph.initializer if each.name == "w")
        table.CopyFrom(onnx.numpy_helper.from_array(weights, "w"))

    text = json.dumps(classifier_files.document(labels=[label for _, label, _ in CLIPS]))
    return classifier_files.write(tmp_path_factory.mktemp("model"), text, spoil=put_weights)


def joined(clips: list[Path], target: Path, *codec: str) -> Path:
    """Join clips; the copy keeps their packets, the other way encodes anew with few keyframes."""
    table = target.with_suffix(".txt")
    table.write_text("".join(f"file '{clip}'\n" for clip in clips))
    run_ffmpeg("-f", "concat", "-safe", "0", "-i", table, *codec, target)
    table.unlink()
    return target


def segments(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["segment_start_seconds"]]


COPIED = ("-c", "copy")
ONE_KEYFRAME = ("-c:v", "libx264", "-preset", "veryfast", "-g", "1000", "-sc_threshold", "0")


@pytest.mark.parametrize(
    ("codec", "dense"),
    [(COPIED, ()), (ONE_KEYFRAME, ()), (ONE_KEYFRAME, ("--dense",))],
    ids=["copied", "encoded-with-one-keyframe", "dense"],
)
def test_the_joins_of_three_clips_are_found_within_one_step(
    vidclf: Run,
    clips: list[Path],
    model: Path,
    tmp_path: Path,
    codec: tuple[str, ...],
    dense: tuple[str, ...],
) -> None:
    film = joined(clips, tmp_path / "IMG_0042.mp4", *codec)
    done = vidclf("classify", film, "--segments", f"{STEP:g}", *dense, "--model", model, "--out", "film.csv")
    assert done.returncode == 0, done.stderr
    rows = segments(tmp_path / "film.csv")
    assert [row["label"] for row in rows] == [label for _, label, _ in CLIPS]
    assert all(row["modalities"] == '["visual"]' and float(row["confidence"]) > 0.5 for row in rows)
    starts = [float(row["segment_start_seconds"]) for row in rows]
    ends = [float(row["segment_end_seconds"]) for row in rows]
    assert starts[0] == 0
    assert ends[-1] == pytest.approx(52, abs=0.2)
    assert ends[:-1] == starts[1:]
    for found, join in zip(starts[1:], JOINS, strict=True):
        assert abs(found - join) <= STEP


def test_a_warm_run_reads_nothing_and_gives_the_same_bytes(
    vidclf: Run, clips: list[Path], model: Path, tmp_path: Path
) -> None:
    film = joined(clips, tmp_path / "film.mp4", "-c", "copy")
    arguments = ("classify", film, "--segments", "4", "--model", model)
    cold = vidclf(*arguments, "--out", "cold.jsonl")
    assert "1 timeline read" in cold.stderr
    state = film.stat()
    size = film.stat().st_size
    film.write_bytes(bytes(size))  # whoever read it now would fail
    os.utime(film, ns=(state.st_atime_ns, state.st_mtime_ns))
    warm = vidclf(*arguments, "--out", "warm.jsonl", "-v")
    assert warm.returncode == 0, warm.stderr
    assert "timeline" not in warm.stderr
    assert "decode" not in warm.stderr
    assert (tmp_path / "cold.jsonl").read_bytes() == (tmp_path / "warm.jsonl").read_bytes()


def test_a_video_shorter_than_a_segment_has_one_and_a_failed_one_none(
    vidclf: Run, clips: list[Path], model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(clips[0], folder / "short.mp4")
    (folder / "broken.mp4").write_bytes(b"")
    done = vidclf("classify", folder, "--segments", "60", "--out", "rows.csv", "--model", model)
    assert done.returncode == 1
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["path"], row["segment_start_seconds"], row["segment_end_seconds"]) for row in rows] == [
        ("broken.mp4", "", ""),
        ("short.mp4", "", ""),
        ("short.mp4", "0", "20"),
    ]


def test_a_part_that_is_missing_is_a_failed_row_and_not_the_video(
    vidclf: Run, clips: list[Path], model: Path, tmp_path: Path
) -> None:
    film = joined(clips, tmp_path / "film.mkv", "-c", "copy")
    film.write_bytes(film.read_bytes()[: int(film.stat().st_size * 0.8)])
    done = vidclf("classify", film, "--segments", "4", "--out", "rows.csv", "--model", model)
    assert done.returncode == 1
    assert "1 segment could not be read" in done.stderr
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as stream:
        own, *rows = list(csv.DictReader(stream))
    assert own["status"] in {"ok", "unknown"}
    assert [row["status"] for row in rows[:-1]] == ["ok"] * (len(rows) - 1)
    assert rows[-1]["status"] == "failed"
    assert rows[-1]["reason"].startswith("no-picture: the picture ends before this part")


def test_chapters_of_one_video_and_what_cannot_have_any(
    vidclf: Run, clips: list[Path], model: Path, tmp_path: Path
) -> None:
    film = joined(clips, tmp_path / "film.mp4", "-c", "copy")
    labels = ("--model", model)
    assert vidclf("classify", film, "--segments", "4", *labels, "--out", "film.vtt").returncode == 0
    cues = (tmp_path / "film.vtt").read_text().split("\n\n")[2:]
    assert [cue.strip().splitlines()[2] for cue in cues] == [label for _, label, _ in CLIPS]
    for arguments, says in (
        ((film, "--out", "other.vtt"), "--segments"),
        ((*clips, "--segments", "4", "--out", "other.vtt"), "Name one video"),
        ((film, "--dense"), "--segments"),
        ((film, "--segments", "0"), "--segments"),
    ):
        done = vidclf("classify", *arguments, *labels)
        assert done.returncode == 2, done.stderr
        assert says in done.stderr
        assert not (tmp_path / "other.vtt").exists()


def test_chapters_are_written_beside_each_video_and_never_over_somebody_s_file(
    vidclf: Run, clips: list[Path], model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("mine.mp4", "theirs.mp4"):
        shutil.copy(clips[1], folder / name)
    (folder / "theirs.chapters.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:05.000\nMy own\n")
    arguments = ("classify", folder, "--segments", "4", "--model", model, "--out", "rows.csv")
    done = vidclf(*arguments, "--write-chapters")
    assert done.returncode == 1
    assert "theirs.chapters.vtt" in done.stderr
    assert "My own" in (folder / "theirs.chapters.vtt").read_text()
    written = (folder / "mine.chapters.vtt").read_text()
    assert written.endswith("\n1\n00:00:00.000 --> 00:00:14.000\ncat\n")

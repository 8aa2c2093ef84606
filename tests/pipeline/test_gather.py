"""Labelled videos become labelled vectors: real clips, real encoders, the cache that `classify` uses."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.media.odd_videos import encode
from vidclf_cli.dataset import Dataset, empty_rows
from vidclf_cli.embedders.registry import find_spaces
from vidclf_cli.errors import UsageError
from vidclf_cli.labelled import LabelledVideos, read_labelled
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.pipeline.gather import Gathering
from vidclf_cli.pipeline.options import RunOptions
from vidclf_cli.pipeline.run import CacheFilling
from vidclf_cli.records import Result, Status

VISUAL, CONCEPTS, AUDIO, METADATA = (
    local_spaces()[f"local/{name}"].id for name in ("visual", "concepts", "audio", "metadata")
)
SOURCES = {
    "one": "testsrc2=size=160x90:rate=10",
    "two": "mandelbrot=size=160x90:rate=10",
    "three": "smptebars=size=160x90:rate=10",
    "four": "rgbtestsrc=size=160x90:rate=10",
}


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of a second, of which one has sound."""
    folder = tmp_path_factory.mktemp("clips")
    for name, source in SOURCES.items():
        options = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "5")
        encode(*options, source=source, seconds=1, sound=name == "one")(folder / f"{name}.mp4")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """A cache that knows the clips in every space, as `vidclf embed` leaves it."""
    folder = tmp_path_factory.mktemp("gather-cache")
    with CacheFilling([clips], RunOptions(cache_folder=folder, jobs=1)) as job:
        assert [result.status for result in job.results()] == [Status.OK] * 4
    return folder


Lay = Callable[..., Path]
Gather = Callable[..., Gathering]


@pytest.fixture
def lay(tmp_path: Path, clips: Path) -> Lay:
    """Lay copies of clips out: `lay("cat/a.mp4", "one")`."""

    def copy(*pairs: tuple[str, str]) -> Path:
        for name, clip in pairs:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clips / f"{clip}.mp4", path)
        return tmp_path

    return copy


@pytest.fixture
def gather(cache: Path) -> Iterator[Gather]:
    """Embed labelled videos to the end, without reading any video that the cache knows."""
    jobs = []

    def run(labelled: LabelledVideos, spaces: Sequence[str] = ("local/visual",)) -> Gathering:
        job = Gathering(labelled, spaces, RunOptions(cache_folder=cache, jobs=1))
        jobs.append(job)
        with job:
            job.rows = list(job.results())  # type: ignore[attr-defined]
        return job

    yield run


def rows_of(job: Gathering) -> list[Result]:
    return job.rows  # type: ignore[attr-defined, no-any-return]


def row(dataset: Dataset, space: str, video: str) -> np.ndarray:
    return np.asarray(dataset.vectors[space][:])[list(dataset.ids).index(video)]


def test_videos_become_rows_of_vectors_without_being_read_again(lay: Lay, gather: Gather) -> None:
    data = lay(("cat/a.mp4", "one"), ("cat/b.mp4", "two"), ("dog/a.mp4", "three"), ("dog/b.mp4", "four"))
    job = gather(read_labelled(data), ["local"])
    assert [(result.video.id, result.status) for result in rows_of(job)] == [
        (name, Status.OK) for name in ("cat/a.mp4", "cat/b.mp4", "dog/a.mp4", "dog/b.mp4")
    ]
    assert rows_of(job)[0].duration_seconds == pytest.approx(1, abs=0.1)
    assert (job.statistics.cached_count, job.statistics.decoded_count, job.exit_code) == (4, 0, 0)
    dataset = job.dataset()
    assert (dataset.labels, dataset.task) == (("cat", "dog"), "single")
    assert dataset.ids == ["cat/a.mp4", "cat/b.mp4", "dog/a.mp4", "dog/b.mp4"] == list(dataset.groups)
    assert dataset.targets.tolist() == [0, 0, 1, 1]
    assert dataset.targets.dtype == np.int32
    assert set(dataset.vectors) == {VISUAL, CONCEPTS, AUDIO, METADATA}
    for space in local_spaces().values():
        vectors = np.asarray(dataset.vectors[space.id][:])
        assert (vectors.shape, vectors.dtype) == ((4, space.dimension), np.float32)
    assert row(dataset, CONCEPTS, "cat/a.mp4").sum() == pytest.approx(1, abs=1e-3)
    sounding = np.asarray(dataset.vectors[AUDIO][:]).any(axis=1)
    assert sounding.tolist() == [True, False, False, False]
    assert empty_rows(dataset.of_spaces([AUDIO])).tolist() == [1, 2, 3]


def test_only_what_is_asked_for_is_embedded(lay: Lay, tmp_path: Path) -> None:
    data = lay(("data/cat/a.mp4", "one"), ("data/dog/b.mp4", "two")) / "data"
    options = RunOptions(cache_folder=tmp_path / "cache", jobs=1)
    with Gathering(read_labelled(data), ["local/audio", METADATA], options) as job:
        assert [result.status for result in job.results()] == [Status.OK] * 2
        stored = job.cache.videos.read(
            job.cache.fingerprint(job.library.videos[0]), tuple(local_spaces().values())
        )
    assert set(stored.vectors) == {AUDIO}
    assert VISUAL not in stored.absent
    assert list(job.dataset().vectors) == [AUDIO, METADATA]
    assert "local/audio, local/metadata" in job.description


def test_the_order_of_spaces_is_the_askers_and_each_counts_once() -> None:
    assert [space.id for space in find_spaces(["local/metadata", VISUAL, "local/visual"])] == [
        METADATA,
        VISUAL,
    ]
    assert [space.alias for space in find_spaces(["local/audio", "local"])] == [
        "local/audio",
        "local/visual",
        "local/concepts",
        "local/metadata",
    ]
    for wrong in ("local/magic", "youtube8m/inception@1/visual", ""):
        with pytest.raises(UsageError, match="no embedding space") as caught:
            find_spaces([wrong])
        assert "local/visual, local/concepts" in caught.value.advice
    with pytest.raises(UsageError, match="No embedding space"):
        find_spaces([])


def test_an_unknown_space_is_refused_before_anything_is_opened(lay: Lay, tmp_path: Path) -> None:
    data = lay(("data/cat/a.mp4", "one"), ("data/dog/b.mp4", "two")) / "data"
    with pytest.raises(UsageError, match="no embedding space 'twelvelabs/x'"):
        Gathering(read_labelled(data), ["twelvelabs/x"], RunOptions(cache_folder=tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_names_that_only_repeat_a_label_are_no_text(lay: Lay, gather: Gather) -> None:
    data = lay(
        ("cat/cat_0001.mp4", "one"),
        ("cat/piano concert.mp4", "two"),
        ("dog/holiday/IMG_0002.mp4", "three"),
        ("dog/dog/IMG_0003.mp4", "four"),
    )
    dataset = gather(read_labelled(data), ["local/metadata"]).dataset()
    has_text = np.asarray(dataset.vectors[METADATA][:]).any(axis=1)
    assert dict(zip(dataset.ids, has_text.tolist(), strict=True)) == {
        "cat/cat_0001.mp4": False,
        "cat/piano concert.mp4": True,
        "dog/dog/IMG_0003.mp4": False,
        "dog/holiday/IMG_0002.mp4": True,
    }


def test_the_same_names_are_no_text_where_a_table_says_the_labels(lay: Lay, gather: Gather) -> None:
    data = lay(("cat/IMG_0001.mp4", "one"), ("dog/IMG_0002.mp4", "two"), ("metadata.mp4", "three"))
    (data / "labels.csv").write_text("path,label\ncat/IMG_0001.mp4,dog\ndog/IMG_0002.mp4,cat\n")
    (data / "metadata.csv").write_text("path,title\ndog/IMG_0002.mp4,Walk in the park\n")
    dataset = gather(read_labelled(data / "labels.csv"), ["local/metadata"]).dataset()
    assert np.asarray(dataset.vectors[METADATA][:]).any(axis=1).tolist() == [False, True]


def test_titles_that_name_the_label_are_said(lay: Lay, gather: Gather) -> None:
    data = lay(("cat/my cat plays piano.mp4", "one"), ("cat/b.mp4", "two"), ("dog/c.mp4", "three"))
    (note,) = gather(read_labelled(data), ["local/metadata"]).notes
    assert note.startswith("The text about 1 of 3 videos names their label")
    assert gather(read_labelled(data), ["local/visual"]).notes == ()


def test_what_cannot_be_read_is_a_failed_row_and_no_vector(lay: Lay, gather: Gather) -> None:
    data = lay(("a.mp4", "one"), ("b.mp4", "two"), ("gone soon.mp4", "three"))
    (data / "broken.mp4").write_bytes(b"")
    (data / "folder").mkdir()
    (data / "labels.csv").write_text(
        "path,label\na.mp4,cat\nb.mp4,dog\nbroken.mp4,cow\ngone soon.mp4,dog\nlost.mp4,cat\nfolder,cat\n"
    )
    labelled = read_labelled(data / "labels.csv")
    (data / "gone soon.mp4").unlink()
    job = gather(labelled)
    reasons = {result.video.id: str(result.reason) for result in rows_of(job) if result.reason}
    assert [result.video.id for result in rows_of(job)] == [
        "a.mp4",
        "b.mp4",
        "broken.mp4",
        "folder",
        "gone soon.mp4",
        "lost.mp4",
    ]
    assert reasons.keys() == {"broken.mp4", "folder", "gone soon.mp4", "lost.mp4"}
    assert reasons["folder"] == "unreadable: this is no regular file"
    assert reasons["broken.mp4"].startswith("empty-file: ")
    assert reasons["gone soon.mp4"].startswith("unreadable: ")
    assert reasons["lost.mp4"] == "unreadable: there is no such file"
    assert job.statistics.status_counts == {Status.OK: 2, Status.FAILED: 4}
    assert job.exit_code == 1
    dataset = job.dataset()
    assert dataset.ids == ["a.mp4", "b.mp4"]
    assert dataset.labels == ("cat", "dog")
    assert np.asarray(dataset.vectors[VISUAL][:]).any(axis=1).all()
    assert job.notes == ("Labels left out, since none of their videos could be read: cow.",)


def test_when_nothing_or_one_label_could_be_read_there_is_no_dataset(lay: Lay, gather: Gather) -> None:
    data = lay(("cat/a.mp4", "one"))
    (data / "dog").mkdir()
    (data / "dog" / "b.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match="Only videos of one label, 'cat'"):
        gather(read_labelled(data)).dataset()
    (data / "cat" / "a.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match="None of the videos could be read"):
        gather(read_labelled(data)).dataset()


def test_a_dataset_is_given_only_when_all_videos_are_done(lay: Lay, cache: Path) -> None:
    data = lay(("cat/a.mp4", "one"), ("dog/b.mp4", "two"))
    with Gathering(read_labelled(data), ["local/visual"], RunOptions(cache_folder=cache, jobs=1)) as job:
        next(job.results())
        with pytest.raises(RuntimeError, match="not all embedded"):
            job.dataset()


def test_copies_with_one_label_are_one_source(lay: Lay, gather: Gather) -> None:
    data = lay(("a.mp4", "one"), ("b.mp4", "two"), ("copy.mp4", "one"), ("d.mp4", "three"), ("e.mp4", "two"))
    (data / "labels.csv").write_text(
        "path,label,group\na.mp4,cat,x\nb.mp4,dog,y\ncopy.mp4,cat,z\nd.mp4,dog,z\ne.mp4,dog,\n"
    )
    job = gather(read_labelled(data / "labels.csv"))
    dataset = job.dataset()
    groups = dict(zip(dataset.ids, dataset.groups, strict=True))
    assert groups["a.mp4"] == groups["copy.mp4"] == groups["d.mp4"]  # z holds a copy of what x holds
    assert groups["b.mp4"] == groups["e.mp4"] != groups["a.mp4"]
    assert job.notes == ("Copies of other videos, kept on one side of a split: copy.mp4, e.mp4.",)


def test_copies_with_different_labels_are_refused_with_both_names(lay: Lay, gather: Gather) -> None:
    data = lay(("cat/a.mp4", "one"), ("dog/b.mp4", "two"), ("dog/copy.mp4", "one"))
    job = gather(read_labelled(data))
    with pytest.raises(UsageError, match=r"cat/a.mp4 and dog/copy.mp4 are copies .* 'cat' and 'dog'"):
        job.dataset()


def test_copies_have_the_labels_of_all_where_videos_may_have_several(lay: Lay, gather: Gather) -> None:
    data = lay(("cat/a.mp4", "one"), ("dog/b.mp4", "two"), ("dog/copy.mp4", "one"), ("cow/c.mp4", "one"))
    job = gather(read_labelled(data, multi=True))
    dataset = job.dataset()
    assert (dataset.labels, dataset.task, dataset.targets.dtype) == (("cat", "cow", "dog"), "multi", np.uint8)
    marks = dict(zip(dataset.ids, dataset.targets.tolist(), strict=True))
    assert marks.pop("dog/b.mp4") == [0, 0, 1]
    assert list(marks.values()) == [[1, 1, 1]] * 3
    assert len(set(dataset.groups)) == 2
    assert "now have the labels of all" in job.notes[1]


def test_targets_follow_the_labels_and_the_task_that_are_asked_for(lay: Lay, gather: Gather) -> None:
    job = gather(read_labelled(lay(("cat/a.mp4", "one"), ("dog/b.mp4", "two"))))
    assert job.dataset(labels=("dog", "cow", "cat")).targets.tolist() == [2, 0]
    multi = job.dataset(labels=("dog", "cow", "cat"), task="multi")
    assert (multi.task, multi.targets.tolist()) == ("multi", [[0, 0, 1], [1, 0, 0]])
    with pytest.raises(UsageError, match=r"dog/b.mp4 is labelled 'dog', which is not among the 2 labels"):
        job.dataset(labels=("cat", "cow"))


def test_several_labels_do_not_fit_where_each_video_has_one(lay: Lay, gather: Gather) -> None:
    data = lay(("a.mp4", "one"), ("b.mp4", "two"))
    (data / "labels.csv").write_text("path,label\na.mp4,cat|dog\nb.mp4,dog\n")
    job = gather(read_labelled(data / "labels.csv"))
    assert job.dataset().targets.tolist() == [[1, 1], [0, 1]]
    with pytest.raises(UsageError, match=r"a.mp4 has 2 labels \(cat, dog\)"):
        job.dataset(task="single")


def test_text_is_embedded_in_batches_with_the_right_rows(
    lay: Lay, gather: Gather, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf_cli.pipeline.gather._TEXT_BATCH", 2)
    names = ["piano concert", "x", "fishing in the river", "bread recipe", "train journey"]
    data = lay(*((f"{('cat', 'dog')[at % 2]}/{name}.mp4", "one") for at, name in enumerate(names)))
    dataset = gather(read_labelled(data, multi=True), ["local/metadata"]).dataset()
    from vidclf_cli.embedders.local import LocalMetadata

    for name in ("piano concert", "fishing in the river", "bread recipe", "train journey"):
        (video,) = (each for each in dataset.ids if name in each)
        (expected,) = LocalMetadata().embed([f"{name}."])
        np.testing.assert_allclose(row(dataset, METADATA, video), expected, atol=1e-5)
    assert not row(dataset, METADATA, "dog/x.mp4").any()


def test_real_clips_become_a_dataset(shared_data: Path, tmp_path: Path) -> None:
    lines = (shared_data / "moderation" / "labels.csv").read_text().splitlines()
    (tmp_path / "some.csv").write_text("\n".join([lines[0], *lines[1:4], *lines[-3:]]))
    labelled = read_labelled(tmp_path / "some.csv", root=shared_data / "moderation")
    with Gathering(labelled, ["local"], RunOptions(cache_folder=tmp_path / "cache", jobs=2)) as job:
        assert [result.status for result in job.results()] == [Status.OK] * 6
    dataset = job.dataset()
    assert dataset.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert all(group.startswith("https://") for group in dataset.groups)
    assert empty_rows(dataset.of_spaces([VISUAL])).size == 0

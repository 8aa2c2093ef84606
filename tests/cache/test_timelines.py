"""Tracks come back as they were kept; damage is noticed, set aside and never handed out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from vidclf_cli.cache import Cache, NewerSchemaError, measure
from vidclf_cli.cache.inventory import Kind
from vidclf_cli.cache.timelines import TimelineStore
from vidclf_cli.errors import CacheError
from vidclf_cli.spaces import Embedding, Space
from vidclf_cli.tracks import Track

VISUAL = Space("local/net@1/visual", "local/visual", "visual", 8, "keyframes-10s")
CONCEPTS = Space("local/net@1/concepts", "local/concepts", "visual", 4, "keyframes-10s")
FINGERPRINT = "ab" + "0" * 38


def track(space: Space, count: int, *, seconds: float = 10.0, clips: bool = False) -> Track:
    edges = seconds * np.arange(count + 1)
    spans = np.stack([edges[:-1], edges[1:]], axis=1)
    vectors = np.random.default_rng(count).normal(size=(count, space.dimension)).astype(np.float16)
    return Track(spans, vectors, None if clips else spans.mean(axis=1))


@pytest.fixture
def store(tmp_path: Path) -> TimelineStore:
    return TimelineStore(tmp_path)


def test_tracks_come_back_bit_for_bit(store: TimelineStore) -> None:
    kept = track(VISUAL, 30)
    store.write(FINGERPRINT, {VISUAL: kept, CONCEPTS: track(CONCEPTS, 30)})
    found = store.read(FINGERPRINT, [VISUAL, CONCEPTS])
    assert found.keys() == {VISUAL.id, CONCEPTS.id}
    back = found[VISUAL.id]
    assert back.vectors.dtype == np.float16
    assert np.array_equal(back.spans, kept.spans)
    assert np.array_equal(back.vectors, kept.vectors)
    assert back.frame_seconds is not None
    assert np.array_equal(back.frame_seconds, kept.frame_seconds)


def test_another_sampling_is_kept_apart(store: TimelineStore) -> None:
    dense = replace(VISUAL, sampling="dense-1s")
    store.write(FINGERPRINT, {VISUAL: track(VISUAL, 3)})
    assert store.read(FINGERPRINT, [dense]) == {}
    store.write(FINGERPRINT, {dense: track(VISUAL, 30)})
    assert len(store.read(FINGERPRINT, [VISUAL])[VISUAL.id].spans) == 3
    assert len(store.read(FINGERPRINT, [dense])[VISUAL.id].spans) == 30


def test_vectors_of_the_shortest_clips_come_before_those_of_frames(store: TimelineStore) -> None:
    for sampling, count in (("clips-6s", 50), ("clips-30s", 10)):
        clips = replace(VISUAL, sampling=sampling)
        store.write(FINGERPRINT, {clips: track(VISUAL, count, clips=True)})
    store.write(FINGERPRINT, {VISUAL: track(VISUAL, 30)})
    found = store.read(FINGERPRINT, [VISUAL, CONCEPTS])
    assert found.keys() == {VISUAL.id}
    assert len(found[VISUAL.id].spans) == 50
    assert found[VISUAL.id].frame_seconds is None


def test_an_unknown_fingerprint_has_no_tracks(store: TimelineStore) -> None:
    assert store.read(FINGERPRINT, [VISUAL]) == {}


@pytest.mark.parametrize("damage", ["truncate", "zero", "flip"])
def test_a_damaged_file_is_set_aside_and_made_again(store: TimelineStore, damage: str) -> None:
    kept = track(VISUAL, 30)
    store.write(FINGERPRINT, {VISUAL: kept})
    path = store.path(FINGERPRINT)
    data = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "zero":
        path.write_bytes(bytes(len(data)))
    else:
        data[data.index(kept.vectors.tobytes()) + 5] ^= 0xFF
        path.write_bytes(data)
    assert store.read(FINGERPRINT, [VISUAL]) == {}
    assert path.with_suffix(".damaged").exists()
    store.write(FINGERPRINT, {VISUAL: kept})
    assert VISUAL.id in store.read(FINGERPRINT, [VISUAL])


@pytest.mark.parametrize(
    "wrong",
    [
        Track(np.array([[0.0, 10.0], [np.nan, 20.0]]), np.ones((2, 8), np.float16)),
        Track(np.array([[0.0, 10.0]]), np.full((1, 8), np.inf, np.float16)),
        Track(np.array([[0.0, 10.0]]), np.ones((1, 7), np.float16)),
        Track(np.array([[0.0, 10.0]]), np.ones((2, 8), np.float16)),
        Track(np.array([[10.0, 20.0], [0.0, 10.0]]), np.ones((2, 8), np.float16)),
        Track(np.array([[10.0, 0.0]]), np.ones((1, 8), np.float16)),
        Track(np.array([[0.0, 10.0]]), np.ones((1, 8), np.float16), np.array([1.0, 2.0])),
    ],
    ids=["nan", "infinite", "dimension", "count", "order", "backwards", "times"],
)
def test_what_is_no_track_is_never_handed_out(store: TimelineStore, wrong: Track) -> None:
    store.write(FINGERPRINT, {VISUAL: wrong})
    assert store.read(FINGERPRINT, [VISUAL]) == {}


def test_a_newer_schema_is_refused_with_an_instruction(store: TimelineStore) -> None:
    store.write(FINGERPRINT, {VISUAL: track(VISUAL, 3)})
    with h5py.File(store.path(FINGERPRINT), "r+") as file:
        file.attrs["schema"] = 99
    with pytest.raises(NewerSchemaError, match="Update vidclf"):
        store.read(FINGERPRINT, [VISUAL])


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "timelines").write_text("a file where a folder should be")
    with pytest.raises(CacheError, match="--cache-dir"):
        TimelineStore(tmp_path).write(FINGERPRINT, {VISUAL: track(VISUAL, 3)})


def test_the_layout_is_the_documented_one(store: TimelineStore) -> None:
    store.write(FINGERPRINT, {VISUAL: track(VISUAL, 3)})
    with h5py.File(store.path(FINGERPRINT), "r") as file:
        assert file.attrs["schema"] == 1
        group = file["tracks/local/net@1/visual/keyframes-10s"]
        assert "record" in group.attrs
        assert group["spans"].shape == (3, 2)
        assert group["vectors"].dtype == np.float16
        assert group["frame_seconds"].shape == (3,)


def test_timelines_are_beside_the_vectors_of_whole_videos_and_count_as_no_videos(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        whole = Space(VISUAL.id, VISUAL.alias, "visual", 8, "frames-8")
        cache.videos.write(FINGERPRINT, {}, {whole: Embedding(np.ones(8, np.float32), 1)})
        before = cache.videos.path(FINGERPRINT).read_bytes()
        cache.timelines.write(FINGERPRINT, {VISUAL: track(VISUAL, 3)})
        assert cache.videos.path(FINGERPRINT).read_bytes() == before
    counts = measure(tmp_path).counts
    assert (counts[Kind.VIDEO], counts[Kind.TIMELINE]) == (1, 1)

"""The benchmark's clips are what its table says they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import clips
from vidclf_cli.cache.fingerprint import fingerprint

SMALL = ("160x90", "100k")


@pytest.mark.parametrize("kind", [clips.cuts(*SMALL), clips.single_shot(*SMALL)], ids=["cuts", "single"])
def test_clips_have_the_keyframes_that_their_kind_promises_also_when_repeated(
    kind: clips.Kind, tmp_path: Path
) -> None:
    low, high = kind.keyframe_counts
    short = clips.keyframe_times(clips.make_clip(kind, tmp_path))
    assert low <= len(short) <= high

    thrice = clips.keyframe_times(clips.make_clip(clips.repeated(kind, 3), tmp_path))
    assert len(thrice) == 3 * len(short)
    assert thrice[len(short)] == pytest.approx(clips.SHORT_SECONDS, abs=0.1)


def test_a_clip_without_the_promised_keyframes_is_refused(tmp_path: Path) -> None:
    cuts = clips.cuts(*SMALL)
    misnamed = clips.Kind(cuts.name, cuts.seconds, (2, 3), cuts.command)
    with pytest.raises(RuntimeError, match="8 keyframes instead of 2 to 3"):
        clips.make_clip(misnamed, tmp_path)
    assert not (tmp_path / f"{cuts.name}.mp4").exists()


def test_copies_have_fingerprints_and_names_of_their_own_and_still_play(tmp_path: Path) -> None:
    clip = clips.make_clip(clips.tiny(), tmp_path)
    paths = clips.copies(clip, tmp_path / "copies", 60)
    assert len({fingerprint(path) for path in paths}) == 60
    assert all(clips.keyframe_times(path) == clips.keyframe_times(clip) for path in paths[:2])

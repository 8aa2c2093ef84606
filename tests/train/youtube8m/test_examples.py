"""One record: what makes a video usable."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.train.youtube8m.made import (
    bytes_feature,
    example,
    features,
    field,
    float_feature,
    labels_feature,
    vectors,
    video,
)
from vidclf_train.youtube8m.examples import UnusableVideoError, parse_video


def test_a_video_comes_with_its_labels_and_vectors() -> None:
    found = parse_video(video("AbC1", [3, 300, 0]))
    visual, audio = vectors("AbC1")
    assert (found.id, found.labels) == ("AbC1", (3, 300, 0))
    np.testing.assert_array_equal(found.visual, np.array(visual, np.float32))
    np.testing.assert_array_equal(found.audio, np.array(audio, np.float32))


def test_floats_one_by_one_mean_the_same_as_packed_ones() -> None:
    visual, _ = vectors("AbC1")
    unpacked = parse_video(video("AbC1", [1], mean_rgb=float_feature(visual, packed=False)))
    np.testing.assert_array_equal(unpacked.visual, parse_video(video("AbC1", [1])).visual)


def test_a_video_of_the_test_partition_has_no_labels() -> None:
    assert parse_video(video("AbC1", [], labels=None)).labels == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xff\xff", "it is no tf.train.Example"),
        (example({}), "it has no id"),
        (video("AbC1", [1], id=bytes_feature()), "it has no id"),
        (video("AbC1", [1], id=bytes_feature(b"aaaa", b"bbbb")), "it has 2 ids"),
        (video("AbC1", [1], id=bytes_feature(b"\xff\xfe")), r"its id is b'\xff\xfe'"),
        (video("AbC1", [1], id=bytes_feature(b"a\nb\n")), r"its id is b'a\nb\n'"),
        (video("AbC1", [1], mean_rgb=None), "it has no mean_rgb"),
        (video("AbC1", [1], mean_audio=None), "it has no mean_audio"),
        (video("AbC1", [1], mean_rgb=float_feature([1.0] * 1023)), "its mean_rgb has 1023 numbers, not 1024"),
        (video("AbC1", [1], mean_audio=float_feature([])), "its mean_audio has 0 numbers, not 128"),
        (video("AbC1", [1], mean_audio=labels_feature([1])), "its mean_audio has 0 numbers, not 128"),
        (video("AbC1", [1], mean_rgb=float_feature([math.nan] * 1024)), "mean_rgb holds numbers that are"),
        (video("AbC1", [1], mean_audio=float_feature([math.inf] * 128)), "mean_audio holds numbers that are"),
    ],
)  # fmt: skip
def test_an_unusable_video_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(UnusableVideoError) as error:
        parse_video(data)
    assert reason in str(error.value)


def test_a_record_of_the_frame_level_is_no_video_of_the_video_level() -> None:
    context = {name: value for name, value in features("AbC1", [1]).items() if name in {"id", "labels"}}
    frame_level = example(context) + field(2, b"")
    with pytest.raises(UnusableVideoError, match="it has no mean_rgb"):
        parse_video(frame_level)

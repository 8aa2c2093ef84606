from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vidclf_cli.embedders.local import LocalAudio, LocalMetadata, LocalVisual, concept_names, crop
from vidclf_cli.media.types import Frame, MediaInfo, Sample
from vidclf_cli.runtime import Device, open_session
from vidclf_cli.shipped import encoder_file

CPU = Device("cpu", "a test")
INFO = MediaInfo("mov", 10.0, "h264", 320, 256, 0, 1.0, 25.0, "aac")


@pytest.fixture(scope="module")
def visual() -> LocalVisual:
    return LocalVisual(device=CPU, thread_count=1)


@pytest.fixture(scope="module")
def metadata() -> LocalMetadata:
    return LocalMetadata(thread_count=1)


def picture(name: str) -> Frame:
    """A picture of the scikit-image package as the reader hands frames on: short side 256."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-image is not installed")
    with Image.open(Path(spec.origin).parent / "data" / name) as image:
        scale = 256 / min(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def noise(seed: int, height: int = 256, width: int = 300) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def sample(*frames: Frame, waveform: NDArray[np.float32] | None = None) -> Sample:
    return Sample(INFO, frames, tuple(float(i) for i in range(len(frames))), waveform)


def test_spaces_have_ids_aliases_and_samplings() -> None:
    spaces = [*LocalVisual(5).spaces, *LocalAudio(20.0).spaces, LocalMetadata().space]
    assert [(space.id, space.alias, space.dimension, space.sampling) for space in spaces] == [
        ("local/efficientnet-lite0@1/visual", "local/visual", 1280, "frames-5"),
        ("local/efficientnet-lite0@1/concepts", "local/concepts", 1000, "frames-5"),
        ("local/logmel@1/audio", "local/audio", 128, "windows-20s"),
        ("local/all-minilm-l6-v2@1/metadata", "local/metadata", 384, ""),
    ]
    assert LocalVisual(5).request.frame_count == 5
    assert LocalAudio(20.0).request.audio_seconds == 20.0


@pytest.mark.parametrize(
    ("name", "concept"), [("coffee.png", "espresso"), ("chelsea.png", "tiger cat"), ("rocket.jpg", "missile")]
)
def test_concepts_name_what_is_in_the_picture(visual: LocalVisual, name: str, concept: str) -> None:
    (made,) = visual.embed([sample(picture(name))])
    probabilities = made["local/efficientnet-lite0@1/concepts"].vector
    best_three = [concept_names()[index] for index in probabilities.argsort()[-3:]]
    assert concept in best_three
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-4)


def test_a_video_is_the_mean_of_its_frames(visual: LocalVisual) -> None:
    frames = [picture("coffee.png"), picture("rocket.jpg"), noise(1)]
    (together,) = visual.embed([sample(*frames)])
    alone = visual.embed([sample(frame) for frame in frames])
    for space, embedding in together.items():
        assert embedding.unit_count == 3
        mean = np.mean([made[space].vector for made in alone], axis=0)
        np.testing.assert_allclose(embedding.vector, mean, atol=1e-5)


def test_neighbours_in_a_batch_change_nothing(visual: LocalVisual) -> None:
    samples = [sample(*(noise(10 * video + i) for i in range(video))) for video in range(6)]
    batch = visual.embed(samples)
    for each, made in zip(samples, batch, strict=True):
        (alone,) = visual.embed([each])
        assert alone.keys() == made.keys()
        for space in made:
            np.testing.assert_allclose(alone[space].vector, made[space].vector, rtol=1e-4, atol=1e-6)


def test_a_video_without_frames_has_no_vector(visual: LocalVisual) -> None:
    assert visual.embed([sample()]) == [{}]
    assert [bool(made) for made in visual.embed([sample(), sample(noise(1)), sample()])] == [
        False,
        True,
        False,
    ]


def test_the_centre_is_cropped() -> None:
    frame = np.zeros((256, 400, 3), np.uint8)
    frame[16:240, 88:312] = 255
    assert crop(frame).shape == (224, 224, 3)
    assert crop(frame).min() == 255


def test_int8_and_fp32_fill_the_same_space() -> None:
    frames = np.stack([crop(picture(name)) for name in ("coffee.png", "rocket.jpg", "chelsea.png")])
    exact, quantised = (
        open_session(encoder_file(f"efficientnet-lite0.{kind}.onnx"), CPU, 1).run(None, {"frames": frames})[0]
        for kind in ("fp32", "int8")
    )
    cosines = (exact * quantised).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(quantised, axis=1)
    assert cosines.min() > 0.97


def test_there_is_a_name_for_each_concept() -> None:
    assert len(concept_names()) == 1000
    assert concept_names()[967] == "espresso"


def test_a_text_has_one_vector_whatever_stands_beside_it(metadata: LocalMetadata) -> None:
    texts = ["espresso", "a long walk through the old town on a rainy day in november " * 5, "goal!", "cat"]
    batch = metadata.embed(texts)
    for text, vector in zip(texts, batch, strict=True):
        assert float(metadata.embed([text])[0] @ vector) > 0.9999
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1.0, atol=1e-5)


def test_texts_come_back_in_their_order(metadata: LocalMetadata) -> None:
    texts = [" ".join(["word"] * count) + f" {count}" for count in (300, 1, 40, 7, 120, 2) * 4]
    backwards = metadata.embed(texts[::-1])[::-1]
    np.testing.assert_allclose(metadata.embed(texts), backwards, atol=1e-3)


def test_related_texts_are_closer_than_others(metadata: LocalMetadata) -> None:
    dog, puppy, shares = metadata.embed(
        ["a dog in the park", "a puppy playing outside", "stock market report"]
    )
    assert dog @ puppy > dog @ shares + 0.3


def test_only_the_first_256_tokens_of_a_text_count(metadata: LocalMetadata) -> None:
    beginning = "football " * 300
    first, second = metadata.embed([beginning, beginning + "cooking " * 500])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_no_texts_give_no_rows(metadata: LocalMetadata) -> None:
    assert metadata.embed([]).shape == (0, 384)


def test_sound_becomes_mean_and_deviation_over_time() -> None:
    times = np.arange(3 * 16_000) / 16_000
    steady = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    beating = steady * (times % 0.5 < 0.25)
    (flat,), (beat,) = (LocalAudio().embed([sample(waveform=each)])[0].values() for each in (steady, beating))
    assert flat.vector.shape == (128,)
    assert flat.vector.dtype == np.float32
    assert flat.unit_count == 3
    assert beat.vector[64:].mean() > 2 * flat.vector[64:].mean()


@pytest.mark.parametrize(
    "waveform",
    [None, np.zeros(48_000, np.float32), np.full(48_000, 5e-5, np.float32), np.ones(1000, np.float32)],
    ids=["none", "digital silence", "below -80 dB", "shorter than 0.1 s"],
)
def test_silence_has_no_vector(waveform: NDArray[np.float32] | None) -> None:
    assert LocalAudio().embed([sample(waveform=waveform)]) == [{}]

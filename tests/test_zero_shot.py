"""Labels given as words, with the real text encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.classifier_files import CONCEPTS, METADATA
from vidclf_cli.embedders.local import LocalMetadata, concept_names
from vidclf_cli.errors import UsageError
from vidclf_cli.zero_shot import ZeroShot, parse_labels


@pytest.fixture(scope="module")
def embedder() -> LocalMetadata:
    return LocalMetadata(1)


@pytest.fixture(scope="module")
def pets(embedder: LocalMetadata) -> ZeroShot:
    return ZeroShot(["cats", "football", "cooking"], embedder)


def picture(name: str) -> NDArray[np.float32]:
    row = np.zeros((1, 1000), np.float32)
    row[0, concept_names().index(name)] = 1
    return row


@pytest.mark.parametrize(
    ("concept", "label"), [("tabby", "cats"), ("soccer ball", "football"), ("carbonara", "cooking")]
)
def test_a_picture_alone_finds_its_label(pets: ZeroShot, concept: str, label: str) -> None:
    (row,) = pets.probabilities({CONCEPTS: picture(concept)})
    assert pets.labels[row.argmax()] == label
    assert row.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("our kitten plays", "cats"),
        ("the goals of the cup final", "football"),
        ("how to make a soup", "cooking"),
    ],
)
def test_a_text_alone_finds_its_label(pets: ZeroShot, embedder: LocalMetadata, text: str, label: str) -> None:
    (row,) = pets.probabilities({METADATA: embedder.embed([text])})
    assert pets.labels[row.argmax()] == label


def test_picture_and_text_that_agree_are_surer_than_either(pets: ZeroShot, embedder: LocalMetadata) -> None:
    text = embedder.embed(["our kitten plays"])
    both = pets.probabilities({CONCEPTS: picture("tabby"), METADATA: text})[0, 0]
    assert both > 0.9


def test_rows_of_zeros_take_no_part(pets: ZeroShot, embedder: LocalMetadata) -> None:
    text = embedder.embed(["our kitten plays", "a soup"])
    concepts = np.vstack([picture("tabby"), np.zeros((1, 1000), np.float32)])
    found = pets.probabilities({CONCEPTS: concepts, METADATA: text})
    np.testing.assert_allclose(found[1], pets.probabilities({METADATA: text[1:]})[0], rtol=1e-4)
    nothing = pets.probabilities({CONCEPTS: np.zeros((1, 1000), np.float32)})
    np.testing.assert_allclose(nothing, 1 / 3, rtol=1e-5)


def test_prompts_after_the_equals_sign_are_compared_instead_of_the_label(embedder: LocalMetadata) -> None:
    scorer = ZeroShot(["A = cats; kittens", "B=football"], embedder)
    assert scorer.labels == ("A", "B")
    (row,) = scorer.probabilities({CONCEPTS: picture("tabby")})
    assert row[0] > 0.8


def test_a_thousand_labels_work_and_the_right_one_wins(embedder: LocalMetadata) -> None:
    labels = list(dict.fromkeys(name.lower() for name in concept_names()))[:999]
    labels += ["quantum chromodynamics"] * (1000 - len(labels))
    scorer = ZeroShot(labels, embedder)
    (row,) = scorer.probabilities({METADATA: embedder.embed(["a video about a zebra"])})
    assert row.shape == (len(labels),)
    assert np.isfinite(row).all()
    assert scorer.labels[row.argmax()] == "zebra"


def test_the_name_depends_on_labels_and_prompts_only(embedder: LocalMetadata) -> None:
    names = [ZeroShot(labels, embedder).name for labels in (["a", "b"], ["a", "b"], ["b", "a"], ["a", "b=c"])]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert names[0].startswith("zero-shot@")


def test_few_labels_need_more_confidence(embedder: LocalMetadata) -> None:
    bars = [
        ZeroShot([f"label {i}" for i in range(count)], embedder).min_confidence for count in (2, 3, 4, 50)
    ]
    assert bars == pytest.approx([0.6, 0.4, 0.35, 0.35])


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([], "2 to 1000 labels"),
        (["cats"], "2 to 1000 labels"),
        ([f"label {i}" for i in range(1001)], "2 to 1000 labels"),
        (["cats", ""], "empty"),
        (["cats", " = dogs"], "empty"),
        (["Cats", "dogs", "cats"], "'cats' is there twice"),
        (["cats", "d" * 1000], "too long"),
        (["cats", "do\x1bgs"], "control characters"),
    ],
)
def test_labels_that_cannot_work_are_refused(
    embedder: LocalMetadata, labels: list[str], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        ZeroShot(labels, embedder)
    assert "--labels" in caught.value.advice


def test_a_list_is_split_at_commas() -> None:
    assert parse_labels("cooking, football ,cats") == ("cooking", "football", "cats")


@pytest.mark.parametrize("text", ["", "cats", "cats,,dogs", "cats,CATS", ","])
def test_a_bad_list_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError):
        parse_labels(text)


def test_a_file_may_have_comments_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffcooking\r\n# pets\r\n\r\n cats = kittens, cats; tomcats \r\nfußball".encode())
    assert parse_labels(f"@{path}") == ("cooking", "cats = kittens, cats; tomcats", "fußball")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        parse_labels(f"@{tmp_path / 'none.txt'}")
    with pytest.raises(UsageError, match="cannot be read"):
        parse_labels(f"@{tmp_path}")
    (tmp_path / "latin").write_bytes(b"caf\xe9\nbar\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        parse_labels(f"@{tmp_path / 'latin'}")
    (tmp_path / "large").write_bytes(b"x\n" * 600_000)
    with pytest.raises(UsageError, match="too large"):
        parse_labels(f"@{tmp_path / 'large'}")

"""What spoke for a label, with the shipped classifier and the real text encoder."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.classifier_files import CONCEPTS, METADATA, document, write
from vidclf_cli import evidence
from vidclf_cli.classifier import load_classifier
from vidclf_cli.embedders.local import LocalMetadata, concept_names
from vidclf_cli.evidence import Explainer
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.scoring import Scorer
from vidclf_cli.spaces import Space


class CountingEmbedder:
    """The real embedder, with a count of what it was asked."""

    def __init__(self) -> None:
        self._embedder = LocalMetadata(1)
        self.batches: list[list[str]] = []

    @property
    def space(self) -> Space:
        return self._embedder.space

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        return self._embedder.embed(texts)


@pytest.fixture(scope="module")
def topics() -> Scorer:
    return load_classifier("topics-10")


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


def explainer(scorer: Scorer, embedder: CountingEmbedder) -> Explainer:
    return Explainer(scorer, local_spaces()["local/concepts"], concept_names(), embedder)


def picture(*rows: dict[str, float]) -> dict[str, NDArray[np.float32]]:
    """Concept vectors, and nothing known about texts."""
    concepts = np.zeros((len(rows), 1000), np.float32)
    for row, seen in enumerate(rows):
        for name, probability in seen.items():
            concepts[row, concept_names().index(name)] = probability
    return {CONCEPTS: concepts}


def what(found: Sequence[evidence.Evidence], source: str) -> list[str]:
    return [each.what for each in found if each.source == source]


def test_concepts_and_words_that_spoke_for_the_label_are_named(
    topics: Scorer, embedder: CountingEmbedder
) -> None:
    vectors = picture({"tabby": 0.6, "espresso": 0.2, "Egyptian cat": 0.1})
    label = topics.labels.index("Pets & Animals")
    (found,) = explainer(topics, embedder).explain([label], vectors, ["My cat sleeps"])
    assert what(found, "visual") == ["tabby", "Egyptian cat"]
    assert what(found, "metadata") == ["cat"]
    assert [each.weight for each in found] == sorted((each.weight for each in found), reverse=True)
    assert next(each.weight for each in found if each.what == "tabby") == pytest.approx(0.6)


def test_each_row_is_explained_for_its_own_label(topics: Scorer, embedder: CountingEmbedder) -> None:
    vectors = picture({"tabby": 0.6, "espresso": 0.3}, {"tabby": 0.6, "espresso": 0.3})
    labels = [topics.labels.index("Pets & Animals"), topics.labels.index("Food & Drink")]
    pets, food = explainer(topics, embedder).explain(labels, vectors, ["", ""])
    assert what(pets, "visual") == ["tabby"]
    assert what(food, "visual") == ["espresso"]


def test_faint_concepts_and_words_that_say_nothing_are_left_out(
    topics: Scorer, embedder: CountingEmbedder
) -> None:
    vectors = picture({"tabby": 0.04})
    label = topics.labels.index("Pets & Animals")
    (found,) = explainer(topics, embedder).explain([label], vectors, ["the of 2019 -- x"])
    assert found == ()


def test_a_batch_embeds_its_new_words_at_once_and_never_again(
    topics: Scorer, embedder: CountingEmbedder
) -> None:
    asked = explainer(topics, embedder)
    vectors = picture({}, {})
    asked.explain([0, 0], vectors, ["guitar concert", "Concert: piano"])
    asked.explain([0, 0], vectors, ["piano", "guitar"])
    assert embedder.batches == [["guitar", "concert", "piano"]]


def test_a_text_of_endless_words_costs_a_bounded_number(topics: Scorer, embedder: CountingEmbedder) -> None:
    text = " ".join(f"word{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}" for i in range(600))
    explainer(topics, embedder).explain([0], picture({}), [text])
    assert len(embedder.batches[0]) == 32


def test_what_is_remembered_of_words_is_bounded(
    topics: Scorer, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "_MEMORY_FLOATS", 2 * len(topics.labels))  # Two words.
    asked = explainer(topics, embedder)
    asked.explain([0], picture({}), ["guitar concert piano"])  # More than fit: still explained.
    asked.explain([0], picture({}), ["piano"])
    asked.explain([0], picture({}), ["guitar"])
    assert embedder.batches == [["guitar", "concert", "piano"], ["guitar"]]


def test_a_scorer_that_reads_no_concepts_still_shows_what_was_seen(
    tmp_path: Path, embedder: CountingEmbedder
) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["visual", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "visual",
        [value("visual", TensorProto.FLOAT, ["rows", 1280])],
        [value(name, TensorProto.FLOAT, ["rows", 3]) for name in ("logits", "probabilities")],
        [numpy_helper.from_array(np.zeros((1280, 3), np.float32), "w")],
    )
    model: onnx.ModelProto = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    )
    space = local_spaces()["local/visual"]
    inputs = [{"name": "visual", "space": space.id, "dimension": 1280, "required": True}]
    scorer = load_classifier(write(tmp_path, json.dumps(document(inputs=inputs)), model))
    (found,) = explainer(scorer, embedder).explain([0], picture({"tabby": 0.6, "espresso": 0.2}), ["My cat"])
    assert what(found, "visual") == ["tabby", "espresso"]
    assert embedder.batches == []


def test_known_words_and_concepts_cost_less_than_half_a_millisecond(
    topics: Scorer, embedder: CountingEmbedder
) -> None:
    asked = explainer(topics, embedder)
    texts = ["my holiday with the cat in spain, cooking pasta and playing guitar by the sea"] * 64
    vectors = {CONCEPTS: np.random.default_rng(0).dirichlet(np.full(1000, 0.01), 64).astype(np.float32)}
    asked.explain([0] * 64, vectors, texts)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        asked.explain([0] * 64, vectors, texts)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) / 64 < 0.0005
    assert METADATA in topics.spaces

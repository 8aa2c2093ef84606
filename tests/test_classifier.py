"""Loading: a right file runs, every wrong one is refused in one line that says what to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.classifier_files import CONCEPTS, METADATA, document, small_model, write
from vidclf_cli.classifier import check_can_embed, load_classifier
from vidclf_cli.classifier_text import describe_classifier
from vidclf_cli.errors import ClassifierError, UsageError
from vidclf_cli.onnx_file import NotOnnxError, replace_metadata, summarize
from vidclf_cli.pipeline.options import ClassifyOptions, RunOptions
from vidclf_cli.pipeline.run import Classification
from vidclf_cli.precision import NEVER, PrecisionTable
from vidclf_cli.scoring import has_evidence
from vidclf_cli.shipped import shipped_classifiers


def one_hot(index: int, dimension: int, count: int = 1) -> np.ndarray:
    rows = np.zeros((count, dimension), np.float32)
    rows[:, index] = 1
    return rows


def refusal(path: Path | str) -> str:
    with pytest.raises(ClassifierError) as caught:
        load_classifier(path)
    assert caught.value.advice
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_right_file_is_loaded_and_run(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(document()))
    classifier = load_classifier(path)
    assert classifier.name == f"small@{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    assert classifier.labels == ("cat", "dog", "car")
    assert classifier.spaces == (CONCEPTS, METADATA)
    assert classifier.required_spaces == ()
    assert classifier.min_confidence == 0.4
    found = classifier.probabilities({CONCEPTS: one_hot(1, 1000), METADATA: one_hot(1, 384)})
    assert found.shape == (1, 3)
    assert found.dtype == np.float32
    assert found[0].argmax() == 1
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_a_missing_space_counts_as_zeros_and_others_are_ignored(tmp_path: Path) -> None:
    classifier = load_classifier(write(tmp_path, json.dumps(document())))
    alone = classifier.probabilities({CONCEPTS: one_hot(2, 1000), "local/other@1/x": one_hot(0, 7)})
    with_zeros = classifier.probabilities(
        {CONCEPTS: one_hot(2, 1000), METADATA: np.zeros((1, 384), np.float32)}
    )
    np.testing.assert_array_equal(alone, with_zeros)


@pytest.mark.parametrize("row_count", [0, 1, 1023, 1024, 1025, 3000])
def test_batches_of_any_size_give_what_single_rows_give(tmp_path: Path, row_count: int) -> None:
    classifier = load_classifier(write(tmp_path, json.dumps(document())))
    rows = np.random.default_rng(0).random((row_count, 1000), np.float32)
    found = classifier.probabilities({CONCEPTS: rows})
    assert found.shape == (row_count, 3)
    for index in range(0, row_count, 700):
        single = classifier.probabilities({CONCEPTS: rows[index : index + 1]})
        np.testing.assert_allclose(found[index], single[0], atol=1e-5)


def test_vectors_of_another_dimension_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    classifier = load_classifier(write(tmp_path, json.dumps(document())))
    with pytest.raises(ValueError, match="needs shape"):
        classifier.probabilities({CONCEPTS: one_hot(0, 999)})
    with pytest.raises(ValueError, match="same number of rows"):
        classifier.probabilities({CONCEPTS: one_hot(0, 1000, 2), METADATA: one_hot(0, 384, 3)})


def test_a_multi_label_file_need_not_add_up_to_one(tmp_path: Path) -> None:
    classifier = load_classifier(write(tmp_path, json.dumps(document(task="multi")), small_model("multi")))
    assert classifier.task == "multi"
    assert classifier.probabilities({CONCEPTS: one_hot(0, 1000)}).sum() > 1.5


def test_rows_without_a_required_space_have_no_evidence(tmp_path: Path) -> None:
    inputs = document()["inputs"]
    inputs[0]["required"] = True
    classifier = load_classifier(write(tmp_path, json.dumps(document(inputs=inputs))))
    concepts = np.vstack([one_hot(0, 1000), np.zeros((1, 1000), np.float32)])
    vectors = {CONCEPTS: concepts, METADATA: one_hot(0, 384, 2)}
    assert has_evidence(classifier, vectors).tolist() == [True, False]


def test_rows_without_anything_have_no_evidence(tmp_path: Path) -> None:
    classifier = load_classifier(write(tmp_path, json.dumps(document())))
    vectors = {CONCEPTS: np.zeros((2, 1000), np.float32), METADATA: np.zeros((2, 384), np.float32)}
    vectors[METADATA][1, 3] = 0.5
    assert has_evidence(classifier, vectors).tolist() == [False, True]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no onnx at all",
        b"\x00" * 64,
        b"\xff" * 64,
        b"PK\x03\x04zip",
        np.random.default_rng(0).bytes(4096),
        b"\x08\x08",
        b"\x3a\x00",
    ],
)
def test_what_is_no_onnx_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    assert "no ONNX file" in refusal(path)


def test_a_truncated_file_is_refused_wherever_it_breaks_off(tmp_path: Path) -> None:
    whole = write(tmp_path, json.dumps(document())).read_bytes()
    path = tmp_path / "cut.onnx"
    for end in [*range(1, 200, 7), *range(200, len(whole), len(whole) // 40)]:
        path.write_bytes(whole[:end])
        refusal(path)


def test_flipped_bytes_never_get_past_the_checks_as_another_error(tmp_path: Path) -> None:
    whole = bytearray(write(tmp_path, json.dumps(document())).read_bytes())
    path = tmp_path / "flipped.onnx"
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = whole.copy()
        for position in random.integers(len(whole), size=3):
            damaged[position] = random.integers(256)
        for position in random.integers(400, size=2):
            damaged[-position - 1] = random.integers(256)
        path.write_bytes(damaged)
        try:
            load_classifier(path)
        except ClassifierError as error:
            assert "\n" not in str(error)  # Some damage goes unnoticed, and may.


def test_missing_folder_unreadable_and_unknown_names_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.onnx")
    assert "is a folder" in refusal(tmp_path)
    assert "topics-10" in refusal("topics-11")


def test_an_onnx_file_without_our_description_is_refused_with_a_hint(tmp_path: Path) -> None:
    text = refusal(write(tmp_path, None))
    assert "no vidclf classifier" in text
    assert "vidclf models" in text


def test_an_absurd_size_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(600 << 20)  # Sparse.
    assert "at most 512 MB" in refusal(path)


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    text = refusal(write(tmp_path, json.dumps(document(format=2))))
    assert "format 2" in text
    assert "pip install --upgrade vidclf" in text


def precision(**changes: Any) -> dict[str, Any]:
    right = {"targets": [0.5, 0.9], "thresholds": {"cat": [0.4, 0.8]}, "rows": 30, "sources": 9}
    return {"precision": right | changes}


def test_thresholds_by_precision_and_labels_that_are_never_given_come_back_as_they_were_written(
    tmp_path: Path,
) -> None:
    text = json.dumps(document(thresholds={"dog": None, "cat": 0.7}, **precision()))
    card = load_classifier(write(tmp_path, text)).card
    assert card.thresholds == {"dog": NEVER, "cat": 0.7}
    assert card.precision == PrecisionTable((0.5, 0.9), {"cat": (0.4, 0.8)}, 30, 9)
    again = load_classifier(write(tmp_path, card.to_json()))
    assert again.card == card
    assert again.bars_at(0.8) == (0.8, NEVER, NEVER)


def test_a_file_without_thresholds_by_precision_is_loaded_and_written_without_them(tmp_path: Path) -> None:
    classifier = load_classifier(write(tmp_path, json.dumps(document())))
    assert classifier.card.precision is None
    assert "precision" not in json.loads(classifier.card.to_json())
    with pytest.raises(UsageError, match="vidclf tune"):
        classifier.bars_at(0.9)


def inputs_with(**changes: Any) -> list[dict[str, Any]]:
    first, second = document()["inputs"]
    return [first | changes, second]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no JSON object"),
        (json.dumps(document(format=0)), "its format is 0"),
        (json.dumps(document(format="1")), "its format is '1'"),
        (json.dumps(document(labels=["cat"])), "fewer than two labels"),
        (json.dumps(document(labels=["cat", "dog", "cat"])), "'cat' is there twice"),
        (json.dumps(document(labels=["cat", " ", "car"])), "empty"),
        (json.dumps(document(labels=["cat", 3, "car"])), "empty or no text"),
        (json.dumps(document(labels=["cat", "d\nog", "car"])), "control characters"),
        (json.dumps(document(labels=["cat", "dog"])), "output the shape"),
        (json.dumps(document(labels=list("abcd"))), "output the shape"),
        (json.dumps(document(task="both")), "its task"),
        (json.dumps(document(min_confidence=2)), "min_confidence"),
        (json.dumps(document(min_confidence=None)), "min_confidence"),
        (json.dumps(document(min_confidence=float("nan"))), "min_confidence"),
        (json.dumps(document(temperature=0)), "temperature"),
        (json.dumps(document(thresholds={"cow": 0.5})), "threshold for 'cow'"),
        (json.dumps(document(thresholds={"cat": "high"})), "thresholds"),
        (json.dumps(document(metrics=[])), "`metrics` is no JSON object"),
        (json.dumps(document(inputs=[])), "names no inputs"),
        (json.dumps(document(inputs=[1])), "inputs is no JSON object"),
        (json.dumps(document(inputs=inputs_with(space=METADATA))), "there twice"),
        (json.dumps(document(inputs=inputs_with(dimension=999))), "takes 999 numbers"),
        (json.dumps(document(inputs=inputs_with(dimension=True))), "dimension of an input"),
        (json.dumps(document(inputs=inputs_with(required=1))), "`required`"),
        (json.dumps(document(inputs=inputs_with(name="other"))), "its graph has the inputs"),
        (json.dumps(document(inputs=document()["inputs"][:1])), "its graph has the inputs"),
        (json.dumps(document(licence="")), "licence"),
        (json.dumps(document(precision=[])), "`precision` is no JSON object"),
        (json.dumps(document(**precision(targets=[]))), "`targets` of precision"),
        (json.dumps(document(**precision(targets=[0.5, 1]))), "`targets` of precision"),
        (json.dumps(document(**precision(targets=[0.9, 0.5]))), "do not ascend"),
        (json.dumps(document(**precision(targets="all"))), "not a list of numbers"),
        (json.dumps(document(**precision(thresholds={"cow": [0.5]}))), "threshold for 'cow'"),
        (json.dumps(document(**precision(thresholds={"cat": [0.5, None]}))), "not a number from 0 to 1"),
        (json.dumps(document(**precision(thresholds={"cat": [0.5, 0.4]}))), "do not ascend"),
        (json.dumps(document(**precision(thresholds={"cat": [0.1, 0.2, 0.3]}))), "more thresholds"),
        (json.dumps(document(**precision(rows="many"))), "`rows`"),
    ],
)
def test_a_description_that_is_wrong_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in refusal(write(tmp_path, text))


def test_a_space_that_cannot_be_made_is_loaded_for_vectors_from_elsewhere_but_embeds_no_video(
    tmp_path: Path,
) -> None:
    foreign = document(inputs=inputs_with(space="youtube8m/inception@1/visual"))
    classifier = load_classifier(write(tmp_path, json.dumps(foreign)))
    found = classifier.probabilities({"youtube8m/inception@1/visual": one_hot(1, 1000)})
    assert found[0].argmax() == 1
    with pytest.raises(ClassifierError, match="vectors of 'youtube8m/inception@1/visual'"):
        check_can_embed(classifier)
    with pytest.raises(ClassifierError, match="vectors of 'youtube8m/inception@1/visual'"):
        Classification([tmp_path], ClassifyOptions(model=str(classifier.path)), RunOptions())


def external_data(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def external_data_in_a_nested_graph(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "inner")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def foreign_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def foreign_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "evil.example"


def foreign_operator_in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Run", ["a"], ["b"], domain="evil.example")
    model.functions.append(helper.make_function("", "f", ["a"], ["b"], [node], [helper.make_opsetid("", 17)]))


def bad_weights(model: onnx.ModelProto) -> None:
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))


def bad_weights_as_a_list(model: onnx.ModelProto) -> None:
    weights = numpy_helper.to_array(model.graph.initializer[1]).ravel().copy()
    weights[5] = np.inf
    model.graph.initializer[1].CopyFrom(helper.make_tensor("t", onnx.TensorProto.FLOAT, (384, 3), weights))


def other_output_name(model: onnx.ModelProto) -> None:
    model.graph.output.pop()


def fixed_batch(model: onnx.ModelProto) -> None:
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1


def no_probabilities(model: onnx.ModelProto) -> None:
    model.graph.node[3].CopyFrom(helper.make_node("Identity", ["logits"], ["probabilities"]))


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "NoSuchOperator"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (external_data, "stand in other files"),
        (external_data_in_a_nested_graph, "stand in other files"),
        (foreign_domain, "'com.microsoft'"),
        (foreign_operator, "'evil.example'"),
        (foreign_operator_in_a_function, "'evil.example'"),
        (bad_weights, "no finite numbers"),
        (bad_weights_as_a_list, "no finite numbers"),
        (other_output_name, "no float32 output `probabilities`"),
        (fixed_batch, "fails on 2 rows"),
        (no_probabilities, "add up to 1"),
        (unknown_operator, "does not accept its graph"),
    ],
)
def test_a_graph_that_is_wrong_is_refused(
    tmp_path: Path, spoil: Callable[[onnx.ModelProto], None], problem: str
) -> None:
    assert problem in refusal(write(tmp_path, json.dumps(document()), spoil=spoil))


def test_a_graph_of_another_dimension_than_described_is_refused(tmp_path: Path) -> None:
    model = small_model(concept_dimension=500)
    assert "takes 500 numbers, not 1000" in refusal(write(tmp_path, json.dumps(document()), model))


def test_deep_nesting_does_not_exhaust_the_stack(tmp_path: Path) -> None:
    def wrap(number: int, content: bytes) -> bytes:
        length, size = b"", len(content)
        while size > 127:
            length += bytes([size & 127 | 128])
            size >>= 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    message = b""
    for _ in range(3000):  # A graph in an attribute of a node of a graph ...
        message = wrap(1, wrap(5, wrap(6, message)))
    path = tmp_path / "deep.onnx"
    path.write_bytes(wrap(7, message))
    refusal(path)


@pytest.mark.parametrize("label_count", [2, 300])
def test_metadata_is_replaced_and_every_other_byte_stays(tmp_path: Path, label_count: int) -> None:
    data = write(tmp_path, json.dumps(document()), small_model(label_count=label_count)).read_bytes()
    model = onnx.load_from_string(data)
    for key, value in (("other", "stays"), ("vidclf", "a second entry of this name")):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    replaced = replace_metadata(model.SerializeToString(), "vidclf", "new " * 5000)
    after = onnx.load_from_string(replaced)
    assert {entry.key: entry.value for entry in after.metadata_props} == {
        "other": "stays",
        "vidclf": "new " * 5000,
    }
    assert len(after.metadata_props) == 2
    assert summarize(replaced).metadata["vidclf"] == "new " * 5000
    for each in (model, after):
        del each.metadata_props[:]
    assert after.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
    assert model.graph.SerializeToString() in replaced


def test_shipped_classifiers_load_and_their_hashes_are_checked() -> None:
    assert shipped_classifiers() == ("topics-10", "topics-24")
    for name, count in (("topics-10", 10), ("topics-24", 24)):
        classifier = load_classifier(name)
        assert classifier.name.startswith(f"{name}@")
        assert len(classifier.labels) == count
        assert classifier.required_spaces == ()


def test_describe_shows_the_card_beside_the_file_or_what_stands_in_it(tmp_path: Path) -> None:
    assert "YouTube-8M" in describe_classifier("topics-10")
    described = describe_classifier(write(tmp_path, json.dumps(document())))
    assert "# small" in described
    assert "cat, dog, car" in described


@pytest.mark.parametrize(
    "data", [b"\x3a\x7f\x0a\x00", b"\x02\x00", b"\x3a\xff\xff\xff\xff\x0f", b"\x80" * 20]
)
def test_lengths_that_point_past_the_end_are_no_onnx(data: bytes) -> None:
    with pytest.raises(NotOnnxError, match="breaks off"):
        summarize(data)

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vidclf_cli
from tests.classifier_files import CONCEPTS, METADATA, document, small_model, write
from tests.media.odd_videos import encode
from vidclf_cli.classifier import Classifier, load_classifier
from vidclf_cli.cli.app import vidclf
from vidclf_cli.dataset import Dataset, Split, open_dataset, write_dataset
from vidclf_cli.errors import UsageError
from vidclf_cli.evaluation import evaluate_dataset
from vidclf_cli.scored_rows import SPLITS

LABELS = ("cat", "dog", "car")


def _classifier(folder: Path, task: str = "single", **changes: Any) -> Classifier:
    return load_classifier(write(folder, json.dumps(document(task=task, **changes)), small_model(task)))


def _seen(*concepts: Sequence[int]) -> NDArray[np.float32]:
    """Vectors in which the classifier sees these label numbers, one row each."""
    rows = np.zeros((len(concepts), 1000), np.float32)
    for row, numbers in enumerate(concepts):
        rows[row, list(numbers)] = 1
    return rows


def _data(
    vectors: NDArray[np.float32],
    targets: Any,
    *,
    labels: tuple[str, ...] = LABELS,
    groups: Sequence[str] | None = None,
    splits: Sequence[Split] | None = None,
) -> Dataset:
    array = np.asarray(targets)
    multi = array.ndim == 2
    ids = [f"clips/{number}.mp4" for number in range(len(array))]
    return Dataset(
        labels=labels,
        task="multi" if multi else "single",
        ids=ids,
        targets=array.astype(np.uint8 if multi else np.int32),
        groups=groups or ids,
        vectors={CONCEPTS: vectors},
        splits=None if splits is None else np.array(splits, np.uint8),
    )


def test_figures_confusions_and_the_surest_mistake_first(tmp_path: Path) -> None:
    vectors = _seen([0], [0], [1], [1], [2])
    vectors[3] *= 0.1  # sees a dog, and is not sure
    found = evaluate_dataset(_classifier(tmp_path), _data(vectors, [0, 1, 1, 0, 2]))
    assert found.model.startswith("small@")
    assert found.metrics.figures["accuracy"].value == pytest.approx(3 / 5)
    assert found.confusion is not None
    assert found.confusion.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert {(pair.truth, pair.given, pair.count) for pair in found.confusions()} == {
        ("cat", "dog", 1), ("dog", "cat", 1),
    }  # fmt: skip
    first, second = found.mistakes
    assert (first.id, first.truth, first.given, first.label) == ("clips/1.mp4", ("dog",), ("cat",), "cat")
    assert first.confidence > 0.9
    assert (second.id, second.truth, second.label) == ("clips/3.mp4", ("cat",), "dog")
    assert second.confidence < 0.5


def test_as_many_mistakes_as_asked_for(tmp_path: Path) -> None:
    data = _data(_seen(*[[0]] * 8), [1] * 8)
    assert len(evaluate_dataset(_classifier(tmp_path), data, worst_count=3).mistakes) == 3
    assert evaluate_dataset(_classifier(tmp_path), data, worst_count=0).mistakes == ()


def test_what_is_below_its_bar_or_without_evidence_is_unknown_and_counted(tmp_path: Path) -> None:
    vectors = _seen([0], [0], [1], [])
    vectors[1] *= 0.01
    classifier = _classifier(tmp_path, thresholds={"dog": 0.9999})
    found = evaluate_dataset(classifier, _data(vectors, [0, 0, 1, 0]))
    assert (found.metrics.answered.count, found.metrics.answered.unknown_count) == (1, 3)
    assert found.metrics.answered.accuracy == 1
    assert found.no_evidence_count == 1
    low = evaluate_dataset(classifier, _data(vectors, [0, 0, 1, 0]), min_confidence=0.0)
    assert low.metrics.answered.count == 3


def test_a_mistake_that_stayed_unknown_was_not_given(tmp_path: Path) -> None:
    vectors = _seen([0], [0])
    vectors[1] *= 0.01
    surer, unsure = evaluate_dataset(_classifier(tmp_path), _data(vectors, [1, 1])).mistakes
    assert (surer.given, unsure.given, unsure.label) == (("cat",), (), "cat")


def test_labels_are_matched_by_name_whatever_their_order(tmp_path: Path) -> None:
    data = _data(_seen([0], [1], [2]), [2, 0, 1], labels=("dog", "car", "cat"))
    found = evaluate_dataset(_classifier(tmp_path), data)
    assert found.metrics.figures["accuracy"].value == 1
    assert found.labels == LABELS


def test_rows_of_a_strange_label_are_left_out_and_listed(tmp_path: Path) -> None:
    data = _data(_seen([0], [1], [0], [1]), [0, 1, 2, 2], labels=("cat", "dog", "zebra"))
    found = evaluate_dataset(_classifier(tmp_path), data)
    assert found.metrics.row_count == 2
    assert found.left_out.labels == {"zebra": 2}
    assert found.left_out.ids == ("clips/2.mp4", "clips/3.mp4")
    assert found.labels_without_examples == ("car",)
    assert found.metrics.figures["balanced_accuracy"].value == 1


def test_data_without_any_label_of_the_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none of the labels of the data \(horse, zebra\)"):
        evaluate_dataset(_classifier(tmp_path), _data(_seen([0], [1]), [0, 1], labels=("horse", "zebra")))


def test_several_labels_per_row_are_measured_at_the_bars(tmp_path: Path) -> None:
    targets = [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]]
    vectors = _seen([0, 2], [1], [0], [2]) * 2 - 1  # sigmoid(5) and sigmoid(-5)
    found = evaluate_dataset(_classifier(tmp_path, "multi"), _data(vectors, targets))
    assert found.confusion is None
    assert found.metrics.figures["micro_f1"].value == pytest.approx(2 * 4 / (5 + 5))
    assert found.metrics.answered.count == 4
    missed, invented = sorted(found.mistakes, key=lambda mistake: mistake.id)
    assert (missed.id, missed.label, missed.is_missed, missed.given) == (
        "clips/2.mp4", "dog", True, ("cat",),
    )  # fmt: skip
    assert (invented.id, invented.label, invented.is_missed, invented.truth) == (
        "clips/3.mp4", "car", False, (),
    )  # fmt: skip
    assert missed.confidence > 0.99


def test_a_row_keeps_its_known_labels_and_the_strange_ones_are_counted(tmp_path: Path) -> None:
    targets = [[1, 0, 1], [0, 0, 1], [0, 0, 0]]
    data = _data(_seen([0], [0], [1]), targets, labels=("cat", "dog", "zebra"))
    found = evaluate_dataset(_classifier(tmp_path, "multi"), data)
    assert found.metrics.row_count == 2  # the one that is only a zebra is left out, the bare one is not
    assert found.left_out.ids == ("clips/1.mp4",)
    assert found.left_out.labels == {"zebra": 2}


def test_data_of_one_label_serves_a_classifier_of_several_and_the_other_way_round(tmp_path: Path) -> None:
    multi = evaluate_dataset(_classifier(tmp_path, "multi"), _data(_seen([0], [1], [2]), [0, 1, 2]))
    assert multi.metrics.figures["mean_average_precision"].value == 1
    single = evaluate_dataset(_classifier(tmp_path), _data(_seen([0], [1]), [[1, 0, 0], [0, 1, 0]]))
    assert single.metrics.figures["accuracy"].value == 1
    with pytest.raises(UsageError, match=r"clips/1\.mp4 has 2 labels"):
        evaluate_dataset(_classifier(tmp_path), _data(_seen([0], [1]), [[1, 0, 0], [1, 1, 0]]))
    with pytest.raises(UsageError, match=r"clips/0\.mp4 has 0 labels"):
        evaluate_dataset(_classifier(tmp_path), _data(_seen([0], [1]), [[0, 0, 0], [0, 1, 0]]))


def test_the_part_that_is_measured_is_the_test_part_unless_another_is_named(tmp_path: Path) -> None:
    parts = [Split.TRAIN, Split.TEST, Split.REST, Split.VALIDATION]
    data = _data(_seen([0], [0], [1], [1]), [1, 0, 1, 1], splits=parts)
    classifier = _classifier(tmp_path)
    assert evaluate_dataset(classifier, data).split == "test"
    counts = {name: evaluate_dataset(classifier, data, split=name).metrics.row_count for name in SPLITS}
    assert counts == {"train": 1, "validation": 1, "test": 1, "rest": 1, "large-test": 2, "all": 4}
    with pytest.raises(UsageError, match="no split 'tests'"):
        evaluate_dataset(classifier, data, split="tests")
    with pytest.raises(UsageError, match="no parts"):
        evaluate_dataset(classifier, _data(_seen([0]), [0]), split="test")
    bare = _data(_seen([0]), [0], splits=[Split.TRAIN])
    with pytest.raises(UsageError, match=r"no rows of the split 'test'\. It has train, all"):
        evaluate_dataset(classifier, bare)


def test_the_command_offers_every_split() -> None:
    option = next(each for each in vidclf.commands["evaluate"].params if each.name == "split")
    assert set(option.type.choices) == set(SPLITS)  # type: ignore[attr-defined]


def test_vectors_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    classifier = _classifier(tmp_path)
    other = Dataset(LABELS, "single", ["a"], np.array([0], np.int32), ["a"], {"x/y@1/visual": _seen([0])})
    with pytest.raises(UsageError, match=r"has none of them\. It holds x/y@1/visual"):
        evaluate_dataset(classifier, other)
    short = _data(_seen([0])[:, :10], [0])
    with pytest.raises(UsageError, match=r"takes 1000 numbers of .* has 10"):
        evaluate_dataset(classifier, short)
    inputs = document()["inputs"]
    inputs[1]["required"] = True
    with pytest.raises(UsageError, match=f"needs vectors of '{METADATA}'"):
        evaluate_dataset(_classifier(tmp_path, inputs=inputs), _data(_seen([0]), [0]))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    path = tmp_path / "packed.h5"
    with write_dataset(path, {CONCEPTS: 1000}, "single", LABELS, has_splits=True) as writer:
        for begin in range(0, 20_000, 5_000):
            numbers = np.arange(begin, begin + 5_000)
            targets = generator.integers(0, 3, 5_000).astype(np.int32)
            seen = np.where(generator.random(5_000) < 0.8, targets, generator.integers(0, 3, 5_000))
            splits = generator.integers(0, 4, 5_000).astype(np.uint8)
            ids = [f"{number}" for number in numbers]
            groups = [f"{number // 4}" for number in numbers]
            writer.append({CONCEPTS: _seen(*seen[:, None])}, targets, ids, groups, splits)
    return path


def test_a_packed_file_is_read_in_blocks(packed: Path, tmp_path: Path) -> None:
    classifier = _classifier(tmp_path)
    asked: list[int] = []

    class Counting:
        def __init__(self, table: Any) -> None:
            self._table = table
            self.shape = table.shape

        def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            asked.append(len(rows))
            return self._table[rows]  # type: ignore[no-any-return]

    with open_dataset(packed) as dataset:
        counting = Dataset(
            dataset.labels, dataset.task, dataset.ids, dataset.targets, dataset.groups,
            {CONCEPTS: Counting(dataset.vectors[CONCEPTS])}, dataset.splits,
        )  # fmt: skip
        steps: list[tuple[int, int]] = []
        found = evaluate_dataset(
            classifier, counting, split="all", progress=lambda done, of: steps.append((done, of))
        )
    assert sum(asked) == 20_000
    assert max(asked) * 4000 <= 32 << 20
    assert steps[-1] == (20_000, 20_000)
    assert found.metrics.group_count == 5_000
    assert found.metrics.figures["accuracy"].value == pytest.approx(0.867, abs=0.01)


def test_the_name_means_the_function_after_everything_is_imported() -> None:
    assert callable(vidclf_cli.evaluate)


def test_python_measures_a_packed_file_and_refuses_what_is_for_videos(packed: Path, tmp_path: Path) -> None:
    path = _classifier(tmp_path).path
    assert vidclf_cli.evaluate(path, packed, split="large-test").split == "large-test"
    with pytest.raises(UsageError, match="for videos"):
        vidclf_cli.evaluate(path, packed, group_column="group")
    with pytest.raises(UsageError, match="worst_count"):
        vidclf_cli.evaluate(path, packed, worst_count=-1)
    with pytest.raises(UsageError, match="no split"):
        vidclf_cli.evaluate(path, tmp_path, split="test")


def test_python_measures_videos_of_one_label_and_reports_progress(tmp_path: Path) -> None:
    model = _classifier(tmp_path).path
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / "b.mp4").write_bytes(b"")
    encode("-c:v", "libx264", "-g", "25", source="testsrc2=size=160x90", seconds=1)(
        tmp_path / "data" / "cat" / "a.mp4"
    )
    seen = []
    found = vidclf_cli.evaluate(
        model, tmp_path / "data", progress=lambda result, _: seen.append(result.video.id)
    )
    assert seen == ["cat/a.mp4", "cat/b.mp4"]
    assert [failure.id for failure in found.failures] == ["cat/b.mp4"]
    assert found.metrics.row_count == 1
    assert found.labels_without_examples == ("dog", "car")


def test_the_document_is_json_without_nan(tmp_path: Path) -> None:
    found = evaluate_dataset(_classifier(tmp_path), _data(_seen([0], [1]), [0, 1], groups=["a", "a"]))
    text = json.dumps(found.to_dict(), allow_nan=False)
    again = json.loads(text)
    assert again["metrics"]["accuracy"] == {"value": 1.0, "low": None, "high": None}
    assert again["labels_without_examples"] == ["car"]
    assert again["confusion"] == [
        {"truth": "cat", "given": "cat", "count": 1},
        {"truth": "dog", "given": "dog", "count": 1},
    ]

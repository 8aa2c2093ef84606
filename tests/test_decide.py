"""From probabilities to predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.classifier_files import document, small_model, write
from vidclf_cli.classifier import Classifier, load_classifier
from vidclf_cli.decide import Decision
from vidclf_cli.errors import Code
from vidclf_cli.records import Evidence


def scorer(folder: Path, **changes: object) -> Classifier:
    text = json.dumps(document(**changes))
    return load_classifier(write(folder, text, small_model(str(changes.get("task", "single")))))


def row(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_most_probable_label_is_given_with_the_next_best_as_alternatives(tmp_path: Path) -> None:
    decision = Decision.for_scorer(scorer(tmp_path), top_k=1)
    evidence = (Evidence("visual", "tabby", 0.5),)
    found = decision.predict(row(0.2, 0.7, 0.1), evidence=evidence)
    assert found.labels == ("dog",)
    assert found.confidence == pytest.approx(0.7)
    assert [each.label for each in found.alternatives] == ["cat"]
    assert found.evidence == evidence
    assert found.reason is None


def test_below_the_bar_it_is_unknown_and_the_raw_guess_comes_first(tmp_path: Path) -> None:
    decision = Decision.for_scorer(scorer(tmp_path), top_k=3)
    found = decision.predict(row(0.31, 0.39, 0.3))
    assert found.labels == ()
    assert found.confidence == pytest.approx(0.39)
    assert [each.label for each in found.alternatives] == ["dog", "cat", "car"]
    assert str(found.reason) == "low-confidence: best guess dog 0.39 is below 0.40"


def test_the_bar_itself_is_enough(tmp_path: Path) -> None:
    decision = Decision.for_scorer(scorer(tmp_path), top_k=3, min_confidence=0.5)
    assert decision.predict(row(0.5, 0.25, 0.25)).labels == ("cat",)


def test_the_argument_overrules_the_stored_bar_and_the_thresholds(tmp_path: Path) -> None:
    strict = scorer(tmp_path, thresholds={"dog": 0.9})
    assert Decision.for_scorer(strict, 3).predict(row(0.2, 0.7, 0.1)).labels == ()
    assert Decision.for_scorer(strict, 3, 0.0).predict(row(0.2, 0.7, 0.1)).labels == ("dog",)
    assert Decision.for_scorer(strict, 3, 0.8).predict(row(0.2, 0.7, 0.1)).labels == ()


def test_a_threshold_holds_for_its_own_label_only(tmp_path: Path) -> None:
    decision = Decision.for_scorer(scorer(tmp_path, thresholds={"dog": 0.9}), 3)
    found = decision.predict(row(0.2, 0.7, 0.1))
    assert str(found.reason) == "low-confidence: best guess dog 0.70 is below 0.90"
    assert decision.predict(row(0.6, 0.3, 0.1)).labels == ("cat",)


def test_several_labels_over_their_thresholds_are_given_best_first(tmp_path: Path) -> None:
    multi = scorer(tmp_path, task="multi", thresholds={"car": 0.2})
    found = Decision.for_scorer(multi, 3).predict(row(0.5, 0.39, 0.9))
    assert found.labels == ("car", "cat")
    assert found.confidence == pytest.approx(0.9)
    assert [each.label for each in found.alternatives] == ["dog"]


def test_no_label_over_its_threshold_is_unknown(tmp_path: Path) -> None:
    found = Decision.for_scorer(scorer(tmp_path, task="multi"), 2).predict(row(0.1, 0.3, 0.2))
    assert found.labels == ()
    assert [each.label for each in found.alternatives] == ["dog", "car"]
    assert found.reason is not None
    assert found.reason.code is Code.LOW_CONFIDENCE


def test_a_video_with_nothing_to_go_by_has_no_guess(tmp_path: Path) -> None:
    found = Decision.for_scorer(scorer(tmp_path), 3).predict(row(0.4, 0.3, 0.3), has_evidence=False)
    assert found.labels == ()
    assert found.alternatives == ()
    assert found.confidence == 0
    assert found.reason is not None
    assert found.reason.code is Code.NO_EVIDENCE

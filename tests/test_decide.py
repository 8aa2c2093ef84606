"""From probabilities to predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.classifier_files import document, small_model, write
from vidclf_cli.classifier import Classifier, load_classifier
from vidclf_cli.decide import Decision, check_one_bar
from vidclf_cli.errors import Code, UsageError
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


def test_a_label_that_is_never_given_stays_unknown_with_its_guess_and_says_so(tmp_path: Path) -> None:
    strict = scorer(tmp_path, thresholds={"dog": None})
    decision = Decision.for_scorer(strict, 3)
    assert decision.never_given == ("dog",)
    found = decision.predict(row(0.0, 1.0, 0.0))
    assert (found.labels, found.confidence) == ((), 1)
    assert [each.label for each in found.alternatives] == ["dog", "cat", "car"]
    assert "best guess dog 1.00 is never given" in str(found.reason)
    multi = Decision.for_scorer(scorer(tmp_path, task="multi", thresholds={"dog": None}), 3)
    assert multi.predict(row(0.6, 1.0, 0.0)).labels == ("cat",)


def test_bars_given_overrule_those_of_the_file(tmp_path: Path) -> None:
    decision = Decision.for_scorer(scorer(tmp_path), 0, bars=(0.9, 0.1, 0.1))
    assert decision.predict(row(0.8, 0.1, 0.1)).labels == ()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((0.5, 0.9), "Give one"), ((None, 1.5), "between 0 and 1"), ((None, 0.9, ("a", "b")), "as words")],
)
def test_what_says_twice_from_when_on_a_label_is_given_is_refused(
    arguments: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        check_one_bar(*arguments)

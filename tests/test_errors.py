"""What ends a run always says what to do now."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from vidclf_cli import errors
from vidclf_cli.cache.database import NewerSchemaError
from vidclf_cli.errors import UsageError, VidclfError

ROOT = Path(__file__).resolve().parents[1]
CLASSES = [
    each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, VidclfError)
] + [NewerSchemaError]
NAMES = {each.__name__ for each in CLASSES}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every place in the sources where such an error is made."""
    for folder in (ROOT / "vidclf_cli", ROOT / "train", ROOT / "examples"):
        for path in folder.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_every_error_in_the_sources_has_an_advice() -> None:
    found = dict(calls())
    assert len(found) > 150
    without = []
    for place, call in found.items():
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        advice = values[1] if len(values) > 1 else ast.Constant("")
        if isinstance(advice, ast.Constant) and not str(advice.value).strip():
            without.append(place)
    assert without == []


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_cannot_be_made_without_one(kind: type[VidclfError]) -> None:
    with pytest.raises(TypeError):
        kind("It is broken.")  # type: ignore[call-arg]
    error = kind("It is broken.", "Mend it.")
    assert str(error) == "It is broken. Mend it."
    assert error.exit_code == (2 if issubclass(kind, UsageError) else 1)

"""Recipes: how a classifier is trained, as a TOML file whose every key is known and checked."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidclf_cli.errors import UsageError
from vidclf_train.networks import DROPOUT, NETWORK_KINDS, NetworkKind

_LINEAR_L2 = (0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True, slots=True)
class NetworkHead:
    """A network that is trained by gradient descent, and everything that `fit_network` needs to know.

    Attributes:
        kind: Its architecture, see `networks`.
        hidden: Widths of the hidden layers, for `wide` only; the others have theirs.
        dropout: One share per hidden layer.
        noise: Strength of the noise, see `augment.add_noise`.
        modality_dropout: Probability that a vector is taken from a row, see `augment.drop_modalities`.
        mixup: Concentration of the shares, see `augment.mix_rows`; 0 for no mixing.
        label_smoothing: How much of a target is spread over all labels.
        class_balanced: Every label weighs the same, instead of every row.
        batch_size: Rows of a minibatch.
        epochs: Passes over the training rows.
        least_steps: Few rows are passed over more often, until so many minibatches were seen.
        warmup_epochs: During which the learning rate rises from 0 to its peak, step by step.
        peak_learning_rate: After the warm-up.
        final_learning_rate: Where the cosine ends.
        weight_decay: AdamW's.
        clip_norm: Longest gradient.
        keep_best: The epoch with the least validation loss is kept. Otherwise the last one is, and validation
            rows only draw the curve: predictions for them are then nothing that was chosen by them.
    """

    kind: NetworkKind
    hidden: tuple[int, ...] = ()
    dropout: tuple[float, ...] = ()
    noise: float = 0.5
    modality_dropout: float = 0.0
    mixup: float = 0.0
    label_smoothing: float = 0.0
    class_balanced: bool = False
    batch_size: int = 8
    epochs: int = 20
    least_steps: int = 0
    warmup_epochs: float = 1.0
    peak_learning_rate: float = 1e-4
    final_learning_rate: float = 1e-6
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    keep_best: bool = True


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Logistic regression.

    Attributes:
        l2: Strengths of the penalty to choose from.
    """

    l2: tuple[float, ...] = _LINEAR_L2


Head = NetworkHead | LinearHead


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        name: What it is called.
        description: One line for people.
        split_shares: Training, validation, test.
        folds: Of the cross-validation that heads are compared by; 0 for one plain validation part.
        heads: What is trained.
    """

    name: str
    description: str
    split_shares: tuple[float, float, float]
    folds: int
    heads: tuple[Head, ...]


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe that ships (`auto`), or a file (anything with a suffix or a folder in it).

    Raises:
        UsageError: There is no such recipe, or it holds something that is not understood.
    """
    path = Path(name_or_path)
    if not path.suffix and path.name == name_or_path:
        path = recipes_folder() / f"{name_or_path}.toml"
        if not path.is_file():
            shipped = ", ".join(sorted(each.stem for each in recipes_folder().glob("*.toml")))
            raise UsageError(
                f"There is no recipe {name_or_path!r}.", f"There are {shipped}; or name a .toml file."
            )
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The recipe {path} cannot be read ({getattr(error, 'strerror', None) or error}).",
            "Name a TOML file, or a recipe that ships: auto, paper.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The recipe {path} is no TOML ({error}).", "Mend that place.") from error
    return _recipe(_Table(str(path), "", document))


def recipes_folder() -> Path:
    """Return `recipes` beside the package's modules (installed), else that of the checkout."""
    package = Path(__file__).parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def _recipe(table: _Table) -> Recipe:
    split = table.table("split")
    shares = split.numbers("shares", (8.0, 1.0, 1.0), 0, 1e6)
    split.refuse_the_rest()
    if len(shares) != 3 or shares[0] <= 0:
        raise split.refusal("shares", "needs three numbers: training, validation, test; training above 0")
    heads = tuple(_head(each) for each in table.tables("heads"))
    if not heads:
        raise table.refusal("heads", "is missing: a recipe trains at least one head")
    recipe = Recipe(
        name=table.text("name"),
        description=table.text("description", ""),
        split_shares=(shares[0], shares[1], shares[2]),
        folds=table.count("folds", 0, 0, 100),
        heads=heads,
    )
    if recipe.folds == 1:
        raise table.refusal("folds", "is 1; it is 0 for a plain validation part, or at least 2")
    table.refuse_the_rest()
    return recipe


def _head(table: _Table) -> Head:
    kind = table.text("kind")
    if kind == "linear":
        penalties = table.numbers("l2", _LINEAR_L2, 1e-12, 1e12)
        if not penalties:
            raise table.refusal("l2", "is empty")
        head: Head = LinearHead(penalties)
    elif kind in NETWORK_KINDS:
        head = _network_head(table, kind)
    else:
        raise table.refusal("kind", f"is {kind!r}; there are linear, {', '.join(NETWORK_KINDS)}")
    table.refuse_the_rest()
    return head


def _network_head(table: _Table, kind: NetworkKind) -> NetworkHead:
    hidden = table.counts("hidden", (), 1, 1 << 16)
    if (kind == "wide") != bool(hidden):
        raise table.refusal("hidden", "gives the widths of `wide`, and of no other kind")
    layer_count = len(hidden) or len(DROPOUT[kind])
    dropout = table.numbers("dropout", DROPOUT[kind] or (0.5,) * layer_count, 0, 0.999)
    if len(dropout) != layer_count:
        raise table.refusal("dropout", f"needs {layer_count} numbers, one per hidden layer")
    return NetworkHead(
        kind=kind,
        hidden=hidden,
        dropout=dropout,
        noise=table.number("noise", 0.5, 0, 1e3),
        modality_dropout=table.number("modality_dropout", 0, 0, 0.999),
        mixup=table.number("mixup", 0, 0, 1e3),
        label_smoothing=table.number("label_smoothing", 0, 0, 0.999),
        class_balanced=table.flag("class_balanced", default=False),
        batch_size=table.count("batch_size", 8, 2, 1 << 20),
        epochs=table.count("epochs", 20, 1, 100_000),
        least_steps=table.count("least_steps", 0, 0, 1 << 30),
        warmup_epochs=table.number("warmup_epochs", 1, 0, 100_000),
        peak_learning_rate=table.number("peak_learning_rate", 1e-4, 1e-12, 1e3),
        final_learning_rate=table.number("final_learning_rate", 1e-6, 0, 1e3),
        weight_decay=table.number("weight_decay", 0.01, 0, 1e3),
        clip_norm=table.number("clip_norm", 1, 1e-6, 1e6),
        keep_best=table.flag("keep_best", default=True),
    )


class _Table:
    """Hands out checked values; what nobody asked for is refused at the end."""

    def __init__(self, file_name: str, place: str, values: dict[str, Any]) -> None:
        self._file_name = file_name
        self._place = place
        self._values = dict(values)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._values.pop(key, default)
        if not isinstance(value, str) or not value.isprintable() or not (value.strip() or default == ""):
            raise self.refusal(key, "is missing" if value is None else "is no line of text")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        return self._number(key, self._values.pop(key, default), low, high)

    def count(self, key: str, default: int, low: int, high: int) -> int:
        return self._count(key, self._values.pop(key, default), low, high)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._values.pop(key, default)
        if not isinstance(value, bool):
            raise self.refusal(key, f"is {value!r:.60}, neither true nor false")
        return value

    def numbers(self, key: str, default: tuple[float, ...], low: float, high: float) -> tuple[float, ...]:
        return tuple(self._number(key, each, low, high) for each in self._list(key, default))

    def counts(self, key: str, default: tuple[int, ...], low: int, high: int) -> tuple[int, ...]:
        return tuple(self._count(key, each, low, high) for each in self._list(key, default))

    def table(self, key: str) -> _Table:
        value = self._values.pop(key, {})
        if not isinstance(value, dict):
            raise self.refusal(key, "is no table")
        return _Table(self._file_name, f"{self._place}{key}.", value)

    def tables(self, key: str) -> list[_Table]:
        return [self._inner(key, number, each) for number, each in enumerate(self._list(key, ()), start=1)]

    def refuse_the_rest(self) -> None:
        if self._values:
            raise self.refusal(min(self._values), "is no key that a recipe has there")

    def refusal(self, key: str, problem: str) -> UsageError:
        return UsageError(
            f"The recipe {self._file_name} cannot be used: `{self._place}{key}` {problem}.",
            "The recipes that ship show every key.",
        )

    def _inner(self, key: str, number: int, value: Any) -> _Table:
        if not isinstance(value, dict):
            raise self.refusal(key, "is no list of tables")
        return _Table(self._file_name, f"{self._place}{key}[{number}].", value)

    def _list(self, key: str, default: tuple[Any, ...]) -> list[Any]:
        value = self._values.pop(key, list(default))
        if not isinstance(value, list):
            raise self.refusal(key, "is no list")
        return value

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            raise self.refusal(key, f"is {value!r:.60}, not a number from {low:g} to {high:g}")
        return float(value)

    def _count(self, key: str, value: Any, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refusal(key, f"is {value!r:.60}, not a whole number from {low} to {high}")
        return value

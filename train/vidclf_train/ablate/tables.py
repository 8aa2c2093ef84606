"""The tables: which configurations are compared, and the numbers that the paper gives for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vidclf_cli.errors import UsageError
from vidclf_train.networks import DROPOUT, NetworkKind
from vidclf_train.recipe import LinearHead, NetworkHead, Recipe, load_recipe

TABLE_NAMES = ("features", "noise", "architecture", "metadata-noise", "recipes")

_QUICK_EPOCHS = 3
_NOISE = {0.01: 72.2, 0.05: 72.8, 0.1: 73.3, 0.5: 75.0, 1.0: 70.0}
"""Strength of the noise to the paper's accuracy, in percent."""

_METADATA_NOISE = {0.1: 80.0, 0.5: 80.0, 1.0: 82.2}
_LAYERS: dict[NetworkKind, tuple[str, float]] = {
    "mlp-4": ("4 layers", 81.1),
    "mlp-3": ("3 layers", 80.6),
    "mlp-5": ("5 layers", 78.3),
    "attention": ("attention", 79.4),
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is trained: on which vectors, and how."""

    spaces: tuple[str, ...]
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table.

    Attributes:
        name: For people.
        configuration: What is trained.
        paper: The paper's validation accuracy in percent; None where it gives none.
        reference: Name of the row that this one is compared with; None for such a row itself.
    """

    name: str
    configuration: Configuration
    paper: float | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that are compared with each other.

    Attributes:
        name: What it is asked for by.
        title: What is compared, one line.
        rows: In the order that they are printed in.
    """

    name: str
    title: str
    rows: tuple[Row, ...]


def make_tables(spaces: Sequence[str], names: Sequence[str], *, quick: bool = False) -> list[Table]:
    """Return the tables of these names; those that the data has no vectors for are left out of `all`.

    Args:
        spaces: Of the data; their last part says what they are of (`visual`, `audio`, `metadata`).
        names: Of `TABLE_NAMES`.
        quick: Few epochs: does it run?

    Raises:
        UsageError: There are no visual vectors, or several spaces are of the same.
    """
    makers = {
        "features": _features,
        "noise": _noise,
        "architecture": _architecture,
        "metadata-noise": _metadata_noise,
        "recipes": _recipes,
    }
    parts = _Parts(spaces)
    tables = (makers[name](parts) for name in names)
    return [_shortened(each) if quick else each for each in tables if each.rows]


class _Parts:
    """The spaces by what they are of, and the configurations made of them."""

    def __init__(self, spaces: Sequence[str]) -> None:
        self._spaces: dict[str, str] = {}
        for space in spaces:
            part = space.rpartition("/")[2]
            if part in self._spaces:
                raise UsageError(
                    f"{self._spaces[part]!r} and {space!r} are both {part} vectors.",
                    "Name the ones to use with --space.",
                )
            self._spaces[part] = space
        if "visual" not in self._spaces:
            raise UsageError(
                f"There are no visual vectors; the data holds {', '.join(spaces)}.", "Embed the pictures too."
            )

    def has(self, part: str) -> bool:
        return part in self._spaces

    def of(self, recipe: Recipe, *parts: str) -> Configuration:
        return Configuration(tuple(self._spaces[part] for part in parts), recipe)


def _features(parts: _Parts) -> Table:
    rows = [Row("visual", parts.of(_network(noise=0), "visual"), 72.8)]
    for name, added, paper in (
        ("+ audio", ("audio",), 73.9),
        ("+ metadata", ("metadata",), 81.1),
        ("+ audio and metadata", ("audio", "metadata"), 79.4),
    ):
        if all(parts.has(each) for each in added):
            rows.append(Row(name, parts.of(_network(noise=0), "visual", *added), paper, "visual"))
    return Table("features", "Input features (the paper's table 1): 4 layers, no noise", tuple(rows))


def _noise(parts: _Parts) -> Table:
    rows = [Row("no noise", parts.of(_network(noise=0), "visual"), 72.8)]
    rows += [
        Row(f"noise {strength:g}", parts.of(_network(noise=strength), "visual"), paper, "no noise")
        for strength, paper in _NOISE.items()
    ]
    return Table("noise", "Strength of the noise (the paper's table 2): 4 layers, visual", tuple(rows))


def _architecture(parts: _Parts) -> Table:
    rows = [
        Row(name, parts.of(_network(kind=kind), "visual"), paper, None if kind == "mlp-4" else "4 layers")
        for kind, (name, paper) in _LAYERS.items()
    ]
    rows.append(Row("linear, no noise", parts.of(_linear(), "visual"), None, "4 layers"))
    title = "Architecture (the paper's table 4, which has metadata too): noise 0.5, visual"
    return Table("architecture", title, tuple(rows))


def _metadata_noise(parts: _Parts) -> Table:
    title = "Noise on visual and metadata (the paper's table 3 has it on metadata alone): 4 layers"
    if not parts.has("metadata"):
        return Table("metadata-noise", title, ())
    rows = [Row("no noise", parts.of(_network(noise=0), "visual", "metadata"), 81.1)]
    rows += [
        Row(
            f"noise {strength:g}",
            parts.of(_network(noise=strength), "visual", "metadata"),
            paper,
            "no noise",
        )
        for strength, paper in _METADATA_NOISE.items()
    ]
    return Table("metadata-noise", title, tuple(rows))


def _recipes(parts: _Parts) -> Table:
    return Table("recipes", "Recipes: the paper's with noise 0.5, linear, auto", tuple(_recipe_rows(parts)))


def _recipe_rows(parts: _Parts) -> Iterator[Row]:
    for added in ((), ("audio",), ("metadata",), ("audio", "metadata")):
        if not all(parts.has(each) for each in added):
            continue
        chosen = ("visual", *added)
        end = " + ".join(chosen)
        reference = f"paper, {end}"
        yield Row(reference, parts.of(_network(), *chosen))
        yield Row(f"linear, {end}", parts.of(_linear(), *chosen), None, reference)
        yield Row(f"auto, {end}", parts.of(load_recipe("auto"), *chosen), None, reference)


def _network(kind: NetworkKind = "mlp-4", noise: float = 0.5) -> Recipe:
    """Return the paper's recipe with another network or another strength of the noise."""
    paper = load_recipe("paper")
    heads = tuple(
        replace(head, kind=kind, dropout=DROPOUT[kind], noise=float(noise))
        for head in paper.heads
        if isinstance(head, NetworkHead)
    )
    return replace(paper, heads=heads)


def _linear() -> Recipe:
    """Return logistic regression on the paper's split; the penalty is chosen on the validation part."""
    return replace(load_recipe("paper"), name="linear", heads=(LinearHead(),))


def _shortened(table: Table) -> Table:
    rows = (
        replace(
            row, configuration=replace(row.configuration, recipe=_of_few_epochs(row.configuration.recipe))
        )
        for row in table.rows
    )
    return replace(table, rows=tuple(rows))


def _of_few_epochs(recipe: Recipe) -> Recipe:
    heads = tuple(
        replace(head, epochs=_QUICK_EPOCHS) if isinstance(head, NetworkHead) else head
        for head in recipe.heads
    )
    return replace(recipe, heads=heads)

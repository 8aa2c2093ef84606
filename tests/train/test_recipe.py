"""Recipes: what ships is what DESIGN says, and what is not understood is refused by name."""

from __future__ import annotations

import runpy
import shutil
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from vidclf_cli.errors import UsageError
from vidclf_train.recipe import LinearHead, NetworkHead, load_recipe, recipes_folder

SMALL = 'name = "mine"\n[[heads]]\nkind = "linear"\n'


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_papers_recipe_is_the_papers() -> None:
    recipe = load_recipe("paper")
    assert (recipe.name, recipe.split_shares, recipe.folds) == ("paper", (8, 1, 1), 0)
    (head,) = recipe.heads
    assert isinstance(head, NetworkHead)
    assert asdict(head) == {
        "kind": "mlp-4",
        "hidden": (),
        "dropout": (0.5, 0.3, 0.2),
        "noise": 0.5,
        "modality_dropout": 0.0,
        "mixup": 0.0,
        "label_smoothing": 0.0,
        "class_balanced": False,
        "batch_size": 8,
        "epochs": 20,
        "least_steps": 0,
        "warmup_epochs": 1.0,
        "peak_learning_rate": 1e-4,
        "final_learning_rate": 1e-6,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "keep_best": True,
    }


def test_every_recipe_that_ships_can_be_read() -> None:
    names = {path.stem for path in recipes_folder().glob("*.toml")}
    assert "paper" in names
    for name in names:
        assert load_recipe(name).name == name


def test_where_heads_are_cross_validated_no_epoch_is_chosen_by_what_judges_it() -> None:
    networks = [head for head in load_recipe("auto").heads if isinstance(head, NetworkHead)]
    assert networks
    assert not any(head.keep_best for head in networks)


def test_heads_of_every_kind_are_read_with_their_options(tmp_path: Path) -> None:
    text = """
        name = "mine"
        folds = 5
        [split]
        shares = [9, 0, 1]
        [[heads]]
        kind = "linear"
        l2 = [0.5, 2]
        [[heads]]
        kind = "wide"
        hidden = [512, 64]
        mixup = 0.2
        class_balanced = true
        keep_best = false
    """
    recipe = load_recipe(write(tmp_path, text))
    assert (recipe.folds, recipe.split_shares) == (5, (9, 0, 1))
    linear, wide = recipe.heads
    assert linear == LinearHead((0.5, 2.0))
    assert isinstance(wide, NetworkHead)
    assert (wide.hidden, wide.dropout, wide.mixup) == ((512, 64), (0.5, 0.5), 0.2)
    assert wide.class_balanced
    assert not wide.keep_best


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + "l3 = [1]\n", r"`heads\[1\]\.l3` is no key"),
        ("sed = 1\n" + SMALL, "`sed` is no key"),
        (SMALL + "[split]\nshare = [8, 1, 1]\n", r"`split\.share` is no key"),
        (SMALL + "[split]\nshares = [8, 1]\n", r"`split\.shares` needs three numbers"),
        (SMALL + "[split]\nshares = [0, 1, 1]\n", "training above 0"),
        (SMALL + "l2 = []\n", r"`heads\[1\]\.l2` is empty"),
        (SMALL + "l2 = [0]\n", "is 0, not a number from 1e-12"),
        (SMALL + "l2 = [nan]\n", "is nan, not a number"),
        ("folds = 1\n" + SMALL, "`folds` is 1"),
        ("folds = 2.5\n" + SMALL, "`folds` is 2.5, not a whole number"),
        ("folds = true\n" + SMALL, "`folds` is True, not a whole number"),
        ('name = "mine"\n', "`heads` is missing"),
        ('name = "mine"\nheads = [1]\n', "`heads` is no list of tables"),
        ('[[heads]]\nkind = "linear"\n', "`name` is missing"),
        (
            'name = "mine"\n[[heads]]\nkind = "mlp-7"\n',
            r"`heads\[1\]\.kind` is 'mlp-7'; there are linear, mlp-3",
        ),
        ('name = "mine"\n[[heads]]\nkind = "mlp-4"\ndropout = [0.5]\n', "`heads.1..dropout` needs 3 numbers"),
        ('name = "mine"\n[[heads]]\nkind = "mlp-4"\nhidden = [8]\n', "gives the widths of `wide`"),
        ('name = "mine"\n[[heads]]\nkind = "wide"\n', "gives the widths of `wide`"),
        ('name = "mine"\n[[heads]]\nkind = "mlp-4"\nbatch_size = 1\n', "from 2 to"),
        ('name = "mine"\n[[heads]]\nkind = "mlp-4"\nnoise = "much"\n', "is 'much', not a number"),
        ("name = mine\n", "is no TOML"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_recipe(write(tmp_path, text))
    assert "mine.toml" in str(caught.value)


def test_an_unknown_name_lists_what_ships() -> None:
    with pytest.raises(UsageError, match=r"no recipe 'papre'.*paper"):
        load_recipe("papre")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.toml cannot be read"):
        load_recipe(str(tmp_path / "nothing.toml"))


def test_an_installed_package_finds_the_recipes_where_the_wheel_puts_them(tmp_path: Path) -> None:
    checkout = Path(__file__).resolve().parents[2]
    settings = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "train/recipes" in wheel["only-include"]
    shutil.copytree(checkout / "train/recipes", tmp_path / wheel["sources"]["train/recipes"])
    module = tmp_path / wheel["sources"]["train/vidclf_train"] / "recipe.py"
    shutil.copy(checkout / "train/vidclf_train/recipe.py", module)
    (module.parent / "recipes/other.toml").write_text(SMALL, encoding="utf-8")
    installed = runpy.run_path(str(module))
    assert installed["load_recipe"]("other").name == "mine"

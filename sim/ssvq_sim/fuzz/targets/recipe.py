"""Training recipes: TOML."""

from __future__ import annotations

from ssvq.train.recipe import PACKAGED, Recipe, packaged_recipes
from ssvq.train.tables import SettingsError

from ..scratch import as_file
from ..target import Target
from .toml_text import toml_text, toml_tree, without_none


def _seeds() -> list[bytes]:
    return [(PACKAGED / f"{name}.toml").read_bytes() for name in packaged_recipes()]


def _read(data: bytes) -> Recipe:
    recipe = Recipe.load(str(as_file(data, "recipe.toml")))
    recipe.digest()
    return recipe


TARGET = Target(
    name="recipe",
    seeds=_seeds,
    errors=(SettingsError,),
    read=_read,
    write=lambda recipe: toml_text(without_none(recipe.to_dict())),
    apart=toml_tree,
    together=toml_text,
)

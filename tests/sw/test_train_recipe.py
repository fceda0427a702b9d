from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ssvq.quantize.formats import WeightFormat
from ssvq.train.data_settings import ImageFolderSettings
from ssvq.train.freezing import FreezeVariant
from ssvq.train.recipe import Recipe, packaged_recipes, read_recipe
from ssvq.train.tables import SettingsError

SMALL = """
[model]
name = "fashion_vit"
[data]
kind = "fashion-mnist"
batch_size = 8
[[rules]]
pattern = "head"
skip = true
[[rules]]
pattern = "*"
format = "ssvq"
codebook_size = 16
vector_dim = 8
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return str(path)


def test_packaged_recipes_are_whole() -> None:
    names = packaged_recipes()
    assert {"deit_tiny_imagenet", "fashion_vit_float", "fashion_vit_ssvq", "minilm_glosses"} <= set(names)
    for name in names:
        recipe = Recipe.load(name)
        assert recipe.folder == Path("build/train") / name
        assert bool(recipe.rules) != name.endswith("_float")
        assert read_recipe(name)[1].startswith("# ")
    assert len({Recipe.load(name).digest() for name in names}) == len(names)


def test_the_imagenet_recipe_is_the_published_one() -> None:
    recipe = Recipe.load("deit_tiny_imagenet", ["data.folder=/somewhere"])
    assert isinstance(recipe.data, ImageFolderSettings)
    assert recipe.data.folder == Path("/somewhere")
    assert recipe.training.epochs == 10
    assert recipe.distillation is None
    assert recipe.freezing is not None
    assert (recipe.freezing.variant, recipe.freezing.freeze_interval) == (FreezeVariant.MAJORITY, 500)
    weights = recipe.rules[0].rule(seed=3).config
    assert weights is not None
    assert (weights.weights.format, weights.weights.codebook, weights.weights.seed) == (WeightFormat.SSVQ, (16, 8), 3)


def test_settings_are_read_and_changed(small: str) -> None:
    overrides = [
        "training.steps=2",
        "optimizer.betas=[0.8, 0.9]",
        "rules.1.codebook_size=256",
        "model.checkpoint=a=b.pt",
    ]
    recipe = Recipe.load(small, [*overrides, "optimizer.learning_rate=1", "freezing.variant=final"])
    assert recipe.training.steps == 2
    assert recipe.training.total_steps(100) == 2
    assert recipe.optimizer.betas == (0.8, 0.9)
    assert recipe.optimizer.learning_rate == 1.0
    assert recipe.rules[0].rule(seed=0).config is None
    assert recipe.rules[1].codebook_size == 256
    assert recipe.model.checkpoint == Path("a=b.pt")
    assert recipe.freezing is not None
    assert recipe.freezing.variant is FreezeVariant.FINAL
    assert Recipe.load(small).freezing is None
    assert tomllib.loads(SMALL)["data"]["batch_size"] == Recipe.load(small).to_dict()["data"]["batch_size"]


def test_the_digest_is_of_what_determines_the_numbers(small: str) -> None:
    plain = Recipe.load(small)
    for shown in ("training.log_steps=7", "output.folder=x", "data.folder=y", "output.tensorboard=false"):
        assert Recipe.load(small, [shown]).digest() == plain.digest()
    for changed in ("training.seed=1", "rules.1.vector_dim=4", "optimizer.warmup=0.1", "data.shift=1"):
        assert Recipe.load(small, [changed]).digest() != plain.digest()
    assert plain.numbers()["rules.1.format"] == "ssvq"


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (
            "training.epoch=3",
            "training.epoch is unknown; known are epochs, steps, seed, accumulate, matmul, log_steps, ",
        ),
        ("trainin.epochs=3", "trainin is unknown; known are model, data, rules, optimizer, training, calibration, "),
        ("data.workers=2", "data.workers is unknown; known are batch_size, evaluation_batch_size, kind, folder, shift"),
        ("data.kind=mnist", "data.kind must be one of fashion-mnist, image-folder, photos, text, glosses, not 'mnist'"),
        ("data=3", "data.kind is missing; it must be one of fashion-mnist, image-folder, photos, text, glosses"),
        ("data.kind=image-folder", "data.folder is missing"),
        ("data.batch_size=0", "data.batch_size must be in 1..1048576, not 0"),
        ("data.batch_size=4.5", "data.batch_size must be an integer, not 4.5"),
        ("data.batch_size=true", "data.batch_size must be an integer, not True"),
        ("model=3", "model must be a table, not 3"),
        ("model.name=3", "model.name must be a text in quotes, not 3"),
        ("rules=3", "rules must be a list, not 3"),
        ("rules.1.codebook_size=12", "rules[1].codebook_size must be a power of two, not 12"),
        ("rules.1.vector_dim=64", "rules[1].vector_dim must be in 2..32, not 64"),
        (
            "rules.1.format=ssv",
            "rules[1].format must be one of ssvq, vq, mvq, int8, int4, int3, int2, float, not 'ssv'",
        ),
        (
            "rules.0={pattern='head', format='float'}",
            "rules[0]: weights: format float has nothing to train; leave the ",
        ),
        ("rules.1.format=int8", "rules[1].codebook_size must be None for format int8, not 16"),
        ("rules.1.skip=true", "rules[1].format must be given, or skip = true instead"),
        ("rules.0.skip=false", "rules[0].format must be given, or skip = true instead"),
        ("rules.1.alpha=0", "rules[1].alpha must be positive and finite, not 0.0"),
        ("rules.1.activations=int4", "rules[1].activations must be one of int8, float, not 'int4'"),
        ("rules.2.alpha=0", "--set rules.2.alpha=0: must have a number below 2 in place of '2'"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate must be above 0, not -1.0"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate must be above 0, not nan"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate must be a number, not 'fast'"),
        ("optimizer.sign_learning_rate=-1", "optimizer.sign_learning_rate must be at least 0, not -1.0"),
        ("optimizer.betas=[0.9]", "optimizer.betas must have 2 values, not 1"),
        ("optimizer.betas=[0.9, 1.0]", "optimizer.betas must be at least 0 and below 1, not 1.0"),
        ("optimizer.warmup=2", "optimizer.warmup must be at least 0 and at most 1, not 2.0"),
        ("training.epochs=0", "training.epochs must be in 1..1000000000, not 0"),
        ("training.seed=-1", "training.seed must be in 0..9223372036854775807, not -1"),
        ("freezing.variant=all", "freezing.variant must be one of none, majority, average, final, not 'all'"),
        ("freezing.start_fraction=1", "freezing.start_fraction must be at least 0 and below 1, not 1.0"),
        ("distillation.temperature=0", "distillation.temperature must be above 0, not 0.0"),
        ("distillation.loss=l1", "distillation.loss must be one of kl, mse, not 'l1'"),
        ("calibration.batches=0", "calibration.batches must be in 1..1000000000, not 0"),
        ("optimizer.weight_decay=1" + "0" * 400, "optimizer.weight_decay must be a number that a float can be"),
        ("output.keep=0", "output.keep must be in 1..1000000000, not 0"),
        ("training", "--set must be KEY=VALUE, as in training.steps=2, not 'training'"),
        ("training.=3", "--set must be KEY=VALUE, as in training.steps=2, not 'training.=3'"),
        ("model.name.first=3", "--set model.name.first=3: model.name must be a table, not 'fashion_vit'"),
    ],
)
def test_wrong_settings(override: str, text: str, small: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Recipe.load(small, [override])
    assert str(caught.value).removeprefix(f"{small}: ").startswith(text)


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("[model\n")
    with pytest.raises(SettingsError, match="wrong.toml is not TOML: Expected ']'"):
        Recipe.load(str(path))
    for text in ("a = " + "[" * 5000, "a = " + "9" * 5000):
        path.write_text(text)
        with pytest.raises(SettingsError, match="wrong.toml is not TOML: (maximum recursion|Exceeds the limit)"):
            Recipe.load(str(path))
    path.write_text("[model]\nname = 'deit_tiny'\n")
    with pytest.raises(SettingsError, match="wrong.toml: data is missing"):
        Recipe.load(str(path))
    with pytest.raises(SettingsError, match="none.toml cannot be read: No such file or directory"):
        Recipe.load(str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError, match="recipe must be a .toml file or one of deit_tiny_imagenet, .*, not 'deit'"):
        Recipe.load("deit")

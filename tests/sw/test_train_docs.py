"""docs/recipes.md names every setting that a recipe may have."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ssvq.train import data_settings, settings
from ssvq.train.freezing import FreezeConfig
from ssvq.train.recipe import Recipe
from ssvq.train.rule_settings import RuleSettings

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
SECTIONS: dict[str, list[Any]] = {
    "model": [settings.ModelSettings],
    "data": [
        data_settings.FashionMnistSettings,
        data_settings.ImageFolderSettings,
        data_settings.PhotoSettings,
        data_settings.TextSettings,
        data_settings.GlossSettings,
    ],
    "rules": [RuleSettings],
    "optimizer": [settings.OptimizerSettings],
    "training": [settings.TrainingSettings],
    "calibration": [settings.CalibrationSettings],
    "freezing": [FreezeConfig],
    "distillation": [settings.DistillationSettings],
    "output": [settings.OutputSettings],
}


def test_the_sections_are_those_of_a_recipe() -> None:
    assert list(SECTIONS) == re.findall(r"^## `\[+(\w+)\]+`", PAGE, re.MULTILINE)
    assert set(SECTIONS) == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_explained_and_no_other(section: str) -> None:
    text = PAGE.split(f"[{section}]", 1)[1].split("\n## ")[0]
    named = {
        name for cell in re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert named == {field.name for kind in SECTIONS[section] for field in fields(kind)}

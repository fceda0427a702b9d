"""A training recipe: a TOML file, or one that comes with this package, with settings changed on the command line."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ssvq.train.data_settings import DataSettings
from ssvq.train.freeze_schedule import FreezeConfig
from ssvq.train.rule_settings import RuleSettings
from ssvq.train.settings import (
    CalibrationSettings,
    DistillationSettings,
    ModelSettings,
    OptimizerSettings,
    OutputSettings,
    TrainingSettings,
)
from ssvq.train.tables import SettingsError, read_table

PACKAGED = files("ssvq.train") / "recipes"
"""In the package, not beside the sources, so that those who install it have them."""
OUTPUT_ROOT = Path("build/train")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a training run. Without rules nothing is compressed: plain training of a float model.

    Attributes:
        model: what is trained.
        data: on what.
        rules: which layers are compressed, and how.
        optimizer, training, calibration, output: as their classes say.
        freezing: progressive freezing of signs; None only counts flips.
        distillation: None is off.
    """

    model: ModelSettings
    data: DataSettings
    rules: tuple[RuleSettings, ...] = ()
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    freezing: FreezeConfig | None = None
    distillation: DistillationSettings | None = None
    output: OutputSettings = field(default_factory=OutputSettings)

    @classmethod
    def load(cls, source: str, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe.

        Args:
            source: a TOML file, or the name of a packaged recipe.
            overrides: settings to change, each as `training.steps=2` or `rules.0.codebook_size=256`; a value that is
                no TOML is a text.

        Raises:
            SettingsError: there is no such recipe, it is no TOML, or a setting is wrong.
        """
        name, text = read_recipe(source)
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # tomllib has no error of its own for an endless integer
            raise SettingsError(f"{source} is not TOML: {error}") from error
        for override in overrides:
            _override(table, override)
        output = table.setdefault("output", {})
        if isinstance(output, dict):
            output.setdefault("folder", str(OUTPUT_ROOT / name))
        try:
            return read_table(cls, table, "")
        except SettingsError as error:
            raise SettingsError(f"{source}: {error}") from error

    @property
    def folder(self) -> Path:
        """Where results go."""
        return self.output.folder or OUTPUT_ROOT / "recipe"

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain values, for JSON."""
        plain: dict[str, Any] = _plain(self, everything=True)
        return plain

    def numbers(self) -> dict[str, Any]:
        """The settings that determine the numbers that come out, by dotted name."""
        return dict(_flat(_plain(self, everything=False)))

    def digest(self) -> str:
        """64 bits of a hash of `numbers`, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.numbers(), sort_keys=True).encode()).hexdigest()[:16]


def packaged_recipes() -> list[str]:
    """Names of the recipes that come with this package."""
    return sorted(entry.name.removesuffix(".toml") for entry in PACKAGED.iterdir() if entry.name.endswith(".toml"))


def read_recipe(source: str) -> tuple[str, str]:
    """Name and text of a recipe.

    Raises:
        SettingsError: there is none.
    """
    path = Path(source)
    try:
        if path.suffix == ".toml":
            return path.stem, path.read_text(encoding="utf-8")
        if source in packaged_recipes():
            return source, (PACKAGED / f"{source}.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{source} cannot be read: {getattr(error, 'strerror', error)}") from error
    raise SettingsError(f"recipe must be a .toml file or one of {', '.join(packaged_recipes())}, not {source!r}")


def _override(table: dict[str, Any], override: str) -> None:
    """Change one setting of a TOML table in place."""
    key, equals, text = override.partition("=")
    *parents, last = key.strip().split(".")
    if not equals or not last:
        raise SettingsError(f"--set must be KEY=VALUE, as in training.steps=2, not {override!r}")
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    place: Any = table
    for part in parents:
        if isinstance(place, list):
            place = place[_index(place, part, override)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
    if isinstance(place, list):
        place[_index(place, last, override)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise SettingsError(f"--set {override}: {'.'.join(parents)} must be a table, not {place!r}")


def _index(items: list[Any], text: str, override: str) -> int:
    if not text.isdecimal() or int(text) >= len(items):
        raise SettingsError(f"--set {override}: must have a number below {len(items)} in place of {text!r}")
    return int(text)


def _plain(value: object, *, everything: bool) -> Any:
    if is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name), everything=everything)
            for f in fields(value)
            if everything or not f.metadata.get("display")
        }
    if isinstance(value, tuple):
        return [_plain(item, everything=everything) for item in value]
    return str(value) if isinstance(value, str | Path) else value  # also turns enums of strings into plain ones


def _flat(value: object, prefix: str = "") -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        children: Any = value.items()
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        children = enumerate(value)
    else:
        return [(prefix, value)]
    for key, child in children:
        items += _flat(child, f"{prefix}.{key}" if prefix else str(key))
    return items

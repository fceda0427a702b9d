"""Which settings a model's layers get: rules with name patterns, the first that matches decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from torch import nn

LAYER_TYPES = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
_KINDS = "Linear, Conv2d or ConvTranspose2d"
ROOT_NAME = "root"
"""Name of the layer when the model itself is one."""

Settings = TypeVar("Settings")
Layer = nn.Linear | nn.Conv2d | nn.ConvTranspose2d


@dataclass(frozen=True, kw_only=True)
class Rule(Generic[Settings]):
    """What to do with the layers whose name matches.

    Attributes:
        pattern: shell pattern (`*`, `?`, `[...]`) for the whole name, as in `encoder.layer.*.query`.
        config: settings of the layers; None leaves them as they are.
    """

    pattern: str
    config: Settings | None

    def __post_init__(self) -> None:
        if not self.pattern:
            raise ValueError("pattern must not be empty")


def select_layers(model: nn.Module, rules: Sequence[Rule[Settings]]) -> dict[str, tuple[Layer, Settings]]:
    """The layers that have settings, by name, in the model's order.

    Args:
        model: any module; its linear layers, convolutions and transposed convolutions are the candidates.
        rules: the first rule whose pattern matches a layer's name decides; a layer that none matches is left out.

    Raises:
        ValueError: a rule decides about no layer; the text names it.
    """
    candidates = {
        name or ROOT_NAME: module for name, module in model.named_modules() if isinstance(module, LAYER_TYPES)
    }
    chosen: dict[str, tuple[Layer, Settings]] = {}
    used: set[int] = set()
    for name, module in candidates.items():
        for number, rule in enumerate(rules):
            if fnmatchcase(name, rule.pattern):
                used.add(number)
                if rule.config is not None:
                    chosen[name] = (module, rule.config)
                break
    for number, rule in enumerate(rules):
        if number not in used:
            shadowed = any(fnmatchcase(name, rule.pattern) for name in candidates)
            why = "matches only layers that earlier rules decide" if shadowed else f"matches no {_KINDS} layer"
            raise ValueError(f"rule {number} {why}: {rule.pattern!r}")
    return chosen

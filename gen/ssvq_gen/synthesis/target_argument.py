"""The argument that names FPGA families."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..config import CoreConfig
from .targets import TARGETS, Target, require_target, targets_of


def target_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--target`: one, some or all."""
    names = ", ".join(f"{t.name} ({t.title})" for t in TARGETS.values())
    parser.add_argument(
        "--target", nargs="+", choices=[*TARGETS, "all"], default=["all"], metavar="TARGET", help=f"{names}, or all"
    )


def chosen(names: Sequence[str]) -> list[Target]:
    """Targets by name, each once and in the order of `TARGETS`; `all` is all of them."""
    return [target for name, target in TARGETS.items() if name in names or "all" in names]


def chosen_for(config: CoreConfig, names: Sequence[str]) -> list[Target]:
    """The same for one core, where `all` is all that it can be synthesized for.

    Raises ConfigError for a family by name whose cells are not those that the core is made of.
    """
    targets = list(targets_of(config).values()) if "all" in names else chosen(names)
    for target in targets:
        require_target(config, target)
    return targets

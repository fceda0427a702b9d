"""The argument that names FPGA families."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .targets import TARGETS, Target


def target_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--target`: one, some or all."""
    names = ", ".join(f"{t.name} ({t.title})" for t in TARGETS.values())
    parser.add_argument(
        "--target", nargs="+", choices=[*TARGETS, "all"], default=["all"], metavar="TARGET", help=f"{names}, or all"
    )


def chosen(names: Sequence[str]) -> list[Target]:
    """Targets by name, each once and in the order of `TARGETS`; `all` is all of them."""
    return [target for name, target in TARGETS.items() if name in names or "all" in names]

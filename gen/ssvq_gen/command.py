"""What the command lines have in common: arguments, where tables go, and what errors become."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from rich.console import Console

from .config import PRESETS, ConfigError
from .toolbox import ToolError

P = ParamSpec("P")


def config_argument(parser: argparse.ArgumentParser, *, note: str = "") -> None:
    """Add the configuration of a core; `note` is added to what is said of it."""
    parser.add_argument("config", help=f"a preset ({', '.join(PRESETS)}) or a TOML file{note}")


def output_argument(parser: argparse.ArgumentParser) -> None:
    """Add the folder below which every core has a folder of its own."""
    parser.add_argument("--output", type=Path, default=Path("build"), help="folder of the cores (default: build)")


def require_least(options: argparse.Namespace, name: str, least: int) -> None:
    """Raises ConfigError when the option `name` is below `least`."""
    if getattr(options, name) < least:
        raise ConfigError(f"--{name} must be {least} or more, not {getattr(options, name)}")


def table_console() -> Console:
    """For what a command prints in the end; a file gets 120 columns."""
    return Console(width=None if sys.stdout.isatty() else 120)


def reports_errors(*bad: type[Exception]) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Makes of a command's errors one line and its exit code: 1 for a tool that fails, 2 for bad input, which are
    configurations, files and what else is in `bad`."""
    refused: tuple[type[Exception], ...] = (ConfigError, OSError, *bad)

    def wrap(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except refused as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
            except ToolError as error:
                print(f"error: {error}", file=sys.stderr)
                return 1

        return run

    return wrap

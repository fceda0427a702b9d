"""Tables and JSON on the standard output, progress on the other."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

TABLE_WIDTH = 120
"""Where the output is no terminal."""


def console() -> Console:
    """For tables."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else TABLE_WIDTH, soft_wrap=False)


def command_line() -> str:
    """What was typed, to be typed again."""
    return shlex.join(["ssvq", *sys.argv[1:]])


def print_json(data: Any) -> None:
    """One object; a number that is not finite is null, as JSON has none."""
    typer.echo(json.dumps(_finite(data), indent=2, allow_nan=False))


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on the standard error while something takes long; call it with the name of each step that begins."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        begun = 0

        def step(name: str) -> None:
            nonlocal begun
            bar.update(task, description=f"{what} {name}", completed=begun)
            begun += 1

        yield step

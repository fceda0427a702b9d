"""How commands end: 0, or one line and a code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

BAD_INPUT, FAILED = 2, 1
"""Exit codes: what was given cannot be used; what was to be done failed, or is not exact."""


@contextmanager
def ending_with(code: int, *kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds end the command with one line; with SSVQ_TRACEBACK=1 they show where they come from."""
    try:
        yield
    except typer.Exit:  # a RuntimeError, of an error within that has ended the command already
        raise
    except kinds as error:
        if os.environ.get("SSVQ_TRACEBACK"):
            raise
        fail(error, code)


@contextmanager
def bad_input() -> Iterator[None]:
    """For all that a command reads and checks: an error is the user's."""
    from ssvq.container import ContainerError  # takes as long as torch

    kinds = (ValueError, TypeError, IndexError, OSError, ImportError, RuntimeError, ContainerError)
    with ending_with(BAD_INPUT, *kinds):
        yield


def fail(error: Exception | str, code: int) -> NoReturn:
    """End with one line."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        error = f"{error.filename} must exist"
    rank = os.environ.get("RANK", "0")
    where = "" if rank == "0" else f" (process {rank})"
    typer.echo(f"error{where}: {' '.join(str(error).split())}", err=True)
    raise typer.Exit(code)

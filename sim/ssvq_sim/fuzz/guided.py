"""Inputs that reach new code: Atheris, which is libFuzzer for Python, over the instrumented reader."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import atheris

from .edits import damaged, drawn_edit, edited
from .target import Target

_EDITS_MAX = 4
_NEVER = 1 << 30
"""Seconds."""


def mutator(target: Target) -> Callable[[bytes, int, int], bytes]:
    """A mutator for libFuzzer: what a valid file says is changed, or its bytes are."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        edits = [drawn_edit(chance) for _ in range(chance.randint(1, _EDITS_MAX))]
        kind = chance.random()
        if kind < 0.25:
            return bytes(atheris.Mutate(data, max_size))
        if kind < 0.5:
            return damaged(data, edits)[:max_size]
        try:
            return target.together(edited(target.apart(data), edits))[:max_size]
        except Exception:  # libFuzzer survives none, and `apart` may be given anything
            return damaged(data, edits)[:max_size]

    return mutate


def _repaired(target: Target, data: bytes) -> bytes:
    try:
        return data if target.repaired is None else target.repaired(data)
    except Exception:  # as above
        return data


def run_guided(target: Target, corpus: Path, *, seed: int, read: Callable[[bytes], None]) -> None:
    """Read inputs for ever: `read` ends the process. Inputs that reach something new stay in `corpus`."""
    for number, content in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(content)

    def both(data: bytes) -> None:
        read(data)
        if (whole := _repaired(target, data)) != data:
            read(whole)

    # times and memory are watched for each input, see `limits`
    options = [f"-seed={seed}", f"-timeout={_NEVER}", "-rss_limit_mb=0", "-print_final_stats=0", "-verbosity=0"]
    atheris.Setup(["fuzz", *options, str(corpus)], both, custom_mutator=mutator(target))
    atheris.Fuzz()

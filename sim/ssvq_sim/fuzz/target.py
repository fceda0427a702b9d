"""A reader that is fuzzed, and what is promised of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TARGETS_PACKAGE = "ssvq_sim.fuzz.targets"
TARGET_NAMES = (
    *("container", "program", "network", "config", "recipe", "onnx", "npy", "arrays", "checkpoint", "state", "record"),
    *("outcomes", "idx", "image"),
)
"""Of `TARGETS_PACKAGE`, each a module that has a `TARGET`. They are not imported before they are instrumented."""

Tree = Any
"""What a file says, taken apart: dicts with texts as keys, lists, texts, numbers, booleans, None and bytes."""


class UnwritableError(ValueError):
    """A tree has something that the format has no way to write."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader.

    Parameters
    ----------
    name : on the command line
    seeds : makes small valid files, the same ones each time
    errors : what a refusal may raise; other exceptions are findings
    read : opens a file of this content and reads all of it
    write : the content of a file of what was read, the same bytes for equal values; None when nothing writes such files
    apart : what a valid file says
    together : the inverse for any tree, with lengths, offsets and digests that are right for it; raises UnwritableError
    repaired : damaged content with its lengths and digests made right, so that what is behind them is reached; it
        returns the content itself where it finds no such place
    spare_bytes : memory that reading may take beyond four times the file's size
    """

    name: str
    seeds: Callable[[], list[bytes]]
    errors: tuple[type[Exception], ...]
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes] | None
    apart: Callable[[bytes], Tree]
    together: Callable[[Tree], bytes]
    repaired: Callable[[bytes], bytes] | None = None
    spare_bytes: int = 32 << 20


def module_of(name: str) -> str:
    """The module of a target: of one of `TARGET_NAMES`, or of a full name `MODULE:ATTRIBUTE`."""
    return f"{TARGETS_PACKAGE}.{name}" if name in TARGET_NAMES else name.partition(":")[0]


def find_target(name: str) -> Target:
    """Import a target. Raises ImportError where there is no such module, AttributeError where it has no such target."""
    found: Target = getattr(importlib.import_module(module_of(name)), name.partition(":")[2] or "TARGET")
    return found

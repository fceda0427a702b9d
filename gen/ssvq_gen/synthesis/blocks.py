"""Resources by block: cells of the flattened netlist belong to the module that their names come from.

Flip-flops, RAM and DSP blocks keep the names of the module they were written in. Yosys names every look-up table after
the nearest named wire, so that logic on the border between two blocks may count as either's; the sum is exact.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .targets import RESOURCES, Target

MERGED_BLOCKS = ("matmul.array",)
"""Blocks that are not divided any further: the rows of the array are all alike."""
SCOPE_CELL = "$scopeinfo"
"""Type of the cell that Yosys leaves for every module that it flattened, named by the module's path."""

_CELL = re.compile(r"^\s*cell (\S+) (\S+)$")
_NOT_NAME = re.compile(r"\$flatten|\\|\$\d+(?=\.|$)")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of the netlist: its type and its name."""

    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """A module of the core, everything in it included.

    `path` is that of its instance, `matmul.decoder`; the whole core has the empty path.
    """

    path: str
    resources: Mapping[str, int]

    @property
    def depth(self) -> int:
        """0 for the core, 1 for its parts, 2 for their parts, ..."""
        return len(steps(self.path))


def parse_cells(dump: Iterable[str]) -> Iterator[Cell]:
    """Cells in the lines of a Yosys `dump`."""
    for line in dump:
        if match := _CELL.match(line):
            yield Cell(type=match[1].removeprefix("\\"), name=match[2])


def steps(path: str) -> list[str]:
    """Names along a path; none for the core's."""
    return path.split(".") if path else []


def plain_path(name: str) -> str:
    """A cell's name without what Yosys and Amaranth added: `$flatten\\matmul$425.\\array.$mul` is `matmul.array.$mul`.

    Amaranth numbers modules whose names were taken.
    """
    return _NOT_NAME.sub("", name)


def block_of(name: str, modules: frozenset[str]) -> str:
    """Path of the innermost of these modules that a cell's name begins with; empty when there is none."""
    parts = steps(plain_path(name))[:-1]
    for length in range(len(parts), 0, -1):
        path = ".".join(parts[:length])
        if path in modules:
            return path
    return ""


def count_blocks(target: Target, cells: Iterable[Cell]) -> tuple[Block, ...]:
    """Resources of the core, the first, and of each of its modules, each before its parts."""
    every = tuple(cells)
    modules = frozenset(plain_path(cell.name) for cell in every if cell.type == SCOPE_CELL)
    kept = frozenset(path for path in modules if not any(path.startswith(f"{merged}.") for merged in MERGED_BLOCKS))
    own: dict[str, Counter[str]] = {path: Counter() for path in sorted({"", *kept}, key=steps)}
    for cell in every:
        own[block_of(cell.name, kept)][cell.type] += 1
    total = {path: dict.fromkeys(RESOURCES, 0) for path in own}
    for path, types in own.items():
        resources = target.count(types)
        for outer in _with_ancestors(path):
            for kind in RESOURCES:
                total.setdefault(outer, dict.fromkeys(RESOURCES, 0))[kind] += resources[kind]
    return tuple(Block(path=path, resources=total[path]) for path in sorted(total, key=steps))


def _with_ancestors(path: str) -> list[str]:
    """The path itself, all paths above it, and the core's."""
    names = steps(path)
    return [".".join(names[:length]) for length in range(len(names), -1, -1)]

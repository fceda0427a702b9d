"""Memories of a design as Yosys sees them before and after they are mapped to RAM cells."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..toolbox import ToolError

MEMORY_LIMIT_BITS = 1024
"""A memory of at least this many bits has to end in RAM cells."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A memory."""

    name: str
    words: int
    width: int

    @property
    def bits(self) -> int:
        """Size."""
        return self.words * self.width


def parse_memories(dump: str) -> tuple[Memory, ...]:
    """Memories in the output of Yosys's `dump t:$mem_v2`. Raises ToolError for one without a size or a width."""
    memories = []
    for cell in re.split(r"^\s*cell \$mem_v2 ", dump, flags=re.MULTILINE)[1:]:
        name = cell.split(maxsplit=1)[0].removeprefix("\\")
        values = {
            key: re.search(rf"parameter (?:signed )?\\{key} (\d+)$", cell, re.MULTILINE) for key in ("SIZE", "WIDTH")
        }
        size, width = values["SIZE"], values["WIDTH"]
        if size is None or width is None:
            raise ToolError(f"Yosys's dump of memory {name} names no size or width")
        memories.append(Memory(name=name, words=int(size[1]), width=int(width[1])))
    return tuple(sorted(memories, key=lambda m: m.name))

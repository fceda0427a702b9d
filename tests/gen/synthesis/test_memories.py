"""Yosys's dump of memories."""

import pytest

from ssvq_gen.synthesis.memories import Memory, parse_memories
from ssvq_gen.toolbox import ToolError

DUMP = """
  cell $mem_v2 \\words
    parameter \\SIZE 64
    parameter signed \\WIDTH 32
  end
  cell $mem_v2 \\bytes
    parameter \\SIZE 16
    parameter \\WIDTH 8
  end
"""


def test_memories_by_name() -> None:
    memories = parse_memories(DUMP)
    assert memories == (Memory(name="bytes", words=16, width=8), Memory(name="words", words=64, width=32))
    assert memories[1].bits == 2048


def test_memory_dump_without_size() -> None:
    with pytest.raises(ToolError, match="dump of memory m names no size or width"):
        parse_memories("  cell $mem_v2 \\m\n  end\n")

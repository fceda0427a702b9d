"""The register table is consistent, and the committed reference was made from it."""

from pathlib import Path

import pytest

from ssvq_gen.docs import registers_markdown
from ssvq_gen.registers import AXIL_ADDR_WIDTH, COUNTERS, REGISTER_BY_NAME, REGISTERS, Access, Register

ROOT = Path(__file__).parents[2]


def test_names_and_offsets_are_unique_aligned_and_in_range() -> None:
    assert len(REGISTER_BY_NAME) == len(REGISTERS) == len({r.offset for r in REGISTERS})
    assert all(r.offset % 4 == 0 and 0 <= r.offset < 1 << AXIL_ADDR_WIDTH for r in REGISTERS)
    assert all(r.name == r.name.upper() and r.name.isidentifier() for r in REGISTERS)


@pytest.mark.parametrize("register", REGISTERS, ids=lambda r: r.name)
def test_fields_fit(register: Register) -> None:
    taken = [bit for b in register.bits for bit in range(b.lsb, b.lsb + b.width)]
    assert len(taken) == len(set(taken))
    assert all(bit < 32 for bit in taken)
    assert len({b.name for b in register.bits}) == len(register.bits)
    assert register.init & ~register.mask == 0
    assert register.doc
    assert register.access in Access


def test_bit_masks() -> None:
    control = REGISTER_BY_NAME["CONTROL"]
    assert control.bit("ABORT") == 4
    assert control.mask == 7
    assert REGISTER_BY_NAME["MEMORY_SIZE"].mask == 0xFFFF_FFFF
    with pytest.raises(KeyError, match="register CONTROL has no field PAUSE"):
        control.bit("PAUSE")


def test_the_total_comes_before_its_parts() -> None:
    offsets = [REGISTER_BY_NAME[name].offset for name, _ in COUNTERS]
    assert COUNTERS[0][0] == "TOTAL_CYCLES"
    assert offsets == list(range(offsets[0], offsets[0] + 4 * len(COUNTERS), 4))


def test_committed_reference_is_current() -> None:
    committed = (ROOT / "docs" / "registers.md").read_text(encoding="utf-8")
    assert committed == registers_markdown(), "run `make docs`"

"""What cells of each family count."""

import re

import pytest

from ssvq_gen.config import PRESETS, ConfigError
from ssvq_gen.synthesis.targets import RESOURCES, TARGETS, require_target, targets_of


def test_cells_by_kind() -> None:
    cells = {"\\LUT6": 3, "LUT2": 1, "FDRE": 5, "DSP48E1": 2, "RAMB18E1": 1, "RAMB36E1": 3, "LDCE": 7, "$_DLATCH_P_": 1}
    memories = {"RAM64M": 4, "RAM32X1D": 2, "SRL16E": 6}
    free = {"CARRY4": 8, "MUXF7": 9, "BUFG": 1, "ssvq_core.load": 1}
    counts = TARGETS["xc7"].count({**cells, **memories, **free})
    assert counts == {"lut": 4 + 26, "lut_ram": 26, "ff": 5, "dsp": 2, "block_ram": 7, "latch": 8}


@pytest.mark.parametrize(
    ("target", "cells", "lut", "dsp"),
    [
        ("ecp5", {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "MULT18X18D": 5, "PFUMX": 9}, 10 + 6 + 12, 5),
        (
            "gowin",
            {"LUT4": 1, "LUT1": 1, "ALU": 3, "RAM16SDP4": 2, "MULT9X9": 3, "MULT18X18": 2, "MUX2_LUT5": 8},
            13,
            7,
        ),
        ("ice40", {"SB_LUT4": 4, "SB_CARRY": 9, "SB_MAC16": 1}, 4, 1),
        ("xcup", {"LUT5": 2, "RAM32M16": 1, "DSP48E2": 4, "DSP48E1": 1}, 10, 4),
    ],
)
def test_positions_of_look_up_tables(target: str, cells: dict[str, int], lut: int, dsp: int) -> None:
    counts = TARGETS[target].count(cells)
    assert (counts["lut"], counts["dsp"]) == (lut, dsp)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_descriptions_are_whole(target: object) -> None:
    description = TARGETS[target.name]  # type: ignore[attr-defined]
    assert set(description.cells) <= set(RESOURCES)
    for patterns in description.cells.values():
        assert all(re.compile(pattern) and weight > 0 for pattern, weight in patterns.items())
    assert all(description.count({cell: 1})["latch"] for cell in ("$dlatch", "$_DLATCH_P_", "$_DLATCHSR_PPP_"))


def test_a_core_of_one_familys_cells_is_for_that_family() -> None:
    tiny = PRESETS["tiny"]
    assert targets_of(tiny) == targets_of(tiny.replace(target="xc7")) == TARGETS
    ecp5 = tiny.replace(target="ecp5")
    assert list(targets_of(ecp5)) == ["ecp5"]
    require_target(ecp5, TARGETS["ecp5"])
    with pytest.raises(
        ConfigError,
        match=r"^target must be 'generic' or 'xc7' for Xilinx 7, not 'ecp5': tiny is made of that family's cells$",
    ):
        require_target(ecp5, TARGETS["xc7"])

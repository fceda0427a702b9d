"""FPGA families as data: how Yosys maps to them, what their cells are worth, and the chip that is placed and routed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..config import CELL_TARGETS, GENERIC, ConfigError, CoreConfig

RESOURCES = ("lut", "lut_ram", "ff", "dsp", "block_ram", "latch")
"""What is counted. `lut` is every position of a look-up table that is taken, carry chains and distributed RAM included
where they take one; `lut_ram` is how many of these are distributed RAM or shift registers."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A chip for nextpnr: its program, the options that choose the chip, and how much of each resource the chip has."""

    title: str
    program: str
    options: tuple[str, ...]
    capacity: Mapping[str, int]

    def shortages(self, resources: Mapping[str, int]) -> list[str]:
        """What the chip has too little of, such as "108 dsp of 96"; empty when the core fits by these counts."""
        return [
            f"{resources[kind]} {kind} of {limit}" for kind, limit in self.capacity.items() if resources[kind] > limit
        ]


@dataclass(frozen=True, kw_only=True)
class Target:
    """An FPGA family.

    Parameters
    ----------
    name, title : what the command line and what people call it
    command : the Yosys pass that maps to it, without the top and the part that is run; a latch does not stop it, so
        that it is reported by name
    memory_label, flipflop_label : labels of the pass before memories become RAM cells, and before the rest of them
        becomes flip-flops
    cells : for each of `RESOURCES`, regular expressions of cell types and what one such cell counts; of several that
        match the first holds
    library : Yosys's declarations of the family's cells, for a core that is made of them
    dsp_unit, block_ram_unit : what `dsp` and `block_ram` count
    dsps_per_mac, dsps_per_requantize_lane : multipliers a core is meant to take; None where nothing is promised
    device : the chip that is placed and routed, or None when there is no nextpnr for the family
    """

    name: str
    title: str
    command: str
    memory_label: str
    flipflop_label: str = "map_ffram"
    cells: Mapping[str, Mapping[str, int]]
    dsp_unit: str
    block_ram_unit: str
    dsps_per_mac: int | None = None
    dsps_per_requantize_lane: int | None = None
    library: str = ""
    device: Device | None = None

    @property
    def reads_library(self) -> tuple[str, ...]:
        """The Yosys command that declares the cells; none where no core has any."""
        return (f"read_verilog -lib {self.library}",) if self.library else ()

    def count(self, cells: Mapping[str, int]) -> dict[str, int]:
        """Resources of a netlist, given its cells by type; cells of other types count nothing."""
        return {
            kind: sum(_weight(self.cells.get(kind, {}), cell) * count for cell, count in cells.items())
            for kind in RESOURCES
        }


def _weight(weights: Mapping[str, int], cell: str) -> int:
    name = cell.removeprefix("\\")
    return next((weight for pattern, weight in weights.items() if re.fullmatch(pattern, name)), 0)


_LATCHES = {r"(?i)\$_?a?dlatch(sr)?\w*": 1}

_XILINX_MEMORY = {
    r"RAM(32M16|64M8)": 8,
    r"RAM(32M|64M|128X1D|256X1[SD])": 4,
    r"RAM(32X1D|64X1D|128X1S)(_1)?": 2,
    r"RAM(512X1S)": 8,
    r"RAM(?!B)\w+|SRL\w+": 1,
}
"""LUTs that one cell of distributed RAM, or one shift register, takes: what the vendors' guides to their CLBs say."""


def _xilinx(name: str, title: str, dsp: str) -> Target:
    return Target(
        name=name,
        title=title,
        command=f"synth_xilinx -family {name} -flatten -noiopad -noclkbuf",
        memory_label="map_memory",
        cells={
            "lut": {r"LUT[1-6]|INV": 1, **_XILINX_MEMORY},
            "lut_ram": _XILINX_MEMORY,
            "ff": {r"FD[RSPC]E(_1)?": 1},
            "dsp": {dsp: 1},
            "block_ram": {r"RAMB18E\d": 1, r"RAMB36E\d": 2},
            "latch": {r"LD[CP]E\w*": 1, **_LATCHES},
        },
        dsp_unit=dsp,
        block_ram_unit="18 Kbit",
        dsps_per_mac=1,
        dsps_per_requantize_lane=2,
    )


TARGETS: dict[str, Target] = {
    t.name: t
    for t in (
        _xilinx("xc7", "Xilinx 7", "DSP48E1"),
        _xilinx("xcup", "UltraScale+", "DSP48E2"),
        Target(
            name="ecp5",
            title="ECP5",
            command="synth_lattice -family ecp5 -latches warn",
            memory_label="map_ram",
            cells={
                # The third slice of a distributed RAM holds its write port, and no other logic.
                "lut": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
                "lut_ram": {"TRELLIS_DPR16X4": 6},
                "ff": {"TRELLIS_FF": 1},
                "dsp": {"MULT18X18D": 1},
                "block_ram": {"DP16KD|PDPW16KD": 1},
                "latch": _LATCHES,
            },
            library="+/lattice/cells_bb_ecp5.v",
            dsp_unit="MULT18X18D",
            block_ram_unit="18 Kbit",
            dsps_per_mac=1,
            dsps_per_requantize_lane=2,
            device=Device(
                title="LFE5U-85F, speed grade 6",
                program="ecp5",
                options=("--85k", "--package", "CABGA756", "--speed", "6"),
                capacity={"lut": 83640, "ff": 83640, "dsp": 156, "block_ram": 208},
            ),
        ),
        Target(
            name="gowin",
            title="Gowin GW2A",
            command="synth_gowin -family gw2a",
            memory_label="map_ram",
            cells={
                "lut": {r"LUT[1-4]|ALU|INV": 1, r"RAM16SDP4|RAM16S4": 4, r"RAM16SDP2|RAM16S2": 2, r"RAM16S(DP)?1": 1},
                "lut_ram": {r"RAM16SDP4|RAM16S4": 4, r"RAM16SDP2|RAM16S2": 2, r"RAM16S(DP)?1": 1},
                "ff": {r"DFFN?[SRPC]?E?": 1},
                "dsp": {"MULT9X9": 1, "MULT18X18": 2, "MULT36X36": 8},
                "block_ram": {r"(DP|SP|SDP|pROM|DPX9|SPX9|SDPX9|pROMX9)B?": 1},
                "latch": {r"DLN?[CP]?E?": 1, **_LATCHES},
            },
            dsp_unit="9 x 9 multiplier",
            block_ram_unit="18 Kbit",
            device=Device(
                title="GW2A-18, C8/I7",
                program="himbaechel-gowin",
                options=("--device", "GW2A-LV18PG256C8/I7", "--vopt", "family=GW2A-18"),
                capacity={"lut": 20736, "ff": 15552, "dsp": 96, "block_ram": 46},
            ),
        ),
        Target(
            name="ice40",
            title="iCE40 HX",
            command="synth_ice40 -device hx -latches warn",
            memory_label="map_ram",
            cells={
                "lut": {"SB_LUT4": 1},
                "ff": {r"SB_DFF\w*": 1},
                "dsp": {"SB_MAC16": 1},
                "block_ram": {r"SB_RAM40_4K\w*": 1},
                "latch": _LATCHES,
            },
            dsp_unit="SB_MAC16",
            block_ram_unit="4 Kbit",
            device=Device(
                title="iCE40HX8K",
                program="ice40",
                options=("--hx8k", "--package", "ct256"),
                capacity={"lut": 7680, "ff": 7680, "dsp": 0, "block_ram": 32},
            ),
        ),
    )
}


def targets_of(config: CoreConfig) -> dict[str, Target]:
    """Families that a core can be synthesized for: all, or the one whose cells it is made of."""
    return {name: t for name, t in TARGETS.items() if config.target not in CELL_TARGETS or name == config.target}


def require_target(config: CoreConfig, target: Target) -> None:
    """Raises ConfigError when a core is made of another family's cells."""
    if target.name not in targets_of(config):
        raise ConfigError(
            f"target must be {GENERIC!r} or {target.name!r} for {target.title}, not {config.target!r}: "
            f"{config.name} is made of that family's cells"
        )

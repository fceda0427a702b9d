"""FPGA families whose netlists can be simulated, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ssvq_gen.synthesis.targets import TARGETS, Target
from ssvq_gen.verilog import TOP

NETLIST_FILE, CELLS_FILE, DESIGN_FILE = "netlist.v", "netlist.json", "netlist.il"


def write_netlist(file: str) -> tuple[str, ...]:
    """Yosys's commands that write a netlist for simulation. Names are short: C++ is full of them."""
    return "rename -hide", f"write_verilog -noattr {file}"


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family, and how its netlist is made and simulated.

    Attributes:
        title: what people call the chip.
        target: as it is synthesized otherwise.
        options: of the Yosys pass, behind those of the target; of an option that is given twice the last holds.
        reason: why there are any.
        check: of the netlist, by Yosys.
        models: Yosys's models of the cells, in its folder of shared files.
        defines: macros that the models have to be read with.
        kinds: cells that faults are planted in, by regular expressions of their types; the first get one first.
        without_contents: memories, by regular expression of their types, whose models lose their contents: none of
            them may be a ROM.
        quiet: pins, by regular expression, in which no fault is planted: clocks, and what no simulation can see.
    """

    title: str
    target: Target
    options: tuple[str, ...]
    reason: str
    check: str = "check -assert -noinit"
    models: str
    defines: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, str]
    quiet: str
    without_contents: str = ""

    @property
    def name(self) -> str:
        """As on the command line."""
        return self.target.name

    def script(self, verilog: str) -> str:
        """Yosys's commands from the core's Verilog to a flat netlist, as Verilog, as JSON and for further commands."""
        return "; ".join(
            [
                f"read_verilog {verilog}",
                " ".join([self.target.command, *self.options, "-top", TOP]),
                self.check,
                # Cells that still have the name of the module they were written in keep it.
                "autoname t:* c:$flatten* %d",
                f"write_json {CELLS_FILE}",
                f"write_rtlil {DESIGN_FILE}",
                *write_netlist(NETLIST_FILE),
            ]
        )


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            title="iCE40 UltraPlus",
            target=TARGETS["ice40"],
            options=("-device", "u", "-dsp"),
            reason="an HX chip has no multipliers; with those of an UltraPlus the models of SB_MAC16 are run as well",
            # Registers that went into an SB_MAC16, which all begin with 0, leave their initial values behind.
            check="check -assert",
            models="ice40/cells_sim.v",
            # Default values of ports, which Verilator does not take.
            defines={"NO_ICE40_DEFAULT_ASSIGNMENTS": 1},
            kinds={
                "DSP": "SB_MAC16",
                "memory": r"SB_RAM40_4K\w*",
                "flip-flop": r"SB_DFF\w*",
                "look-up table": "SB_LUT4",
                "carry": "SB_CARRY",
            },
            quiet=r"C|CLK|[RW]CLK",
        ),
        Family(
            title="Xilinx 7",
            target=TARGETS["xc7"],
            options=("-nobram",),
            reason="Yosys's models of block RAM read zeros; memories are distributed RAM here",
            models="xilinx/cells_sim.v",
            kinds={
                "DSP": "DSP48E1",
                "memory": r"RAM\w+|SRL\w+",
                "flip-flop": r"FD[RSPC]E",
                "look-up table": "LUT[1-6]|INV|MUXF[78]",
                "carry": "CARRY4",
            },
            without_contents=r"RAM\w+|SRL\w+",
            quiet=r"C|CLK|WCLK",
        ),
    )
}
"""All of them, by name."""

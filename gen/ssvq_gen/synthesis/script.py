"""Yosys scripts: the structure check, synthesis of a core for its report, and of a netlist for nextpnr."""

from __future__ import annotations

from collections.abc import Sequence

from ..verilog import TOP
from .targets import Target

LATCHES_FILE = "latches.txt"
MEMORIES_FILE = "memories.txt"
LEFT_FILE = "left.txt"
CELLS_FILE = "cells.txt"

_LUT_LABEL = "map_luts"
"""Label of the passes that are for nextpnr, before logic becomes look-up tables."""

CHECK_SCRIPT = f"hierarchy -check -top {TOP}; proc; flatten; opt_clean; check -assert"
"""Fails for several drivers of a net and for combinational loops, in the whole design."""


def synthesis_script(target: Target, verilog: str) -> str:
    """Synthesis of a core; it leaves the four files above in its folder."""

    def run(begin: str, end: str) -> str:
        return f"{target.command} -top {TOP} -run {begin}:{end}"

    return "; ".join(
        [
            *target.reads_library,
            f"read_verilog {verilog}",
            "design -save raw",
            CHECK_SCRIPT,
            f"tee -q -o {LATCHES_FILE} select -list t:$dlatch t:$adlatch t:$dlatchsr",
            "design -load raw",
            run("", target.memory_label),
            f"tee -q -o {MEMORIES_FILE} dump t:$mem_v2",
            run(target.memory_label, target.flipflop_label),
            # What memory_libmap did not turn into RAM cells is what memory_map makes flip-flops of.
            f"tee -q -o {LEFT_FILE} dump t:$mem_v2",
            run(target.flipflop_label, "check"),
            f"hierarchy -check -top {TOP}",
            "check -assert -noinit",
            # Cells that still have the name of the module they were written in keep it.
            "autoname t:* c:$flatten* %d",
            f"dump -o {CELLS_FILE} t:*",
        ]
    )


def netlist_script(target: Target, sources: Sequence[str], top: str, netlist: str) -> str:
    """Synthesis of Verilog files to a JSON netlist for nextpnr."""
    command = f"{target.command} -top {top}"
    return "; ".join(
        [
            f"read_verilog {' '.join(sources)}",
            f"{command} -run :{_LUT_LABEL}",
            # Wires that are aliases of parts of others make Yosys's `abc_ops_reintegrate` fail an assertion.
            "opt_clean -purge; splitnets -ports; opt_clean",
            f"{command} -run {_LUT_LABEL}:",
            f"write_json {netlist}",
        ]
    )

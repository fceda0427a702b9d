"""Yosys scripts: the structure check, synthesis of a core for its report, and of a netlist for nextpnr."""

from __future__ import annotations

from collections.abc import Sequence

from ..verilog import TOP
from .targets import Target

LATCHES_FILE = "latches.txt"
MEMORIES_FILE = "memories.txt"
LEFT_FILE = "left.txt"
CELLS_FILE = "cells.txt"

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
    return f"read_verilog {' '.join(sources)}; {target.command} -top {top}; write_json {netlist}"

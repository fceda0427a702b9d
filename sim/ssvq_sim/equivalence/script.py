"""Yosys scripts: a block to its netlist, and both to a model whose outputs are their differences."""

from __future__ import annotations

from collections.abc import Sequence

from ssvq_gen.verilog import TOP

from .blocks import Block, Outside
from .families import Family

VERILOG, SOURCE, NETLIST, PAIR = "block.v", "source.il", "netlist.il", "pair.il"
CELLS, STUBS, WITHOUT_MODEL, BAD_REGISTERS = "cells.txt", "stubs.txt", "without_model.txt", "bad_registers.txt"
MODEL, NAMES = "model.aig", "names.txt"
BLOCK = "block"
"""Name of the module in `SOURCE` and in `NETLIST`."""

_GOLD, _GATE, _BOTH = "gold", "gate", "both"
_ANY_VALUE = "setundef -undriven -anyseq"
"""What nothing drives may be anything, and differently on both sides: it must not be seen."""

# Yosys gives the address and the data of a write no value where nothing is written; `-mux_undef` makes them what they
# are otherwise. Amaranth's Verilog has no such values elsewhere. A register that holds what was read becomes part of
# the read port, once its enable is found.
_MEMORY_PORTS = (
    "opt_expr -mux_undef",
    "opt_clean",
    "opt_dff -simple-dffe -nosdff t:$memrd* %co4 t:$dff %i",
    "opt_clean",
    "memory_dff",
)
_WRITTEN = "t:$mem_v2 r:WR_PORTS=0 %d"
"""Memories, without the tables that Yosys makes of `case`."""
_CELLS_OUTSIDE = {Outside.MEMORIES: _WRITTEN, Outside.MULTIPLIERS: "t:$mul"}
_WHOLE_WIRES = "splitnets -ports -driver"
"""`submod` takes whole wires, so none may be driven from both sides."""
_TAKE_OUT = "select -assert-min 1 {cells}; submod -name {name} {cells}; expose -evert c:{name}; delete {name}"


def source_script(block: Block) -> list[str]:
    """Commands that make `SOURCE` of `VERILOG`: one flat module, and what stays outside behind ports of it.

    They fail when `block` says that something is outside which it does not have, or has a memory of which it does not
    say so.
    """
    return [
        f"read_verilog {VERILOG}",
        f"hierarchy -check -top {TOP}",
        "proc",
        "flatten",
        *(_MEMORY_PORTS if Outside.MEMORIES in block.outside else ()),
        "memory_collect",
        *((_WHOLE_WIRES,) if block.outside else ()),
        *(_TAKE_OUT.format(name=kind.value, cells=_CELLS_OUTSIDE[kind]) for kind in block.outside),
        f"select -assert-none {_WRITTEN}",
        "opt_clean -purge",  # what is only another name may be one that Yosys gives to what ABC makes, and stops at
        f"rename -top {BLOCK}",
        f"write_rtlil {SOURCE}",
    ]


def netlist_script(family: Family) -> list[str]:
    """Commands that make `NETLIST` and `CELLS`, a list of its cells, of that module, as `make synth` does."""
    return [
        f"{family.target.command} -top {BLOCK}",
        f"dump -o {CELLS} t:*",
        f"write_rtlil {NETLIST}",
    ]


def pair_script(family: Family, transform: Sequence[str] = ()) -> list[str]:
    """Commands that write `PAIR`, the block and its netlist, each cell of which has become what it does.

    `STUBS` and `WITHOUT_MODEL` have cells of which Yosys does not know that, `BAD_REGISTERS` those that are not
    clocked by the rising edge of `clk`: with any there is nothing to say, as a model knows no clocks. `transform`
    changes the netlist before.
    """
    return [
        f"read_rtlil {NETLIST}",
        *transform,
        f"tee -q -o {STUBS} select -list {' '.join(f't:{cell}' for cell in family.stubs)}",
        f"techmap -wb -D EQUIV -autoproc -map {family.models}",
        f"hierarchy -top {BLOCK}",
        "proc",
        "flatten",
        "opt_expr",
        "opt_clean",
        f"rename {BLOCK} {_GATE}",
        f"read_rtlil {SOURCE}",
        f"rename {BLOCK} {_GOLD}",
        "memory_map",
        "async2sync",
        f"tee -q -o {WITHOUT_MODEL} select -list t:* t:$* %d",
        "select -set registers t:$*dff* t:$*DFF* t:$*latch* t:$*LATCH* t:$sr t:$*_SR_* t:$ff t:$_FF_",
        "select -set rising r:CLK_POLARITY=1 r:CLK_POLARITY=1'1 %u",
        "select -set clocked w:clk %co1:+[CLK] @rising %i",
        f"tee -q -o {BAD_REGISTERS} select -list @registers @clocked %d",
        f"write_rtlil {PAIR}",
    ]


def model_script() -> list[str]:
    """Commands that write `MODEL`, an and-inverter graph of the pair, and `NAMES`, its inputs, registers and outputs.

    Its outputs are 1 where outputs of the two differ. Registers begin as in Verilog and in the netlist; one of no
    initial value begins with any, and differently on both sides.
    """
    return [
        f"read_rtlil {PAIR}",
        f"miter -equiv -make_outcmp {_GOLD} {_GATE} {_BOTH}",
        # Equal becomes different; that all are is of no use then.
        f"chtype -set $nex {_BOTH}/t:$eqx",
        f"delete {_BOTH}/w:trigger",
        f"hierarchy -top {_BOTH}",
        "flatten",
        _ANY_VALUE,
        "opt -full",
        "techmap",
        "opt -fast",
        "simplemap",
        "dffunmap",
        "aigmap",
        _ANY_VALUE,
        "opt_clean",
        f"write_aiger -I -zinit -map {NAMES} {MODEL}",
    ]

"""A top around a core for place and route: three pins, whatever the core's buses are wide.

A chip has fewer pins than a core has ports, and pins far apart would decide the timing. All inputs come out of one
shift register, all outputs end in flip-flops, and a tree of registered exclusive-ors brings them to one pin. Every
input can be any value and every output counts, so that nothing of the core is optimised away; all paths into and out
of the core begin or end at a flip-flop that may be placed anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..verilog import TOP, Port

HARNESS = "pnr_top"
"""Name of the top module."""
CLOCK = "clock"
"""The harness's clock pin."""
CORE = "core"
"""Instance name of the core in the harness: names of its signals begin with it."""
CORE_CLOCK = "aclk"
STIMULUS = "harness_shift_register_of_all_inputs"
RESPONSE = "harness_exclusive_or_of_all_outputs"
OUTPUTS = "harness_wires_of_all_outputs"
"""Names in the harness. They are long: Yosys names a look-up table after the shortest of the wires beside it, and the
core's names are the ones to see on a critical path."""
FOLD = 4
"""Bits that one flip-flop of the tree takes: as many as a look-up table has inputs on the smaller families."""


def fold_widths(width: int) -> list[int]:
    """Widths of the registers that fold `width` bits into one, `FOLD` at a time; the last is 1."""
    widths: list[int] = []
    while width > 1 or not widths:
        width = -(-width // FOLD)
        widths.append(width)
    return widths


def harness_text(ports: Sequence[Port]) -> str:
    """Verilog of the harness.

    Raises ValueError when the core has no clock, no other input or no output.
    """
    inputs = [p for p in ports if p.direction == "input" and p.name != CORE_CLOCK]
    outputs = [p for p in ports if p.direction == "output"]
    if not inputs or not outputs or all(p.name != CORE_CLOCK for p in ports):
        raise ValueError(f"a core in the harness needs {CORE_CLOCK}, another input and an output")
    in_width, out_width = (sum(p.width for p in side) for side in (inputs, outputs))
    folds = [out_width, *fold_widths(out_width)]
    lines = [
        f"module {HARNESS}(input {CLOCK}, input serial_in, output serial_out);",
        f"  reg [{in_width - 1}:0] {STIMULUS};",
        f"  wire [{out_width - 1}:0] {OUTPUTS};",
        *(f"  reg [{width - 1}:0] {RESPONSE}{level};" for level, width in enumerate(folds)),
        f"  assign serial_out = {RESPONSE}{len(folds) - 1}[0];",
        f"  always @(posedge {CLOCK}) begin",
        f"    {STIMULUS} <= {{{STIMULUS}, serial_in}};",
        f"    {RESPONSE}0 <= {OUTPUTS};",
    ]
    for level, (width, narrower) in enumerate(pairwise(folds)):
        for bit in range(narrower):
            top = min((bit + 1) * FOLD, width) - 1
            lines.append(f"    {RESPONSE}{level + 1}[{bit}] <= ^{RESPONSE}{level}[{top}:{bit * FOLD}];")
    lines += ["  end", f"  {TOP} {CORE} (", *_connections(inputs, outputs), "  );", "endmodule"]
    return "\n".join(lines) + "\n"


def _connections(inputs: Sequence[Port], outputs: Sequence[Port]) -> list[str]:
    connections = [f"    .{CORE_CLOCK}({CLOCK})"]
    for register, side in ((STIMULUS, inputs), (OUTPUTS, outputs)):
        low = 0
        for port in side:
            connections.append(f"    .{port.name}({register}[{low + port.width - 1}:{low}])")
            low += port.width
    return [",\n".join(connections)]

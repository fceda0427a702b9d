"""Least cycles of a vector operation, from its descriptor alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import TABLE_ENTRIES, VECTOR_WINDOW_OPCODES, Opcode, ParameterPlane, TableUse

_READS = {Opcode.LAYERNORM: 2, Opcode.SOFTMAX: 3}
"""How often an operation reads its activations, where that is more than once."""


def vector_cycles(config: CoreConfig, d: Mapping[str, int]) -> int:
    """Cycles in which the vector unit has something to do; 0 for a descriptor that is not for it.

    One for each group of `vector_lanes` channels of each operand of each activation, or of each pixel in its windows,
    as often as they are read; between the last two of several times, one for each activation; one for each word of
    parameters, for each entry of a table. What is left out is that one phase has to leave the pipeline before the next
    begins, and waits for the memory.
    """
    if d["opcode"] not in (*_READS, Opcode.SUM, Opcode.MULTIPLY, *VECTOR_WINDOW_OPCODES):
        return 0
    groups = -(-d["channels"] // config.vector_lanes)
    parameters, times = ParameterPlane(d["planes"]).plane_bytes, _READS.get(Opcode(d["opcode"]), 1)
    if d["opcode"] == Opcode.DEPTHWISE:
        parameters += d["kernel_height"] * d["kernel_width"]
    reads = _window_reads(d) if d["opcode"] in VECTOR_WINDOW_OPCODES else d["tokens"] * (1 + d["has_second"])
    roots = d["tokens"] if times > 1 else 0
    table = TABLE_ENTRIES if d["table_use"] == TableUse.LOAD else 0
    return groups * (times * reads + parameters) + roots + table


def _window_reads(d: Mapping[str, int]) -> int:
    """Cycles for the pixels of all windows: kernel columns outside the image take one each, others their rows."""
    rows, width = d["tokens"] // d["output_width"], d["output_width"]
    if d["extra_taps"]:  # windows of a row share their columns
        columns = np.arange((width - 1) * d["stride_x"] + d["kernel_width"])
    else:
        columns = np.add.outer(d["stride_x"] * np.arange(width), d["dilation_x"] * np.arange(d["kernel_width"]))
    x = d["origin_x"] + columns
    inside = int(((x >= 0) & (x < d["input_width"])).sum())
    return rows * (inside * d["kernel_height"] + x.size - inside)

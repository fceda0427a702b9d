"""One synthesis of a core for a family: Yosys runs, and what it leaves is read."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..config import CoreConfig
from ..toolbox import run_yosys
from .blocks import Cell, count_blocks, parse_cells, plain_path, steps
from .memories import parse_memories
from .report import ARRAY_PART, REQUANTIZER_PART, VECTOR_PART, Report
from .script import CELLS_FILE, LATCHES_FILE, LEFT_FILE, MEMORIES_FILE, synthesis_script
from .targets import Target


def expected_dsps(config: CoreConfig, target: Target) -> dict[str, int]:
    """DSP blocks that parts of a core are meant to take; empty for a family of which nothing is promised."""
    if target.dsps_per_mac is None or target.dsps_per_requantize_lane is None:
        return {}
    return {
        ARRAY_PART: target.dsps_per_mac * config.rows * config.cols // (2 if config.packed_macs else 1),
        REQUANTIZER_PART: target.dsps_per_requantize_lane * config.requantize_lanes,
    }


_PARTS = {
    ARRAY_PART: ARRAY_PART,
    "accumulator": ARRAY_PART,
    REQUANTIZER_PART: REQUANTIZER_PART,
    VECTOR_PART: VECTOR_PART,
}
"""Parts by the modules of a cell's path. An accumulator has no multiplier: its adder may be in the DSP block of the
array's last row, which is then called after it."""


def count_dsps(target: Target, cells: Iterable[Cell]) -> dict[str, int]:
    """DSP blocks by the part of the core that their instance path names: array, requantizer, vector or elsewhere."""
    counts = {ARRAY_PART: 0, REQUANTIZER_PART: 0}
    weight = functools.cache(lambda cell_type: target.count({cell_type: 1})["dsp"])
    for cell in cells:
        if number := weight(cell.type):
            path = steps(plain_path(cell.name))
            part = next(
                (_PARTS[name] for name in _PARTS if any(step.startswith(name) for step in path)), "rest of the core"
            )
            counts[part] = counts.get(part, 0) + number
    return counts


def synthesize(
    config: CoreConfig, target: Target, verilog: Path, *, progress: Callable[[str], None] | None = None
) -> Report:
    """Map a core to a family; `progress` is told every pass of Yosys that begins.

    Raises ToolError when Yosys fails, several drivers of a net and combinational loops included.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".synth-", dir=verilog.parent) as name:
        folder = Path(name)
        run_yosys(synthesis_script(target, f"../{verilog.name}"), cwd=folder, progress=progress)
        with (folder / CELLS_FILE).open(encoding="utf-8") as dump:
            cells = tuple(parse_cells(dump))
        return Report(
            target=target.name,
            seconds=round(time.monotonic() - begin, 1),
            blocks=count_blocks(target, cells),
            dsps=count_dsps(target, cells),
            dsps_expected=expected_dsps(config, target),
            memories=parse_memories((folder / MEMORIES_FILE).read_text(encoding="utf-8")),
            flipflop_memories=parse_memories((folder / LEFT_FILE).read_text(encoding="utf-8")),
            latches=tuple((folder / LATCHES_FILE).read_text(encoding="utf-8").split()),
        )

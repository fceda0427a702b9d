"""Looking for a proof that a netlist does what its Verilog says.

Signal correspondence (ABC's `scorr`) finds which registers and wires of the two always have the same value, from their
initial values on and for all inputs, by induction over all of them at once; names play no part. That leaves nothing of
the differences of outputs, or it is looked for a cycle in which they differ, and then for a proof (`pdr`) that there is
none.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ssvq_gen.files import write_whole
from ssvq_gen.synthesis.blocks import SCOPE_CELL, parse_cells
from ssvq_gen.toolbox import ToolTimeout, run_yosys

from ..formal.engines import output_literals, run_in_abc
from .blocks import Block
from .families import Family
from .script import (
    BAD_REGISTERS,
    CELLS,
    MODEL,
    NAMES,
    VERILOG,
    WITHOUT_MODEL,
    model_script,
    netlist_script,
    source_script,
)

SECONDS = 600
"""What a block and a family may take, synthesis included."""
SEARCH_CYCLES = 30
"""Cycles in which a difference is looked for before a proof of what signal correspondence left."""

_LEFT, _LOG = "left.aig", "abc.txt"
_ALWAYS = 1
"""AIGER's constant 1."""
_DIFFERENCE = re.compile(r"^snl_SAT \S+ \S+ (\d+) (\d+)")
_OUTPUT = re.compile(r"^output (\d+) \d+ cmp_(.+)$", re.MULTILINE)
_SHOWN = 5


class Status(StrEnum):
    """What came of a comparison."""

    PROVED = "proved"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a comparison, and of what size it was.

    `detail` says what is different or unknown. `cells` are those of the netlist, `luts` and `registers` what of them
    are look-up tables and flip-flops as `make synth` counts them, `outputs` the ports that are compared, those to what
    is outside included.
    """

    status: Status
    detail: str = ""
    seconds: float
    cells: int = 0
    luts: int = 0
    registers: int = 0
    outputs: int = 0


def prove(
    block: Block, family: Family, verilog: str, folder: Path, *, transform: Sequence[str] = (), seconds: int = SECONDS
) -> Verdict:
    """Make the netlist of a block, `verilog`, and compare; files are left in `folder`.

    `transform` are Yosys commands that change the netlist before it is compared: for checks of the comparison.
    Raises ToolError when a tool is missing or stops.
    """
    begin = time.monotonic()

    def left() -> float:
        return max(1.0, begin + seconds - time.monotonic())

    write_whole(folder / VERILOG, verilog)
    sizes: dict[str, int] = {}
    try:
        run_yosys("\n".join([*source_script(block), *netlist_script(family)]), cwd=folder, seconds=left())
        sizes = _sizes(family, folder)
        run_yosys("\n".join(model_script(family, transform)), cwd=folder, seconds=left())
        sizes["outputs"] = len(output_literals((folder / MODEL).read_bytes()))
        status, detail = _compare(folder, left())
    except ToolTimeout:
        status, detail = Status.UNKNOWN, f"no end after {seconds} s"
    return Verdict(status=status, detail=detail, seconds=time.monotonic() - begin, **sizes)


def _sizes(family: Family, folder: Path) -> dict[str, int]:
    with (folder / CELLS).open(encoding="utf-8") as dump:
        types = Counter(cell.type for cell in parse_cells(dump) if cell.type != SCOPE_CELL)
    resources = family.target.count(types)
    return {"cells": types.total(), "luts": resources["lut"], "registers": resources["ff"]}


def _compare(folder: Path, seconds: float) -> tuple[Status, str]:
    """Status and detail, of the files that the model's script left."""
    for file, problem in ((WITHOUT_MODEL, "Yosys has no model of"), (BAD_REGISTERS, "not clocked by the rising edge:")):
        if cells := (folder / file).read_text(encoding="utf-8").split():
            return Status.UNKNOWN, f"{problem} {_some(cells)}"
    run_in_abc((), f"read_aiger {MODEL}; scorr; write_aiger {_LEFT}", folder, seconds=seconds)
    literals = output_literals((folder / _LEFT).read_bytes())
    if not literals:
        return Status.UNKNOWN, "no output is compared"
    found = _OUTPUT.findall((folder / NAMES).read_text(encoding="utf-8"))
    names = dict.fromkeys(range(len(literals)), "a constant output") | {int(index): name for index, name in found}
    unequal = [index for index, literal in enumerate(literals) if literal]
    if not unequal:
        return Status.PROVED, ""
    status, difference = _search(folder, literals, seconds)
    said = [f"{names[difference[0]]} differs in cycle {difference[1]}"] if difference else []
    if status is not Status.PROVED:
        said.append(f"not proved equal: {_some([names[index] for index in unequal])}")
    return status, "; ".join(said)


def _search(folder: Path, literals: Sequence[int], seconds: float) -> tuple[Status, tuple[int, int] | None]:
    """What comes of the differences that are left, and the output and the cycle of one if there is any: look for it
    first, and then for a proof."""
    if _ALWAYS in literals:
        return Status.DIFFERENT, (literals.index(_ALWAYS), 0)
    log, part = folder / _LOG, max(1, int(seconds / 2))
    for command in (f"bmc2 -F {SEARCH_CYCLES}", "pdr"):
        log.unlink(missing_ok=True)
        run_in_abc((), f"read_aiger {_LEFT}; {command} -T {part} -L {_LOG}", folder, seconds=seconds)
        line = log.read_text(encoding="utf-8") if log.is_file() else ""
        if match := _DIFFERENCE.match(line):
            return Status.DIFFERENT, (int(match[1]), int(match[2]))
        if command == "pdr" and line.startswith("snl_UNSAT"):
            return Status.PROVED, None
    return Status.UNKNOWN, None


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

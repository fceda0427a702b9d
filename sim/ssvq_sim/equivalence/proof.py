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
from dataclasses import asdict, dataclass
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
    STUBS,
    VERILOG,
    WITHOUT_MODEL,
    model_script,
    netlist_script,
    pair_script,
    source_script,
)

SECONDS = 600
"""What a block and a family may take, synthesis included."""
CORRESPONDENCE = "scorr"
SEARCH_CYCLES = 30
"""Cycles in which a difference is looked for before a proof of what signal correspondence left."""

_LEFT, _LOG = "left.aig", "abc.txt"
_ALWAYS = 1
"""AIGER's constant 1."""
_PROBLEMS = {
    STUBS: "there is no model of",
    WITHOUT_MODEL: "there is no model of",
    BAD_REGISTERS: "not clocked by the rising edge:",
}
_DIFFERENCE = re.compile(r"^snl_SAT \S+ \S+ (\d+) (\d+)")
_OUTPUT = re.compile(r"^output (\d+) \d+ cmp_(.+)$", re.MULTILINE)
_SHOWN = 5


class Status(StrEnum):
    """What came of a comparison."""

    PROVED = "proved"
    DIFFERENT = "different"
    """There is a cycle in which they differ."""
    UNKNOWN = "unknown"
    """Neither was found, or there is something that cannot be compared."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of a comparison; `detail` says what is different or unknown. `outputs` are the ports that are compared,
    those of the block to what is outside included."""

    status: Status
    detail: str = ""
    outputs: int = 0


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """The size of a netlist: its cells, and what of them are look-up tables and flip-flops as `make synth` counts."""

    cells: int = 0
    luts: int = 0
    registers: int = 0


@dataclass(frozen=True, kw_only=True)
class Verdict(Netlist, Comparison):
    """Both, and the seconds that they took."""

    seconds: float


def prove(block: Block, family: Family, verilog: str, folder: Path, *, seconds: float = SECONDS) -> Verdict:
    """Make the netlist of a block, whose Verilog is given, and compare; files are left in `folder`.

    Raises ToolError when a tool is missing or stops.
    """
    begin = time.monotonic()
    netlist = Netlist()
    try:
        netlist = make_netlist(block, family, verilog, folder, seconds=seconds)
        rest = max(1.0, begin + seconds - time.monotonic())
        comparison = compare(family, folder, seconds=rest)
    except ToolTimeout:
        comparison = Comparison(status=Status.UNKNOWN, detail=f"no end after {seconds} s")
    return Verdict(**asdict(netlist), **asdict(comparison), seconds=time.monotonic() - begin)


def make_netlist(block: Block, family: Family, verilog: str, folder: Path, *, seconds: float | None = None) -> Netlist:
    """Synthesize a block, whose Verilog is given, in `folder`.

    Raises ToolError, and ToolTimeout when it takes more than `seconds`.
    """
    write_whole(folder / VERILOG, verilog)
    run_yosys("\n".join([*source_script(block), *netlist_script(family)]), cwd=folder, seconds=seconds)
    with (folder / CELLS).open(encoding="utf-8") as dump:
        types = Counter(cell.type for cell in parse_cells(dump) if cell.type != SCOPE_CELL)
    resources = family.target.count(types)
    return Netlist(cells=types.total(), luts=resources["lut"], registers=resources["ff"])


def compare(family: Family, folder: Path, *, transform: Sequence[str] = (), seconds: float | None = None) -> Comparison:
    """Compare Verilog and netlist that `make_netlist` left in `folder`.

    `transform` are Yosys commands that change the netlist before: for checks of the comparison.
    Raises ToolError, and ToolTimeout when a step of it takes more than `seconds`.
    """
    run_yosys("\n".join(pair_script(family, transform)), cwd=folder, seconds=seconds)
    for file, problem in _PROBLEMS.items():
        if cells := (folder / file).read_text(encoding="utf-8").split():
            return Comparison(status=Status.UNKNOWN, detail=f"{problem} {_some(cells)}")
    run_yosys("\n".join(model_script()), cwd=folder, seconds=seconds)
    if not output_literals((folder / MODEL).read_bytes()):
        return Comparison(status=Status.UNKNOWN, detail="there are no outputs to compare")
    run_in_abc((), f"read_aiger {MODEL}; {CORRESPONDENCE}; write_aiger {_LEFT}", folder, seconds=seconds)
    literals = output_literals((folder / _LEFT).read_bytes())
    unequal = [index for index, literal in enumerate(literals) if literal]
    status, difference = _search(folder, literals, seconds) if unequal else (Status.PROVED, None)
    names = _output_names(folder, len(literals))
    said = [f"{names[difference[0]]} differs in cycle {difference[1]}"] if difference else []
    if status is not Status.PROVED:
        said.append(f"not proved equal: {_some([names[index] for index in unequal])}")
    return Comparison(status=status, detail="; ".join(said), outputs=len(literals))


def _output_names(folder: Path, count: int) -> list[str]:
    """Ports by output of the model; Yosys does not name outputs that are constant, as where both are the same wire."""
    found = _OUTPUT.findall((folder / NAMES).read_text(encoding="utf-8"))
    names = dict.fromkeys(range(count), "a constant output") | {int(index): name for index, name in found}
    return list(names.values())


def _search(folder: Path, literals: Sequence[int], seconds: float | None) -> tuple[Status, tuple[int, int] | None]:
    """What comes of the differences that are left, and the output and the cycle of one if there is any: look for it
    first, and then for a proof."""
    if _ALWAYS in literals:
        return Status.DIFFERENT, (literals.index(_ALWAYS), 0)
    log, part = folder / _LOG, int(max(1.0, (seconds or SECONDS) / 2))
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

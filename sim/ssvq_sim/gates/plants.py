"""Faults in a netlist, of which a selector makes one active: one pin of one cell is inverted."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssvq_gen.synthesis.blocks import SCOPE_CELL, block_of, plain_path, steps
from ssvq_gen.toolbox import find_yosys, run_yosys
from ssvq_gen.verilog import TOP

from ..cache import cached_folder, content_key
from ..core_verilog import CoreVerilog
from ..mutants.mutation import Mutation
from ..mutants.verilog import SELECTOR, shares
from .families import DESIGN_FILE, Family, write_netlist
from .netlist import Netlist

_MODE = "inv"
"""What synthesis does wrong is another function, and not a pin that is stuck."""
LEAST_IN_BLOCK = 2
_DEPTH = 2
"""Steps of a block's path; what is deeper inside belongs to it."""
_PLANTED_FILE, _SCRIPT_FILE = "planted.v", "plant.ys"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A pin that is inverted.

    Attributes:
        kind: of the cell, one of the family's.
        type: of the cell.
        mutation: as Yosys makes it; its module is the block that the cell's name belongs to.
    """

    kind: str
    type: str
    mutation: Mutation

    def __str__(self) -> str:
        return f"{self.kind}: {self.mutation} ({self.type})"


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A netlist with faults.

    Attributes:
        verilog: for `build_simulator`; the input `SELECTOR` of the core is 0 for none and i + 1 for the i-th fault.
    """

    verilog: CoreVerilog
    faults: Sequence[Fault]

    @property
    def width(self) -> int:
        """Bits of the selector."""
        return len(self.faults).bit_length()


def draw_faults(module: Mapping[str, Any], family: Family, *, count: int, seed: int) -> list[Fault]:
    """Faults in a netlist, at least two in every block, and in a block as many of each kind of cell as there can be.

    module : the flat core in Yosys's JSON

    Raises ValueError for a count that is too small.
    """
    rng = np.random.default_rng(seed)
    cells = _cells_by_block(module, family)
    read = _read_bits(module)
    parts = shares(
        {block: sum(map(len, kinds.values())) for block, kinds in cells.items()}, count, least=LEAST_IN_BLOCK
    )
    return [
        fault
        for block, part in parts.items()
        for fault in _of_block(module, family, read, block, cells[block], part, rng)
    ]


def _of_block(
    module: Mapping[str, Any],
    family: Family,
    read: set[int],
    block: str,
    kinds: Mapping[str, Sequence[str]],
    count: int,
    rng: np.random.Generator,
) -> Iterator[Fault]:
    """Up to `count` faults, each in another cell; the kinds take turns."""
    left = {kind: [names[i] for i in rng.permutation(len(names))] for kind, names in kinds.items()}
    made = 0
    while made < count and any(left.values()):
        for kind, names in left.items():
            if not names or made == count:
                continue
            name = names.pop()
            cell = module["cells"][name]
            if pins := pins_of(cell, family, read):
                port, bit = pins[rng.integers(len(pins))]
                mutation = Mutation(mode=_MODE, module=block, top=TOP, place=f"{name} {port} {bit}")
                yield Fault(kind=kind, type=cell["type"], mutation=mutation)
                made += 1


def pins_of(cell: Mapping[str, Any], family: Family, read: set[int]) -> list[tuple[str, int]]:
    """Pins of a cell in Yosys's JSON that a fault can be seen in, as ports and bits: inputs that no constant is on, and
    outputs that something reads."""
    return [
        (port, index)
        for port, bits in cell["connections"].items()
        if not re.fullmatch(family.quiet, port)
        for index, bit in enumerate(bits)
        if isinstance(bit, int) and (cell["port_directions"][port] == "input" or bit in read)
    ]


def _read_bits(module: Mapping[str, Any]) -> set[int]:
    """Nets that are read by a cell or leave the core."""
    ports = [port["bits"] for port in module["ports"].values() if port["direction"] == "output"]
    inputs = [
        bits
        for cell in module["cells"].values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"].get(port) == "input"
    ]
    return {bit for bits in (*ports, *inputs) for bit in bits if isinstance(bit, int)}


def _cells_by_block(module: Mapping[str, Any], family: Family) -> dict[str, dict[str, list[str]]]:
    """Names of cells by block and kind."""
    scopes = frozenset(plain_path(name) for name, cell in module["cells"].items() if cell["type"] == SCOPE_CELL)
    blocks = frozenset(path for path in scopes if len(steps(path)) <= _DEPTH)
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: {kind: [] for kind in family.kinds})
    for name, cell in sorted(module["cells"].items()):
        for kind, pattern in family.kinds.items():
            if re.fullmatch(pattern, cell["type"]):
                found[block_of(name, blocks)][kind].append(name)
                break
    return dict(sorted(found.items()))


def count_kinds(faults: Sequence[Fault]) -> dict[str, int]:
    """Faults by kind of cell."""
    return dict(Counter(fault.kind for fault in faults))


def plant(netlist: Netlist, faults: Sequence[Fault]) -> Planted:
    """The netlist with faults, from the cache when it is there. Raises ToolError."""
    width = len(faults).bit_length()
    script = "\n".join(
        [
            f"read_rtlil {DESIGN_FILE}",
            *(fault.mutation.command(SELECTOR, width, number) for number, fault in enumerate(faults, start=1)),
            *write_netlist(_PLANTED_FILE),
        ]
    )
    design = netlist.design.read_bytes()
    key = content_key({"design": design, "script": script, "yosys": find_yosys().version})

    def make(folder: Path) -> None:
        (folder / DESIGN_FILE).write_bytes(design)
        (folder / _SCRIPT_FILE).write_text(f"{script}\n", encoding="utf-8")
        run_yosys(f"script {_SCRIPT_FILE}", cwd=folder)

    folder, _ = cached_folder("planted", key, make)
    verilog = CoreVerilog(path=folder / _PLANTED_FILE, models=netlist.verilog.models, seconds=0.0)
    return Planted(verilog=verilog, faults=tuple(faults))

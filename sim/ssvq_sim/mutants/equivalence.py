"""Whether a solver finds that a mutant does what the core does: a proof for an explanation that says so.

The module of the mutant is taken out of the core, once as it is and once with the mutant, and both get the same inputs:
any, in any cycle after reset. If their outputs cannot differ, nothing around them can tell them apart. If they can, the
module around it is tried, up to below the top: a value that nobody looks at is often seen to be one only there.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ssvq_gen.toolbox import find_yosys, run_yosys

from ..cache import cache_root, cached_folder, content_key
from ..formal.design import MODEL
from ..formal.engines import Status, run_abc
from .mutation import Mutation, prefix_of
from .verilog import SOURCE_FILE, MutatedVerilog, read_script

SECONDS = 20
"""For one module; what is provable takes less, and the rest takes any time."""
_CORE = "core.il"
_OUTSIDE = "t:$mem* t:$mul %u"
"""Memories and multipliers stay outside: what goes into them has to be the same, and what comes out may be anything."""
_OUTSIDE_CELL = re.compile(r"\$(mem|mul|auto\$proc_memwr)")


def modules_around(module: str) -> Iterator[str]:
    """The module and those that it is in, without the top."""
    while "." in module:
        yield module
        module = module.rpartition(".")[0]


def proving_module(mutated: MutatedVerilog, mutation: Mutation, seconds: int = SECONDS) -> str | None:
    """The innermost module whose outputs the mutant cannot change, or None when no proof is found.

    None says nothing: the module's neighbours may never give it the inputs that make a difference, and mutants of
    memories and multipliers are not tried. Bits that the core leaves open are 0 here.
    Raises ToolError when a tool is missing or stops.
    """
    if _OUTSIDE_CELL.search(mutation.cell):
        return None
    core = _flat_core(mutated, mutation.top)
    with tempfile.TemporaryDirectory(prefix="equivalence-", dir=cache_root()) as name:
        folder = Path(name)
        os.link(core, folder / _CORE)
        for module in modules_around(mutation.module):
            if run_abc(_script(mutation, module), "pdr", folder, seconds)[0] is Status.PROVED:
                return module
    return None


def _flat_core(mutated: MutatedVerilog, top: str) -> Path:
    """The core as its mutants are made in it, with each memory in one cell."""
    script = f"{read_script(top)}memory_collect\nwrite_rtlil {_CORE}"
    parts: dict[str, str | bytes] = {
        "source": mutated.source.read_bytes(),
        "script": script,
        "yosys": find_yosys().version,
    }

    def make(folder: Path) -> None:
        (folder / SOURCE_FILE).write_bytes(mutated.source.read_bytes())
        run_yosys(script, cwd=folder)

    return cached_folder("mutants", content_key(parts), make)[0] / _CORE


def _script(mutation: Mutation, module: str) -> list[str]:
    """Commands that write a model in which module and mutant are compared."""
    return [
        f"read_rtlil {_CORE}",
        f"select -set outside {_OUTSIDE}",
        f"select -set inside c:{prefix_of(mutation.top, module)}* @outside %d",
        "submod -name inside @inside",
        "hierarchy -top inside -purge_lib",
        "setundef -zero",  # before it is copied, so that both have the same values where the core leaves them open
        "copy inside gold",
        "copy inside gate",
        mutation.alone("gate"),
        "miter -equiv -make_assert -flatten gold gate both",
        "prep -top both",
        "opt -full",
        "techmap",
        "opt -fast",
        "simplemap",
        "dffunmap",
        "aigmap",
        "setundef -zero",
        "opt_clean",
        f"write_aiger -I -B -zinit {MODEL}.aig",
    ]

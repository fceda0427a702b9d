"""Verilog of a core, and the list of its ports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from .config import ECP5, CoreConfig

TOP = "ssvq_core"
"""Name of the top module."""

_CELL_MODELS = {ECP5: ("MULT18X18D.v",)}
"""Files beside this one, by target."""
CELL_MODEL_NAMES = tuple(name for names in _CELL_MODELS.values() for name in names)

_ZERO_WORD = r"\s*\[\d+\] = \d+'[hdb]0+;\n"
_ZERO_MEMORY = re.compile(rf"^  initial begin\n    (\S+){_ZERO_WORD}(?:    \1{_ZERO_WORD})*  end\n", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of the top module."""

    name: str
    direction: str
    width: int


def build_core(config: CoreConfig) -> Any:
    """The Amaranth component of a core. Imported here, so that everything else works without Amaranth."""
    from ssvq_rtl.core import SsvqCore

    return SsvqCore(config=config)


def core_ports(core: Any) -> list[Port]:
    """Ports in the order of the component's signature.

    Raises ValueError for a nested member: its port would be called `a__b`, which no vendor tool recognises.
    """
    from amaranth.hdl import Shape
    from amaranth.lib.wiring import In

    ports = []
    for path, member, _ in core.signature.flatten(core):
        if len(path) != 1:
            raise ValueError(f"ports of {TOP} must be flat, not {'.'.join(map(str, path))}")
        direction = "input" if member.flow is In else "output"
        ports.append(Port(name=str(path[0]), direction=direction, width=Shape.cast(member.shape).width))
    return ports


def emit_verilog(core: Any) -> str:
    """Vendor-neutral Verilog of a core, the same text whenever it is called."""
    from amaranth.back import verilog

    text: str = verilog.convert(core, name=TOP, emit_src=False, strip_internal_attrs=True)
    return without_zero_memories(text)


def cell_models(config: CoreConfig) -> dict[str, str]:
    """Verilog by file name of the vendor's cells that a core is made of, as far as it uses them: for simulation only.

    A core that every family takes has none.
    """
    names = _CELL_MODELS.get(config.target, ())
    return {name: files("ssvq_gen").joinpath(name).read_text(encoding="utf-8") for name in names}


def without_zero_memories(verilog: str) -> str:
    """Verilog without the blocks that load a memory with zeros, an assignment a word.

    No part of the core reads a word that it has not written, and an ASIC memory cannot be loaded. The blocks were most
    of the text, and made Yosys take minutes to read it. A memory with any other initial value keeps its block.
    """
    return _ZERO_MEMORY.sub("", verilog)

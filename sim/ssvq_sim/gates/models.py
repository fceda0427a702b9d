"""Models of a family's cells, as Yosys brings them, but for what registers and memories hold in the beginning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ssvq_gen.toolbox import yosys_share

from .families import Family

_STATEMENT = re.compile(r"^[ \t]*initial\s+\w+\s*<?=\s*[^;]+;", re.MULTILINE)
"""Flip-flops, and registers in DSP blocks."""
_DECLARATION = re.compile(r"^([ \t]*reg\s*\[[^]]+\]\s*\w+)\s*=\s*INIT\w*;", re.MULTILINE)
"""Shift registers and distributed RAM."""
_MACRO = re.compile(r"^(`define SB_DFF_INIT)\b.*$", re.MULTILINE)
"""Flip-flops of iCE40."""


class ModelError(ValueError):
    """Models or netlist are not as expected; the message says in what."""


def random_models(family: Family) -> str:
    """The models of a family, whose registers and memories begin with what the simulator gives them.

    Block RAM of iCE40 has the contents that the netlist says: unknown bits but for those of ROMs, which stay.
    Raises ToolError, OSError, and ModelError for models without initial values.
    """
    return without_initial_values((yosys_share() / family.models).read_text(encoding="utf-8"))


def without_initial_values(text: str) -> str:
    """Models whose registers have no initial values. Raises ModelError when there were none."""
    bare = _MACRO.sub(r"\1", _DECLARATION.sub(r"\1;", _STATEMENT.sub("", text)))
    if bare == text:
        raise ModelError("models of cells must have registers with initial values, to be taken out")
    return bare


def require_no_contents(module: Mapping[str, Any], family: Family) -> None:
    """Raises ModelError for a cell that is a ROM, in a family whose models keep no contents of memories.

    module : the flat core in Yosys's JSON
    """
    for name, cell in module["cells"].items():
        if not re.fullmatch(family.without_contents, cell["type"]):
            continue
        for parameter, value in cell["parameters"].items():
            if parameter.startswith("INIT") and "1" in value:
                raise ModelError(f"{cell['type']} {name} must have no contents, as its model has none, not {parameter}")

"""Netlists of a core, each made once for each family and state of the sources."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ssvq_gen.toolbox import find_yosys, run_yosys
from ssvq_gen.verilog import TOP

from ..cache import cached_folder, content_key
from ..core_verilog import CoreVerilog
from .families import CELLS_FILE, DESIGN_FILE, NETLIST_FILE, Family
from .models import random_models, require_no_contents

_SOURCE_FILE, _MODELS_FILE = "core.v", "cells.v"


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A core made of a family's cells, and their models.

    Attributes:
        folder: with the files that `families` names.
        verilog: for `build_simulator`.
    """

    family: Family
    folder: Path
    verilog: CoreVerilog

    @property
    def design(self) -> Path:
        """The netlist in Yosys's own format."""
        return self.folder / DESIGN_FILE

    @cached_property
    def module(self) -> Mapping[str, Any]:
        """The flat core in Yosys's JSON: ports, cells and names of nets."""
        found: Mapping[str, Any] = json.loads((self.folder / CELLS_FILE).read_text(encoding="utf-8"))["modules"][TOP]
        return found

    @property
    def cells(self) -> dict[str, int]:
        """Cells by type, most first."""
        counts = Counter(str(cell["type"]) for cell in self.module["cells"].values())
        return {kind: count for kind, count in counts.most_common() if not kind.startswith("$")}


def make_netlist(family: Family, core: CoreVerilog, *, on_pass: Callable[[str], None] | None = None) -> Netlist:
    """The netlist of a core, from the cache when it is there.

    on_pass : is told every pass of Yosys that begins

    Raises ToolError, and ModelError for models and netlists that cannot begin with random contents.
    """
    script, models = family.script(_SOURCE_FILE), random_models(family)
    source = core.path.read_bytes()
    key = content_key({"source": source, "script": script, "models": models, "yosys": find_yosys().version})

    def make(folder: Path) -> None:
        (folder / _SOURCE_FILE).write_bytes(source)
        (folder / _MODELS_FILE).write_text(models, encoding="utf-8")
        run_yosys(script, cwd=folder, progress=on_pass)

    folder, _ = cached_folder("netlist", key, make)
    verilog = CoreVerilog(path=folder / NETLIST_FILE, models=(folder / _MODELS_FILE,), seconds=0.0)
    netlist = Netlist(family=family, folder=folder, verilog=verilog)
    require_no_contents(netlist.module, family)
    return netlist

"""Building a core for Icarus Verilog, where a bit that no one has set is unknown."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import cocotb_tools.config

from ssvq_gen.toolbox import ToolError, run_tool
from ssvq_gen.verilog import TOP

from ..cache import cached_folder, content_key
from ..core_verilog import CoreVerilog, versions
from ..simulator import Simulator
from .subject import CONFIG

CHECKS = Path(__file__).with_name("known_outputs.sv")
_PROGRAMS = ("iverilog", "vvp")
_DESIGN, _COMMAND, _SETTINGS = "design.vvp", "simulate", "settings"


def missing_icarus() -> str | None:
    """What to do when Icarus Verilog is not installed; None when it is."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    return f"{missing[0]} of Icarus Verilog is not installed: sudo apt install iverilog" if missing else None


def build_icarus(verilog: CoreVerilog) -> Simulator:
    """A simulator of the core and `known_outputs`, from the cache when it is there, for benches of `PORTS_BENCH`.

    Raises ToolError when Icarus Verilog is not installed, or refuses the Verilog.
    """
    if missing := missing_icarus():
        raise ToolError(missing)
    sources = (verilog.path, CHECKS)
    # cocotb's own flow: vvp loads a library, which starts Python.
    library = cocotb_tools.config.lib_entry("vpi", "icarus")
    version = run_tool("iverilog", ["iverilog", "-V"], cwd=verilog.path.parent).splitlines()[0]
    key = content_key(
        {**{path.name: path.read_bytes() for path in sources}, "tools": f"{version},{versions(('cocotb',))},{library}"}
    )

    def make(folder: Path) -> None:
        (folder / _SETTINGS).write_text("+timescale+1ns/1ns\n", encoding="utf-8")
        tops = ("-s", TOP, "-s", CHECKS.stem)
        command = ["iverilog", "-g2012", "-f", _SETTINGS, *tops, "-o", _DESIGN, *map(str, sources)]
        run_tool("iverilog", command, cwd=folder)
        script = f'#!/bin/sh\nexec vvp -n -m {shlex.quote(library)} "$(dirname "$0")/{_DESIGN}" "$@"\n'
        (folder / _COMMAND).write_text(script, encoding="utf-8")
        (folder / _COMMAND).chmod(0o755)

    folder, _ = cached_folder("icarus", key, make)
    return Simulator(
        config=CONFIG,
        executable=folder / _COMMAND,
        verilog=verilog.path,
        toplevel=TOP,
        trace=False,
        verilog_seconds=0.0,
        build_seconds=0.0,
    )

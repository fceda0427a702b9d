"""`python -m ssvq_sim.formal.mutants`: change the hardware at random, and see that its proofs are refused."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ssvq_gen.command import reports_errors, require_least, table_console
from ssvq_gen.files import write_whole
from ssvq_gen.toolbox import ToolError, run_yosys

from ..cache import content_key
from .design import TOP, aiger_script, apart_script, files_of, write_files
from .engines import Status, prove, run_abc
from .proof import Method, Proof
from .proofs import all_proofs
from .results import key_of

RESULTS = "formal_mutants.json"
_KEPT = "mutants.json"
_DRAWN = "drawn.txt"
_CYCLES = 16
"""A mutant is first looked at in so many cycles, where most are seen to be wrong; ABC takes a second for that."""
_BOUNDED_SECONDS, _SECONDS = 10, 60
_DRAWS = 4
"""Mutations that are drawn for each that is asked for, since some are outside."""
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


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A change of the component that a proof is about, as a Yosys command, and what came of it."""

    proof: str
    mutation: str
    fate: Fate


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
    script = aiger_script(proof, mutations)
    return run_abc(script, f"bmc3 -F {_CYCLES}", folder, _BOUNDED_SECONDS)[0] is Status.FAILED


def _require_sound(proof: Proof, folder: Path) -> None:
    """A bounded proof says nothing of the cycles behind its depth, and mutants are looked at there, too.

    Raises ToolError when a property fails without any mutation.
    """
    if _seen_soon(proof, (), folder):
        raise ToolError(f"{proof.name} fails in the first {_CYCLES} cycles as it is: it cannot judge mutants")


def run_mutants(
    proofs: Sequence[Proof], folder: Path, *, count: int, seed: int, follow: Callable[[Mutant], None] | None = None
) -> list[Mutant]:
    """Look at `count` mutants over all proofs, those outside not counted, and write `formal_mutants.json`.

    Results are kept with the proof's files, and taken from there as long as these are the same.
    Raises ToolError when a tool is missing or stops.
    """
    found: list[Mutant] = []
    for number, proof in enumerate(proofs):
        share = count // len(proofs) + (number < count % len(proofs))
        fellows = [other for other in proofs if other is not proof and _same(proof, other)]
        for mutant in _of_proof(proof, fellows, folder / proof.name / "mutant", share, seed) if share else ():
            found.append(mutant)
            if follow is not None:
                follow(mutant)
    inside = [mutant for mutant in found if mutant.fate is not Fate.OUTSIDE]
    survivors = [{"proof": m.proof, "mutation": m.mutation} for m in inside if m.fate is Fate.SURVIVED]
    data = {
        "run": len(inside),
        "killed": len(inside) - len(survivors),
        "outside": len(found) - len(inside),
        "survivors": survivors,
    }
    write_whole(folder / RESULTS, json.dumps(data, indent=1) + "\n")
    return found


def _same(proof: Proof, other: Proof) -> bool:
    return bool(proof.component) and (proof.component, proof.subject) == (other.component, other.subject)


def _of_proof(proof: Proof, fellows: Sequence[Proof], folder: Path, share: int, seed: int) -> Iterator[Mutant]:
    """Mutants of one proof until `share` of them are not outside; fewer when so many cannot be drawn."""
    keys = {one.name: key_of(one) for one in (proof, *fellows)}
    key = content_key({**keys, "judgement": Path(__file__).read_bytes()})
    path = folder / _KEPT
    kept, inside = _kept(path, key), 0
    drawn = draw(proof, folder, _DRAWS * share, seed)
    for judge, own in ((proof, folder), *((fellow, folder / fellow.name) for fellow in fellows)):
        own.mkdir(exist_ok=True)
        write_files(files_of(judge), own)
        if judge.method is Method.BOUNDED and not kept:
            _require_sound(judge, own)
    for mutation in drawn:
        if inside == share:
            return
        if mutation not in kept:
            kept[mutation] = fate_of(proof, fellows, mutation, folder)
            write_whole(path, json.dumps({"key": key, "fates": kept}, indent=1) + "\n")
        mutant = Mutant(proof=proof.name, mutation=mutation, fate=Fate(kept[mutation]))
        inside += mutant.fate is not Fate.OUTSIDE
        yield mutant


def _kept(path: Path, key: str) -> dict[str, str]:
    """What is known of mutants of this very proof, by mutation."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(data["fates"]) if data.get("key") == key else {}


def results_table(mutants: Sequence[Mutant]) -> Table:
    """A line for each proof."""
    table = Table("proof", title="mutants", title_justify="left")
    for fate in Fate:
        table.add_column(fate.value, justify="right")
    names = dict.fromkeys(mutant.proof for mutant in mutants)
    for title, those in [*((name, [name]) for name in names), ("all", list(names))]:
        fates = [mutant.fate for mutant in mutants if mutant.proof in those]
        table.add_row(title, *(str(fates.count(fate)) for fate in Fate))
    return table


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_sim.formal.mutants",
        description="Change the hardware in one place at a time, as Yosys draws them, and see whether its proofs are "
        f"refused. {RESULTS} has the score and the survivors. A run that was interrupted goes on.",
    )
    result.add_argument("--mutants", type=int, default=300, help="over all proofs together (default: 300)")
    result.add_argument("--seed", type=int, default=1, help="of the draw (default: 1)")
    result.add_argument("--output", type=Path, default=Path("build/formal"), help="folder (default: build/formal)")
    return result


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when a tool is missing or stops. Survivors are for the reader to judge."""
    options = parser().parse_args(arguments)
    require_least(options, "mutants", 1)
    with Console(stderr=True).status("mutants") as status:
        seen: list[Mutant] = []

        def follow(mutant: Mutant) -> None:
            seen.append(mutant)
            status.update(
                f"mutants: {len(seen)}, {sum(one.fate is Fate.KILLED for one in seen)} killed, {mutant.proof}"
            )

        mutants = run_mutants(
            mutable(all_proofs()), options.output, count=options.mutants, seed=options.seed, follow=follow
        )
    table_console().print(results_table(mutants))
    for mutant in mutants:
        if mutant.fate is Fate.SURVIVED:
            print(f"survived: {json.dumps(asdict(mutant))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

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
from ssvq_gen.toolbox import run_yosys

from .design import MODEL, TOP, aiger_script, apart_script, files_of, write_files
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
_NOTHING = "select -clear"
_NO_PLACES = (" -port CLK ", " -port ARST ")
"""The tools have one clock, and one edge of it; Yosys stops where a memory gets an asynchronous reset."""
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
    listing = f"mutate -list {count} -seed {seed} -o {_DRAWN} -module {TOP}.{proof.subject}"
    run_yosys("\n".join([*apart_script(proof), listing]), cwd=folder)
    lines = (folder / _DRAWN).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not any(place in line for place in _NO_PLACES)]


def model_of(proof: Proof, folder: Path, transform: Sequence[str]) -> bytes:
    """The and-inverter graph of the properties and all that they depend on, without the symbols behind it."""
    run_yosys("\n".join(aiger_script(proof, transform)), cwd=folder)
    return (folder / f"{MODEL}.aig").read_bytes()


def fate_of(proof: Proof, mutation: str, folder: Path, original: bytes) -> Fate:
    """Whether the properties are refused for a mutant: in the first cycles, or by the proof's own method.

    `folder` has the proof's files, and `original` is the `model_of` nothing but reading them apart.
    """
    script = aiger_script(proof, [mutation])
    status = run_abc(script, f"bmc3 -F {_CYCLES}", folder, _BOUNDED_SECONDS)[0]
    if status is Status.FAILED:
        return Fate.KILLED
    if (folder / f"{MODEL}.aig").read_bytes() == original:
        return Fate.OUTSIDE
    verdict = prove(proof, folder, transform=[mutation], seconds=_SECONDS)
    refused = verdict.status is Status.FAILED or _INDUCTION_FAILS in verdict.log
    return Fate.KILLED if refused else Fate.SURVIVED


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
        for mutant in _of_proof(proof, folder / proof.name / "mutant", share, seed) if share else ():
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


def _of_proof(proof: Proof, folder: Path, share: int, seed: int) -> Iterator[Mutant]:
    """Mutants of one proof until `share` of them are not outside; fewer when so many cannot be drawn."""
    key, path = key_of(proof), folder / _KEPT
    kept, original, inside = _kept(path, key), b"", 0
    for mutation in draw(proof, folder, _DRAWS * share, seed):
        if inside == share:
            return
        if mutation not in kept:
            original = original or model_of(proof, folder, [_NOTHING])
            kept[mutation] = fate_of(proof, mutation, folder, original)
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

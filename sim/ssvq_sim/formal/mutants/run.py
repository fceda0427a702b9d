"""Mutants of all proofs, drawn and judged; what is known of them is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssvq_gen.files import write_whole

from ...cache import content_key
from ...mutants.mutation import Mutation
from ..design import files_of, write_files
from ..proof import Proof
from ..results import key_of
from . import judge
from .judge import Fate, draw, fate_of, same_component

_KEPT = "mutants.json"
_DRAWS = 4
"""Mutations that are drawn for each that is asked for, since some are outside."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A change of the component that a proof is about, as a Yosys command, and what came of it."""

    proof: str
    mutation: str
    fate: Fate

    def __str__(self) -> str:
        """The same on every machine."""
        return f"{self.proof}: {Mutation.parse(self.mutation)}"


def run_mutants(
    proofs: Sequence[Proof], folder: Path, *, count: int, seed: int, follow: Callable[[Mutant], None] | None = None
) -> list[Mutant]:
    """Look at `count` mutants over all proofs, those outside not counted.

    Results are kept with the proof's files, and taken from there as long as these are the same.
    Raises ToolError when a tool is missing or stops.
    """
    found: list[Mutant] = []
    for number, proof in enumerate(proofs):
        share = count // len(proofs) + (number < count % len(proofs))
        fellows = [other for other in proofs if other is not proof and same_component(proof, other)]
        for mutant in _of_proof(proof, fellows, folder / proof.name / "mutant", share, seed) if share else ():
            found.append(mutant)
            if follow is not None:
                follow(mutant)
    return found


def _of_proof(proof: Proof, fellows: Sequence[Proof], folder: Path, share: int, seed: int) -> Iterator[Mutant]:
    """Mutants of one proof until `share` of them are not outside; fewer when so many cannot be drawn."""
    keys = {one.name: key_of(one) for one in (proof, *fellows)}
    key = content_key({**keys, "judgement": Path(judge.__file__).read_bytes()})
    path = folder / _KEPT
    kept, inside = _kept(path, key), 0
    drawn = draw(proof, folder, _DRAWS * share, seed)
    for one, own in ((proof, folder), *((fellow, folder / fellow.name) for fellow in fellows)):
        own.mkdir(exist_ok=True)
        write_files(files_of(one), own)
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

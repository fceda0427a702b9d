"""Mutants of all components, drawn and judged; what is known of them is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssvq_gen.files import write_whole
from ssvq_gen.toolbox import ToolError

from ...cache import content_key
from ...mutants.mutation import Mutation
from ..proof import Proof
from ..results import key_of
from . import judge
from .judge import Fate, draw, fate_of, places

_FOLDER, _KEPT = "mutants", "mutants.json"
_DRAWS = 4
"""Mutations that are drawn for each that is asked for, since some are outside."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A change of a component, as a Yosys command, and what came of it."""

    component: str
    mutation: str
    fate: Fate

    def __str__(self) -> str:
        """The same on every machine."""
        return f"{self.component}: {Mutation.parse(self.mutation)}"


def run_mutants(
    components: Mapping[str, Sequence[Proof]],
    folder: Path,
    *,
    count: int,
    seed: int,
    follow: Callable[[Mutant], None] | None = None,
) -> list[Mutant]:
    """Look at `count` mutants over all components, those outside not counted.

    components : proofs by what they are about

    Results are kept, and taken from there as long as the proofs' files are the same.
    Raises ToolError when a tool is missing or stops, or when proofs have another component than they say.
    """
    found: list[Mutant] = []
    inside = 0
    # Cells of FPGA families come last in the list and have few places: what they leave goes to the others.
    for number, (name, proofs) in enumerate(reversed(list(components.items()))):
        share = -(-(count - inside) // (len(components) - number))
        for mutant in _of_component(name, proofs, folder / _FOLDER / proofs[0].name, share, seed) if share else ():
            found.append(mutant)
            inside += mutant.fate is not Fate.OUTSIDE
            if follow is not None:
                follow(mutant)
    return found


def _of_component(name: str, proofs: Sequence[Proof], folder: Path, share: int, seed: int) -> Iterator[Mutant]:
    """Mutants of one component until `share` of them are not outside; fewer when so many cannot be drawn."""
    keys = {proof.name: key_of(proof) for proof in proofs}
    key = content_key({**keys, "judgement": Path(judge.__file__).read_bytes()})
    path = folder / _KEPT
    kept, inside = _kept(path, key), 0
    if len(proofs) > 1:
        _require_the_same(name, {proof.name: places(proof, folder / proof.name) for proof in proofs})
    for mutation in draw(proofs[0], folder / proofs[0].name, _DRAWS * share, seed):
        if inside == share:
            return
        if mutation not in kept:
            kept[mutation] = fate_of(proofs, mutation, folder)
            write_whole(path, json.dumps({"key": key, "fates": kept}, indent=1) + "\n")
        mutant = Mutant(component=name, mutation=mutation, fate=Fate(kept[mutation]))
        inside += mutant.fate is not Fate.OUTSIDE
        yield mutant


def _require_the_same(component: str, found: Mapping[str, set[str]]) -> None:
    """Amaranth makes constants of inputs that nothing drives, inside of the component: then places are others.

    found : places for mutations, by proof
    """
    first, *others = found
    for other in others:
        if found[other] != found[first]:
            raise ToolError(f"{other} and {first} do not have the same {component}: both must drive all inputs")


def _kept(path: Path, key: str) -> dict[str, str]:
    """What is known of mutants under these very proofs, by mutation."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(data["fates"]) if data.get("key") == key else {}

"""Survivors that have been looked at: survivors.toml says of each why no scenario can tell it from the core."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SURVIVORS_FILE = Path(__file__).with_name("survivors.toml")
_KEYS = {"mutation", "kind", "reason"}


class Kind(StrEnum):
    """What an explanation says of a mutant."""

    EQUIVALENT = "equivalent"
    """It does what the core does, whatever is done to it."""
    UNREACHED = "unreached"
    """It differs where no simulation of reasonable length gets: it counts as not killed."""


class SurvivorsError(ValueError):
    """The file of explanations breaks a rule; the message names the file and the rule."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a mutant survives."""

    kind: Kind
    reason: str


@dataclass(frozen=True, kw_only=True)
class Explanations:
    """What the file says.

    Attributes:
        count, seed: of the list of mutants that was looked at.
        of: by the mutation, as `str(mutation)` writes it.
    """

    count: int
    seed: int
    of: Mapping[str, Explanation]


def read_explanations(path: Path = SURVIVORS_FILE) -> Explanations:
    """Raises SurvivorsError, or OSError when there is no such file."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SurvivorsError(f"{path}: {error}") from error
    found: dict[str, Explanation] = {}
    for number, entry in enumerate(data.get("survivor", []), start=1):
        where = f"{path}: survivor {number}"
        if not isinstance(entry, dict) or set(entry) != _KEYS:
            raise SurvivorsError(f"{where} must have exactly {', '.join(sorted(_KEYS))}")
        mutation, kind, reason = (str(entry[name]) for name in ("mutation", "kind", "reason"))
        if kind not in list(Kind):
            raise SurvivorsError(f"{where}: kind must be one of {', '.join(Kind)}, not {kind!r}")
        if not reason.strip():
            raise SurvivorsError(f"{where}: a reason must be given")
        if mutation in found:
            raise SurvivorsError(f"{where}: {mutation} is explained twice")
        found[mutation] = Explanation(kind=Kind(kind), reason=reason)
    drawn = data.get("drawn", {})
    if not all(isinstance(drawn.get(name), int) for name in ("count", "seed")):
        raise SurvivorsError(f"{path}: [drawn] must have the count and the seed of the mutants that were looked at")
    return Explanations(count=drawn["count"], seed=drawn["seed"], of=found)


def problems_of_explanations(
    explanations: Explanations, drawn: Iterable[object], killed: Iterable[object], *, whole: bool
) -> Iterator[str]:
    """Explanations that explain nothing.

    drawn : all mutants there are, whose texts are their names
    whole : they are those that the file is about, so that one which is not there does not exist
    """
    dead, names = {str(mutation) for mutation in killed}, {str(mutation) for mutation in drawn}
    for mutation in explanations.of:
        if mutation in dead:
            yield f"{mutation} is explained as {explanations.of[mutation].kind}, but it is killed"
        elif whole and mutation not in names:
            yield f"{mutation} is explained, but there is no such mutant"

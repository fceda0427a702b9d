"""verify.json: the figures of all parts, in the form that other tools read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .part import Outcome


def report(outcomes: Sequence[Outcome], *, parts: Sequence[str], quick: bool) -> dict[str, Any]:
    """What verify.json has. Parts that did not run are left out, and then nothing has passed as a whole.

    parts : names of all that there are
    """
    by_name: Mapping[str, Outcome] = {outcome.name: outcome for outcome in outcomes}
    complete = set(parts) <= set(by_name)
    found: dict[str, Any] = {
        "quick": quick,
        "complete": complete,
        "passed": complete and all(outcome.passed for outcome in outcomes),
        "parts": {name: {"passed": outcome.passed, "seconds": outcome.seconds} for name, outcome in by_name.items()},
    }
    if "formal" in by_name:
        found["formal"] = by_name["formal"].summary.get("formal", [])
    if "systems" in by_name:
        found["random"] = dict(by_name["systems"].summary)
    for name in ("coverage", "mutants", "faults", "unknowns", "fuzz"):
        if name in by_name:
            found[name] = dict(by_name[name].summary)
    if "formal_mutants" in by_name:
        summary = by_name["formal_mutants"].summary
        found.setdefault("mutants", {})
        found["mutants"] |= {
            f"formal_{name}": summary[name]
            for name in ("run", "killed", "equivalent", "score", "survivors")
            if name in summary
        }
    return found

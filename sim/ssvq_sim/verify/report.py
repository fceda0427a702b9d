"""verify.json: the figures of all parts, in the form that other tools read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .part import Outcome


def report(outcomes: Sequence[Outcome], *, quick: bool) -> dict[str, Any]:
    """What verify.json has. Parts that did not run are left out."""
    by_name: Mapping[str, Outcome] = {outcome.name: outcome for outcome in outcomes}
    found: dict[str, Any] = {"quick": quick, "passed": all(outcome.passed for outcome in outcomes)}
    found |= {"seconds": {name: outcome.seconds for name, outcome in by_name.items()}}
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
            "formal_run": summary.get("run"),
            "formal_killed": summary.get("killed"),
            "formal_survivors": summary.get("survivors"),
        }
    return found

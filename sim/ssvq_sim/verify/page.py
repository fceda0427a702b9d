"""docs/verification.md, from the plan and the figures of the last full run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .plan import PLAN, Found, Promise

FIGURES = Path("docs/verification.json")
PAGE = Path("docs/verification.md")

_HEAD = """# Verification

Written by `make verify VERIFY_ARGS=--write` from the plan in `ssvq_sim.verify.plan`; the figures are in
[verification.json](verification.json). Each row is a promise. [Testing](testing.md) says how each of the checks works,
and what it leaves out.

| promise | how it is checked | where | last run |
| --- | --- | --- | --- |
"""
_AGAIN = """
## To see it again

* `make verify` runs all parts side by side, in an hour on two idle cores, and goes on where it was interrupted; a
  part that has passed does not run again until a source changes that it may depend on. `make verify-quick` is a few
  minutes of it.
* A random system that fails is printed with its case as JSON and the command that runs it:
  `python -m ssvq_sim.systems --case '...'`.
* `python -m ssvq_sim.mutants --replay 123` judges one mutant; `python -m ssvq_sim.fuzz --only TARGET --replay FILE`
  reads one input; `python -m ssvq_sim.formal NAME` proves one property, and leaves a trace where it fails;
  `python -m ssvq_sim.faults --only GROUP` injects one group of faults. Everything that is random follows from `--seed`.
"""
NOT_RUN = "not run"


def page(found: Found) -> str:
    """The page. Figures that are not there are said to be."""
    return _HEAD + "".join(_row(promise, found) for promise in PLAN) + _AGAIN


def _row(promise: Promise, found: Found) -> str:
    cells = (promise.promise, promise.check, promise.where, _result(promise, found))
    return "| " + " | ".join(cells) + " |\n"


def _result(promise: Promise, found: Found) -> str:
    if promise.result is None:
        return "by tests"
    outcome = found.get("parts", {}).get(promise.part)
    if outcome is None:
        return NOT_RUN
    return promise.result(found) if outcome["passed"] else "FAILED"


def write_page(found: dict[str, Any], folder: Path) -> None:
    """Write figures and page below a checkout."""
    (folder / FIGURES).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(page(found), encoding="utf-8")

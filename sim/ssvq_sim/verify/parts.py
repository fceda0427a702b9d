"""The parts of `make verify`."""

from __future__ import annotations

from typing import Any

from .part import Part, Summary


def _formal(data: Any) -> Summary:
    return {"proofs": len(data), "proved": sum(proof["status"] == "proved" for proof in data), "formal": data}


def _formal_mutants(data: Any) -> Summary:
    return {name: data[name] for name in ("run", "killed", "equivalent", "score", "survivors")}


def _systems(data: Any) -> Summary:
    return {name: data[name] for name in ("systems", "cores", "failures")}


def _coverage(data: Any) -> Summary:
    functional = {name: data["functional"][name] for name in ("bins", "hit", "excluded_bins")}
    return {
        **{name: data[name] for name in ("line", "branch", "toggle", "points", "excluded_points")},
        "functional": functional,
    }


def _unknowns(data: Any) -> Summary:
    return {name: data[name] for name in ("registers", "seeds", "jobs", "failures", "four_state")}


def _mutants(data: Any) -> Summary:
    return {name: data[name] for name in ("run", "killed", "equivalent", "unreached", "score", "survivors")}


def _faults(data: Any) -> Summary:
    return {name: data[name] for name in ("injected", "must_report", "reported", "recovered")}


def _fuzz(data: Any) -> Summary:
    return {name: data[name] for name in ("examples", "executions", "crashes")}


PARTS = (
    Part(
        name="fuzz",
        module="ssvq_sim.fuzz",
        quick_arguments=("--quick",),
        result="fuzz.json",
        summarize=_fuzz,
    ),
    Part(
        name="systems",
        module="ssvq_sim.systems",
        arguments=("--jobs", "1"),
        quick_arguments=("--jobs", "1", "--cores", "2", "--cases", "6", "--programs", "2"),
        result="systems.json",
        summarize=_systems,
    ),
    Part(
        name="mutants",
        module="ssvq_sim.mutants",
        in_quick=False,
        result="mutants.json",
        summarize=_mutants,
    ),
    Part(
        name="formal_mutants",
        module="ssvq_sim.formal.mutants",
        in_quick=False,
        result="formal_mutants.json",
        summarize=_formal_mutants,
    ),
    Part(
        name="coverage",
        module="ssvq_sim.coverage",
        in_quick=False,
        result="coverage.json",
        summarize=_coverage,
    ),
    Part(
        name="formal",
        module="ssvq_sim.formal",
        quick_arguments=("--quick", "converter_*", "decode_*"),
        result="formal.json",
        summarize=_formal,
    ),
    Part(
        name="unknowns",
        module="ssvq_sim.unknowns",
        quick_arguments=("--seeds", "3", "--planted", "0", "--two-state"),
        result="unknowns.json",
        summarize=_unknowns,
    ),
    Part(
        name="faults",
        module="ssvq_sim.faults",
        quick_arguments=("--only", "bus errors", "--only", "weights"),
        result="faults.json",
        summarize=_faults,
    ),
)
"""The longest first, so that no process waits for one in the end."""

"""The verification plan as data: each promise of the project, how it is checked, where, and what the last run says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]
"""What is in verify.json."""


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A promise.

    Attributes:
        promise: in a sentence.
        check: how it is checked.
        where: command, or tests, that check it.
        part: of `make verify` that checks it; empty for what only tests check.
        result: its figures, from verify.json.
    """

    promise: str
    check: str
    where: str
    part: str = ""
    result: Callable[[Found], str] | None = None


def _formal(*patterns: str) -> Callable[[Found], str]:
    """Of proofs whose names begin with one of the patterns."""

    def result(found: Found) -> str:
        proofs = [proof for proof in found["formal"] if proof["name"].startswith(patterns)]
        return f"{sum(proof['status'] == 'proved' for proof in proofs)} of {len(proofs)} proved"

    return result


def _systems(found: Found) -> str:
    random = found["random"]
    return f"{random['systems']} systems on {random['cores']} cores, {random['failures']} wrong"


def _faults(found: Found) -> str:
    f = found["faults"]
    return (
        f"{f['injected']} injected, {f['reported']} of {f['must_report']} reported, {f['recovered']} followed by an "
        "exact job"
    )


def _mutants(found: Found) -> str:
    m = found["mutants"]
    return f"{m['killed']} of {m['run']} killed, {m['equivalent']} equivalent: {100 * m['score']:.1f} %"


def _formal_mutants(found: Found) -> str:
    m = found["mutants"]
    return (
        f"{m['formal_killed']} of {m['formal_run']} refused, {m['formal_equivalent']} equivalent: "
        f"{100 * m['formal_score']:.1f} %"
    )


def _coverage(found: Found) -> str:
    c = found["coverage"]
    shares = ", ".join(
        f"{c[kind]} % of {c['points'][kind]} {plural} ({c['excluded_points'][kind]} more are excluded)"
        for kind, plural in (("line", "lines"), ("branch", "branches"), ("toggle", "toggles"))
    )
    f = c["functional"]
    bins = f"{f['hit']} of {f['bins']} functional bins ({f['excluded_bins']} more cannot be)"
    return f"reached are {shares}, and {bins}"


def _fuzz(found: Found) -> str:
    f = found["fuzz"]
    return f"{f['examples']} structured inputs, {f['executions']} guided executions, {f['crashes']} findings"


def _unknowns(found: Found) -> str:
    u = found["unknowns"]
    random = f"{u['seeds']} seeds of {u['registers']} registers and all memories, {u['failures']} wrong"
    unknown = u["four_state"]
    if unknown is None:
        return f"{random}; not tried with unknown values"
    return f"{random}; {unknown['jobs']} jobs with unknown values, {unknown['failures']} wrong"


PLAN = (
    Promise(
        promise="Outputs are those of the integer reference, bit for bit, on every legal configuration",
        check="random programs on random cores with random memories; counters and all other bytes of DRAM, too",
        where="`make systems`",
        part="systems",
        result=_systems,
    ),
    Promise(
        promise="Real layers and whole networks give the same integers",
        check="co-simulation of pretrained networks",
        where="`make cosim`, `make networks`",
    ),
    Promise(
        promise="The Verilog of every configuration is clean",
        check="Verilator `-Wall` with counted waivers, Yosys `check -assert`, no latches, on every random core",
        where="`make systems`; `make lint` for the presets",
        part="systems",
        result=_systems,
    ),
    Promise(
        promise="Streams lose, double and reorder nothing, hold what waits, and do not wait for ready to be valid",
        check="proofs that follow one word",
        where="`make formal`",
        part="formal",
        result=_formal("converter", "fifo", "sign_queue"),
    ),
    Promise(
        promise="The AXI masters keep AXI's rules and their window; the register port answers every access once",
        check="proofs; checks in every simulation; cocotbext-axi",
        where="`make formal`; `tests/cosim/test_cocotbext.py`",
        part="formal",
        result=_formal("axi"),
    ),
    Promise(
        promise="Decoding, requantizing and multiplying are what their Python definitions say",
        check="proofs for all inputs, or by parts",
        where="`make formal`; `tests/rtl`",
        part="formal",
        result=_formal("decode", "requantize", "mac", "ecp5", "xc7", "xcup"),
    ),
    Promise(
        promise="A job ends: in idle, and in the initial state after an error and a clear",
        check="proofs of job control; the watchdog in every simulation",
        where="`make formal`",
        part="formal",
        result=_formal("job"),
    ),
    Promise(
        promise="Every fault is reported with code, descriptor and address, an error of the bus within 4 cycles and "
        "without another burst; nothing is written outside the outputs, and the next job is exact",
        check="a campaign of faults of bus, descriptors, host and reset",
        where="`make faults`",
        part="faults",
        result=_faults,
    ),
    Promise(
        promise="Nothing depends on initial values, and no unknown value reaches an output that is valid",
        check="registers without initial values: random contents in Verilator, unknown ones in Icarus Verilog",
        where="`make unknowns`",
        part="unknowns",
        result=_unknowns,
    ),
    Promise(
        promise="The verification reaches all of the core",
        check="lines, branches and toggles of the generated Verilog; functional bins, which are crosses of formats, "
        "operations, edges, pauses and errors; what is left out has a reason",
        where="`make coverage`",
        part="coverage",
        result=_coverage,
    ),
    Promise(
        promise="The verification would notice",
        check="mutants of the generated Verilog in simulation",
        where="`make mutants`",
        part="mutants",
        result=_mutants,
    ),
    Promise(
        promise="The proofs would notice",
        check="mutants of what is proved",
        where="`make formal-mutants`",
        part="formal_mutants",
        result=_formal_mutants,
    ),
    Promise(
        promise="No file from elsewhere crashes, hangs or bloats a reader, or runs code",
        check="structured and coverage-guided fuzzing",
        where="`make fuzz`",
        part="fuzz",
        result=_fuzz,
    ),
    Promise(
        promise="Accumulators do not overflow, and errors of vector operations are within their bounds",
        check="bounds at compile time; whole input ranges",
        where="`tests/sw/test_accumulator_bound.py`, `tests/gen/test_vector_arithmetic.py`, "
        "`tests/gen/test_vector_tables.py`",
    ),
    Promise(
        promise="The same seed gives the same bytes, on any number of threads",
        check="containers and programs made in several processes",
        where="`tests/sw/test_determinism.py`",
    ),
)

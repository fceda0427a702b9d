"""Runs of netlists: the same work as the core's own Verilog does, from random contents, and with planted faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from ssvq_gen.config import CoreConfig

from ..core_verilog import core_verilog
from ..mutants.judge import Judge
from ..mutants.verdict import Verdict
from ..runner import Session, SimulationError
from ..simulator import Runs, Simulator, build_simulator, random_contents
from ..systems.outcome import Beats, beats_after, problems_of
from .families import Family
from .netlist import Netlist, make_netlist
from .plants import Fault, Planted, count_kinds, draw_faults, plant
from .report import FamilyResult, Missed
from .work import WORK_FILE, Facts, Work, facts_of, problems_of_netlist

BENCH_MODULE = "ssvq_sim.gates.bench"
WALL_SECONDS = 600.0
Show = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and how much there is; 0 when that is not known."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is run on each netlist.

    Attributes:
        work: jobs.
        seeds: of random contents.
        faults: that are planted; none with 0.
        fault_seed: by which they are chosen.
    """

    work: Work = field(default_factory=Work)
    seeds: int = 3
    faults: int = 150
    fault_seed: int = 1


def run_core(simulator: Simulator, work: Work) -> dict[str, Facts]:
    """Facts of all jobs on the core's own Verilog. Raises SimulationError, also when a job is wrong there."""
    found = {}
    before: Beats = (0, 0)
    with Session(simulator, wall_seconds=WALL_SECONDS) as session:
        for job, expected in work.jobs(simulator.config):
            result = session.run(job)
            if problems := problems_of(simulator.config, job.program, expected, result, before):
                raise SimulationError(f"the core's own Verilog fails in {job.name}: {'; '.join(problems)}")
            before = beats_after(result)
            found[job.name] = facts_of(result)
    return found


def run_family(
    family: Family, config: CoreConfig, facts: Mapping[str, Facts], settings: Settings, *, show: Show
) -> FamilyResult:
    """Run the netlist of a family.

    facts : of the jobs on the core's own Verilog, by name

    Raises ToolError, ModelError, BuildError, SimulationError when the judge of faults is gone, and ValueError for a
    number of faults that is too small.
    """
    start = time.monotonic()
    netlist = make_netlist(family, core_verilog(config), on_pass=lambda name: show(name, 0, 0))
    synthesis_seconds = time.monotonic() - start
    faults = (
        draw_faults(netlist.module, family, count=settings.faults, seed=settings.fault_seed) if settings.faults else []
    )
    show("C++ of the netlist", 0, 0)
    simulator = _simulator(config, netlist)
    problems: dict[int, list[str]] = {}
    start = time.monotonic()
    for seed in range(1, settings.seeds + 1):
        show("seeds", seed - 1, settings.seeds)
        if found := run_seed(simulator, settings.work, facts, seed):
            problems[seed] = found
    run_seconds = time.monotonic() - start
    verdicts = judge_faults(plant(netlist, faults), netlist, config, settings.work, facts, show=show) if faults else []
    return FamilyResult(
        family=family.name,
        title=family.title,
        options=" ".join(family.options),
        reason=family.reason,
        cells=netlist.cells,
        resources=family.target.count(netlist.cells),
        jobs=len(facts),
        cycles=sum(each["cycles"] for each in facts.values()),
        seeds=settings.seeds,
        problems=problems,
        faults=count_kinds(faults),
        missed=missed_faults(faults, verdicts),
        synthesis_seconds=synthesis_seconds,
        run_seconds=run_seconds,
    )


def run_seed(simulator: Simulator, work: Work, facts: Mapping[str, Facts], seed: int) -> list[str]:
    """What is wrong with the jobs on a netlist from one seed of random contents."""
    problems = []
    before: Beats = (0, 0)
    with Session(simulator, wall_seconds=WALL_SECONDS, arguments=random_contents(seed)) as session:
        try:
            for job, expected in work.jobs(simulator.config):
                result = session.run(job)
                found = problems_of_netlist(simulator.config, job, expected, facts[job.name], result, before)
                problems += [f"{job.name}: {problem}" for problem in found]
                before = beats_after(result)
        except SimulationError as error:
            problems.append(f"{type(error).__name__}: {error}")
    return problems


def judge_faults(
    planted: Planted, netlist: Netlist, config: CoreConfig, work: Work, facts: Mapping[str, Facts], *, show: Show
) -> list[Verdict]:
    """A verdict on each fault; raises SimulationError when the netlist without a fault is not right either."""
    show("C++ of the netlist with faults", 0, 0)
    simulator = _simulator(config, netlist, planted)
    files = {WORK_FILE: {"work": asdict(work), "facts": {name: dict(each) for name, each in facts.items()}}}
    verdicts = []
    with Judge(simulator, module=BENCH_MODULE, files=files, arguments=random_contents(1)) as judge:
        none = judge.verdict(0)
        if none.killed:
            raise SimulationError(f"the netlist without a fault fails in {none.scenario!r}: {none.problem}")
        for number in range(1, len(planted.faults) + 1):
            show("faults", number - 1, len(planted.faults))
            # In the order of the work, as times follow from all that was before.
            verdicts.append(judge.verdict(number))
    return verdicts


def missed_faults(faults: Sequence[Fault], verdicts: Sequence[Verdict]) -> list[Missed]:
    """Those that got through all jobs."""
    return [
        Missed(kind=fault.kind, block=fault.mutation.module, fault=str(fault))
        for fault, verdict in zip(faults, verdicts, strict=True)
        if not verdict.killed
    ]


def _simulator(config: CoreConfig, netlist: Netlist, planted: Planted | None = None) -> Simulator:
    defines = dict(netlist.family.defines)
    if planted is not None:
        defines["SSVQ_MUTANT_WIDTH"] = planted.width
    verilog = planted.verilog if planted else netlist.verilog
    return build_simulator(config, verilog=verilog, extra_defines=defines, runs=Runs.SOME, unknowns=True, netlist=True)

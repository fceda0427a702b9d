"""Jobs on cores that begin with random contents: the same results, in the same cycles, for every seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..behaviour import Behaviour, SimulationJob
from ..runner import Session, SimulationError
from ..simulator import Simulator, build_simulator, random_contents
from ..systems.error_cases import ErrorCase, weight_lengths
from ..systems.error_outcome import problems_of_error
from ..systems.outcome import Beats, beats_after, problems_of
from ..systems.system_cases import Tensors
from .jobs import jobs_with
from .subject import CONFIG, subject
from .verilog import without_resets

SEEDS = 40
PROGRAMS, STEPS = 2, 40
WALL_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of all seeds.

    Attributes:
        registers: that lost their initial value.
        seeds: of random contents.
        jobs: that ran with each.
        problems: by seed.
        planted_missed: seeds with which a core without resets was right in everything, which shows nothing.
    """

    registers: int
    seeds: int
    jobs: int
    problems: Mapping[int, Sequence[str]]
    planted_missed: int = 0

    @property
    def failed(self) -> bool:
        """Whether something is wrong with the core, or with this check."""
        return bool(self.problems or self.planted_missed)

    def to_dict(self) -> dict[str, Any]:
        """As unknowns.json has it."""
        return {
            "registers": self.registers,
            "seeds": self.seeds,
            "jobs": self.jobs,
            "failures": len(self.problems),
            "planted_missed": self.planted_missed,
            "problems": {str(seed): list(texts) for seed, texts in self.problems.items()},
        }


def build(*, resets: bool = True) -> tuple[Simulator, int]:
    """A simulator of the core without initial values, and the number of registers that had one. Raises BuildError."""
    verilog, registers = subject() if resets else subject(without_resets)
    return build_simulator(CONFIG, verilog=verilog, unknowns=True), registers


def run_seeds(seeds: int, *, planted: int = 0, on_seed: Callable[[int], None] | None = None) -> Report:
    """Run the same jobs for each seed, from the reset on. A job takes as many cycles for every seed.

    planted : seeds that a core without resets is run with, too, and has to be wrong
    on_seed : called with how many are done

    Raises BuildError.
    """
    simulator, registers = build()
    jobs, failing = jobs_with(_behaviour, programs=PROGRAMS, steps=STEPS), next(iter(weight_lengths()))
    problems: dict[int, list[str]] = {}
    first: list[int] = []
    for seed in range(1, seeds + 1):
        found, cycles = _run(simulator, seed, jobs, failing)
        first = first or ([] if found else cycles)
        if not found and cycles != first:
            found.append(f"jobs take {cycles} cycles, with an earlier seed {first}")
        if found:
            problems[seed] = found
        if on_seed is not None:
            on_seed(seed)
    missed = 0
    if planted:
        broken, _ = build(resets=False)
        missed = sum(not _run(broken, seed, jobs, failing)[0] for seed in range(1, planted + 1))
    return Report(registers=registers, seeds=seeds, jobs=len(jobs) + 1, problems=problems, planted_missed=missed)


def _behaviour(number: int) -> Behaviour:
    return Behaviour(latency=7) if number < 2 else Behaviour()


def _run(
    simulator: Simulator, seed: int, jobs: Sequence[tuple[SimulationJob, Tensors]], failing: ErrorCase
) -> tuple[list[str], list[int]]:
    """What is wrong with one seed, and the cycles of its jobs."""
    problems: list[str] = []
    cycles = []
    before: Beats = (0, 0)
    with Session(simulator, wall_seconds=WALL_SECONDS, arguments=random_contents(seed)) as session:
        try:
            for job, expected in jobs:
                result = session.run(job)
                found = problems_of(CONFIG, job.program, expected, result, before)
                problems += [f"{job.name}: {problem}" for problem in found]
                before = beats_after(result)
                cycles.append(result.cycles)
            result = session.run(failing.job)
            problems += [f"{failing.name}: {problem}" for problem in problems_of_error(failing, result, before)]
        except SimulationError as error:
            problems.append(f"{type(error).__name__}: {error}")
    return problems, cycles

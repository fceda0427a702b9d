"""Jobs on a core in which everything is unknown in the beginning: after the reset, nothing unknown leaves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from ..behaviour import CHANNELS, Behaviour, JobResult, SimulationJob
from ..runner import Session, SimulationError
from ..systems.error_cases import ErrorCase, malformed_descriptors, out_of_range, weight_lengths
from ..systems.error_outcome import problems_of_error
from ..systems.outcome import problems_of_memory
from .icarus import build_icarus
from .jobs import jobs_with
from .subject import Plant, subject
from .verilog import without_resets, without_writes

PROGRAMS, STEPS = 5, 20
UNKNOWN = "has an unknown bit"
"""How `known_outputs` says it."""
PLANTS: Mapping[str, tuple[Plant, str]] = MappingProxyType(
    {
        "no register is reset": (without_resets, f"irq {UNKNOWN}"),
        **{
            f"{register} is never written": (partial(without_writes, register=register), f"{output} {UNKNOWN}")
            for register, output in (
                ("axi__rdata", "s_axil_rdata"),
                ("axi__wdata", "m_axi_wdata"),
                ("axi__wlast", "m_axi_wlast"),
            )
        },
    }
)
"""Mistakes, and what has to be said of each."""
_MODULE = "ssvq_sim.unknowns.four_state_bench"
_MEMORY_BYTES = 1 << 20
_WALL_SECONDS = 300.0
_STALLS = dict.fromkeys(CHANNELS, 0.2)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A job, and what is wrong with a result of it."""

    job: SimulationJob
    problems: Callable[[JobResult], list[str]]


@dataclass(frozen=True, kw_only=True)
class FourState:
    """What came of it.

    Attributes:
        jobs: that were to run.
        cycles: of those that did.
        problems: with the core.
        planted: cores with a mistake that were tried.
        planted_missed: what happened to those whose mistake was not named, by the mistake.
    """

    jobs: int
    cycles: int
    problems: Sequence[str]
    planted: int = 0
    planted_missed: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether something is wrong with the core, or with this check."""
        return bool(self.problems or self.planted_missed)

    def to_dict(self) -> dict[str, Any]:
        """As unknowns.json has it."""
        return {
            "jobs": self.jobs,
            "cycles": self.cycles,
            "failures": len(self.problems),
            "planted": self.planted,
            "planted_missed": {name: list(texts) for name, texts in self.planted_missed.items()},
            "problems": list(self.problems),
        }


def run_four_state(
    jobs: Sequence[Judged], *, planted: bool = True, on_job: Callable[[int], None] | None = None
) -> FourState:
    """Run jobs from the reset on, in one process of Icarus Verilog.

    planted : the first job also runs on each core of `PLANTS`, which has to be refused
    on_job : called with how many are done

    Raises ToolError.
    """
    problems, cycles = _run(jobs, on_job=on_job)
    missed = {}
    plants = PLANTS if planted else {}
    for name, (plant, wanted) in plants.items():
        found, _ = _run(jobs[:1], plant)
        if not any(wanted in text for text in found):
            missed[name] = found
    return FourState(jobs=len(jobs), cycles=cycles, problems=problems, planted=len(plants), planted_missed=missed)


def four_state_jobs(*, programs: int = PROGRAMS, steps: int = STEPS) -> list[Judged]:
    """Small jobs, and programs of all kinds of descriptors, every second of them with pauses of all channels, and jobs
    that fail in between."""
    good = [
        Judged(job=replace(job, profile=True), problems=partial(problems_of_memory, expected))
        for job, expected in jobs_with(_behaviour, programs=programs, steps=steps)
    ]
    failing = [_failing(next(iter(cases()))) for cases in (weight_lengths, malformed_descriptors, out_of_range)]
    # A job that fails is followed by one that has to be exact.
    first, *others = good
    return [first, *(each for pair in zip_longest(failing, others) for each in pair if each is not None)]


def _behaviour(number: int) -> Behaviour:
    return Behaviour(stalls=_STALLS if number % 2 else None, seed=number)


def _failing(case: ErrorCase) -> Judged:
    # Models of others do not count beats.
    return Judged(job=case.job, problems=partial(problems_of_error, case, beats_before=(0, 0)))


def _run(
    jobs: Sequence[Judged], plant: Plant | None = None, *, on_job: Callable[[int], None] | None = None
) -> tuple[list[str], int]:
    """Problems, and cycles of the jobs. The first unknown value ends the run."""
    simulator = build_icarus(subject(plant)[0])
    problems: list[str] = []
    cycles = 0
    with Session(simulator, memory_bytes=_MEMORY_BYTES, module=_MODULE, wall_seconds=_WALL_SECONDS) as session:
        for number, each in enumerate(jobs, 1):
            try:
                result = session.run(each.job)
            except SimulationError as error:
                problems.append(f"{each.job.name}: {error}")
                break
            problems += [f"{each.job.name}: {problem}" for problem in each.problems(result)]
            cycles += result.cycles
            if on_job is not None:
                on_job(number)
    return problems, cycles

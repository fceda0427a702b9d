"""All faults by group, and running them: each is followed by a job that has to be exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..behaviour import JobResult
from ..runner import Session, SimulationError
from ..simulator import Simulator
from ..systems.error_cases import GROUPS as ERROR_GROUPS
from ..systems.outcome import Beats, beats_after, problems_of
from ..systems.work import CONFIG, GOOD
from .beats import every_beat
from .flips import flips
from .host import KINDS, play
from .injection import Injection, of_case

WALL_SECONDS = 120.0
RESETS, WRITES = 200, 60
HOST = "host"
"""The group of resets and of writes in the middle of jobs, which are no jobs of their own."""


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """What came of a group of faults.

    injected : faults
    must_report : those of them that the driver has to raise as an error
    reported : those that it did raise, as it should
    recovered : those after which the next job was exact
    problems : by the fault's name
    """

    name: str
    injected: int
    must_report: int
    reported: int
    recovered: int
    problems: Mapping[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def injections(seed: int) -> dict[str, Callable[[], Sequence[Injection]]]:
    """Groups of faults that come in a job, by name."""

    def of_group(group: Callable[[], Sequence[Any]]) -> Callable[[], Sequence[Injection]]:
        return lambda: [of_case(case) for case in group()]

    groups = {name: of_group(group) for name, group in ERROR_GROUPS.items()}
    return {**groups, "beats": every_beat, "flips": lambda: flips(seed)}


def group_names() -> tuple[str, ...]:
    """Of all groups."""
    return (*injections(0), HOST)


def run_group(
    simulator: Simulator, name: str, *, seed: int, on_fault: Callable[[int, int], None] | None = None
) -> GroupResult:
    """Run one group.

    on_fault : called with how many are done, of how many

    Raises SimulationError when scenes of the host stop the simulator.
    """
    if name == HOST:
        return _host(simulator, seed)
    return inject(simulator, name, injections(seed)[name](), on_fault=on_fault)


def inject(
    simulator: Simulator,
    name: str,
    faults: Sequence[Injection],
    *,
    on_fault: Callable[[int, int], None] | None = None,
) -> GroupResult:
    """Run faults, each followed by a good job. After one that stops the simulator, the next has a new one."""
    problems: dict[str, list[str]] = {}
    reported = recovered = 0
    before: Beats = (0, 0)
    with Session(simulator, wall_seconds=WALL_SECONDS) as session:
        for number, fault in enumerate(faults):
            try:
                result = session.run(fault.job)
                found, after, before = _judged(session, fault, result, before)
            except SimulationError as error:
                found, after, before = [f"{type(error).__name__}: {error}"], ["not run"], (0, 0)
            reported += fault.reported and not found
            recovered += not after
            if found or after:
                problems[fault.name] = found + [f"the next job: {problem}" for problem in after]
            if on_fault:
                on_fault(number + 1, len(faults))
    return GroupResult(
        name=name,
        injected=len(faults),
        must_report=sum(fault.reported for fault in faults),
        reported=reported,
        recovered=recovered,
        problems=problems,
    )


def _judged(session: Session, fault: Injection, result: JobResult, before: Beats) -> tuple[list[str], list[str], Beats]:
    """Problems of the fault, those of the good job after it, and the beats behind both."""
    found = fault.judge(result, before)
    good = session.run(GOOD.job(f"after {fault.name}"))
    after = problems_of(CONFIG, GOOD.program, GOOD.expected, good, beats_after(result))
    return found, after, beats_after(good)


def _host(simulator: Simulator, seed: int) -> GroupResult:
    rng = np.random.default_rng(seed)
    counts = dict(zip(KINDS, (RESETS, WRITES), strict=True))
    plan = [(kind, int(rng.integers(1 << 32))) for kind in KINDS for _ in range(counts[kind])]
    found = play(simulator, plan)
    problems = {name: texts for name, texts in found.items() if texts}
    survived = len(plan) - len(problems)
    return GroupResult(name=HOST, injected=len(plan), must_report=0, reported=0, recovered=survived, problems=problems)

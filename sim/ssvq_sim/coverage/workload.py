"""What runs while coverage is counted: all scenarios, corners, crosses, faults in jobs, and random systems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ssvq_gen.config import CoreConfig

from ..behaviour import JobResult
from ..faults.campaign import injections
from ..faults.injection import Injection
from ..scenarios.scenario import JobScenario, Scenario
from ..scenarios.workload import workload as all_scenarios
from ..systems.batch import random_systems
from ..systems.outcome import Beats, problems_of
from .corners import corners
from .edge_jobs import edge_jobs
from .error_jobs import error_jobs
from .format_jobs import format_jobs

SEED = 1
CASES, PROGRAMS = 60, 20


def workload(config: CoreConfig) -> Iterator[Scenario]:
    """The scenarios, in their order."""
    yield from all_scenarios(config)
    yield from corners(config)
    yield from format_jobs(config)
    yield from edge_jobs(config)
    for fault in error_jobs(config):
        yield _of_fault("errors", fault)
    for group, make in injections(SEED).items():
        for fault in make():
            yield _of_fault(group, fault)
    for number, system in enumerate(random_systems(config, cases=CASES, programs=PROGRAMS, random_seed=SEED)):
        job, expected = system.build(f"system {number}")
        yield JobScenario(job=job, check=partial(problems_of, config, job.program, expected))


def _of_fault(group: str, fault: Injection) -> JobScenario:
    def check(result: JobResult, before: Beats) -> list[str]:
        return fault.judge(result, before)

    return JobScenario(job=replace(fault.job, name=f"{group}, {fault.name}"), check=check)

"""What runs while coverage is counted: the scenarios of the mutants, and random systems on the same core."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ssvq_gen.config import CoreConfig

from ..mutants.scenario import JobScenario, Scenario
from ..mutants.workload import workload as of_mutants
from ..systems.batch import random_systems
from ..systems.outcome import problems_of

SEED = 1
CASES, PROGRAMS = 60, 20


def workload(config: CoreConfig) -> Iterator[Scenario]:
    """The scenarios, in their order."""
    yield from of_mutants(config)
    for number, system in enumerate(random_systems(config, cases=CASES, programs=PROGRAMS, random_seed=SEED)):
        job, expected = system.build(f"system {number}")
        yield JobScenario(job=job, check=partial(problems_of, config, job.program, expected))

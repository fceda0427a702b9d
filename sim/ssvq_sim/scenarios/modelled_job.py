"""A scenario of a program whose outputs are those of the functional model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ssvq.program import Program
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig

from ..behaviour import Behaviour, SimulationJob
from ..systems.model_outputs import outputs_of
from ..systems.outcome import problems_of
from .scenario import JobScenario

TIMEOUT_CYCLES = 60_000
WATCHDOG_CYCLES = 2_500
"""Both far above what any of the jobs needs."""


def modelled_job(
    config: CoreConfig,
    name: str,
    program: Program,
    inputs: Mapping[str, Int8Array],
    behaviour: Behaviour = Behaviour(),  # noqa: B008
) -> JobScenario:
    """The scenario, in a memory that never pauses or behaves in another way."""
    job = SimulationJob(
        name=name,
        program=program,
        inputs=inputs,
        behaviour=behaviour,
        timeout_cycles=TIMEOUT_CYCLES,
        watchdog_cycles=WATCHDOG_CYCLES,
    )
    return JobScenario(job=job, check=partial(problems_of, config, program, outputs_of(config, program, inputs)))

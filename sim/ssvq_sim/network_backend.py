"""Programs of compiled networks on the simulated core: the backend `sim` of `ssvq run`."""

from __future__ import annotations

from collections.abc import Mapping

from ssvq.network.hosting.backend import BackendError, BusSettings, ProgramRun
from ssvq.program import Program
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig
from ssvq_gen.toolbox import ToolError

from .behaviour import Behaviour, SimulationJob
from .runner import SimulationError, run_jobs
from .simulator import BuildError

WATCHDOG_CYCLES = 1_000_000
TIMEOUT_CYCLES = 1_000_000_000
WALL_SECONDS = 24 * 3600.0
"""Networks take minutes to hours; whoever waits may interrupt."""


def run_program(
    config: CoreConfig, program: Program, inputs: Mapping[str, Int8Array], *, bus: BusSettings, profile: bool
) -> ProgramRun:
    """Run a program in Verilator, building the simulator where the cache does not have it.

    Raises:
        BackendError: it cannot be built, or the job ended with an error.
        ValueError: the bus settings are not possible.
    """
    job = SimulationJob(
        name="network",
        program=program,
        inputs=inputs,
        behaviour=Behaviour(latency=bus.latency, bytes_per_cycle=bus.bytes_per_cycle),
        timeout_cycles=TIMEOUT_CYCLES,
        watchdog_cycles=WATCHDOG_CYCLES,
        profile=profile,
    )
    job.behaviour.rate(config.beat_bytes)
    try:
        (result,) = run_jobs(config, [job], wall_seconds=WALL_SECONDS)
    except (SimulationError, BuildError, ToolError) as error:
        raise BackendError(str(error)) from error
    if result.error is not None:
        raise BackendError(f"{result.error.type}: {result.error.message}")
    if result.stray is not None:
        raise BackendError(f"the core wrote outside its outputs, at offset {result.stray}")
    return ProgramRun(outputs=result.outputs, counters=result.counters, profile=result.profile)

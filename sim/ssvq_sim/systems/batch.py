"""Many random systems on one core: one simulator process, without a reset between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ssvq_gen.config import CoreConfig

from ..runner import Session, SimulationError
from ..simulator import Runs, build_simulator
from .outcome import Beats, beats_after, problems_of
from .program_system import ProgramSystem, System
from .system_cases import behaviours, draw, system_cases

WALL_SECONDS = 300.0
_PROGRAM_SEEDS = 1 << 32


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A system whose job did not come out as its reference says, as JSON, and everything that was wrong with it."""

    system: str
    problems: list[str]


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What came of a batch.

    core : name and size
    systems : that ran
    failures : those of them that were wrong
    lint : messages of linters on the core's Verilog, or of the tool that did not build it
    seconds : all that it took
    """

    core: str
    systems: int
    failures: list[Failure]
    lint: list[str]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BatchResult:
        """Inverse of `to_dict`."""
        return cls(**{**data, "failures": [Failure(**failure) for failure in data["failures"]]})


def random_systems(config: CoreConfig, *, cases: int, programs: int, random_seed: int) -> list[System]:
    """Layers and convolutions, and programs of all kinds of descriptors, the same for the same seed."""
    seed = random_seed + config.digest
    rng = np.random.default_rng((random_seed, config.digest))
    found: list[System] = list(draw(system_cases(config), cases, random_seed=seed))
    paces = draw(behaviours(config), programs, random_seed=seed)
    return found + [
        ProgramSystem(config=config, seed=int(rng.integers(_PROGRAM_SEEDS)), behaviour=pace) for pace in paces
    ]


def name_of(config: CoreConfig) -> str:
    """Name and size of a core."""
    return f"{config.name}-{config.rows}x{config.cols}-{config.axi_data_width}"


def run_systems(
    config: CoreConfig,
    systems: Sequence[System],
    *,
    lint: Callable[[CoreConfig], list[str]] | None = None,
    on_system: Callable[[int], None] | None = None,
) -> BatchResult:
    """Run systems of one core and compare every integer. After one that stops the simulator, the next has a new one.

    lint : gives what linters say of the core's Verilog
    on_system : called with how many are done

    Raises BuildError, and ToolError of `lint`.
    """
    begin = time.monotonic()
    messages = lint(config) if lint else []
    failures = []
    before: Beats = (0, 0)
    with Session(build_simulator(config, runs=Runs.FEW), wall_seconds=WALL_SECONDS) as session:
        for index, system in enumerate(systems):
            try:
                job, expected = system.build(f"case{index}")
                result = session.run(job)
                problems = problems_of(config, job.program, expected, result, before)
                before = beats_after(result)
            except (SimulationError, ValueError) as error:
                problems, before = [f"{type(error).__name__}: {error}"], (0, 0)
            if problems:
                failures.append(Failure(system=system.to_json(), problems=problems))
            if on_system:
                on_system(index + 1)
    return BatchResult(
        core=name_of(config),
        systems=len(systems),
        failures=failures,
        lint=messages,
        seconds=time.monotonic() - begin,
    )

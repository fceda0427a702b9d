"""The jobs that have to be exact, whatever the core begins with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..behaviour import Behaviour, SimulationJob
from ..systems.overlap_cases import ProgramCase
from ..systems.system_cases import Tensors
from ..systems.work import GOOD, OTHER
from .subject import CONFIG


def jobs_with(
    behaviour: Callable[[int], Behaviour], *, programs: int, steps: int
) -> list[tuple[SimulationJob, Tensors]]:
    """Two small jobs, and random programs of descriptors of all kinds, each with its outputs.

    The small ones come first, as they read nothing that they have not written: what comes after a program finds in the
    activation memory what that has left.

    behaviour : of the memory in the job of a number
    programs, steps : how many, and how many descriptors each has, more or less
    """
    found: list[tuple[SimulationJob, Tensors]] = [
        (work.job(name, behaviour=behaviour(number)), work.expected)
        for number, (name, work) in enumerate((("other", OTHER), ("good", GOOD)))
    ]
    for seed in range(programs):
        case = ProgramCase(CONFIG, np.random.default_rng(seed), steps=steps)
        job = SimulationJob(
            name=f"program {seed}", program=case.program, inputs=case.inputs, behaviour=behaviour(len(found))
        )
        found.append((job, case.expected()))
    return found

"""What the functional model leaves of a program in DRAM."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ssvq.program import Program, place_input, read_output
from ssvq_gen.config import CoreConfig

from .core_model import CoreModel


def outputs_of(
    config: CoreConfig, program: Program, inputs: Mapping[str, npt.NDArray[np.int8]]
) -> dict[str, npt.NDArray[np.int8]]:
    """Outputs by job, of the descriptors one after the other. Raises CoreFault for a program that fails."""
    memory = program.new_memory()
    for name, x in inputs.items():
        place_input(memory, program, x, job=name)
    CoreModel(config).run(memory, program.descriptor_offset, program.descriptor_count)
    return {job.name: read_output(memory, program, job=job.name) for job in program.jobs if job.output}

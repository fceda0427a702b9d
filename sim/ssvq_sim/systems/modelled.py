"""What a program has to leave in DRAM, by the functional model."""

from __future__ import annotations

from collections.abc import Mapping

from ssvq.program import Program, place_input, read_output
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig

from .core_model import CoreModel


def modelled_outputs(config: CoreConfig, program: Program, inputs: Mapping[str, Int8Array]) -> dict[str, Int8Array]:
    """Outputs by job, int8 (tokens, channels), of the descriptors one after the other. Raises CoreFault."""
    memory = program.new_memory()
    for name, x in inputs.items():
        place_input(memory, program, x, job=name)
    CoreModel(config).run(memory, program.descriptor_offset, program.descriptor_count)
    return {job.name: read_output(memory, program, job=job.name) for job in program.jobs if job.output}

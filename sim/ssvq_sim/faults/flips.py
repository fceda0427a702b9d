"""Descriptors with a bit turned over, on a program of all kinds of descriptors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ssvq import footprint
from ssvq.program import Program, place_input, read_output
from ssvq_gen.format import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, STREAM_OPCODES, VECTOR_OPCODES, Opcode

from ..behaviour import JobResult, SimulationJob
from ..job_bench import FILL
from ..systems.core_model import CoreFault, CoreModel
from ..systems.outcome import Beats, stray_writes
from ..systems.overlap_cases import ProgramCase
from ..systems.work import CONFIG
from .injection import Injection, Judge

STEPS = 24
WATCHDOG_CYCLES, TIMEOUT_CYCLES = 20_000, 1_000_000
HINTS = ("loads_open", "matmuls_open", "stores_open", "vectors_open", "early_tiles")
"""Fields that say what a descriptor may overlap. With others, it can be early, and take what is not there yet."""
UNDEFINED = (
    (Opcode.LAYERNORM, "channels"),  # the inverse of their number is another field, and no longer fits
    (Opcode.LAYERNORM, "inverse"),
    *((opcode, "table_use") for opcode in VECTOR_OPCODES),  # a table of softmax is none of the others
    *((opcode, "residency") for opcode in STREAM_OPCODES),  # jobs before have left what is in the cache
)
"""Fields with values that break no rule the core knows, and for which the arithmetic is not defined."""
Outputs = dict[str, npt.NDArray[np.int8]]


def flips(seed: int) -> list[Injection]:
    """A random bit of every field, in one descriptor of each opcode."""
    rng = np.random.default_rng(seed)
    case = program_of_all_kinds(rng)
    chosen: dict[int, int] = {}
    for index, d in enumerate(case.program.descriptors()):
        chosen.setdefault(d["opcode"], index)
    return [
        _flip(case, index, field.name, field.offset + int(rng.integers(field.width)))
        for opcode, index in chosen.items()
        for field in DESCRIPTOR_FIELDS
        if field.belongs_to(opcode)
    ]


def program_of_all_kinds(rng: np.random.Generator) -> ProgramCase:
    """A random program with descriptors of every opcode."""
    while True:
        case = ProgramCase(CONFIG, rng, steps=STEPS)
        if {d["opcode"] for d in case.program.descriptors()} == set(Opcode):
            return case


def _flip(case: ProgramCase, index: int, field: str, bit: int) -> Injection:
    program = case.program
    image = program.image.copy()
    image[program.descriptor_offset + index * DESCRIPTOR_BYTES + bit // 8] ^= 1 << bit % 8
    flipped = replace(program, image=image)
    opcode = Opcode(program.descriptor(index)["opcode"])
    name = f"bit {bit} of {field} in descriptor {index}, {opcode.name}"
    job = SimulationJob(
        name=name,
        program=flipped,
        inputs=case.inputs,
        watchdog_cycles=WATCHDOG_CYCLES,
        timeout_cycles=TIMEOUT_CYCLES,
    )
    judge, reported = _judge(flipped, case)
    if field in HINTS or (opcode, field) in UNDEFINED or (not reported and _overlaps(flipped, index)):
        judge, reported = _problems_of_any_end, False
    return Injection(name=name, job=job, judge=judge, reported=reported)


def _overlaps(program: Program, index: int) -> bool:
    """Whether a descriptor writes words that it reads, which compilers refuse and the core does not look at."""
    d = program.descriptor(index)
    return footprint.common(footprint.reads(CONFIG, d), footprint.writes(CONFIG, d))


def _problems_of_any_end(result: JobResult, _before: Beats) -> list[str]:
    """Where anything may come out: the job has to end, or be ended by the watchdog, and write nothing but outputs."""
    if result.error is not None and result.error.code is None:
        return [f"the driver raised {result.error.type}: {result.error.message}"]
    return stray_writes(result)


def _judge(program: Program, case: ProgramCase) -> tuple[Judge, bool]:
    """What the functional model says of a program, and whether that is an error. Bytes that depend on what is in the
    core before the job are not compared."""
    one, other = (_expected(program, case, pattern) for pattern in (0, 1))
    if isinstance(one, CoreFault) and isinstance(other, CoreFault):
        fault = one
        return (lambda result, before: _problems_of_fault(fault, result)), True
    if isinstance(one, CoreFault) or isinstance(other, CoreFault):
        return _problems_of_any_end, False
    known = {name: array == other[name] for name, array in one.items()}
    outputs = one
    return (lambda result, before: _problems_of_outputs(outputs, known, result)), False


def _expected(program: Program, case: ProgramCase, pattern: int) -> CoreFault | Outputs:
    """What the functional model makes of it, with a pattern in the core."""
    memory = np.full(program.memory_bytes, FILL, dtype=np.uint8)
    memory[: program.image.size] = program.image
    for name, x in case.inputs.items():
        place_input(memory, program, x, job=name)
    try:
        CoreModel(CONFIG, pattern).run(memory, program.descriptor_offset, program.descriptor_count)
    except CoreFault as fault:
        return fault
    return {job.name: read_output(memory, program, job=job.name) for job in program.jobs if job.output}


def _problems_of_fault(fault: CoreFault, result: JobResult) -> list[str]:
    error = result.error
    if error is None:
        return [f"it did not fail, the model says {fault}"]
    if (error.code, error.descriptor) != (int(fault.code), fault.descriptor):
        return [f"the error is {error.message}, the model says {fault}"]
    return stray_writes(result)


def _problems_of_outputs(outputs: Outputs, known: dict[str, npt.NDArray[np.bool_]], result: JobResult) -> list[str]:
    if result.error is not None:
        return [f"the model finds no error, the driver raised {result.error.type}: {result.error.message}"]
    wrong = [name for name, array in outputs.items() if np.any((array != result.outputs[name]) & known[name])]
    return stray_writes(result) + [f"outputs of {name} differ from the model's" for name in wrong]

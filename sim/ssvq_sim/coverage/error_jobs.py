"""Errors in descriptors of every opcode, and errors while the core waits for every channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ssvq.driver import JOB_ERRORS
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import ErrorCode, Opcode, Residency

from ..behaviour import CHANNELS, Behaviour, Fault, Hang
from ..faults.flips import program_of_all_kinds
from ..faults.injection import Injection, of_case
from ..scenarios.raw_programs import Descriptor, Stream, aligned, dense_stream, load, random_words, raw_program, store
from ..systems.error_cases import DECODE_ERROR, SLAVE_ERROR, ErrorCase
from ..systems.overlap_cases import ProgramCase
from ..systems.work import Work

_ORDER = dict.fromkeys(("loads_open", "stores_open", "matmuls_open", "vectors_open", "early_tiles"), 0)
"""Waits for everything before it."""
_WORDS = 8
_FAR = 1 << 20
"""Bytes behind the end of the DRAM window."""
_MANY = 60
"""Descriptors of a kind that take longer than until the abort."""
_ABORT_CYCLES = 500
_WATCHDOG_CYCLES, _HANG_CYCLES = 500, 3000
_ROUNDS = 12
"""LOADs and STOREs in front: more than all queues between the descriptors and the engines hold."""
_LATE_CYCLES = 900
"""In which some of them have run."""
_READ_ERRORS = {ErrorCode.READ_SLAVE: SLAVE_ERROR, ErrorCode.READ_DECODE: DECODE_ERROR}
_WRITE_ERRORS = {ErrorCode.WRITE_SLAVE: SLAVE_ERROR, ErrorCode.WRITE_DECODE: DECODE_ERROR}


def error_jobs(config: CoreConfig) -> Iterator[Injection]:
    """Errors that any descriptor can have, in each opcode; then all errors, in a memory that pauses."""
    case = program_of_all_kinds(np.random.default_rng(23))
    for opcode in Opcode:
        for error in _in_opcode(config, case, opcode):
            yield of_case(error)
    for error in _while_waiting(config):
        yield of_case(error)


def _in_opcode(config: CoreConfig, case: ProgramCase, opcode: Opcode) -> Iterator[ErrorCase]:
    """Its descriptor cannot be read or does not come, and the job is aborted while it runs."""
    alone, many = (_repeated(config, case, opcode, count) for count in (1, _MANY))
    first = alone.program.descriptor_offset
    for code, response in _READ_ERRORS.items():
        fault = Fault(first=first, last=first, response=response, reads=True)
        yield _case(f"{code.name} in {opcode.name}", alone, code, descriptor=0, behaviour=Behaviour(faults=(fault,)))
    hang = Behaviour(hang=Hang(channels=("ar",), cycles=_HANG_CYCLES))
    code = ErrorCode.WATCHDOG
    yield _case(f"{code.name} in {opcode.name}", alone, code, behaviour=hang, watchdog_cycles=_WATCHDOG_CYCLES)
    yield _case(f"ABORTED in {opcode.name}", many, ErrorCode.ABORTED, abort_after=_ABORT_CYCLES)


def _repeated(config: CoreConfig, case: ProgramCase, opcode: Opcode, count: int) -> Work:
    """A descriptor of an opcode, many times; what is in DRAM and on chip means nothing.

    It is the program's first, but for those that move data: these are all of the memory, or fit no other place.
    """
    moved: dict[Opcode, Descriptor] = {Opcode.LOAD: load(config, _WORDS), Opcode.STORE: store(config, _WORDS)}
    found = (d for d in case.program.descriptors() if d["opcode"] == opcode and d["residency"] == Residency.NONE)
    d = {**moved.get(opcode, next(found)), **_ORDER}
    program = raw_program(config, case.program.image.tobytes(), [d] * count, words=_WORDS)
    return Work(program=program, inputs={}, expected={})


def _while_waiting(config: CoreConfig) -> Iterator[ErrorCase]:
    """Behind LOADs and STOREs, one after the other; every channel pauses."""
    rng = np.random.default_rng(24)
    stream, data = dense_stream(config, rng), aligned(random_words(config, rng, _WORDS))
    ahead = [load(config, _WORDS), store(config, _WORDS)] * _ROUNDS
    for seed, (code, last) in enumerate(_last(config, stream, len(data)).items(), start=1):
        program = raw_program(config, data + stream.weights, [*ahead, last], words=2 * _WORDS)
        causes, settings = _causes(code, program.descriptor(len(ahead))["dram_offset"])
        yield _case(
            f"{code.name} while all pause",
            Work(program=program, inputs={}, expected={}),
            code,
            # What comes from outside is of the descriptor that runs just then.
            descriptor=None if settings else len(ahead),
            behaviour=Behaviour(latency=2, stalls=dict.fromkeys(CHANNELS, 0.4), seed=seed, **causes),
            **settings,
        )


def _last(config: CoreConfig, stream: Stream, weights: int) -> dict[ErrorCode, Descriptor]:
    """The last descriptor of a job for each error; it is wrong when the error is its own."""
    matmul: Descriptor = {**stream.fields, "dram_offset": weights, "source": 0, "destination": 64}
    other = store(config, _WORDS, at=_WORDS * config.word_bytes)
    return {
        **dict.fromkeys(_READ_ERRORS, matmul),
        **dict.fromkeys(_WRITE_ERRORS, other),
        ErrorCode.BAD_DESCRIPTOR: {**matmul, "magic": 0},
        ErrorCode.DRAM_RANGE: {**other, "dram_offset": _FAR},
        ErrorCode.ACTIVATION_RANGE: {**other, "source": config.activation_depth},
        ErrorCode.WEIGHT_LENGTH: {**matmul, "n_tiles": 2},
        **dict.fromkeys((ErrorCode.WATCHDOG, ErrorCode.ABORTED), matmul),
    }


def _causes(code: ErrorCode, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the memory does for an error, at a place of the last descriptor, and settings of the job."""
    if code in _READ_ERRORS:
        return {"faults": (Fault(first=place, last=place, response=_READ_ERRORS[code], reads=True),)}, {}
    if code in _WRITE_ERRORS:
        return {"faults": (Fault(first=place, last=place, response=_WRITE_ERRORS[code], writes=True),)}, {}
    if code is ErrorCode.WATCHDOG:
        hang = Hang(channels=CHANNELS, after=_LATE_CYCLES, cycles=_HANG_CYCLES)
        return {"hang": hang}, {"watchdog_cycles": _WATCHDOG_CYCLES}
    return {}, {"abort_after": _LATE_CYCLES} if code is ErrorCode.ABORTED else {}


def _case(name: str, work: Work, code: ErrorCode, *, descriptor: int | None = None, **settings: Any) -> ErrorCase:
    return ErrorCase(name=name, work=work, error=JOB_ERRORS[code], code=code, descriptor=descriptor, settings=settings)

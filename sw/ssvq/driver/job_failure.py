"""Why the core ended a job, from its registers."""

from __future__ import annotations

from collections.abc import Callable

from ssvq_gen.format import ErrorCode, Opcode

from ..program import Program
from .errors import JOB_ERRORS, JobFailed


def failure_of_job(read: Callable[[str], int], program: Program) -> JobFailed:
    """What to raise for a job in the state ERROR; `read` gives a register by name."""
    number, descriptor = read("ERROR_CODE"), read("ERROR_DESCRIPTOR")
    address = read("ERROR_ADDR_LO") | read("ERROR_ADDR_HI") << 32
    job = program.job_of_descriptor(descriptor)
    layer = job.name if job else None
    what = f"descriptor {descriptor}"
    if job:
        opcode = program.descriptor(descriptor)["opcode"]
        name = Opcode(opcode).name if opcode in list(Opcode) else f"opcode {opcode}"
        what += f" ({name} of layer {job.name!r})"
    code: ErrorCode | int = ErrorCode(number) if number in list(ErrorCode) else number
    meaning = f"{code.meaning} ({code.name})" if isinstance(code, ErrorCode) else f"unknown error code {number}"
    kind = JOB_ERRORS.get(code, JobFailed) if isinstance(code, ErrorCode) else JobFailed
    message = f"{what} failed: {meaning}, address {address:#x}"
    return kind(message, code=code, descriptor=descriptor, address=address, layer=layer)

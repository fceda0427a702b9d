"""Jobs of one descriptor that is slightly wrong, or only looks so: the core has to judge it as the functional model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cocotb.task import bridge

from ssvq.program import place_input
from ssvq.vector_cycles import vector_cycles
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_FIELDS,
    STREAM_OPCODES,
    VECTOR_OPCODES,
    ErrorCode,
    Field,
    Opcode,
    unpack_descriptor,
)
from ssvq_gen.registers import REGISTER_BY_NAME

from ..behaviour import Behaviour
from ..systems.core_model import CoreFault, CoreModel
from ..systems.host import Host
from ..systems.overlap_cases import ProgramCase
from ..systems.work import BASE
from .modelled_job import WATCHDOG_CYCLES
from .scenario import SimulatedCore

_STEPS = 60
_CASES = 40
"""In one scenario."""
_RIGHT_ONES = 0.15
"""How many of those that are no error are taken."""
_WORK_MAX = 3000
"""Cycles above which a descriptor takes too long, right or wrong."""
_POLLS_MAX = 400
_ORDER = ("loads_open", "stores_open", "matmuls_open", "vectors_open", "early_tiles")
"""Fields that speak of other descriptors, of which there are none."""
_NOT_CHANGED = (*_ORDER, "opcode")
_DONE, _ERROR = (REGISTER_BY_NAME["STATUS"].bit(name) for name in ("DONE", "ERROR"))
_START = REGISTER_BY_NAME["CONTROL"].bit("START")


@dataclass(frozen=True, kw_only=True)
class OddCase:
    """A descriptor's place and bytes, and the error that it is: NONE when it is none.

    address : what the error names; None where the model does not say it
    """

    offset: int
    data: bytes
    field: str
    code: ErrorCode
    address: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class OddDescriptors:
    """A scenario of several jobs in the DRAM of a program.

    memory : uint8, the program with its inputs
    ahead : descriptors in front of each case that run before it
    window : MEMORY_SIZE, when it is not that of the memory
    """

    name: str
    memory: npt.NDArray[np.uint8]
    cases: tuple[OddCase, ...]
    ahead: int = 0
    window: int | None = None

    async def problems(self, core: SimulatedCore) -> list[str]:
        """Run the jobs up to the first that does not end as it should."""
        found: list[str] = await bridge(self._play)(core)
        return found

    def _play(self, core: SimulatedCore) -> list[str]:
        host = Host(core.dut, core.memory[: self.memory.size])
        host.behave(Behaviour(latency=2))
        host.memory[:] = self.memory
        settings = {
            **{"MEMORY_BASE_LO": BASE, "MEMORY_BASE_HI": 0, "MEMORY_SIZE": self.window or self.memory.size},
            **{"DESCRIPTOR_COUNT": self.ahead + 1, "WATCHDOG_CYCLES": WATCHDOG_CYCLES},
        }
        for register, value in settings.items():
            host.device.write(register, value)
        for case in self.cases:
            code, address = self._judge(host, case)
            name = f"{Opcode(unpack_descriptor(case.data)['opcode']).name} with another {case.field}"
            if code != case.code:
                return [f"{name}: {code!r}, not {case.code!r}"]
            if case.address not in (None, address):
                return [f"{name}: the error is at {address:#x}, not {case.address:#x}"]
        return []

    def _judge(self, host: Host, case: OddCase) -> tuple[int, int]:
        """The error code that the core ends with, -1 when it does not end, and the lower half of its address."""
        place = slice(case.offset, case.offset + DESCRIPTOR_BYTES)
        host.memory[place] = np.frombuffer(case.data, dtype=np.uint8)
        host.device.write("DESCRIPTOR_OFFSET", case.offset - self.ahead * DESCRIPTOR_BYTES)
        host.command(_START)
        code, address = -1, 0
        for _ in range(_POLLS_MAX):
            if host.status() & (_DONE | _ERROR):
                code, address = (host.device.read(name) for name in ("ERROR_CODE", "ERROR_ADDR_LO"))
                break
            host.wait(20)
        host.device.recover(timeout_s=1e-4)
        return code, address


def odd_descriptors(config: CoreConfig, count: int) -> Iterator[OddDescriptors]:
    """Scenarios, each with the descriptors of one random program."""
    for number in range(count):
        rng = np.random.default_rng((3, number))
        case = ProgramCase(config, rng, steps=_STEPS)
        memory = case.program.new_memory()
        for job, x in case.inputs.items():
            place_input(memory, case.program, x, job=job)
        table = case.program.descriptor_offset
        cases: list[OddCase] = []
        while len(cases) < _CASES:
            offset = table + DESCRIPTOR_BYTES * int(rng.integers(case.program.descriptor_count))
            with suppress(_NoCase):
                found = _odd_case(config, rng, memory, offset)
                if found.code or rng.random() < _RIGHT_ONES:
                    cases.append(found)
        yield OddDescriptors(name=f"odd descriptors {number}", memory=memory, cases=tuple(cases))


class _NoCase(Exception):
    """This descriptor takes too long, or is one of which the model says nothing."""


def _odd_case(config: CoreConfig, rng: np.random.Generator, memory: npt.NDArray[np.uint8], offset: int) -> OddCase:
    data = memory[offset : offset + DESCRIPTOR_BYTES].tobytes()
    before = unpack_descriptor(data)
    if before["opcode"] in VECTOR_OPCODES:
        raise _NoCase  # the model refuses what compilers refuse, which is more than what the core refuses
    known = [f for f in DESCRIPTOR_FIELDS if f.belongs_to(before["opcode"]) and f.name not in _NOT_CHANGED]
    field = known[rng.integers(len(known))]
    data = with_field(data, field, _odd_value(rng, field, before[field.name]))
    for name in _ORDER:
        data = with_field(data, next(f for f in DESCRIPTOR_FIELDS if f.name == name), 0)
    fields = unpack_descriptor(data)
    if fields == before or _work(config, fields) > _WORK_MAX:
        raise _NoCase
    window = memory.copy()
    window[offset : offset + DESCRIPTOR_BYTES] = np.frombuffer(data, dtype=np.uint8)
    try:
        CoreModel(config).run(window, offset, 1)
        code = ErrorCode.NONE
    except CoreFault as fault:
        code = ErrorCode(fault.code)
    except (ValueError, IndexError, OverflowError) as error:
        raise _NoCase from error
    return OddCase(offset=offset, data=data, field=f"{field.name} ({fields[field.name]})", code=code)


def _odd_value(rng: np.random.Generator, field: Field, value: int) -> int:
    """Its bits: one more or less, another bit, an extreme or anything."""
    low, high = field.bounds
    near = [value - 1, value + 1, value ^ 1 << int(rng.integers(field.width)), low, high, 0, 1]
    return int(rng.choice([*near, int(rng.integers(low, high, endpoint=True))])) & ((1 << field.width) - 1)


def with_field(data: bytes, field: Field, value: int) -> bytes:
    """A descriptor with another value in a field, of which as many bits are taken as it has."""
    mask = ((1 << field.width) - 1) << field.offset
    bits = int.from_bytes(data, "little") & ~mask | value << field.offset & mask
    return bits.to_bytes(len(data), "little")


def _work(config: CoreConfig, d: dict[str, int]) -> int:
    """About the cycles that a descriptor takes; for windows, their steps too, as the model takes them one by one."""
    try:
        vector = vector_cycles(config, d)
    except ZeroDivisionError:
        return 0  # wrong at first sight
    matrix = d["tokens"] * d["k_tiles"] * d["n_tiles"] * (d["batch_last"] + 1)
    transfer = d["dram_bytes"] // config.beat_bytes if d["opcode"] not in STREAM_OPCODES else 0
    return max(vector, matrix, transfer)

"""Aborts while descriptors of one or more kinds are incomplete and others wait: the error is of the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cocotb.task import bridge

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import REGISTER_BY_NAME

from ..behaviour import Behaviour
from ..systems.host import Host, require
from ..systems.work import Work
from .raw_programs import ANY_ORDER, Descriptor, LongParts, copy, load, product, raw_program, raw_work, store
from .scenario import SimulatedCore

_AHEAD = (0b0101_0101, 0b1010_1010)
"""Descriptors in front, so that each bit of the index is seen as both."""
_BATCHES = (0x5555, 0xAAAA)
_HELD_CHANNELS = ("r", "b")
_POLLS_MAX = 1_000
_BEGIN_CYCLES, _END_CYCLES = 80, 300
"""In which all that are held have begun, and in which open bursts end."""
_TWO_PRODUCTS = 400
"""Cycles that two products of a batch take, at most."""
_ERROR = REGISTER_BY_NAME["STATUS"].bit("ERROR")
_ABORT = REGISTER_BY_NAME["CONTROL"].bit("ABORT")


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldJob:
    """A scenario: a job that is aborted when its first `done` descriptors are complete and the next ones run.

    running : cycles until the abort
    after : what runs then, and finds in the activation memory what the first job has left
    """

    name: str
    work: Work
    done: int
    running: int = _BEGIN_CYCLES
    after: Work | None = None

    async def problems(self, core: SimulatedCore) -> list[str]:
        """Let it play, beside the simulation."""
        await bridge(self._play)(core)
        return []

    def _play(self, core: SimulatedCore) -> None:
        works = [self.work] if self.after is None else [self.work, self.after]
        host = Host(core.dut, core.memory[: max(work.program.memory_bytes for work in works)])
        host.behave(Behaviour())
        host.load_and_start(self.work)
        for _ in range(_POLLS_MAX):
            if host.device.read("DESCRIPTORS_DONE") >= self.done:
                break
            host.wait(10)
        host.hang(*_HELD_CHANNELS)
        host.wait(self.running)
        host.require_register("DESCRIPTORS_DONE", self.done)
        host.command(_ABORT)
        host.hang()
        host.wait(_END_CYCLES)
        host.require_status(_ERROR)
        host.require_register("ERROR_CODE", ErrorCode.ABORTED)
        host.require_register("ERROR_DESCRIPTOR", self.done)
        host.require_register("DESCRIPTORS_DONE", self.done)
        host.device.recover()
        require(host.status() == 0, "the core is not idle after CLEAR")
        if self.after is not None:
            host.load_and_start(self.after)
            host.check_outputs(self.after)


def held_jobs(config: CoreConfig) -> Iterator[HeldJob]:
    """One kind at a time, several in any order, and a matrix descriptor behind one that ends."""
    parts = LongParts(config)
    batch = product(config, config.accumulator_depth, destination=2 * LongParts.WORDS, batch_last=99)
    held: dict[str, Descriptor] = {
        "LOAD": parts.long["loads_open"],
        "STORE": parts.long["stores_open"],
        "PRODUCT": batch,
        "vector": copy(config, 60_000, input_stride=0, output_stride=0, destination=LongParts.FREE),
    }
    chosen: tuple[tuple[str, ...], ...] = (
        *((name,) for name in held),
        *(("vector", "LOAD"), ("LOAD", "vector"), ("STORE", "vector"), ("vector", "STORE")),
        *(("PRODUCT", "STORE"), ("STORE", "PRODUCT"), ("LOAD", "PRODUCT", "vector", "STORE")),
    )
    for number, names in enumerate(chosen):
        yield _held_job(config, parts, f"abort in {', '.join(names)}", number, [held[name] for name in names], 0)
    for number in range(len(_AHEAD)):
        yield _held_job(config, parts, f"abort in the second product {number}", number, [parts.matmul, batch], 1)
    for batch_last in _BATCHES:
        yield _long_product(config, parts, batch_last)


def _held_job(
    config: CoreConfig, parts: LongParts, name: str, number: int, held: list[Descriptor], ended: int
) -> HeldJob:
    """Of those that are held, the first `ended` are complete at the abort."""
    ahead = _AHEAD[number % len(_AHEAD)]
    waiting = load(config, 1, destination=LongParts.FREE)
    descriptors = [*[load(config, 1)] * ahead, parts.first, *({**d, **ANY_ORDER} for d in held), waiting]
    descriptors[ahead + 1] |= {"loads_open": 0}
    program = raw_program(config, parts.data, descriptors, words=LongParts.WORDS)
    return HeldJob(name=name, work=Work(program=program, inputs={}, expected={}), done=ahead + 1 + ended)


def _long_product(config: CoreConfig, parts: LongParts, batch_last: int) -> HeldJob:
    """Of a batch that would take too long, the first products; all are equal, and have the same place."""
    tokens, place = config.accumulator_depth, 2 * LongParts.WORDS
    batch = product(config, tokens, destination=place, batch_last=batch_last)
    result = store(config, tokens, source=place)
    whole = raw_work(config, parts.data, [parts.first, {**batch, "batch_last": 0}, result], words=tokens)
    after = replace(whole, program=raw_program(config, b"", [result], words=tokens))
    work = Work(program=raw_program(config, parts.data, [parts.first, batch]), inputs={}, expected={})
    return HeldJob(name=f"abort in a batch of {batch_last + 1}", work=work, done=1, running=_TWO_PRODUCTS, after=after)

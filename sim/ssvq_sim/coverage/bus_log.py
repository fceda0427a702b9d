"""Jobs that ran, from what the bench's listener has written: their descriptors, bursts and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from ssvq_gen.format import DESCRIPTOR_BYTES, ErrorCode, unpack_descriptor
from ssvq_gen.registers import REGISTER_BY_NAME

from ..behaviour import CLOCK_NS
from ..simulator import FAST_BENCH, Bench

LOG_FILE = "bus_log.txt"
"""In the simulator's folder."""
LISTENING_BENCH = Bench(toplevel=FAST_BENCH.toplevel, files=(*FAST_BENCH.files, "coverage/bus_log.sv"))
READ_CHANNELS, WRITE_CHANNELS = ("ar", "r"), ("aw", "w", "b")
_STATUS = REGISTER_BY_NAME["STATUS"]
_REGISTERS = ("CONTROL", "STATUS", "MEMORY_BASE_LO", "MEMORY_BASE_HI", "DESCRIPTOR_OFFSET", "DESCRIPTOR_COUNT")
DEFINES: Mapping[str, int] = {
    **{f"SSVQ_{name}": REGISTER_BY_NAME[name].offset for name in _REGISTERS},
    "SSVQ_START": REGISTER_BY_NAME["CONTROL"].bit("START"),
    "SSVQ_DESCRIPTOR_BYTES": DESCRIPTOR_BYTES,
}
"""Macros of the listener."""


class LogError(ValueError):
    """A line of the log is not one that the listener writes; the message has it."""


@dataclass(frozen=True, kw_only=True)
class Burst:
    """A burst that has ended.

    address : of its first beat, on the bus
    waits : cycles that the core waited for the memory, by channel; reads have AR and R, writes AW, W and B
    """

    address: int
    waits: Mapping[str, int]


@dataclass(kw_only=True)
class Job:
    """A job, as the pins have shown it.

    begin : cycle in which it was asked for
    base, table : addresses of its DRAM window and of its first descriptor
    count : descriptors that it should have
    descriptors : fields of those that the core has read, by index
    code : with which it ended, NONE when it was done; None when nobody has seen its end
    failed : index of the descriptor that the error names
    """

    begin: int
    base: int
    table: int
    count: int
    descriptors: dict[int, dict[str, int]] = field(default_factory=dict)
    bursts: list[Burst] = field(default_factory=list)
    code: ErrorCode | None = None
    failed: int | None = None


def read_log(lines: Iterable[str]) -> Iterator[Job]:
    """Jobs in the order of their begin. Raises LogError."""
    job: Job | None = None
    for line in lines:
        try:
            time, kind, *words = line.split()
            if kind == "start":
                if job is not None:
                    yield job
                base, offset = (int(word, 16) for word in words[:2])
                job = Job(begin=int(time) // CLOCK_NS, base=base, table=base + offset, count=int(words[2]))
            elif job is not None:
                _READERS[kind](job, words)
        except (ValueError, IndexError, KeyError, OverflowError) as error:
            raise LogError(f"{line.strip()!r} is not a line of the log: {error}") from error
    if job is not None:
        yield job


def _register(job: Job, words: list[str]) -> None:
    """STATUS says that a job is done, the other registers are zero without an error."""
    address, value = int(words[0], 16), int(words[1])
    if address == _STATUS.offset and value & _STATUS.bit("DONE"):
        job.code = ErrorCode.NONE
    elif address == REGISTER_BY_NAME["ERROR_CODE"].offset and value:
        job.code = ErrorCode(value)
    elif address == REGISTER_BY_NAME["ERROR_DESCRIPTOR"].offset and job.code:
        job.failed = value


def _descriptor(job: Job, words: list[str]) -> None:
    job.descriptors[int(words[0])] = unpack_descriptor(int(words[1], 16).to_bytes(DESCRIPTOR_BYTES, "little"))


def _burst(job: Job, words: list[str], channels: tuple[str, ...]) -> None:
    waits = dict(zip(channels, map(int, words[1:]), strict=True))
    job.bursts.append(Burst(address=int(words[0], 16), waits=waits))


_READERS: Mapping[str, Callable[[Job, list[str]], None]] = {
    "register": _register,
    "descriptor": _descriptor,
    "reads": partial(_burst, channels=READ_CHANNELS),
    "writes": partial(_burst, channels=WRITE_CHANNELS),
}

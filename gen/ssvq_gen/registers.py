"""The register table: hardware, driver, C header, SystemRDL and documentation are all made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

CORE_ID = 0x53535651
"""ASCII "SSVQ"."""
CORE_VERSION = 0x0001_0001
"""Major version in the upper half, minor in the lower."""
AXIL_ADDR_WIDTH = 12
MEMORY_BASE_ALIGNMENT = 4096
"""Bytes to which the DRAM window is aligned; the address bits below do not exist."""


class Access(Enum):
    """Who may do what: R read, W write (reads zero), RW both, RW1C read and clear by writing ones."""

    R = "R"
    W = "W"
    RW = "RW"
    RW1C = "RW1C"


@dataclass(frozen=True, kw_only=True)
class Bits:
    """A field of a register."""

    name: str
    lsb: int
    width: int = 1
    doc: str


@dataclass(frozen=True, kw_only=True)
class Register:
    """A 32-bit register. Without `bits` the whole word is one value."""

    name: str
    offset: int
    access: Access
    doc: str
    init: int = 0
    bits: tuple[Bits, ...] = ()

    @property
    def mask(self) -> int:
        """Bits that exist."""
        if not self.bits:
            return 0xFFFF_FFFF
        return sum(((1 << b.width) - 1) << b.lsb for b in self.bits)

    def bit(self, name: str) -> int:
        """Mask of the field called `name`; raises KeyError."""
        for b in self.bits:
            if b.name == name:
                return ((1 << b.width) - 1) << b.lsb
        raise KeyError(f"register {self.name} has no field {name}")


_EVENTS = (
    Bits(name="DONE", lsb=0, doc="all descriptors of the job are done"),
    Bits(name="ERROR", lsb=1, doc="the job ended with an error"),
)

CONTROL_REGISTERS: tuple[Register, ...] = (
    Register(name="ID", offset=0x00, access=Access.R, init=CORE_ID, doc="identifies the core: ASCII SSVQ"),
    Register(name="VERSION", offset=0x04, access=Access.R, init=CORE_VERSION, doc="major.minor in the two halves"),
    Register(name="DIGEST_LO", offset=0x08, access=Access.R, doc="configuration digest, bits 31..0"),
    Register(name="DIGEST_HI", offset=0x0C, access=Access.R, doc="configuration digest, bits 63..32"),
    Register(
        name="CONTROL",
        offset=0x10,
        access=Access.W,
        doc="commands; a bit written as 1 acts once",
        bits=(
            Bits(name="START", lsb=0, doc="start the job; ignored unless idle"),
            Bits(name="CLEAR", lsb=1, doc="leave DONE or ERROR for idle; ignored while busy or draining"),
            Bits(name="ABORT", lsb=2, doc="end a running job with the error ABORTED"),
        ),
    ),
    Register(
        name="STATUS",
        offset=0x14,
        access=Access.R,
        doc="state of the job",
        bits=(
            Bits(name="BUSY", lsb=0, doc="a job is running"),
            Bits(name="DONE", lsb=1, doc="the job is complete and all its output is in DRAM"),
            Bits(name="ERROR", lsb=2, doc="the job ended with an error, see ERROR_CODE"),
            Bits(name="DRAINING", lsb=3, doc="bus transactions of a failed job are still open"),
        ),
    ),
    Register(name="IRQ_ENABLE", offset=0x18, access=Access.RW, doc="events that raise irq", bits=_EVENTS),
    Register(name="IRQ_STATUS", offset=0x1C, access=Access.RW1C, doc="events that happened", bits=_EVENTS),
    Register(name="MEMORY_BASE_LO", offset=0x20, access=Access.RW, doc="DRAM window of the job, 4096-byte aligned"),
    Register(name="MEMORY_BASE_HI", offset=0x24, access=Access.RW, doc="bits 63..32 of the DRAM window's address"),
    Register(name="MEMORY_SIZE", offset=0x28, access=Access.RW, doc="bytes in the DRAM window"),
    Register(name="DESCRIPTOR_OFFSET", offset=0x2C, access=Access.RW, doc="first descriptor, from the window's base"),
    Register(name="DESCRIPTOR_COUNT", offset=0x30, access=Access.RW, doc="descriptors in the job, at least 1"),
    Register(name="WATCHDOG_CYCLES", offset=0x34, access=Access.RW, doc="idle cycles before an error, 0: never"),
    Register(name="ERROR_CODE", offset=0x38, access=Access.R, doc="why the job failed; codes in the format reference"),
    Register(name="ERROR_DESCRIPTOR", offset=0x3C, access=Access.R, doc="index of the descriptor that failed"),
    Register(name="ERROR_ADDR_LO", offset=0x40, access=Access.R, doc="bus address or activation word that failed"),
    Register(name="ERROR_ADDR_HI", offset=0x44, access=Access.R, doc="bits 63..32 of the failing address"),
    Register(name="DESCRIPTORS_DONE", offset=0x48, access=Access.R, doc="descriptors completed in this job"),
    Register(name="PROFILE_ADDR", offset=0x4C, access=Access.RW, doc="word of the profile that PROFILE_DATA shows"),
    Register(name="PROFILE_DATA", offset=0x50, access=Access.R, doc="a word of the profile, see the format reference"),
)

COUNTERS: tuple[tuple[str, str], ...] = (
    ("TOTAL_CYCLES", "cycles from START to the end of the job; the sum of the classes that follow"),
    ("ARRAY_CYCLES", "an activation entered the array"),
    ("WAIT_WEIGHT_CYCLES", "the array waited for weights that the bus had not brought"),
    ("WAIT_DECODE_CYCLES", "the array waited for weights that were there and not decoded"),
    ("WAIT_OPERAND_CYCLES", "the array waited for the weights of a PRODUCT, from the activation memory"),
    ("WAIT_ACTIVATION_CYCLES", "an activation was not written yet, or its memory bank was in use"),
    ("WAIT_ARRAY_CYCLES", "the array waited for itself: a sum to be stored or requantized, weights to be swapped"),
    ("WAIT_OUTPUT_CYCLES", "the last sums of a layer came out of the array and were written back"),
    ("VECTOR_CYCLES", "nothing was in the array and a vector operation was running"),
    ("LOAD_CYCLES", "nothing was in the array and a LOAD was running"),
    ("STORE_CYCLES", "nothing was in the array and a STORE was running"),
    ("WAIT_DESCRIPTOR_CYCLES", "nothing to do until a descriptor arrived"),
)
"""Cycle counters: every cycle of a job is in TOTAL_CYCLES and in exactly one of the other classes."""

TRAFFIC_COUNTERS: tuple[tuple[str, str], ...] = (
    ("WEIGHT_BEATS", "beats of weight streams read"),
    ("READ_BEATS", "beats read on m_axi, weights included"),
    ("WRITE_BEATS", "beats written on m_axi"),
)
_COUNTER_BASE = 0x80

REGISTERS: tuple[Register, ...] = CONTROL_REGISTERS + tuple(
    Register(name=name, offset=_COUNTER_BASE + 4 * i, access=Access.R, doc=f"{doc}; zero at START, stops at 2**32 - 1")
    for i, (name, doc) in enumerate(COUNTERS + TRAFFIC_COUNTERS)
)
REGISTER_BY_NAME: dict[str, Register] = {r.name: r for r in REGISTERS}

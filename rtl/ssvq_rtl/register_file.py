"""The registers, made from the table in ssvq_gen.registers."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.registers import (
    AXIL_ADDR_WIDTH,
    COUNTERS,
    MEMORY_BASE_ALIGNMENT,
    REGISTER_BY_NAME,
    REGISTERS,
    TRAFFIC_COUNTERS,
    Access,
    Register,
)

from .bus import ERROR_CODE_WIDTH, TAG_WIDTH, RegisterBusSignature
from .checks import require_config

_ALWAYS_WRITABLE = ("IRQ_ENABLE",)


class CounterLayout(data.StructLayout):
    """All counters, 32 bits each, under their names in the register table in lower case."""

    def __init__(self) -> None:
        super().__init__({name.lower(): 32 for name, _ in COUNTERS + TRAFFIC_COUNTERS})


class RegisterFile(wiring.Component):
    """Holds what the host sets, shows what the core reports, raises the interrupt.

    While the core is busy or draining, only CONTROL, IRQ_ENABLE and IRQ_STATUS can be written; so a profile is read
    after its job. Unknown offsets read zero and ignore writes. An event that happens while the host clears it stays
    set.

    Latency 1 cycle from a write to the outputs, from `read_en` to `read_data`, and from IRQ_STATUS to `irq`. The bus
    reads 2 cycles after a write at the earliest, when `profile_data` has followed `profile_addr`.

    Parameters
    ----------
    config : core configuration, whose digest is shown

    Members
    -------
    bus : register accesses
    start, clear, abort : pulses, the host wrote that bit of CONTROL
    irq : an enabled event has happened, until the host clears it
    memory_base, memory_size, descriptor_offset, descriptor_count, watchdog_cycles : what the host has set
    busy, done, error, draining : STATUS
    done_event, error_event : pulses that set IRQ_STATUS
    error_code, error_descriptor, error_addr, descriptors_done : shown as they are
    counters : CounterLayout, shown as they are
    profile_addr, profile_data : PROFILE_ADDR, and what is shown as PROFILE_DATA
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = require_config(config)
        super().__init__(
            {
                "bus": In(RegisterBusSignature(AXIL_ADDR_WIDTH)),
                "start": Out(1),
                "clear": Out(1),
                "abort": Out(1),
                "irq": Out(1),
                "memory_base": Out(64),
                "memory_size": Out(32),
                "descriptor_offset": Out(32),
                "descriptor_count": Out(32),
                "watchdog_cycles": Out(32),
                "busy": In(1),
                "done": In(1),
                "error": In(1),
                "draining": In(1),
                "done_event": In(1),
                "error_event": In(1),
                "error_code": In(ERROR_CODE_WIDTH),
                "error_descriptor": In(TAG_WIDTH),
                "error_addr": In(64),
                "descriptors_done": In(16),
                "counters": In(CounterLayout()),
                "profile_addr": Out(32),
                "profile_data": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        bits = Signal(32)
        m.d.comb += bits.eq(Cat(enable.replicate(8) for enable in bus.write_mask))
        selected = {r.name: bus.write_en & (bus.write_addr == r.offset) for r in REGISTERS}

        # What the host sets
        values: dict[str, Value] = {}
        for register in (r for r in REGISTERS if r.access is Access.RW):
            value = Signal(32, name=register.name.lower(), init=register.init)
            values[register.name] = value
            writable = selected[register.name]
            if register.name not in _ALWAYS_WRITABLE:
                writable = writable & ~self.busy & ~self.draining
            kept = bits & _write_mask(register)
            with m.If(writable):
                m.d.sync += value.eq((value & ~kept) | (bus.write_data & kept))
        m.d.comb += [
            self.memory_base.eq(Cat(values["MEMORY_BASE_LO"], values["MEMORY_BASE_HI"])),
            self.memory_size.eq(values["MEMORY_SIZE"]),
            self.descriptor_offset.eq(values["DESCRIPTOR_OFFSET"]),
            self.descriptor_count.eq(values["DESCRIPTOR_COUNT"]),
            self.watchdog_cycles.eq(values["WATCHDOG_CYCLES"]),
            self.profile_addr.eq(values["PROFILE_ADDR"]),
        ]

        # Commands
        ones = bus.write_data & bits
        for name, pulse in (("START", self.start), ("CLEAR", self.clear), ("ABORT", self.abort)):
            m.d.sync += pulse.eq(selected["CONTROL"] & self._field(ones, "CONTROL", name))

        # Events: set wins over clear
        events = Signal(32, name="irq_status")
        values["IRQ_STATUS"] = events
        cleared = Mux(selected["IRQ_STATUS"], ones, 0)
        happened = self._pack("IRQ_STATUS", DONE=self.done_event, ERROR=self.error_event)
        m.d.sync += [
            events.eq((events & ~cleared) | happened),
            self.irq.eq((events & values["IRQ_ENABLE"]).any()),
        ]

        # What the core reports
        values |= {
            "DIGEST_LO": Value.cast(self._config.digest & 0xFFFF_FFFF),
            "DIGEST_HI": Value.cast(self._config.digest >> 32),
            "STATUS": self._pack("STATUS", BUSY=self.busy, DONE=self.done, ERROR=self.error, DRAINING=self.draining),
            "ERROR_CODE": self.error_code,
            "ERROR_DESCRIPTOR": self.error_descriptor,
            "ERROR_ADDR_LO": self.error_addr[:32],
            "ERROR_ADDR_HI": self.error_addr[32:],
            "DESCRIPTORS_DONE": self.descriptors_done,
            "PROFILE_DATA": self.profile_data,
        }
        values |= {name: self.counters[name.lower()] for name, _ in COUNTERS + TRAFFIC_COUNTERS}
        read_data = Signal(32, reset_less=True)
        m.d.comb += bus.read_data.eq(read_data)
        with m.If(bus.read_en), m.Switch(bus.read_addr):
            for register in REGISTERS:
                if register.access is not Access.W:
                    with m.Case(register.offset):
                        m.d.sync += read_data.eq(values.get(register.name, register.init))
            with m.Default():
                m.d.sync += read_data.eq(0)
        return m

    @staticmethod
    def _field(word: Value, register: str, name: str) -> Value:
        """Whether the one-bit field `name` of `register` is set in `word`."""
        return (word & REGISTER_BY_NAME[register].bit(name)).any()

    @staticmethod
    def _pack(register: str, **fields: Value) -> Value:
        """A word of `register` with its one-bit fields as given; raises KeyError for an unknown one."""
        word: Value = Value.cast(0)
        for name, value in fields.items():
            word = word | Mux(value, REGISTER_BY_NAME[register].bit(name), 0)
        return word


def _write_mask(register: Register) -> int:
    """Bits that the host can set."""
    return register.mask & -MEMORY_BASE_ALIGNMENT if register.name == "MEMORY_BASE_LO" else register.mask

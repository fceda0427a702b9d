"""Records when each descriptor passed its stages, and where the cycles had gone by then."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.profile import PROFILE_STORED, PROFILE_TIMES, PROFILE_WORD, PROFILE_WORDS

from .checks import require_config
from .descriptor import INDEX_WIDTH

TIME_WIDTH = 32
EVENTS: dict[str, str] = {
    "decode_begin": "BEGIN",
    "drain_begin": "DRAIN_BEGIN",
    "load_begin": "BEGIN",
    "store_begin": "BEGIN",
    "vector_begin": "BEGIN",
    "compute_begin": "COMPUTE_BEGIN",
    "decode_end": "DECODED",
    "drain_end": "END",
    "load_end": "END",
    "store_end": "END",
    "vector_end": "END",
    "compute_end": "COMPUTE_END",
}
"""Sources of events and the words they write. Of those that wait for one bank, the first is written first."""
SPACING: dict[str, int] = {"decode": 3, "drain": 5, "load": 5, "store": 8, "vector": 30, "compute": 3}
"""Fewest cycles between two events of the same source, by engine."""
SNAPSHOT_CYCLES = 5
"""Cycles of `busy` after a `compute_end` when there are no other events."""
SNAPSHOT_CYCLES_MAX = 25

_BANK_BITS = 2
_BANKS = 1 << _BANK_BITS
_BANK_WORDS = PROFILE_WORDS // _BANKS


class ProfileEvent(data.StructLayout):
    """In this cycle, something happens to a descriptor."""

    def __init__(self) -> None:
        super().__init__({"valid": 1, "index": INDEX_WIDTH})


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """An event of one source that is not written yet."""

    valid: Signal
    row: Signal
    time: Signal
    slot: int


class Profiler(wiring.Component):
    """Memory of `profile_depth` rows as in `ssvq_gen.profile`; descriptors beyond them are not recorded.

    Every source has a register for one event. The words of a row are spread over four memories (the lowest bits of
    the address), which write one word a cycle each. Sources that share a memory are served in the order of `EVENTS`,
    and the snapshot of the classes when no event waits. Nothing is lost while the events of a source are `SPACING`
    apart: the longest wait for the memory, the least w = 1 + sum of ceil(w / spacing) over the sources served before,
    is 1 cycle (compute, decode), 2 (drain), 3 (load), 5 (store) or 14 (vector), and no longer than the spacing. Engines
    keep it: a LOAD and a STORE of one word take 5 and 8 cycles on an ideal bus, a layer keeps the unpacker for 3, sums
    of another descriptor come out at least as much later as their channel parameters take to change, and a vector
    operation drains.

    Latency: a word is in its memory 2 cycles after its event when nothing else waits, 3 after an end; reading takes 1
    cycle. What other jobs recorded stays until it is written again. A reset drops what waits, and keeps the rows.

    Parameters
    ----------
    config : core configuration with a `profile_depth`

    Members
    -------
    cycle : In, TOTAL_CYCLES
    classes : In, the counters of `PROFILE_STORED`, in their order
    decode_begin, ..., compute_end : In, `ProfileEvent` of each of `EVENTS`; an end is recorded with the time, and the
        classes, of the next cycle
    busy : from the cycle after `compute_end` until its classes are written, `SNAPSHOT_CYCLES` and at most
        `SNAPSHOT_CYCLES_MAX` cycles; no other `compute_end` may come meanwhile
    read_addr, read_data : for the host
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        if config.profile_depth == 0:
            raise ValueError("profile_depth must not be 0")
        super().__init__(
            {
                "cycle": In(TIME_WIDTH),
                "classes": In(data.ArrayLayout(TIME_WIDTH, len(PROFILE_STORED))),
                **{name: In(ProfileEvent()) for name in EVENTS},
                "busy": Out(1),
                "read_addr": In(range(PROFILE_WORDS * config.profile_depth)),
                "read_data": Out(TIME_WIDTH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fired = {name: self._fired(m, name) for name in EVENTS}
        banks: list[list[_Entry]] = [[] for _ in range(_BANKS)]
        entries: dict[str, _Entry] = {}
        for name, word in EVENTS.items():
            number = PROFILE_WORD[word]
            entries[name] = _Entry(
                valid=Signal(name=f"{name}_waits"),
                row=Signal(range(self._config.profile_depth), name=f"{name}_row", reset_less=True),
                time=Signal(TIME_WIDTH, name=f"{name}_time", reset_less=True),
                slot=number // _BANKS,
            )
            banks[number % _BANKS].append(entries[name])
        last = entries["compute_end"]
        takes, _ = fired["compute_end"]

        lane = Signal(_BANK_BITS, reset_less=True)
        m.d.sync += lane.eq(self.read_addr[:_BANK_BITS])
        words, left = [], []
        for bank, waiting in enumerate(banks):
            word, remains = self._bank(m, bank, waiting, takes, last.row)
            words.append(word)
            left.append(remains)
        m.d.comb += [
            self.busy.eq(takes | Cat(left).any()),
            self.read_data.eq(Cat(words).word_select(lane, TIME_WIDTH)),
        ]
        # After the banks: an event that comes as the one before is written takes its place.
        for name, (valid, row) in fired.items():
            entry = entries[name]
            with m.If(valid):
                m.d.sync += [entry.valid.eq(1), entry.row.eq(row), entry.time.eq(self.cycle)]
        return m

    def _fired(self, m: Module, name: str) -> tuple[Value, Value]:
        """Whether an event is to be recorded with this cycle's time, and its row."""
        event = getattr(self, name)
        width = (self._config.profile_depth - 1).bit_length()
        recorded = event.valid & ~event.index[width:].any()
        if not name.endswith("_end"):
            return recorded, event.index[:width]
        valid = Signal(name=f"{name}_fired")
        row = Signal(width, name=f"{name}_fired_row", reset_less=True)
        m.d.sync += [valid.eq(recorded), row.eq(event.index[:width])]
        return valid, row

    def _bank(self, m: Module, bank: int, entries: list[_Entry], takes: Value, row: Value) -> tuple[Value, Value]:
        """One of the memories: returns what it reads and whether words of the snapshot remain to be written."""
        numbers = [n for n in range(len(PROFILE_TIMES), len(PROFILE_WORD)) if n % _BANKS == bank]
        values = Signal(TIME_WIDTH * len(numbers), name=f"snapshot_{bank}", reset_less=True)
        slot = Signal(range(_BANK_WORDS), name=f"snapshot_slot_{bank}", reset_less=True)
        left = Signal(range(len(numbers) + 1), name=f"snapshot_left_{bank}")
        memory = Memory(shape=TIME_WIDTH, depth=_BANK_WORDS * self._config.profile_depth, init=[])
        m.submodules[f"bank_{bank}"] = memory
        read, write = memory.read_port(), memory.write_port()
        waits = Cat(entry.valid for entry in entries).any()
        m.d.comb += [
            read.addr.eq(self.read_addr[_BANK_BITS:]),
            write.en.eq(waits | (left != 0)),
            write.addr.eq(Cat(slot, row)),
            write.data.eq(values[:TIME_WIDTH]),
        ]
        for earlier, entry in enumerate(entries):
            with m.If(entry.valid) if not earlier else m.Elif(entry.valid):
                m.d.comb += [write.addr.eq(Cat(Const(entry.slot, len(slot)), entry.row)), write.data.eq(entry.time)]
                m.d.sync += entry.valid.eq(0)
        with m.If(takes):
            m.d.sync += [
                values.eq(Cat(self.classes[n - len(PROFILE_TIMES)] for n in numbers)),
                slot.eq(numbers[0] // _BANKS),
                left.eq(len(numbers)),
            ]
        with m.Elif(~waits & (left != 0)):
            m.d.sync += [values.eq(values >> TIME_WIDTH), slot.eq(slot + 1), left.eq(left - 1)]
        return read.data, left != 0

# amaranth: UnusedElaboratable=no
"""What a STORE brings to DRAM: the words of the activation memory, at their places, and in bounded time.

Short commands only, from the first cycle on: that control is right for all commands is `axi_write`.
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Assert, Assume, Cat, Const, Elaboratable, Module, Mux, Signal, Value

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.bus import COMMAND_BEATS_WIDTH, StoreCommand, beats_of_words, bytes_of_beats
from ssvq_rtl.store import StoreEngine

from .proof import Method, Proof, any_in_every_cycle
from .rules import any_input, before, flat, moves, never_reset, patient, within

MOST_WORDS = 2
PATIENCE = 1
"""Cycles for which the bus lets the engine wait at most, each time."""
_DEPTH = 18
_STILL = 4
"""Cycles at most in which nothing is read, asked for, sent or answered while there is a command."""


def byte_at(addr: Value, place: Value) -> Value:
    """What the activation memory holds in a place of a word: other bytes in each word and place that are looked at."""
    return Cat(addr[:4], place[:4])


class ShortStores(Elaboratable):
    """A STORE engine with one short command after the other, pauses of the bus, good responses and no halt.

    Addresses are multiples of a beat: more than the engine is asked for, so that short commands are two bursts, too.
    """

    def __init__(self, config: CoreConfig) -> None:
        self._config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.dut = self._dut = dut = StoreEngine(config=config)
        command = dut.commands.p
        any_input(m, dut.commands, "commands")
        never_reset(m)
        beats = beats_of_words(config, command.words)
        m.d.comb += [
            Assume((command.words != 0) & (command.words <= MOST_WORDS)),
            Assume(command.addr % config.beat_bytes == 0),
            Assume(command.addr + bytes_of_beats(config, beats) <= 1 << config.axi_addr_width),
        ]
        self._taken = taken = moves(dut.commands)
        self._current = current = Signal(StoreCommand(config))
        self._beats, opened = Signal(COMMAND_BEATS_WIDTH), Signal()
        with m.If(taken):
            m.d.sync += [flat(current).eq(flat(command)), self._beats.eq(beats), opened.eq(1)]
        with m.Elif(dut.done):
            m.d.sync += opened.eq(0)
        self._memory(m)
        asked, sent = self._addresses(m), self._beats_are_right(m)
        self._fair_bus(m)
        axi = dut.axi
        moved = dut.read_en | (axi.awvalid & axi.awready) | (axi.wvalid & axi.wready) | (axi.bvalid & axi.bready)
        # Each of these happens so often and no more, so that a command in which one happens now and then ends.
        within(m, opened & ~dut.done & ~moved, _STILL, "command")
        read = self._counted(m, dut.read_en, "read")
        all_sent = (asked == self._beats) & (sent == self._beats)
        m.d.comb += [
            Assert(~dut.done | (opened & all_sent & (dut.done_tag == current.tag))),
            Assert(~taken | ~opened | dut.done),
            Assert(~dut.read_en | (read < current.words)),
            Assert(~dut.error_valid),
        ]
        return m

    def _memory(self, m: Module) -> None:
        """The activation memory: a word in the cycle after it is asked for, anything in others."""
        dut = self._dut
        addr = before(m, dut.read_addr, "read_addr")
        word = Cat(byte_at(addr, Const(place, 4)) for place in range(self._config.word_bytes))
        other = any_in_every_cycle(m, len(dut.read_data), "other")
        m.d.comb += dut.read_data.eq(Mux(before(m, dut.read_en, "read_en"), word, other))

    def _counted(self, m: Module, amount: Value, name: str) -> Signal:
        """Sum of amounts since the command was taken."""
        count = Signal(COMMAND_BEATS_WIDTH, name=name)
        m.d.sync += count.eq(Mux(self._taken, 0, count + amount))
        return count

    def _addresses(self, m: Module) -> Signal:
        """Bursts follow each other from the command's address on; returns the beats of those that were accepted."""
        axi, config = self._dut.axi, self._config
        accepted = axi.awvalid & axi.awready
        asked = self._counted(m, Mux(accepted, axi.awlen + 1, 0), "asked")
        m.d.comb += [
            Assert(~axi.awvalid | (axi.awaddr == (self._current.addr + bytes_of_beats(config, asked)))),
            Assert(~axi.awvalid | (asked + axi.awlen + 1 <= self._beats)),
        ]
        return asked

    def _beats_are_right(self, m: Module) -> Signal:
        """Each beat is that of its words, and bytes behind the last word are not written; returns how many were."""
        axi, config, current = self._dut.axi, self._config, self._current
        passed = axi.wvalid & axi.wready
        sent = self._counted(m, passed, "sent")
        # The byte of the command that is in each place of the beat
        first = bytes_of_beats(config, sent)
        for place in range(config.beat_bytes):
            number = first + place
            written = number < current.words * config.word_bytes
            byte = byte_at(current.source + number // config.word_bytes, number % config.word_bytes)
            m.d.comb += [
                Assert(~axi.wvalid | (axi.wstrb[place] == written)),
                Assert(~(axi.wvalid & written) | (axi.wdata.word_select(place, 8) == byte)),
            ]
        m.d.comb += Assert(~axi.wvalid | (sent < self._beats))
        return sent

    def _fair_bus(self, m: Module) -> None:
        """A bus that pauses for `PATIENCE` cycles at most and answers bursts that it has whole, with OKAY."""
        axi = self._dut.axi
        for port in (axi.awready, axi.wready, axi.bvalid, axi.bresp, self._dut.halt):
            m.d.comb += port.eq(any_in_every_cycle(m, len(port), port.name))
        m.d.comb += Assume((axi.bresp == 0) & ~self._dut.halt)
        whole = [Signal(3, name=name) for name in ("addresses", "ends")]
        answered = axi.bvalid & axi.bready
        for count, comes in zip(whole, (axi.awvalid & axi.awready, axi.wvalid & axi.wready & axi.wlast), strict=True):
            m.d.sync += count.eq(count + comes - answered)
        can_answer = (whole[0] != 0) & (whole[1] != 0)
        m.d.comb += Assume(~axi.bvalid | can_answer)
        for name, waits in (
            ("aw", axi.awvalid & ~axi.awready),
            ("w", axi.wvalid & ~axi.wready),
            ("b", can_answer & ~axi.bvalid),
        ):
            m.d.comb += Assume(patient(m, waits, PATIENCE, name))


def component_of(config: CoreConfig) -> str:
    """The engine as one component of several proofs: on a bus of a width."""
    return f"store_{config.axi_data_width}"


def store_proofs() -> list[Proof]:
    """Where a word is two beats, one, and half a beat."""
    tiny = PRESETS["tiny"]
    configs = (tiny, tiny.replace(axi_data_width=64), tiny.replace(axi_data_width=128))
    return [
        Proof(
            name=f"axi_store_{config.axi_data_width}",
            claim=f"on a bus of {config.axi_data_width} bits STOREs of up to {MOST_WORDS} words of {config.word_bytes} "
            "bytes write each byte of theirs once, with its value, to its place, and no other, and end in bounded time",
            build=partial(ShortStores, config),
            method=Method.BOUNDED,
            depth=_DEPTH,
            subject="dut" if config == tiny else "",  # whose control `axi_write` is about
            component=component_of(config),
        )
        for config in configs
    ]

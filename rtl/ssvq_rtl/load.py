"""LOAD: a run of words from DRAM to the activation memory."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig

from .burst_splitter import BurstSplitter
from .bus import (
    TAG_WIDTH,
    BurstRequest,
    LoadCommand,
    MemoryWrite,
    ReadBeat,
    activation_addr_width,
    activation_count_width,
    beats_of_words,
)
from .checks import require_config
from .width_converter import WidthConverter

OPEN_BEATS = 8 * MAX_BURST_BEATS
"""Beats on their way: enough for 100 cycles of memory latency, and half of what ReadArbiter keeps open, so that weights
never wait behind more than the other half."""


class LoadEngine(wiring.Component):
    """Copies words from DRAM to the activation memory, one command at a time.

    Of a last beat that is wider than what is left, the rest is dropped.

    Latency 1 cycle from a command to its first request, 1 cycle from a word's last beat to `write`, 1 cycle from the
    last write to `done`. One beat or one word a cycle, whichever is narrower.

    Parameters
    ----------
    config : core configuration

    Members
    -------
    commands : stream of LoadCommand, taken when the engine is free
    requests : stream of BurstRequest, to the arbiter
    data : stream of ReadBeat, from the arbiter
    write : stream of MemoryWrite
    done, done_tag : pulse, the last word of the command with this tag has been written
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(LoadCommand(config))),
                "requests": Out(stream.Signature(BurstRequest(config.axi_addr_width))),
                "data": In(stream.Signature(ReadBeat(config.axi_data_width))),
                "write": Out(stream.Signature(MemoryWrite(config))),
                "done": Out(1),
                "done_tag": Out(TAG_WIDTH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        busy = Signal()
        finished = Signal()
        remaining = Signal(activation_count_width(config), reset_less=True)
        word_addr = Signal(activation_addr_width(config), reset_less=True)

        # Requests
        credit = Signal(range(OPEN_BEATS + 1), init=OPEN_BEATS)
        requested = Signal()
        received = Signal()
        m.submodules.splitter = splitter = BurstSplitter(config=config, credit_width=len(credit))
        command = self.commands.p
        m.d.comb += [
            splitter.credit.eq(credit),
            splitter.commands.p.addr.eq(command.addr),
            splitter.commands.p.beats.eq(beats_of_words(config, command.words)),
            splitter.commands.p.tag.eq(command.tag),
            splitter.commands.valid.eq(self.commands.valid & ~busy),
            self.commands.ready.eq(splitter.commands.ready & ~busy),
            self.requests.payload.eq(splitter.requests.payload),
            self.requests.valid.eq(splitter.requests.valid),
            splitter.requests.ready.eq(self.requests.ready),
            requested.eq(self.requests.valid & self.requests.ready),
            received.eq(self.data.valid & self.data.ready),
        ]
        m.d.sync += credit.eq(credit - Mux(requested, self.requests.p.beats, 0) + received)

        # Beats to words; what follows the last word in its beat is cleared away
        converter = WidthConverter(i_width=config.axi_data_width, o_width=8 * config.word_bytes)
        m.submodules.converter = ResetInserter(finished)(converter)
        m.d.comb += [
            converter.i.p.data.eq(self.data.p.data),
            converter.i.valid.eq(self.data.valid),
            self.data.ready.eq(converter.i.ready),
            self.write.p.addr.eq(word_addr),
            self.write.p.data.eq(converter.o.p.data),
            self.write.valid.eq(converter.o.valid),
            converter.o.ready.eq(self.write.ready),
            finished.eq(self.write.valid & self.write.ready & (remaining == 1)),
        ]

        tag = Signal(TAG_WIDTH, reset_less=True)
        m.d.sync += self.done.eq(finished)
        with m.If(finished):
            m.d.sync += self.done_tag.eq(tag)
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [busy.eq(1), tag.eq(command.tag)]
            m.d.sync += [remaining.eq(command.words), word_addr.eq(command.destination)]
        with m.Elif(self.write.valid & self.write.ready):
            m.d.sync += [busy.eq(~finished), remaining.eq(remaining - 1), word_addr.eq(word_addr + 1)]
        return m

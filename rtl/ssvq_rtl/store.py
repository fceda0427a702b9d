"""STORE: a run of words from the activation memory to DRAM. The owner of the AXI4 write port."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig
from ssvq_gen.format import ErrorCode

from .burst_splitter import BurstSplitter
from .bus import (
    BURST_INCR,
    CACHE_MODIFIABLE,
    RESPONSE_DECODE_BIT,
    RESPONSE_ERROR_BIT,
    TAG_WIDTH,
    Axi4WriteSignature,
    BurstRequest,
    BusError,
    StoreCommand,
    StreamWord,
    activation_addr_width,
    activation_count_width,
    beat_size,
    beats_of_words,
)
from .checks import require_config
from .width_converter import WidthConverter

OPEN_BURSTS = 8
"""Bursts that may be open at once."""
READ_AHEAD = 4
"""Words in flight from the activation memory: one in its read register, the rest cover the way to the converter."""


class StoreEngine(wiring.Component):
    """Copies words from the activation memory to DRAM, one command at a time.

    A last beat that is wider than what is left is written with a partial strobe. A beat is never raised before its
    burst's address.

    `halt` or a bad response ends the command without `done`: bursts whose address was raised are finished (the
    activation memory must go on answering), no other is issued, the engine clears itself. After a bad response it
    takes no command until `halt` was seen with the bus at rest.

    Latency 1 cycle from a command to its first `read_en`, 2 cycles to its first AWVALID, 4 cycles from `read_en` to
    the word's (first) WVALID, 1 cycle from the last response to `done` and from a bad one to `error_valid`. One beat
    or one word a cycle, whichever is narrower.

    Parameters
    ----------
    config : core configuration

    Members
    -------
    commands : stream of StoreCommand, taken when the engine is free
    read_en, read_addr, read_data : read port of the activation memory; data is valid in the cycle after `read_en`
    axi : AXI4 write channels
    halt : issue no burst, end the command
    idle : no command, and nothing is open on the bus
    done, done_tag : pulse, the last response of the command with this tag has arrived and all were good
    error_valid, error : pulse and BusError of the first bad response; `addr` is the start of its burst
    beat : a beat is accepted
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(StoreCommand(config))),
                "read_en": Out(1),
                "read_addr": Out(activation_addr_width(config)),
                "read_data": In(8 * config.word_bytes),
                "axi": Out(Axi4WriteSignature(config.axi_addr_width, config.axi_data_width)),
                "halt": In(1),
                "idle": Out(1),
                "done": Out(1),
                "done_tag": Out(TAG_WIDTH),
                "error_valid": Out(1),
                "error": Out(BusError(config.axi_addr_width)),
                "beat": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, axi, command = self._config, self.axi, self.commands.p
        busy = Signal()
        failed = Signal()
        stop = Signal()
        bus_open = Signal()
        flush = Signal()
        start = Signal()
        splitter = BurstSplitter(config=config)
        m.submodules.splitter = ResetInserter(flush)(splitter)
        m.d.comb += [
            stop.eq(self.halt | failed),
            flush.eq(stop & ~bus_open),
            splitter.commands.p.addr.eq(command.addr),
            splitter.commands.p.beats.eq(beats_of_words(config, command.words)),
            splitter.commands.p.tag.eq(command.tag),
            splitter.commands.valid.eq(start),
            splitter.credit.eq(MAX_BURST_BEATS),
            self.commands.ready.eq(~busy & ~stop),
            start.eq(self.commands.valid & self.commands.ready),
            self.idle.eq(~busy & ~bus_open),
        ]
        beats = self._read_words(m, start, flush)
        response = self._issue_bursts(m, splitter.requests, beats, stop, bus_open)
        bad = response.valid & axi.bresp[RESPONSE_ERROR_BIT] & ~stop
        finished = busy & ~stop & splitter.idle & ~bus_open

        with m.If(start):
            m.d.sync += busy.eq(1)
        with m.Elif(flush | finished):
            m.d.sync += busy.eq(0)
        tag = Signal(TAG_WIDTH, reset_less=True)
        m.d.sync += [self.done.eq(finished), self.error_valid.eq(bad)]
        with m.If(start):
            m.d.sync += tag.eq(command.tag)
        with m.If(finished):
            m.d.sync += self.done_tag.eq(tag)
        error = Signal(BusError(config.axi_addr_width), reset_less=True)
        m.d.comb += self.error.eq(error)
        with m.If(bad):
            decode = axi.bresp[RESPONSE_DECODE_BIT]
            m.d.sync += [
                failed.eq(1),
                error.code.eq(Mux(decode, ErrorCode.WRITE_DECODE, ErrorCode.WRITE_SLAVE)),
                error.addr.eq(response.p.addr),
                error.tag.eq(response.p.tag),
            ]
        with m.If(self.halt & ~bus_open):
            m.d.sync += failed.eq(0)
        return m

    def _read_words(self, m: Module, start: Signal, flush: Signal) -> stream.Interface:
        """Read the command's words ahead; returns their beats."""
        config = self._config
        layout = StreamWord(8 * config.word_bytes)
        m.submodules.words = words = ResetInserter(flush)(SyncFIFO(width=layout.size - TAG_WIDTH, depth=READ_AHEAD))
        converter = WidthConverter(i_width=8 * config.word_bytes, o_width=config.axi_data_width)
        m.submodules.converter = ResetInserter(flush)(converter)
        addr = Signal(activation_addr_width(config), reset_less=True)
        remaining = Signal(activation_count_width(config))
        room = Signal(range(READ_AHEAD + 1), init=READ_AHEAD)
        arriving = Signal()
        last = Signal(reset_less=True)
        m.d.comb += [
            self.read_en.eq((remaining != 0) & (room != 0)),
            self.read_addr.eq(addr),
            words.w_data.eq(Cat(self.read_data, last)),
            words.w_en.eq(arriving),
            Cat(converter.i.p.data, converter.i.p.last).eq(words.r_data),
            converter.i.valid.eq(words.r_rdy),
            words.r_en.eq(converter.i.ready),
        ]
        m.d.sync += [
            arriving.eq(self.read_en),
            last.eq(remaining == 1),
            room.eq(room - self.read_en + (words.r_rdy & words.r_en)),
        ]
        with m.If(self.read_en):
            m.d.sync += [addr.eq(addr + 1), remaining.eq(remaining - 1)]
        with m.If(start):
            m.d.sync += [addr.eq(self.commands.p.source), remaining.eq(self.commands.p.words)]
        with m.If(flush):
            m.d.sync += [remaining.eq(0), room.eq(READ_AHEAD), arriving.eq(0)]
        return converter.o

    def _issue_bursts(
        self, m: Module, requests: stream.Interface, beats: stream.Interface, stop: Signal, bus_open: Signal
    ) -> stream.Interface:
        """Raise addresses, their beats, and take responses; returns the response's burst, valid when it arrives."""
        config, axi = self._config, self.axi
        open_layout = data.StructLayout({"addr": config.axi_addr_width, "tag": TAG_WIDTH})
        m.submodules.lengths = lengths = SyncFIFO(width=len(axi.awlen), depth=OPEN_BURSTS)
        m.submodules.opened = opened = SyncFIFO(width=open_layout.size, depth=OPEN_BURSTS)

        # Addresses
        address = Signal(BurstRequest(config.axi_addr_width), reset_less=True)
        entry = Signal(open_layout)
        taken = Signal()
        m.d.comb += [
            requests.ready.eq(~stop & lengths.w_rdy & opened.w_rdy & (~axi.awvalid | axi.awready)),
            taken.eq(requests.valid & requests.ready),
            lengths.w_data.eq(requests.p.beats - 1),
            lengths.w_en.eq(taken),
            entry.addr.eq(requests.p.addr),
            entry.tag.eq(requests.p.tag),
            opened.w_data.eq(entry),
            opened.w_en.eq(taken),
            axi.awaddr.eq(address.addr),
            axi.awlen.eq(address.beats - 1),
            axi.awsize.eq(beat_size(config)),
            axi.awburst.eq(BURST_INCR),
            axi.awcache.eq(CACHE_MODIFIABLE),
        ]
        with m.If(taken):
            m.d.sync += [address.eq(requests.payload), axi.awvalid.eq(1)]
        with m.Elif(axi.awready):
            m.d.sync += axi.awvalid.eq(0)

        # Beats
        beat_data = Signal(config.axi_data_width, reset_less=True)
        strobe = Signal(config.beat_bytes, reset_less=True)
        last_strobe = self._last_strobe(m)
        last = Signal(reset_less=True)
        position = Signal(range(MAX_BURST_BEATS))
        ends = position == lengths.r_data
        moved = Signal()
        m.d.comb += [
            beats.ready.eq(lengths.r_rdy & (~axi.wvalid | axi.wready)),
            moved.eq(beats.valid & beats.ready),
            lengths.r_en.eq(moved & ends),
            axi.wdata.eq(beat_data),
            axi.wstrb.eq(strobe),
            axi.wlast.eq(last),
            self.beat.eq(axi.wvalid & axi.wready),
        ]
        with m.If(moved):
            m.d.sync += [
                beat_data.eq(beats.p.data),
                strobe.eq(Mux(beats.p.last, last_strobe, (1 << config.beat_bytes) - 1)),
                last.eq(ends),
                position.eq(Mux(ends, 0, position + 1)),
                axi.wvalid.eq(1),
            ]
        with m.Elif(axi.wready):
            m.d.sync += axi.wvalid.eq(0)

        # Responses
        response = stream.Signature(open_layout).create()
        m.d.comb += [
            axi.bready.eq(opened.r_rdy),
            opened.r_en.eq(axi.bvalid),
            response.payload.eq(opened.r_data),
            response.valid.eq(axi.bvalid & axi.bready),
            bus_open.eq(axi.awvalid | axi.wvalid | opened.r_rdy),
        ]
        return response

    def _last_strobe(self, m: Module) -> Signal:
        """Strobe of the command's last beat."""
        config = self._config
        strobe = Signal(config.beat_bytes, reset_less=True, name="last_strobe")
        words_per_beat = max(1, config.beat_bytes // config.word_bytes)
        used = self.commands.p.words % words_per_beat
        lanes = [(used == 0) | (used > n * words_per_beat // config.beat_bytes) for n in range(config.beat_bytes)]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += strobe.eq(Cat(*lanes))
        return strobe

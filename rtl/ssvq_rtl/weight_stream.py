"""The compressed weights on their way from DRAM or the weight cache."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Residency

from .burst_splitter import BurstSplitter
from .bus import COMMAND_BEATS_WIDTH, TAG_WIDTH, BurstRequest, ReadBeat, StreamWord, WeightCommand
from .checks import require_config
from .weight_cache import WeightCache

COMMAND_DEPTH = 4
"""Commands that wait in front."""
OPEN_COMMANDS = 8
"""Commands whose beats may be requested but not yet delivered."""


class WeightStream(wiring.Component):
    """Fetches weight streams ahead of their use, command after command, as far as its buffer reaches.

    Only what fits the buffer is requested, so `data` is always ready and never blocks the read channel.

    The beats of a KEEP are written to the weight cache as they are delivered; those of a REUSE come from there and are
    not requested, so that the commands behind it are fetched in the meantime. All are delivered in the order of their
    commands. A core without a weight cache treats every command as NONE.

    Latency 2 cycles from a command to its first request and 2 cycles from `data` to `o`; 4 cycles from a REUSE to `o`.
    One beat a cycle, also from command to command, but for one cycle in front of a REUSE; from DRAM as long as the
    memory's latency (in beats) is below the buffer's depth and what ReadArbiter keeps open.

    Parameters
    ----------
    config : core configuration

    Members
    -------
    commands : stream of WeightCommand
    requests : stream of BurstRequest, to the arbiter
    data : stream of ReadBeat, from the arbiter, always ready
    o : stream of StreamWord(config.axi_data_width), `last` on a command's last beat
    beat : a beat has arrived from the bus
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(WeightCommand(config))),
                "requests": Out(stream.Signature(BurstRequest(config.axi_addr_width))),
                "data": In(stream.Signature(ReadBeat(config.axi_data_width))),
                "o": Out(stream.Signature(StreamWord(config.axi_data_width))),
                "beat": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self._config.weight_buffer_depth
        command_layout = WeightCommand(self._config)
        open_layout = data.StructLayout(
            {name: command_layout.members[name] for name in ("beats", "tag", "residency", "cache_beat")}
        )
        credit = Signal(range(depth + 1), init=depth)
        m.submodules.queue = queue = SyncFIFO(width=command_layout.size, depth=COMMAND_DEPTH)
        m.submodules.opened = opened = SyncFIFO(width=open_layout.size, depth=OPEN_COMMANDS)
        m.submodules.splitter = splitter = BurstSplitter(config=self._config, credit_width=len(credit))
        # The queue adds an output register to its memory, which then has `depth` rows
        m.submodules.buffer = buffer = SyncFIFOBuffered(width=self._config.axi_data_width, depth=depth + 1)

        # Commands to bursts, and to the queue that finds them again at the output
        command = Signal(command_layout)
        entry = Signal(open_layout)
        started = Signal()
        fetches = Signal(init=1)
        m.d.comb += [
            queue.w_data.eq(self.commands.payload),
            queue.w_en.eq(self.commands.valid),
            self.commands.ready.eq(queue.w_rdy),
            command.eq(queue.r_data),
            splitter.commands.p.addr.eq(command.addr),
            splitter.commands.p.beats.eq(command.beats),
            splitter.commands.p.tag.eq(command.tag),
            splitter.commands.valid.eq(queue.r_rdy & opened.w_rdy & fetches),
            started.eq(queue.r_rdy & opened.w_rdy & (splitter.commands.ready | ~fetches)),
            queue.r_en.eq(started),
            *(entry[name].eq(command[name]) for name in open_layout.members),
            opened.w_data.eq(entry),
            opened.w_en.eq(started),
        ]

        # Bursts out, beats in
        requested = Signal()
        fetched = Signal()
        m.d.comb += [
            splitter.credit.eq(credit),
            self.requests.payload.eq(splitter.requests.payload),
            self.requests.valid.eq(splitter.requests.valid),
            splitter.requests.ready.eq(self.requests.ready),
            requested.eq(self.requests.valid & self.requests.ready),
            self.data.ready.eq(1),
            self.beat.eq(self.data.valid),
            buffer.w_data.eq(self.data.p.data),
            buffer.w_en.eq(self.data.valid),
        ]
        m.d.sync += credit.eq(credit - Mux(requested, self.requests.p.beats, 0) + fetched)

        # Beats out, with the command they belong to
        oldest = Signal(open_layout)
        active = Signal()
        delivered = Signal()
        remaining = Signal(COMMAND_BEATS_WIDTH, reset_less=True)
        last = Signal(reset_less=True)
        tag = Signal(TAG_WIDTH, reset_less=True)
        m.d.comb += [
            oldest.eq(opened.r_data),
            self.o.valid.eq(active & buffer.r_rdy),
            self.o.p.data.eq(buffer.r_data),
            self.o.p.last.eq(last),
            self.o.p.tag.eq(tag),
            delivered.eq(self.o.valid & self.o.ready),
            fetched.eq(delivered),
            buffer.r_en.eq(fetched),
            opened.r_en.eq(~active | (delivered & last)),
        ]
        with m.If(opened.r_en):
            m.d.sync += [
                active.eq(opened.r_rdy),
                remaining.eq(oldest.beats),
                last.eq(oldest.beats == 1),
                tag.eq(oldest.tag),
            ]
        with m.Elif(delivered):
            m.d.sync += [remaining.eq(remaining - 1), last.eq(remaining == 2)]

        # What is kept and used again; without an active command `seek` holds the cache back
        if self._config.weight_cache_depth:
            m.submodules.cache = cache = WeightCache(config=self._config)
            keeps = Signal(reset_less=True)
            reuses = Signal(reset_less=True)
            with m.If(opened.r_en):
                m.d.sync += [
                    keeps.eq(oldest.residency == Residency.KEEP),
                    reuses.eq(oldest.residency == Residency.REUSE),
                ]
            m.d.comb += [
                fetches.eq(command.residency != Residency.REUSE),
                cache.seek.eq(opened.r_en),
                cache.beat.eq(oldest.cache_beat),
                cache.write_en.eq(delivered & keeps),
                cache.write_data.eq(buffer.r_data),
                cache.read_en.eq(reuses),
                cache.o.ready.eq(self.o.ready),
            ]
            with m.If(reuses):
                m.d.comb += [
                    self.o.valid.eq(cache.o.valid),
                    self.o.p.data.eq(cache.o.payload),
                    fetched.eq(0),
                ]
        return m

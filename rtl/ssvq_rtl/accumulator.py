"""Accumulates the array's sums over the tiles of a tile column."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH
from ssvq_gen.config import CoreConfig

from .checks import require_config
from .feeder import Token


class AccumulatorMemory(wiring.Component):
    """Two halves of `accumulator_depth` x `cols` int32: one is accumulated into while the other is drained.

    Latency: 3 cycles from `token` to the written sum. The same address may come again after 3 enabled cycles
    (`feeder.MIN_TILE_CYCLES`). A drain read takes 1 cycle.

    Members
    -------
    enable : In, the array advances
    valid, token : In, one enabled cycle ahead of `sums`
    sums : In, `cols` signed sums of `partial_width` bits
    column_done : the last sum of a tile column has been written; its half may be drained
    drain_en, drain_half, drain_index, drain_data : read port; `drain_data` is held until the next read
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "enable": In(1),
                "valid": In(1),
                "token": In(Token(config)),
                "sums": In(config.cols * config.partial_width),
                "column_done": Out(1),
                "drain_en": In(1),
                "drain_half": In(1),
                "drain_index": In(range(config.accumulator_depth)),
                "drain_data": Out(config.cols * ACCUMULATOR_WIDTH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        width = config.cols * ACCUMULATOR_WIDTH

        # Read stage: the accumulators of the activation whose sums come next.
        adding = Signal()
        token = Signal(Token(config), reset_less=True)
        reads = []
        writes = []
        for half in range(2):
            memory = Memory(shape=width, depth=config.accumulator_depth, init=[])
            m.submodules[f"half{half}"] = memory
            read, write = memory.read_port(), memory.write_port()
            accumulates = self.enable & self.valid & (self.token.half == half)
            m.d.comb += [
                read.en.eq(accumulates | (self.drain_en & (self.drain_half == half))),
                read.addr.eq(Mux(accumulates, self.token.index, self.drain_index)),
            ]
            reads.append(read)
            writes.append(write)
        with m.If(self.enable):
            m.d.sync += [adding.eq(self.valid), token.eq(self.token)]

        # Add stage.
        stored = Signal(width)
        m.d.comb += stored.eq(Mux(token.half, reads[1].data, reads[0].data))
        total = Signal(width, reset_less=True)
        written = Signal(Token(config), reset_less=True)
        writing = Signal()
        m.d.sync += writing.eq(self.enable & adding)
        with m.If(self.enable & adding):
            m.d.sync += written.eq(token)
            for column in range(config.cols):
                partial = self.sums.word_select(column, config.partial_width).as_signed()
                before = Mux(token.first, 0, stored.word_select(column, ACCUMULATOR_WIDTH).as_signed())
                after = Signal(signed(ACCUMULATOR_WIDTH), name=f"after{column}")
                m.d.comb += after.eq(before + partial)
                m.d.sync += total.word_select(column, ACCUMULATOR_WIDTH).eq(after)

        # Write stage.
        for half, write in enumerate(writes):
            m.d.comb += [
                write.en.eq(writing & (written.half == half)),
                write.addr.eq(written.index),
                write.data.eq(total),
            ]
        m.d.sync += self.column_done.eq(writing & written.ends_column)

        drained_half = Signal(reset_less=True)
        with m.If(self.drain_en):
            m.d.sync += drained_half.eq(self.drain_half)
        m.d.comb += self.drain_data.eq(Mux(drained_half, reads[1].data, reads[0].data))
        return m

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
    """`accumulator_depth` x `cols` int32. Sums of the last tile of a column leave it without being stored.

    No column is ever drained: while its last tile computes, its sums go to the requantizer, and the next column
    follows at once.

    Latency: 2 cycles from `token` to `total`, 3 to a stored sum. The same address may come again after 3 enabled
    cycles (`feeder.MIN_TILE_CYCLES`).

    Members
    -------
    enable : In, the array advances
    valid, token : In, one enabled cycle ahead of `sums`
    sums : In, `cols` signed sums of `partial_width` bits
    opens : the first final sums of a column are in `total` in the next cycle
    final : `total` is complete; it stays until the next sums come in
    total : `cols` int32
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "enable": In(1),
                "valid": In(1),
                "token": In(Token(config)),
                "sums": In(config.cols * config.partial_width),
                "opens": Out(1),
                "final": Out(1),
                "total": Out(config.cols * ACCUMULATOR_WIDTH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        width = config.cols * ACCUMULATOR_WIDTH
        m.submodules.memory = memory = Memory(shape=width, depth=config.accumulator_depth, init=[])
        read, write = memory.read_port(), memory.write_port()

        # Read stage: the accumulators of the activation whose sums come next.
        adding = Signal()
        token = Signal(Token(config), reset_less=True)
        m.d.comb += [read.en.eq(self.enable & self.valid), read.addr.eq(self.token.index)]
        with m.If(self.enable):
            m.d.sync += [adding.eq(self.valid), token.eq(self.token)]

        # Add stage.
        adds = Signal()
        m.d.comb += [adds.eq(self.enable & adding), self.opens.eq(adds & token.opens)]
        total = Signal(width, reset_less=True)
        with m.If(adds):
            for column in range(config.cols):
                partial = self.sums.word_select(column, config.partial_width).as_signed()
                stored = read.data.word_select(column, ACCUMULATOR_WIDTH).as_signed()
                after = Signal(signed(ACCUMULATOR_WIDTH), name=f"after{column}")
                m.d.comb += after.eq(Mux(token.first, 0, stored) + partial)
                m.d.sync += total.word_select(column, ACCUMULATOR_WIDTH).eq(after)

        # Write stage.
        stores = Signal()
        address = Signal.like(token.index, reset_less=True)
        m.d.sync += [stores.eq(adds & ~token.last), self.final.eq(adds & token.last), address.eq(token.index)]
        m.d.comb += [
            write.en.eq(stores),
            write.addr.eq(address),
            write.data.eq(total),
            self.total.eq(total),
        ]
        return m

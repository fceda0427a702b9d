"""Knows which shadow rows hold weights, and lets the array advance only when the rows it swaps are there."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import LANE_WEIGHTS, CoreConfig

from .array_timing import array_latency, row_delays
from .checks import require_config


class Scoreboard(wiring.Component):
    """State of the shadow weights, row by row, and the array's enable.

    A row is *loaded* from the write of its last decode step until the swap reaches it. The swap enters with the first
    activation of a tile and reaches each row after the enabled cycles of `row_delays`. A row block may be written again
    in the cycle in which its last row is swapped.

    Latency: `enable` is a register; it is low while the swap stands before a row that is not loaded, and high in the
    cycle after that row is written.

    Members
    -------
    step_valid, step_row_block, step_completes : In, the decoder has a step for these rows, their last one
    step_ready : it may be written in this cycle
    first_row_loaded : the first row of the next tile is there
    swap_next : In, an activation that starts a tile is issued
    valid_next : In, an activation is issued
    enable : the array advances
    swaps, valids : see `MacArray`
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "step_valid": In(1),
                "step_row_block": In(max(1, (config.row_blocks - 1).bit_length())),
                "step_completes": In(1),
                "step_ready": Out(1),
                "first_row_loaded": Out(1),
                "swap_next": In(1),
                "valid_next": In(1),
                "enable": Out(1),
                "swaps": Out(row_delays(config)[-1] + 1),
                "valids": Out(array_latency(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, blocks = self._config.rows, self._config.row_blocks
        delays = row_delays(self._config)
        loaded = Signal(rows)
        loaded_next = Signal(rows)
        pipe = Signal(len(self.swaps))  # swap of the rows with delay d in this cycle
        pipe_next = Signal(len(self.swaps))
        swapped = Signal(rows)
        waiting = Signal(rows)  # loaded, and not swapped in this cycle
        completes = Signal()
        entered = Signal()  # an activation is between memory and array

        blocks_free = Signal(blocks)
        writes = Cat((completes & (self.step_row_block == b)).replicate(LANE_WEIGHTS) for b in range(blocks))
        m.d.comb += [
            swapped.eq(Cat(pipe[d] & self.enable for d in delays)),
            waiting.eq(loaded & ~swapped),
            blocks_free.eq(Cat(~waiting.word_select(b, LANE_WEIGHTS).any() for b in range(blocks))),
            self.step_ready.eq(blocks_free.bit_select(self.step_row_block, 1)),
            completes.eq(self.step_valid & self.step_ready & self.step_completes),
            loaded_next.eq(waiting | writes),
            self.swaps.eq(pipe),
            self.first_row_loaded.eq(waiting[0]),
            pipe_next.eq(pipe),
        ]
        with m.If(self.enable):
            m.d.comb += pipe_next.eq(Cat(self.swap_next, pipe))
            m.d.sync += [entered.eq(self.valid_next), self.valids.eq(Cat(entered, self.valids))]
        m.d.sync += [
            loaded.eq(loaded_next),
            pipe.eq(pipe_next),
            self.enable.eq(~(Cat(pipe_next[d] for d in delays) & ~loaded_next).any()),
        ]
        return m

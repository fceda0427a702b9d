"""Knows which shadow rows hold weights, and lets the array advance only when the rows it swaps are there."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import LANE_WEIGHTS, CoreConfig

from .checks import require_config


class Scoreboard(wiring.Component):
    """State of the shadow weights, row by row, and the array's enable.

    A row is *loaded* from the write of its last decode step until the swap reaches it. The swap enters at row 0 with
    the first activation of a tile and moves down a row per enabled cycle. A row block may be written again in the
    cycle in which its last row is swapped.

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
    swap_rows, valid_rows : see `MacArray`
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
                "swap_rows": Out(config.rows),
                "valid_rows": Out(config.rows + 1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, blocks = self._config.rows, self._config.row_blocks
        loaded = Signal(rows)
        loaded_next = Signal(rows)
        pipe = Signal(rows)  # swap of row r in this cycle
        pipe_next = Signal(rows)
        swapped = Signal(rows)
        waiting = Signal(rows)  # loaded, and not swapped in this cycle
        completes = Signal()
        entered = Signal()  # an activation is between memory and array

        blocks_free = Signal(blocks)
        writes = Cat((completes & (self.step_row_block == b)).replicate(LANE_WEIGHTS) for b in range(blocks))
        m.d.comb += [
            swapped.eq(pipe & self.enable.replicate(rows)),
            waiting.eq(loaded & ~swapped),
            blocks_free.eq(Cat(~waiting.word_select(b, LANE_WEIGHTS).any() for b in range(blocks))),
            self.step_ready.eq(blocks_free.bit_select(self.step_row_block, 1)),
            completes.eq(self.step_valid & self.step_ready & self.step_completes),
            loaded_next.eq(waiting | writes),
            self.swap_rows.eq(pipe),
            self.first_row_loaded.eq(waiting[0]),
            pipe_next.eq(pipe),
        ]
        with m.If(self.enable):
            m.d.comb += pipe_next.eq(Cat(self.swap_next, pipe))
            m.d.sync += [entered.eq(self.valid_next), self.valid_rows.eq(Cat(entered, self.valid_rows))]
        m.d.sync += [
            loaded.eq(loaded_next),
            pipe.eq(pipe_next),
            self.enable.eq(~(pipe_next & ~loaded_next).any()),
        ]
        return m

"""Knows which shadow rows hold weights, and lets the array advance only when the rows it swaps are there."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import LANE_WEIGHTS, CoreConfig

from .checks import require_config


class Scoreboard(wiring.Component):
    """State of the shadow weights, row by row, and the array's enable.

    A row is *reserved* from the issue of its last decode step and *loaded* from the write of that step, until the
    swap reaches it. The swap enters at row 0 with the first activation of a tile and moves down a row per enabled
    cycle.

    Latency: `enable` is a register; it falls in the cycle in which the swap stands before a row that is not loaded,
    and rises the cycle after that row is loaded.

    Members
    -------
    reserve, reserve_row_block : from the decoder at issue
    load, load_row_block : from the decoder when the rows are written
    row_block_free : no row of the block is reserved
    first_row_loaded : the first row of the next tile is there
    swap_next : In, an activation that starts a tile is issued
    valid_next : In, an activation is issued
    enable : the array advances
    swap_rows, valid_rows : see `MacArray`
    valid, : the last element of the pipe, a sum is complete after this cycle
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "reserve": In(1),
                "reserve_row_block": In(max(1, (config.row_blocks - 1).bit_length())),
                "load": In(1),
                "load_row_block": In(max(1, (config.row_blocks - 1).bit_length())),
                "row_block_free": Out(config.row_blocks),
                "first_row_loaded": Out(1),
                "swap_next": In(1),
                "valid_next": In(1),
                "enable": Out(1),
                "swap_rows": Out(config.rows),
                "valid_rows": Out(config.rows + 1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = self._config.rows
        blocks = self._config.row_blocks
        reserved = Signal(rows)
        loaded = Signal(rows)
        pipe = Signal(rows)  # swap of row r in this cycle
        pipe_next = Signal(rows)
        entered = Signal()  # an activation is between memory and array

        def rows_of(strobe: Signal, block: Signal) -> Signal:
            return Cat((strobe & (block == b)).replicate(LANE_WEIGHTS) for b in range(blocks))

        swapped = Signal(rows)
        m.d.comb += [
            swapped.eq(pipe & self.enable.replicate(rows)),
            self.swap_rows.eq(pipe),
            self.row_block_free.eq(Cat(~reserved.word_select(b, LANE_WEIGHTS).any() for b in range(blocks))),
            self.first_row_loaded.eq(loaded[0] & ~pipe[0]),
            pipe_next.eq(pipe),
        ]
        m.d.sync += [
            reserved.eq((reserved | rows_of(self.reserve, self.reserve_row_block)) & ~swapped),
            loaded.eq((loaded | rows_of(self.load, self.load_row_block)) & ~swapped),
        ]
        with m.If(self.enable):
            m.d.comb += pipe_next.eq(Cat(self.swap_next, pipe))
            m.d.sync += [entered.eq(self.valid_next), self.valid_rows.eq(Cat(entered, self.valid_rows))]
        m.d.sync += [pipe.eq(pipe_next), self.enable.eq(~(pipe_next & ~loaded).any())]
        m.d.comb += self.busy.eq(entered | self.valid_rows.any())
        return m

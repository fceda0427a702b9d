"""The weight-stationary MAC array with its double-buffered weights."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import LANE_WEIGHTS, CoreConfig

from .checks import require_config
from .decoder import DecodedStep

_PRODUCT_WIDTH = 16
_LANE = 32
"""Bits of a column's field in the products and partial sums: one word of Verilator's wide signals, so that simulation
packs and masks nothing. Synthesis drops the bits that nobody reads and packs what is left into the DSPs."""


class MacArray(wiring.Component):
    """`rows` x `cols` MACs; the reduction runs down the columns, one row per cycle.

    ``product <= activation * weight; partial <= product + partial_above`` is the form that DSP cascades take whole.
    Activations are skewed once per row and shared by the columns. Nothing here is reset, and every row computes
    only when an activation passes through it.

    Latency: `latency(config)` enabled cycles from `activation` to `sums`. Row r takes its shadow weights over in the
    enabled cycle in which ``swap_rows[r]`` is set, which is the cycle before its activation is multiplied.

    Members
    -------
    enable : In, everything but the shadow weights stands still without it
    valid_rows : In, ``valid_rows[r]``: row r multiplies an activation in this cycle; one bit more for the last sum
    swap_rows : In, rows whose weights are replaced by their shadow
    activation : In, `rows` int8, all of one token
    step_valid, step : In, decoded weights for the shadow
    sums : `cols` signed sums of `partial_width` bits
    """

    @staticmethod
    def latency(config: CoreConfig) -> int:
        """Enabled cycles from `activation` to `sums`."""
        return config.rows + 1

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "enable": In(1),
                "valid_rows": In(config.rows + 1),
                "swap_rows": In(config.rows),
                "activation": In(8 * config.rows),
                "step_valid": In(1),
                "step": In(DecodedStep(config)),
                "sums": Out(config.cols * config.partial_width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, step = self._config, self.step
        groups = config.column_groups
        # One bit for each column group of a row block.
        writes = [
            Cat(self.step_valid & (step.row_block == b) & (step.column_group == g) for g in range(groups))
            for b in range(config.row_blocks)
        ]
        sums: Value = Const(0, config.cols * _LANE)
        for row in range(config.rows):
            activation = self._skewed(m, row)
            m.submodules[f"row{row}"] = mac_row = _MacRow(config=config)
            m.d.comb += [
                mac_row.multiply.eq(self.enable & self.valid_rows[row]),
                mac_row.add.eq(self.enable & self.valid_rows[row + 1]),
                mac_row.swap.eq(self.enable & self.swap_rows[row]),
                mac_row.activation.eq(activation),
                mac_row.above.eq(sums),
                mac_row.load.eq(writes[row // LANE_WEIGHTS] & step.row_mask[row % LANE_WEIGHTS].replicate(groups)),
                mac_row.loaded.eq(step.weights[row % LANE_WEIGHTS]),
            ]
            sums = mac_row.partial
        m.d.comb += self.sums.eq(Cat(sums.word_select(c, _LANE)[: config.partial_width] for c in range(config.cols)))
        return m

    def _skewed(self, m: Module, row: int) -> Signal:
        """The activation of a row, `row` enabled cycles late."""
        delayed = self.activation.word_select(row, 8)
        line = Signal(8 * row, reset_less=True, name=f"skew{row}")
        if row:
            with m.If(self.enable):
                m.d.sync += line.eq(delayed | (line << 8))
            delayed = line[8 * (row - 1) :]
        return delayed


class _MacRow(wiring.Component):
    """One row: its shadow weights, weights, products and partial sums, each one wide register."""

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "multiply": In(1),
                "add": In(1),
                "swap": In(1),
                "activation": In(signed(8)),
                "above": In(config.cols * _LANE),
                "load": In(config.column_groups),
                "loaded": In(8 * config.decode_lanes),
                "partial": Out(config.cols * _LANE),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        columns = range(config.cols)
        lanes_width = 8 * config.decode_lanes

        shadow = Signal(8 * config.cols, reset_less=True)
        weights = Signal(8 * config.cols, reset_less=True)
        for group in range(config.column_groups):
            with m.If(self.load[group]):
                m.d.sync += shadow.word_select(group, lanes_width).eq(self.loaded)
        with m.If(self.swap):
            m.d.sync += weights.eq(shadow)

        # Operands as wide as it takes for every result to be one lane.
        activation = Signal(signed(_LANE - 8))
        products = Signal(_LANE * config.cols, reset_less=True)
        m.d.comb += activation.eq(self.activation)
        with m.If(self.multiply):
            m.d.sync += products.eq(Cat(activation * weights.word_select(c, 8).as_signed() for c in columns))

        partial = Signal(_LANE * config.cols, reset_less=True)
        with m.If(self.add):
            m.d.sync += partial.eq(
                Cat(
                    products.word_select(c, _LANE)[:_PRODUCT_WIDTH].as_signed()
                    + self.above.word_select(c, _LANE)[: _LANE - 1].as_signed()
                    for c in columns
                )
            )
        m.d.comb += self.partial.eq(partial)
        return m

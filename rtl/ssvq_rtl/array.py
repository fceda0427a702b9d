"""The weight-stationary MAC array with its double-buffered weights."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import ECP5, LANE_WEIGHTS, CoreConfig

from .array_timing import (
    activation_lead,
    addition_delay,
    array_latency,
    low_width,
    row_delays,
    segment_delay,
    segment_rows,
)
from .checks import require_config
from .decoder import DecodedStep
from .input_delay import input_delayed
from .mac_row import LANE, MacRow
from .mac_row_ecp5 import Ecp5MacRow
from .packed_segment import PackedSegment
from .row_shadow import RowShadow

ROWS = {ECP5: Ecp5MacRow}
"""Rows of targets that have their own; the others take `MacRow`."""


class MacArray(wiring.Component):
    """`rows` x `cols` MACs; the reduction runs down the columns.

    Activations are skewed once per row, by `row_delays`, and shared by the columns. Nothing here is reset, and every
    row computes only when an activation passes through it.

    Latency: `array_latency` enabled cycles from `activation` to `sums`. A row with delay d takes its shadow weights
    over in the enabled cycle in which ``swaps[d]`` is set, which is the cycle before its activation is multiplied.
    All of that is `input_delay` cycles late, whether they are enabled or not.

    Members
    -------
    enable : In, everything but the shadow weights stands still without it
    valids : In, ``valids[d]``: an activation is at the multipliers of the rows with delay d; further bits for its sums
    swaps : In, ``swaps[d]``: the weights of the rows with delay d are replaced by their shadow
    activation : In, `rows` int8, all of one token
    step_valid, step : In, decoded weights for the shadow
    sums : `cols` signed sums of `partial_width` bits
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        self._delays = row_delays(config)
        super().__init__(
            {
                "enable": In(1),
                "valids": In(array_latency(config)),
                "swaps": In(self._delays[-1] + 1),
                "activation": In(8 * config.rows),
                "step_valid": In(1),
                "step": In(DecodedStep(config)),
                "sums": Out(config.cols * config.partial_width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shadows = self._shadows(m)
        lead = activation_lead(self._config)
        activation = self._taken(m, self.activation, "given")
        activations = [
            self._delayed(m, activation.word_select(row, 8), delay - lead, f"skew{row}")
            for row, delay in enumerate(self._delays)
        ]
        if self._config.packed_macs:
            self._add_packed(m, shadows, activations)
        else:
            self._add_rows(m, shadows, activations)
        return m

    def _shadows(self, m: Module) -> list[Value]:
        """The next weights of every row."""
        config, step = self._config, self.step
        groups = config.column_groups
        # One bit for each column group of a row block.
        writes = [
            Cat(self.step_valid & (step.row_block == b) & (step.column_group == g) for g in range(groups))
            for b in range(config.row_blocks)
        ]
        # The lower of two packed weights is stored with 128 added.
        offset = Const(0x80 if config.packed_macs else 0, 16).replicate(config.decode_lanes // 2)
        loaded = [
            self._taken(m, step.weights[number].as_value() ^ offset, f"loaded{number}")
            for number in range(LANE_WEIGHTS)
        ]
        shadows: list[Value] = []
        for row in range(config.rows):
            m.submodules[f"shadow{row}"] = registers = RowShadow(config=config)
            block, number = divmod(row, LANE_WEIGHTS)
            load = writes[block] & step.row_mask[number].replicate(groups)
            m.d.comb += [registers.load.eq(self._taken(m, load, f"load{row}")), registers.loaded.eq(loaded[number])]
            shadows.append(registers.shadow)
        return shadows

    def _add_rows(self, m: Module, shadows: list[Value], activations: list[Value]) -> None:
        """One chain down every column."""
        config, lead, addition = self._config, activation_lead(self._config), addition_delay(self._config)
        enable = self._taken(m, self.enable, "advance")
        sums: Value = Const(0, config.cols * LANE)
        for row, delay in enumerate(self._delays):
            m.submodules[f"row{row}"] = mac_row = ROWS.get(config.target, MacRow)(config=config)
            m.d.comb += [
                mac_row.swap.eq(self._taken(m, self.enable & self.swaps[delay], f"swap{row}")),
                # Registers inside a block move together, and every enable of its own would be one less to share.
                mac_row.multiply.eq(enable if lead else self.enable & self.valids[delay]),
                mac_row.add.eq(self._taken(m, self.enable & self.valids[delay + addition], f"add{row}")),
                mac_row.activation.eq(activations[row]),
                mac_row.shadow.eq(shadows[row]),
                mac_row.above.eq(sums),
            ]
            sums = mac_row.partial
        m.d.comb += self.sums.eq(Cat(sums.word_select(c, LANE)[: config.partial_width] for c in range(config.cols)))

    def _add_packed(self, m: Module, shadows: list[Value], activations: list[Value]) -> None:
        """A chain down every pair of columns in each segment; the sums of a segment are added to those before."""
        config = self._config
        rows, apart = segment_rows(config), segment_delay(config)
        segments = config.rows // rows
        missing = Cat(Const(segments, config.partial_width), Const(0, config.partial_width))
        sums: Value = missing.replicate(config.cols // 2)
        for number in range(segments):
            here = slice(number * rows, (number + 1) * rows)
            delays = self._delays[here]
            m.submodules[f"segment{number}"] = segment = PackedSegment(config=config)
            total = self._total(m, self.activation[8 * here.start : 8 * here.stop], number)
            too_much = Cat(Const(0, 7), self._delayed(m, total.as_unsigned(), apart * number, f"total{number}"))
            m.d.comb += [
                segment.swap.eq(Cat(self.enable & self.swaps[d] for d in delays)),
                segment.multiply.eq(Cat(self.enable & self.valids[d] for d in delays)),
                segment.add.eq(Cat(self.enable & self.valids[d + 1] for d in delays)),
                segment.split.eq(self.enable & self.valids[delays[-1] + 2]),
                segment.activations.eq(Cat(activations[here])),
                segment.shadow.eq(Cat(shadows[here])),
                segment.correction.eq(~too_much.as_signed()),  # ~x is -x - 1
                segment.before.eq(sums),
            ]
            sums = self._delayed(m, segment.sums, apart - 1, f"sums{number}") if number < segments - 1 else segment.sums
        m.d.comb += self.sums.eq(sums)

    def _total(self, m: Module, activations: Value, segment: int) -> Signal:
        """The sum of a segment's activations, `CORRECTION_LATENCY` enabled cycles late."""
        fours = len(activations) // (8 * LANE_WEIGHTS)
        parts = Signal(10 * fours, reset_less=True, name=f"fours{segment}")
        total = Signal(signed(low_width(self._config) - 6), reset_less=True, name=f"sum{segment}")
        of_four = [
            sum(activations.word_select(LANE_WEIGHTS * n + r, 8).as_signed() for r in range(LANE_WEIGHTS))
            for n in range(fours)
        ]
        with m.If(self.enable):
            m.d.sync += [
                parts.eq(Cat(Value.cast(value)[:10] for value in of_four)),
                total.eq(sum(parts.word_select(n, 10).as_signed() for n in range(fours))),
            ]
        return total

    def _delayed(self, m: Module, value: Value, cycles: int, name: str) -> Value:
        """The value of `cycles` enabled cycles ago."""
        width = len(value)
        line = Signal(width * cycles, reset_less=True, name=name)
        if cycles:
            with m.If(self._taken(m, self.enable, f"{name}_advance")):
                m.d.sync += line.eq(value | (line << width))
        return line[width * (cycles - 1) :] if cycles else value

    def _taken(self, m: Module, value: Value, name: str) -> Value:
        """What is taken at the inputs. What every row waits for then has a register of its own, near the row."""
        return input_delayed(m, value, self._config, f"{name}_taken")

"""Turns int32 accumulators into int8 activations, see `ssvq_gen.arithmetic.requantize`."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.arithmetic import (
    ACCUMULATOR_WIDTH,
    BIAS_WIDTH,
    EXPONENT_WIDTH,
    MANTISSA_WIDTH,
    MIN_SHIFT,
)
from ssvq_gen.config import CoreConfig

from .checks import require_config

_WINDOW_WIDTH = 11
"""Bits kept after the shift. Values beyond saturate, which the clamp to int8 makes of them anyway: a doubled value of
+-1024 is 512 before the zero point, out of reach of every clamp."""


class ChannelParameters(data.StructLayout):
    """Bias and multiplier of an output channel, as they stand in the weight stream."""

    def __init__(self) -> None:
        super().__init__(
            {"bias": signed(BIAS_WIDTH), "mantissa": unsigned(MANTISSA_WIDTH), "exponent": unsigned(EXPONENT_WIDTH)}
        )


class OutputRange(data.StructLayout):
    """What all outputs of a layer have in common."""

    def __init__(self) -> None:
        super().__init__({"zero_point": signed(8), "clamp_min": signed(8), "clamp_max": signed(8)})


class Requantizer(wiring.Component):
    """`requantize_lanes` channels per cycle; latency `LATENCY` cycles, never stalls.

    Members
    -------
    i : `requantize_lanes` int32 accumulators
    parameters : bias and multiplier of each lane, taken with `i`
    output_range : `OutputRange` of the layer, taken with `i`
    o : `requantize_lanes` int8
    """

    LATENCY = 4

    def __init__(self, *, config: CoreConfig) -> None:
        self._lanes = require_config(config).requantize_lanes
        super().__init__(
            {
                "i": In(self._lanes * ACCUMULATOR_WIDTH),
                "parameters": In(data.ArrayLayout(ChannelParameters(), self._lanes)),
                "output_range": In(OutputRange()),
                "o": Out(self._lanes * 8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Taken with the input, applied in the last stage.
        ranges = [self.output_range]
        for stage in range(1, self.LATENCY):
            ranges.append(Signal(OutputRange(), reset_less=True, name=f"range{stage}"))
            m.d.sync += ranges[stage].eq(ranges[stage - 1])
        zero_point, clamp_min, clamp_max = (ranges[-1][name] for name in ("zero_point", "clamp_min", "clamp_max"))
        for lane in range(self._lanes):
            accumulator = self.i.word_select(lane, ACCUMULATOR_WIDTH).as_signed()
            parameters = self.parameters[lane]

            biased = Signal(signed(ACCUMULATOR_WIDTH), reset_less=True, name=f"biased{lane}")
            mantissa = Signal(MANTISSA_WIDTH, reset_less=True, name=f"mantissa{lane}")
            exponent1 = Signal(EXPONENT_WIDTH, reset_less=True, name=f"exponent1_{lane}")
            m.d.sync += [
                biased.eq(accumulator + parameters.bias),
                mantissa.eq(parameters.mantissa),
                exponent1.eq(parameters.exponent),
            ]

            product = Signal(signed(ACCUMULATOR_WIDTH + MANTISSA_WIDTH), reset_less=True, name=f"product{lane}")
            exponent2 = Signal(EXPONENT_WIDTH, reset_less=True, name=f"exponent2_{lane}")
            m.d.sync += [product.eq(biased * mantissa), exponent2.eq(exponent1)]

            # Twice the value, one bit below the integer kept for rounding; saturated to a small window.
            doubled = Signal(signed(len(product)), name=f"doubled{lane}")
            window = Signal(signed(_WINDOW_WIDTH), reset_less=True, name=f"window{lane}")
            m.d.comb += doubled.eq(product >> (MIN_SHIFT - 1) >> exponent2)
            overflows = doubled[_WINDOW_WIDTH - 1 :] != doubled[-1].replicate(len(doubled) - _WINDOW_WIDTH + 1)
            limit = Mux(doubled[-1], -(1 << (_WINDOW_WIDTH - 1)), (1 << (_WINDOW_WIDTH - 1)) - 1)
            m.d.sync += window.eq(Mux(overflows, limit, doubled))

            value = Signal(signed(_WINDOW_WIDTH + 1), name=f"value{lane}")
            output = self.o.word_select(lane, 8)
            m.d.comb += value.eq(((window + 1) >> 1) + zero_point)
            with m.If(value > clamp_max):
                m.d.sync += output.eq(clamp_max)
            with m.Elif(value < clamp_min):
                m.d.sync += output.eq(clamp_min)
            with m.Else():
                m.d.sync += output.eq(value)
        return m

# amaranth: UnusedElaboratable=no
"""The requantizer equals `ssvq_gen.arithmetic.requantize`, in two steps.

`Requantizing` has a product of the solver's choice in place of the multiplier's: shift, rounding, saturation, zero
point and clamp are those of the definition for every product. Solvers do not see through 32 by 12 bits: the other step
is that one multiplier cell of these operands drives the product's register, and tests compare random values.
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Assert, Assume, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH, MANTISSA_WIDTH, MIN_SHIFT
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.requantizer import ChannelParameters, OutputRange, Requantizer

from .proof import Method, Proof, any_for_ever, itself
from .rules import Shown, flat

_PRODUCT = ACCUMULATOR_WIDTH + MANTISSA_WIDTH
_LANE = 0
"""All lanes are made in one loop."""


class _Requantizer(Shown):
    """A requantizer that is given any inputs, one set of them for ever."""

    def _build(self, m: Module) -> tuple[Value, data.View[ChannelParameters], data.View[OutputRange], Value]:
        """Accumulator, parameters and range of the lane, and its output."""
        m.submodules.dut = dut = Requantizer(config=self._config)
        accumulator = any_for_ever(m, signed(ACCUMULATOR_WIDTH), "accumulator")
        parameters = data.View(ChannelParameters(), any_for_ever(m, ChannelParameters().size, "parameters"))
        output = data.View(OutputRange(), any_for_ever(m, OutputRange().size, "output_range"))
        m.d.comb += [
            dut.i.eq(accumulator.as_unsigned()),
            flat(dut.parameters).eq(flat(parameters)),
            flat(dut.output_range).eq(flat(output)),
            Assume(output.clamp_min <= output.clamp_max),
        ]
        return accumulator, parameters, output, dut.o[:8].as_signed()


class Requantizing(_Requantizer):
    """The output, for any product. (The cut has one value for ever, as the inputs have.)"""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config, {f"product{_LANE}": _PRODUCT})
        self.cuts = (f"dut.product{_LANE}",)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        _, parameters, output, found = self._build(m)
        product = any_for_ever(m, signed(_PRODUCT), "product")
        halves = Signal(signed(_PRODUCT))
        value = Signal(signed(_PRODUCT + 2))
        below, clamped = Signal(signed(_PRODUCT + 2)), Signal(signed(_PRODUCT + 2))
        age = Signal(range(Requantizer.LATENCY + 1))
        m.d.sync += age.eq(Mux(age == Requantizer.LATENCY, age, age + 1))
        m.d.comb += [
            Assume(self.see(f"product{_LANE}") == product.as_unsigned()),
            halves.eq(product >> (parameters.exponent + (MIN_SHIFT - 1))),
            value.eq(((halves + 1) >> 1) + output.zero_point),
            below.eq(Mux(value > output.clamp_max, output.clamp_max, value)),
            clamped.eq(Mux(below < output.clamp_min, output.clamp_min, below)),
            Assert((age != Requantizer.LATENCY) | (found == clamped)),
        ]
        return m


def requantizer_proofs() -> list[Proof]:
    """For a core with one lane."""
    config = PRESETS["tiny"].replace(requantize_lanes=1)
    rounding = Requantizing(config)
    return [
        Proof(
            name="requantize_rounding",
            claim="shift, rounding half up, zero point and clamp are those of `requantize`, for every product",
            build=partial(itself, rounding),
            method=Method.BOUNDED,
            depth=Requantizer.LATENCY + 1,
            probes=rounding.probes,
            cuts=rounding.cuts,
        ),
        Proof(
            name="requantize_product",
            claim="the product is made by one multiplier, of the biased accumulator and the mantissa, and is as wide "
            "as both",
            build=lambda: Requantizer(config=config),
            method=Method.STRUCTURE,
            subject="",
            checks=(
                "select -assert-count 1 t:$mul",
                f"select -assert-count 1 t:$mul r:Y_WIDTH={_PRODUCT} %i r:A_SIGNED=1 %i r:B_SIGNED=1 %i",
                "select -assert-count 1 w:biased0 %co1:+$mul[A] t:$mul %i",
                "select -assert-count 1 w:mantissa0 %co1:+$mul[B] t:$mul %i",
                "select -assert-count 1 t:$mul %co1:+[Y] %co1:+$dff[D] t:$dff %i %co1:+[Q] w:product0 %i",
            ),
        ),
    ]

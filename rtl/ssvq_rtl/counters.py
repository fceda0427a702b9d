"""Counts where the cycles of a job went, and the beats it moved."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.registers import COUNTERS, TRAFFIC_COUNTERS

from .register_file import CounterLayout

_CLASSES = tuple(name.lower() for name, _ in COUNTERS[1:])
_TRAFFIC = tuple(name.lower() for name, _ in TRAFFIC_COUNTERS)


class Counters(wiring.Component):
    """One counter for all cycles, one for each class of cycles, one for each kind of beat; they stop at their maximum.

    A cycle in which several classes are set counts for the first of them in the order of `registers.COUNTERS`, one in
    which none is set for the last, so that the sum of the classes is the total.

    Members
    -------
    clear : a job starts
    run : a job is running
    classes : In, one bit for each class but the last
    beats : In, one bit for each traffic counter
    values : `CounterLayout`
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "run": In(1),
                "classes": In(data.StructLayout(dict.fromkeys(_CLASSES[:-1], 1))),
                "beats": In(data.StructLayout(dict.fromkeys(_TRAFFIC, 1))),
                "values": Out(CounterLayout()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flags = self.classes.as_value()
        # The lowest set bit; the guard bit above stands for the class of cycles in which nothing is set.
        guarded = Cat(flags, 1)
        first = Signal(len(_CLASSES))
        m.d.comb += first.eq(guarded & (~guarded + 1))
        pulses = {COUNTERS[0][0].lower(): self.run}
        pulses |= {name: self.run & first[i] for i, name in enumerate(_CLASSES)}
        pulses |= {name: self.beats[name] for name in _TRAFFIC}
        for name, pulse in pulses.items():
            value = self.values[name]
            with m.If(self.clear):
                m.d.sync += value.eq(0)
            with m.Elif(pulse & ~value.all()):
                m.d.sync += value.eq(value + 1)
        return m

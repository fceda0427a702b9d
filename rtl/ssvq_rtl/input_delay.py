"""Registers at the inputs of the MAC array, and beside it for what comes with its sums."""

from amaranth.hdl import Module, Signal, Value

from ssvq_gen.config import CoreConfig

from .array_timing import input_delay


def input_delayed(m: Module, value: Value, config: CoreConfig, name: str) -> Value:
    """The value of `input_delay` cycles ago, zero before that."""
    for _ in range(input_delay(config)):
        register = Signal(len(value), name=name)
        m.d.sync += register.eq(value)
        value = register
    return value

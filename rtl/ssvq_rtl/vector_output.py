"""Writes the outputs of a vector operation to the activation memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .activation_memory import WritePort
from .checks import require_config
from .vector_command import VectorCommand

DEPTH = 32
"""Outputs that may be on their way, or wait until the memory takes them."""


class VectorOutput(wiring.Component):
    """Group after group of channels, activation after activation, as they are read.

    Members
    -------
    begins, command : In, a command is taken
    takes : In, an output is on its way
    may_take : there is room for one more
    pending : outputs are on their way, or wait
    i : the outputs, `vector_lanes` int8; never waits
    write : activation memory
    error, error_addr : the address is outside the activation memory; stays until reset
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(VectorCommand(), always_ready=True)),
                "takes": In(1),
                "may_take": Out(1),
                "pending": Out(1),
                "i": In(stream.Signature(8 * config.vector_lanes, always_ready=True)),
                "write": Out(WritePort(config)),
                "error": Out(1),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        slots = config.vector_slots
        parts = config.vector_lanes // config.write_lanes  # of the mask, in a group of channels
        m.submodules.queue = queue = SyncFIFO(width=8 * config.vector_lanes, depth=DEPTH)
        taken = Signal(range(DEPTH + 1))
        written = Signal()
        address, group_address = Signal(33), Signal(33)
        token = Signal(16)
        slot = Signal(range(max(slots, 2)))
        tokens = Signal(16, reset_less=True)
        stride = Signal(16, reset_less=True)
        in_range = address < config.activation_depth
        m.d.comb += [
            self.may_take.eq(taken != DEPTH),
            self.pending.eq(taken != 0),
            queue.w_en.eq(self.i.valid),
            queue.w_data.eq(self.i.payload),
            queue.r_en.eq(written),
            self.write.en.eq(queue.r_rdy & in_range & ~self.error),
            self.write.addr.eq(address),
            self.write.data.eq(queue.r_data.replicate(slots)),
            self.write.mask.eq(((1 << parts) - 1) << (slot * parts) if slots > 1 else ~0),
            written.eq(self.write.en & self.write.ready),
        ]
        m.d.sync += taken.eq(taken + self.takes - written)
        with m.If(queue.r_rdy & ~in_range & ~self.error):
            m.d.sync += [self.error.eq(1), self.error_addr.eq(address)]
        with m.If(written):
            m.d.sync += [address.eq(address + stride), token.eq(token + 1)]
            with m.If(token == tokens - 1):
                following = group_address + (slot == slots - 1)
                m.d.sync += [token.eq(0), address.eq(following), group_address.eq(following)]
                m.d.sync += slot.eq(slot + 1 if slots > 1 else 0)
        with m.If(self.commands.valid):
            command = self.commands.payload
            m.d.sync += [
                address.eq(command.destination),
                group_address.eq(command.destination),
                token.eq(0),
                slot.eq(0),
                tokens.eq(command.tokens),
                stride.eq(command.output_stride),
            ]
        return m

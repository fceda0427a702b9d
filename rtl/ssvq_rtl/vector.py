"""The vector unit: sums, products, tables, LayerNorm, softmax and windows of tensors in the activation memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ssvq_gen.config import CoreConfig

from .activation_memory import ReadPort, WritePort
from .checks import require_config
from .descriptor import INDEX_WIDTH
from .vector_command import VectorCommand
from .vector_lanes import VectorLanes
from .vector_output import VectorOutput
from .vector_statistics import VectorStatistics
from .vector_walk import VectorWalk


class VectorEngine(wiring.Component):
    """One operation at a time; see `ssvq_gen.vector_arithmetic` for what it computes.

    Throughput: `vector_lanes` channels a cycle and operand, in each phase of the operation (`Phase`). A LAYERNORM has
    two phases and a SOFTMAX three that read the activations, and one with a cycle for each activation. A POOL takes a
    cycle for each position of each window, and so does a DEPTHWISE without `extra_taps`; with them, a cycle for each
    pixel in a row of windows. A kernel column outside the image is one cycle.

    Members
    -------
    commands : `VectorCommand`
    read, write : activation memory
    busy : an operation is in hand
    ends, ends_index : pulse, all outputs of a command are in the activation memory
    progress : something moved, for the watchdog
    error, error_index, error_addr : an address is outside the activation memory; stays until reset
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        if not config.vector:
            raise ValueError("vector must be true in a core with a vector unit")
        super().__init__(
            {
                "commands": In(stream.Signature(VectorCommand())),
                "read": Out(ReadPort(config)),
                "write": Out(WritePort(config)),
                "busy": Out(1),
                "ends": Out(1),
                "ends_index": Out(INDEX_WIDTH),
                "progress": Out(1),
                "error": Out(1),
                "error_index": Out(INDEX_WIDTH),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.walk = walk = VectorWalk(config=config)
        m.submodules.lanes = lanes = VectorLanes(config=config)
        m.submodules.statistics = statistics = VectorStatistics(config=config)
        m.submodules.output = output = VectorOutput(config=config)
        connect(m, wiring.flipped(self.commands), walk.commands)
        connect(m, walk.read, wiring.flipped(self.read))
        connect(m, lanes.o, output.i)
        connect(m, output.write, wiring.flipped(self.write))
        begins = Signal()
        taken = self.commands.valid & self.commands.ready
        m.d.sync += begins.eq(taken)
        for part in (lanes, statistics):
            m.d.comb += [part.command.eq(walk.command), part.phase.eq(walk.phase)]
        m.d.comb += [
            walk.may_output.eq(output.may_take),
            walk.outputs_pending.eq(output.pending),
            output.takes.eq(walk.takes_output),
            output.commands.valid.eq(taken),
            output.commands.payload.eq(self.commands.payload),
            lanes.begins.eq(begins),
            lanes.arrives.eq(walk.arrives),
            lanes.arrived.eq(walk.arrived),
            lanes.word.eq(self.read.data),
            statistics.activations.eq(lanes.activations),
            statistics.centred.eq(lanes.centred),
            statistics.squares.eq(lanes.squares),
            statistics.root_valid.eq(walk.root_valid),
            statistics.root_token.eq(walk.root_token),
            statistics.token.eq(lanes.token),
            lanes.centre.eq(statistics.centre),
            lanes.root.eq(statistics.root),
            self.busy.eq(walk.busy),
            self.ends.eq(walk.ends),
            self.ends_index.eq(walk.command.index),
            self.progress.eq(walk.arrives | walk.root_valid | self.write.en),
            self.error.eq(walk.error | output.error),
            self.error_index.eq(walk.command.index),
            self.error_addr.eq(walk.error_addr),
        ]
        with m.If(output.error):
            m.d.comb += self.error_addr.eq(output.error_addr)
        return m

"""Runs checked descriptors one after the other."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import ErrorCode, Opcode

from .bus import ERROR_CODE_WIDTH, LoadCommand, StoreCommand
from .checks import require_config
from .descriptor import INDEX_WIDTH
from .dispatcher import CheckedDescriptor
from .feeder import FeedCommand
from .writeback import WritebackCommand


class Executor(wiring.Component):
    """Starts a descriptor when the one before is complete: all its outputs written, all write responses received.

    Members
    -------
    descriptors : `CheckedDescriptor`
    memory_base : DRAM window
    load_commands, store_commands, feed_commands, writeback_commands : to the engines
    load_done, store_done : In, pulses
    matmul_busy : In, there are outputs to write
    running_load, running_store, running_matmul : state, for the counters
    index : of the descriptor in hand, or the last one that was; 0 from reset
    ends : the descriptor in hand is complete
    finished : pulse, the last descriptor of the job is complete
    error_code, error_addr : why the descriptor in hand cannot be run, NONE otherwise; where its transfer begins, an
        activation word for ACTIVATION_RANGE and else a bus address
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "descriptors": In(stream.Signature(CheckedDescriptor())),
                "memory_base": In(64),
                "load_commands": Out(stream.Signature(LoadCommand(config))),
                "store_commands": Out(stream.Signature(StoreCommand(config))),
                "feed_commands": Out(stream.Signature(FeedCommand())),
                "writeback_commands": Out(stream.Signature(WritebackCommand())),
                "load_done": In(1),
                "store_done": In(1),
                "matmul_busy": In(1),
                "running_load": Out(1),
                "running_store": Out(1),
                "running_matmul": Out(1),
                "index": Out(INDEX_WIDTH),
                "ends": Out(1),
                "finished": Out(1),
                "error_code": Out(ERROR_CODE_WIDTH),
                "error_addr": Out(64),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        current = Signal(CheckedDescriptor(), reset_less=True)
        fields = current.descriptor.fields
        addr = Signal(64)
        m.d.comb += addr.eq(self.memory_base + fields.dram_offset)
        with m.If(current.code == ErrorCode.ACTIVATION_RANGE):
            m.d.comb += self.error_addr.eq(Mux(fields.opcode == Opcode.LOAD, fields.destination, fields.source))
        with m.Else():
            m.d.comb += self.error_addr.eq(addr)
        shared = {"addr": addr, "words": current.words, "tag": current.descriptor.index}
        for commands in (self.load_commands, self.store_commands, self.feed_commands, self.writeback_commands):
            payload = commands.payload
            for name, _ in payload.shape():
                value = shared[name] if name in shared else fields[name]
                m.d.comb += payload[name].eq(value)

        m.d.sync += self.finished.eq(self.ends & current.descriptor.last)
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.descriptors.ready.eq(1)
                m.d.sync += current.eq(self.descriptors.payload)
                with m.If(self.descriptors.valid):
                    m.d.sync += self.index.eq(self.descriptors.payload.descriptor.index)
                    m.next = "START"
            with m.State("START"):
                with m.If(current.code != ErrorCode.NONE):
                    m.next = "FAILED"
                with m.Else(), m.Switch(fields.opcode):
                    with m.Case(Opcode.LOAD):
                        m.d.comb += self.load_commands.valid.eq(1)
                        with m.If(self.load_commands.ready):
                            m.next = "LOAD"
                    with m.Case(Opcode.STORE):
                        m.d.comb += self.store_commands.valid.eq(1)
                        with m.If(self.store_commands.ready):
                            m.next = "STORE"
                    with m.Case(Opcode.MATMUL):
                        # Both are ready: the matrix product before is complete.
                        m.d.comb += [self.feed_commands.valid.eq(1), self.writeback_commands.valid.eq(1)]
                        m.next = "MATMUL"
            with m.State("LOAD"):
                m.d.comb += self.running_load.eq(1)
                self._end_when(m, self.load_done)
            with m.State("STORE"):
                m.d.comb += self.running_store.eq(1)
                self._end_when(m, self.store_done)
            with m.State("MATMUL"):
                m.d.comb += self.running_matmul.eq(1)
                self._end_when(m, ~self.matmul_busy)
            with m.State("FAILED"):
                m.d.comb += self.error_code.eq(current.code)
        return m

    def _end_when(self, m: Module, condition: Value) -> None:
        with m.If(condition):
            m.d.comb += self.ends.eq(1)
            m.next = "TAKE"

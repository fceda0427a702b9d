"""Begins checked descriptors in their order, as soon as what they wait for is complete."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import MATRIX_OPCODES, OPEN_ALL, VECTOR_OPCODES, ErrorCode, Opcode

from .bus import ERROR_CODE_WIDTH, LoadCommand, StoreCommand
from .checks import require_config
from .descriptor import INDEX_WIDTH
from .dispatcher import CheckedDescriptor
from .feeder import FeedCommand
from .operand_words import OperandCommand
from .vector_command import Operation, VectorCommand
from .writeback import WritebackCommand

MATMULS_OPEN = 2
"""Matrix descriptors in the engine: one whose activations are fed, and one before it whose last sums still come."""


OPEN_WIDTH = 3
"""Bits of the number of incomplete descriptors of a kind: an engine holds two at most."""


class Executor(wiring.Component):
    """Hands each descriptor to its engine when no more than its `loads_open`, `matmuls_open`, `stores_open` and
    `vectors_open` earlier descriptors of a kind are incomplete. A descriptor that cannot be run waits until all before
    it are complete.

    A descriptor takes 2 cycles from `descriptors` to its engine.

    Members
    -------
    descriptors : `CheckedDescriptor`
    memory_base : DRAM window
    load_commands, store_commands : to the engines
    feed_commands, writeback_commands, operand_commands : to the matrix engine, together; the last for PRODUCT only
    vector_commands : to the vector unit
    load_done, store_done, matmul_done, vector_done : In, pulses
    loads, stores, matmuls, vectors : descriptors of a kind that are not complete
    load_begins, store_begins, vector_begins : pulses, with `index`
    index : of the descriptor that began last or waits to begin; 0 from reset
    oldest : of the first one that is not complete, a cycle late; `index` when all that began are
    finished : pulse, the job is complete
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
                "operand_commands": Out(stream.Signature(OperandCommand())),
                "vector_commands": Out(stream.Signature(VectorCommand())),
                "load_done": In(1),
                "store_done": In(1),
                "matmul_done": In(1),
                "vector_done": In(1),
                "loads": Out(OPEN_WIDTH),
                "stores": Out(OPEN_WIDTH),
                "matmuls": Out(OPEN_WIDTH),
                "vectors": Out(OPEN_WIDTH),
                "load_begins": Out(1),
                "store_begins": Out(1),
                "vector_begins": Out(1),
                "index": Out(INDEX_WIDTH),
                "oldest": Out(INDEX_WIDTH),
                "finished": Out(1),
                "error_code": Out(ERROR_CODE_WIDTH),
                "error_addr": Out(64),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        current = Signal(CheckedDescriptor(), reset_less=True)
        fields = current.descriptor.fields
        self._connect_payloads(m, current)

        # Incomplete descriptors by kind
        load, store, vector = self.load_commands, self.store_commands, self.vector_commands
        begins_matmul = Signal()
        m.d.comb += [
            self.load_begins.eq(load.valid & load.ready),
            self.store_begins.eq(store.valid & store.ready),
            self.vector_begins.eq(vector.valid & vector.ready),
        ]
        oldest: Value = self.index
        for count, begins, done in (
            (self.loads, self.load_begins, self.load_done),
            (self.stores, self.store_begins, self.store_done),
            (self.matmuls, begins_matmul, self.matmul_done),
            (self.vectors, self.vector_begins, self.vector_done),
        ):
            m.d.sync += count.eq(count + begins - done)
            first, second = Signal(INDEX_WIDTH), Signal(INDEX_WIDTH)  # of this kind, which has no third
            with m.If(begins):
                m.d.sync += second.eq(self.index)
            with m.If(begins & (count == done)):
                m.d.sync += first.eq(self.index)
            with m.Elif(done):
                m.d.sync += first.eq(second)
            oldest = Mux((count != 0) & (first < oldest), first, oldest)
        m.d.sync += self.oldest.eq(oldest)
        idle = ~Cat(self.loads, self.stores, self.matmuls, self.vectors).any()

        # May the descriptor in hand begin?
        waits = (
            _exceeds(self.loads, fields.loads_open)
            | _exceeds(self.stores, fields.stores_open)
            | _exceeds(self.matmuls, fields.matmuls_open)
            | _exceeds(self.vectors, fields.vectors_open)
        )
        is_product = fields.opcode == Opcode.PRODUCT
        engine_ready = (
            self.feed_commands.ready
            & self.writeback_commands.ready
            & (self.operand_commands.ready | ~is_product)
            & (self.matmuls < MATMULS_OPEN)
        )
        last = Signal()
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.descriptors.ready.eq(1)
                m.d.sync += current.eq(self.descriptors.payload)
                with m.If(self.descriptors.valid):
                    m.d.sync += self.index.eq(self.descriptors.payload.descriptor.index)
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                begins = Signal()
                fails = current.code != ErrorCode.NONE
                with m.If(fails & idle):
                    m.next = "FAILED"
                with m.Elif(~fails & ~waits), m.Switch(fields.opcode):
                    with m.Case(Opcode.LOAD):
                        m.d.comb += [load.valid.eq(1), begins.eq(load.ready)]
                    with m.Case(Opcode.STORE):
                        m.d.comb += [store.valid.eq(1), begins.eq(store.ready)]
                    with m.Case(*MATRIX_OPCODES):
                        m.d.comb += [
                            self.feed_commands.valid.eq(engine_ready),
                            self.writeback_commands.valid.eq(engine_ready),
                            self.operand_commands.valid.eq(engine_ready & is_product),
                            begins_matmul.eq(engine_ready),
                            begins.eq(engine_ready),
                        ]
                    with m.Case(*VECTOR_OPCODES):
                        m.d.comb += [vector.valid.eq(1), begins.eq(vector.ready)]
                with m.If(begins):
                    m.d.sync += last.eq(current.descriptor.last)
                    m.next = "TAKE"
            with m.State("FAILED"):
                m.d.comb += self.error_code.eq(current.code)

        finished = Signal()
        m.d.comb += finished.eq(last & idle)
        with m.If(finished):
            m.d.sync += last.eq(0)
        m.d.sync += self.finished.eq(finished)
        return m

    def _connect_payloads(self, m: Module, current: Signal) -> None:
        """Commands have the descriptor's fields by name, and what is derived from them."""
        fields = current.descriptor.fields
        index = current.descriptor.index
        addr = Signal(64)
        m.d.comb += addr.eq(self.memory_base + fields.dram_offset)
        with m.If(current.code == ErrorCode.ACTIVATION_RANGE):
            m.d.comb += self.error_addr.eq(Mux(fields.opcode == Opcode.LOAD, fields.destination, fields.source))
        with m.Else():
            m.d.comb += self.error_addr.eq(addr)
        derived = {
            "addr": addr,
            "words": current.words,
            "tag": index,
            "index": index,
            "is_product": fields.opcode == Opcode.PRODUCT,
            "is_window": fields.opcode == Opcode.CONV,
            "operation": Operation.of_opcode(fields.opcode),
        }
        for commands in (
            self.load_commands,
            self.store_commands,
            self.feed_commands,
            self.writeback_commands,
            self.operand_commands,
            self.vector_commands,
        ):
            payload = commands.payload
            for name, _ in payload.shape():
                m.d.comb += payload[name].eq(derived[name] if name in derived else fields[name])


def _exceeds(count: Value, allowed: Value) -> Value:
    return (allowed != OPEN_ALL) & (count > allowed)

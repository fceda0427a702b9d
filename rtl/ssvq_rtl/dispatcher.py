"""Checks descriptors as they arrive and sends weight streams on their way ahead of everything else."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import STREAM_OPCODES, ErrorCode, Opcode

from .bus import ERROR_CODE_WIDTH, WeightCommand
from .checks import require_config
from .descriptor import FetchedDescriptor
from .descriptor_check import DescriptorCheck
from .layer_shape import LayerShape

QUEUE_DEPTH = 8
"""Descriptors that wait behind those that run; their weights are already on the way."""


class CheckedDescriptor(data.StructLayout):
    """A descriptor with the result of its check: run it, or report `code`."""

    def __init__(self) -> None:
        super().__init__({"descriptor": FetchedDescriptor(), "code": ERROR_CODE_WIDTH, "words": 32})


class Dispatcher(wiring.Component):
    """A LOAD or STORE takes 3 cycles, a PRODUCT 4, a MATMUL or CONV 5: far fewer than it runs.

    The weight stream and the unpacker get their commands here. A descriptor that fails its check is passed on with
    its error code, in its turn, and nothing after it is taken.

    Members
    -------
    descriptors : `FetchedDescriptor`
    memory_base, memory_size : DRAM window
    weight_commands : to the weight stream
    layers : to the unpacker, at most `QUEUE_DEPTH` waiting
    o : `CheckedDescriptor`, at most `QUEUE_DEPTH` waiting
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "descriptors": In(stream.Signature(FetchedDescriptor())),
                "memory_base": In(64),
                "memory_size": In(32),
                "weight_commands": Out(stream.Signature(WeightCommand(config))),
                "layers": Out(stream.Signature(LayerShape())),
                "o": Out(stream.Signature(CheckedDescriptor())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat_log2 = self._config.beat_bytes.bit_length() - 1
        current = Signal(CheckedDescriptor(), reset_less=True)
        fields = current.descriptor.fields
        is_product = fields.opcode == Opcode.PRODUCT
        m.submodules.check = check = DescriptorCheck(config=self._config)
        m.submodules.queue = queue = SyncFIFO(width=len(current.as_value()), depth=QUEUE_DEPTH)
        layer = Signal(LayerShape())
        m.submodules.layer_queue = layer_queue = SyncFIFO(width=len(layer.as_value()), depth=QUEUE_DEPTH)
        m.d.comb += [
            check.fields.eq(fields),
            check.memory_size.eq(self.memory_size),
            queue.w_data.eq(current),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.weight_commands.payload.addr.eq(self.memory_base + fields.dram_offset),
            self.weight_commands.payload.beats.eq(fields.dram_bytes >> beat_log2),
            self.weight_commands.payload.tag.eq(current.descriptor.index),
            self.weight_commands.payload.residency.eq(fields.residency),
            self.weight_commands.payload.cache_beat.eq(fields.cache_offset >> beat_log2),
            layer_queue.w_data.eq(layer),
            self.layers.payload.eq(layer_queue.r_data),
            self.layers.valid.eq(layer_queue.r_rdy),
            layer_queue.r_en.eq(self.layers.ready),
        ]
        derived = {"is_product": is_product, "index": current.descriptor.index}
        for name, _ in LayerShape():
            m.d.comb += layer[name].eq(derived[name] if name in derived else fields[name])
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.descriptors.ready.eq(1)
                m.d.sync += current.descriptor.eq(self.descriptors.payload)
                with m.If(self.descriptors.valid):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += [current.code.eq(check.code), current.words.eq(check.words)]
                m.next = "QUEUE"
            with m.State("QUEUE"):
                m.d.comb += queue.w_en.eq(1)
                with m.If(queue.w_rdy):
                    with m.If(current.code != ErrorCode.NONE):
                        m.next = "STOPPED"
                    with m.Else(), m.Switch(fields.opcode):
                        with m.Case(*STREAM_OPCODES):
                            m.next = "WEIGHTS"
                        with m.Case(Opcode.PRODUCT):
                            m.next = "LAYER"
                        with m.Default():
                            m.next = "TAKE"
            with m.State("WEIGHTS"):
                m.d.comb += self.weight_commands.valid.eq(1)
                with m.If(self.weight_commands.ready):
                    m.next = "LAYER"
            with m.State("LAYER"):
                m.d.comb += layer_queue.w_en.eq(1)
                with m.If(layer_queue.w_rdy):
                    m.next = "TAKE"
            with m.State("STOPPED"):
                pass
        return m

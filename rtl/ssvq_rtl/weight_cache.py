"""On-chip memory of compressed weights."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .checks import require_config


class WeightCache(wiring.Component):
    """`weight_cache_depth` beats, written or read one after the other from where `seek` has set the position.

    The beat that `o` offers waits in the memory's output register, and the one after it is read as it is taken. So
    back-pressure costs nothing and no beat is held twice. Contents survive a reset.

    Latency 2 cycles from `seek` to `o`, also for beats that were written in the cycle of `seek`. One beat a cycle.

    Parameters
    ----------
    config : core configuration; its `weight_cache_bytes` must not be 0

    Members
    -------
    seek : the position becomes `beat`, and what `o` offers is dropped
    beat : address of a beat
    write_en, write_data : write a beat at the position and go on; not while `read_en`
    read_en : offer the beats from the position on; until the next `seek`
    o : stream of beats
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        if config.weight_cache_depth == 0:
            raise ValueError("weight_cache_bytes must not be 0 for a WeightCache")
        super().__init__(
            {
                "seek": In(1),
                "beat": In(range(config.weight_cache_depth)),
                "write_en": In(1),
                "write_data": In(config.axi_data_width),
                "read_en": In(1),
                "o": Out(stream.Signature(config.axi_data_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.memory = memory = Memory(shape=config.axi_data_width, depth=config.weight_cache_depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        position = Signal(range(config.weight_cache_depth), reset_less=True)
        m.d.comb += [
            write.en.eq(self.write_en),
            write.addr.eq(position),
            write.data.eq(self.write_data),
            read.en.eq(self.read_en & (~self.o.valid | self.o.ready)),
            read.addr.eq(position),
            self.o.payload.eq(read.data),
        ]
        with m.If(self.seek):
            m.d.sync += [position.eq(self.beat), self.o.valid.eq(0)]
        with m.Elif(read.en):
            m.d.sync += [position.eq(position + 1), self.o.valid.eq(1)]
        with m.Elif(self.write_en):
            m.d.sync += position.eq(position + 1)
        return m

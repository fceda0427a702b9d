"""On-chip memory of int8 activations."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .checks import require_config


class ActivationMemory(wiring.Component):
    """`activation_depth` words of `word_bytes` bytes, one read and one write port.

    Latency: `read_data` is valid the cycle after `read_en` and is held until the next read. A read does not see a
    write of the same cycle. `write_mask` has a bit for each group of `requantize_lanes` channels.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        width = 8 * config.word_bytes
        super().__init__(
            {
                "read_en": In(1),
                "read_addr": In(range(config.activation_depth)),
                "read_data": Out(width),
                "write_en": In(1),
                "write_addr": In(range(config.activation_depth)),
                "write_data": In(width),
                "write_mask": In(config.word_bytes // config.requantize_lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.memory = memory = Memory(shape=8 * config.word_bytes, depth=config.activation_depth, init=[])
        read = memory.read_port()
        write = memory.write_port(granularity=8 * config.requantize_lanes)
        m.d.comb += [
            read.en.eq(self.read_en),
            read.addr.eq(self.read_addr),
            self.read_data.eq(read.data),
            write.en.eq(self.write_mask & self.write_en.replicate(len(self.write_mask))),
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
        ]
        return m

"""A WeightStream behind a ReadArbiter, and what it has to deliver."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Elaboratable, Module, ResetInserter, Signal
from amaranth.lib import wiring

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Residency
from ssvq_rtl.read_arbiter import ReadArbiter
from ssvq_rtl.weight_stream import WeightStream
from ssvq_sim.axi_bench import pattern

NONE, KEEP, REUSE = Residency

Command = dict[str, int]
Beat = tuple[int, int, int]


class WeightBench(Elaboratable):
    """Arbiter and weight stream of `config`; `flush` resets the weight stream, as in the core."""

    def __init__(self, config: CoreConfig) -> None:
        self.flush = Signal()
        self.arbiter = ReadArbiter(config=config, clients=1)
        self.dut = WeightStream(config=config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.arbiter = self.arbiter
        m.submodules.dut = ResetInserter(self.flush)(self.dut)
        wiring.connect(m, self.arbiter.requests_i[0], self.dut.requests)
        wiring.connect(m, self.arbiter.data_i[0], self.dut.data)
        return m


def command(residency: Residency, tag: int, beats: int, *, addr: int = 0, cache_beat: int = 0) -> Command:
    return {"addr": addr, "beats": beats, "tag": tag, "residency": residency, "cache_beat": cache_beat}


def beat_of(payload: Any) -> Beat:
    return int(payload.data), int(payload.last), int(payload.tag)


def expected_of(config: CoreConfig, commands: Sequence[Command], kept: dict[int, int] | None = None) -> list[Beat]:
    """What `commands` deliver; `kept` is the content of the cache by beat, and is changed as they run."""
    kept = {} if kept is None else kept
    delivered = []
    for c in commands:
        for n in range(c["beats"]):
            if c.get("residency", NONE) == REUSE:
                data = kept[c["cache_beat"] + n]
            else:
                size = config.beat_bytes
                data = int.from_bytes(pattern(c["addr"] + n * size, size), "little")
            if c.get("residency", NONE) == KEEP:
                kept[c["cache_beat"] + n] = data
            delivered.append((data, int(n == c["beats"] - 1), c["tag"]))
    return delivered


def fetched_of(config: CoreConfig, commands: Sequence[Command]) -> list[int]:
    """Byte addresses of the beats that `commands` read from the bus."""
    return [
        c["addr"] + n * config.beat_bytes
        for c in commands
        if c.get("residency", NONE) != REUSE
        for n in range(c["beats"])
    ]

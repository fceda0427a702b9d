# amaranth: UnusedElaboratable=no
from typing import Any

import pytest

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import ErrorCode
from ssvq_rtl.store import StoreEngine
from ssvq_sim.axi_bench import DECERR, SLVERR, WriteSubordinate, pattern
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send


def config_of(bus: int, side: int) -> CoreConfig:
    return CoreConfig(rows=side, cols=side, axi_data_width=bus, activation_bytes=512 * side)


def word_of(config: CoreConfig, word: int) -> int:
    return int.from_bytes(pattern(word * config.word_bytes, config.word_bytes), "little")


class Memory:
    """The activation memory, whose data is only there in the cycle after the read."""

    def __init__(self, dut: StoreEngine, config: CoreConfig, rng: Any) -> None:
        self.reads: list[int] = []
        self._dut, self._config, self._rng = dut, config, rng

    async def run(self, ctx: Any) -> None:
        while True:
            _, _, enable, addr = await ctx.tick().sample(self._dut.read_en, self._dut.read_addr)
            if enable:
                self.reads.append(addr)
            word = word_of(self._config, addr) if enable else self._rng.getrandbits(8 * self._config.word_bytes)
            ctx.set(self._dut.read_data, word)


class Events:
    """Counts pulses, keeps errors."""

    def __init__(self, dut: StoreEngine) -> None:
        self.done = self.beats = 0
        self.errors: list[tuple[int, int, int]] = []
        self._dut = dut

    async def run(self, ctx: Any) -> None:
        dut = self._dut
        while True:
            _, _, done, beat, bad, error = await ctx.tick().sample(dut.done, dut.beat, dut.error_valid, dut.error)
            self.done += done
            self.beats += beat
            if bad:
                self.errors.append((int(error.code), int(error.addr), int(error.tag)))


async def settle(ctx: Any, dut: StoreEngine) -> None:
    """Wait until the engine is idle, and check that it stays so."""
    await ctx.tick().until(dut.idle)
    for _ in range(TRAILING_CYCLES):
        await ctx.tick()
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.done)


@pytest.mark.parametrize(("bus", "side"), [(32, 8), (32, 16), (64, 8), (64, 32), (128, 8), (512, 8), (32, 64)])
@pytest.mark.parametrize(("idle", "stall", "latency"), [(0.0, 0.0, 0), (0.0, 0.0, 15), (0.4, 0.5, 7)])
def test_stores_words(bus: int, side: int, idle: float, stall: float, latency: int) -> None:
    rng = seeded(bus + side + latency)
    config = config_of(bus, side)
    dut = StoreEngine(config=config)
    slave = WriteSubordinate(rng=rng, beat_bytes=bus // 8, axi=dut.axi, latency=latency, stall=stall)
    memory, events = Memory(dut, config, rng), Events(dut)
    region = 64 * 1024
    commands = []
    for n in range(12):
        words = rng.choice((1, 2, 3, 5, 17, rng.randint(1, 60)))
        source = rng.randrange(config.activation_depth - words + 1)
        addr = n * region + 64 * rng.randrange(256)
        commands.append({"addr": addr, "source": source, "words": words, "tag": n})
    commands.append({"addr": 12 * region, "source": 0, "words": config.activation_depth, "tag": 99})
    wb = config.word_bytes
    expected = {
        c["addr"] + n: byte for c in commands for n, byte in enumerate(pattern(c["source"] * wb, c["words"] * wb))
    }

    async def drive(ctx: Any) -> None:
        await send(ctx, dut.commands, commands, rng=rng, idle=idle)
        await ctx.tick()
        await settle(ctx, dut)

    cycles = 400 + 12 * sum(c["words"] for c in commands) * max(1, 8 * side // bus) * (1 + latency // 4)
    run_benches(dut, drive, cycles=cycles, background=(slave.run, memory.run, events.run))
    assert slave.written == expected
    assert events.done == len(commands)
    assert events.errors == []
    beats = [-(-c["words"] * wb // config.beat_bytes) for c in commands]
    assert events.beats == sum(beats)
    assert len(memory.reads) == sum(c["words"] for c in commands)
    if stall == 0:
        last = slave.beat_times[-beats[-1] :]
        per_beat = max(1, config.beat_bytes // wb)
        assert last[-1] - last[0] == (beats[-1] - 1) * per_beat, "full rate"


@pytest.mark.parametrize(("response", "code"), [(SLVERR, ErrorCode.WRITE_SLAVE), (DECERR, ErrorCode.WRITE_DECODE)])
@pytest.mark.parametrize("failing", [0, 2, 7], ids=["first", "middle", "last"])
def test_error_is_reported_once_and_the_engine_recovers(response: int, code: ErrorCode, failing: int) -> None:
    rng = seeded(failing)
    config = config_of(64, 16)
    dut = StoreEngine(config=config)
    bad = 0x2000 + failing * 128
    slave = WriteSubordinate(
        rng=rng, beat_bytes=8, axi=dut.axi, latency=6, stall=0.3, responses={bad: response, bad + 128: DECERR}
    )
    memory, events = Memory(dut, config, rng), Events(dut)
    again = {"addr": 0x10000, "source": 3, "words": 9, "tag": 6}

    async def drive(ctx: Any) -> None:
        await send(ctx, dut.commands, [{"addr": 0x2000, "source": 10, "words": 64, "tag": 5}], rng=rng)
        await ctx.tick().until(dut.error_valid)
        await ctx.tick().repeat(60)
        assert not ctx.get(dut.commands.ready)
        ctx.set(dut.halt, 1)
        await settle(ctx, dut)
        assert not ctx.get(dut.commands.ready)
        ctx.set(dut.halt, 0)
        assert events.done == 0
        await send(ctx, dut.commands, [again], rng=rng)
        await ctx.tick()
        await settle(ctx, dut)

    run_benches(dut, drive, cycles=3000, background=(slave.run, memory.run, events.run))
    assert events.errors == [(code, bad, 5)]
    assert events.done == 1
    stored = {a: b for a, b in slave.written.items() if a >= again["addr"]}
    assert stored == {again["addr"] + n: b for n, b in enumerate(pattern(3 * 16, 9 * 16))}


@pytest.mark.parametrize("moment", range(0, 60, 3))
def test_halt_finishes_open_bursts_and_clears_the_engine(moment: int) -> None:
    rng = seeded(moment)
    config = config_of(64, 16)
    dut = StoreEngine(config=config)
    slave = WriteSubordinate(rng=rng, beat_bytes=8, axi=dut.axi, latency=9, stall=0.3)
    memory, events = Memory(dut, config, rng), Events(dut)
    again = {"addr": 0x10000, "source": 7, "words": 33, "tag": 6}

    async def drive(ctx: Any) -> None:
        await send(ctx, dut.commands, [{"addr": 0x2000, "source": 10, "words": 400, "tag": 5}], rng=rng)
        await ctx.tick().repeat(moment + 1)
        ctx.set(dut.halt, 1)
        await ctx.tick()
        await settle(ctx, dut)
        ctx.set(dut.halt, 0)
        assert events.done == 0
        total = sum(count for _, count in slave.bursts)
        assert total == events.beats == len(slave.written) // 8 < 800
        await send(ctx, dut.commands, [again], rng=rng)
        await ctx.tick()
        await settle(ctx, dut)

    run_benches(dut, drive, cycles=3000, background=(slave.run, memory.run, events.run))
    assert events.done == 1
    assert events.errors == []
    content = pattern(10 * 16, 400 * 16)
    assert all(content[a - 0x2000] == b for a, b in slave.written.items() if a < again["addr"])
    stored = {a: b for a, b in slave.written.items() if a >= again["addr"]}
    assert stored == {again["addr"] + n: b for n, b in enumerate(pattern(7 * 16, 33 * 16))}


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        StoreEngine(config=None)  # type: ignore[arg-type]

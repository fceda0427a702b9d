# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from ssvq_gen.config import PRESETS
from ssvq_rtl.read_arbiter import ReadArbiter
from ssvq_rtl.weight_stream import WeightStream
from ssvq_sim.axi_bench import ReadSubordinate, pattern
from ssvq_sim.stream_bench import Receiver, run_benches, seeded, send

CONFIG = PRESETS["base"].replace(weight_buffer_depth=128)
BEAT = CONFIG.beat_bytes


def beat_of(payload: Any) -> tuple[int, int, int]:
    return int(payload.data), int(payload.last), int(payload.tag)


def expected_of(commands: list[dict[str, int]]) -> list[tuple[int, int, int]]:
    return [
        (int.from_bytes(pattern(c["addr"] + n * BEAT, BEAT), "little"), int(n == c["beats"] - 1), c["tag"])
        for c in commands
        for n in range(c["beats"])
    ]


def bench(depth: int = 128) -> tuple[Module, WeightStream, ReadArbiter]:
    config = CONFIG.replace(weight_buffer_depth=depth)
    m = Module()
    m.submodules.arbiter = arbiter = ReadArbiter(config=config, clients=1)
    m.submodules.dut = dut = WeightStream(config=config)
    wiring.connect(m, arbiter.requests_i[0], dut.requests)
    wiring.connect(m, arbiter.data_i[0], dut.data)
    return m, dut, arbiter


@pytest.mark.parametrize(
    ("idle", "stall", "memory_stall", "latency"),
    [(0.0, 0.0, 0.0, 3), (0.0, 0.7, 0.0, 0), (0.3, 0.3, 0.3, 30), (0.9, 0.0, 0.5, 100)],
)
def test_delivers_commands_in_order(idle: float, stall: float, memory_stall: float, latency: int) -> None:
    rng = seeded(latency)
    m, dut, arbiter = bench(64)
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=arbiter.axi, latency=latency, stall=memory_stall)
    commands = [
        {"addr": 64 * rng.randrange(1 << 20), "beats": 8 * rng.choice((1, 1, 2, 7, 30)), "tag": 1000 + n}
        for n in range(20)
    ]
    commands.append({"addr": 64, "beats": 1, "tag": 9})
    expected = expected_of(commands)
    receiver = Receiver(dut.o, rng=rng, stall=stall, convert=beat_of)

    async def always_ready(ctx: Any) -> None:
        while True:
            _, _, ready, valid, beat = await ctx.tick().sample(dut.data.ready, dut.data.valid, dut.beat)
            assert ready
            assert beat == valid

    run_benches(
        m,
        lambda ctx: send(ctx, dut.commands, commands, rng=rng, idle=idle),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=12000,
        background=(slave.run, always_ready),
    )
    assert receiver.items == expected


@pytest.mark.parametrize("latency", [10, 110, 200])
def test_hides_the_latency_of_the_memory(latency: int) -> None:
    rng = seeded(latency)
    m, dut, arbiter = bench(256)
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=arbiter.axi, latency=latency)
    commands = [{"addr": 4096 * n, "beats": beats, "tag": n} for n, beats in enumerate((400, 8, 8, 8, 300))]
    expected = expected_of(commands)
    receiver = Receiver(dut.o, rng=rng, convert=beat_of)
    run_benches(
        m,
        lambda ctx: send(ctx, dut.commands, commands, rng=rng),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=3000,
        background=(slave.run,),
    )
    assert receiver.items == expected
    start = receiver.times[0]
    assert receiver.times == list(range(start, start + len(expected))), "a beat in every cycle"


def test_requests_no_more_than_the_buffer_takes() -> None:
    rng = seeded(6)
    m, dut, arbiter = bench(64)
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=arbiter.axi)

    async def wait(ctx: Any) -> None:
        await ctx.tick().repeat(400)

    commands = [{"addr": 4096 * n, "beats": 24, "tag": n} for n in range(8)]
    run_benches(m, wait, cycles=500, background=(slave.run, lambda ctx: send(ctx, dut.commands, commands, rng=rng)))
    beats = sum(count for _, count in slave.bursts)
    assert 64 - 16 < beats <= 64


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig, not 1"):
        WeightStream(config=1)  # type: ignore[arg-type]

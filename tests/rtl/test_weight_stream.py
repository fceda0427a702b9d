# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from weight_bench import REUSE, WeightBench, beat_of, command, expected_of, fetched_of

from ssvq_gen.config import PRESETS
from ssvq_gen.format import Residency
from ssvq_rtl.weight_stream import WeightStream
from ssvq_sim.axi_bench import ReadSubordinate
from ssvq_sim.stream_bench import Receiver, run_benches, seeded, send

BASE = PRESETS["base"]
BEAT = BASE.beat_bytes


@pytest.mark.parametrize(
    ("idle", "stall", "memory_stall", "latency"),
    [(0.0, 0.0, 0.0, 3), (0.0, 0.7, 0.0, 0), (0.3, 0.3, 0.3, 30), (0.9, 0.0, 0.5, 100)],
)
def test_delivers_commands_in_order(idle: float, stall: float, memory_stall: float, latency: int) -> None:
    rng = seeded(latency)
    m = WeightBench(BASE.replace(weight_buffer_depth=64))
    dut = m.dut
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=m.arbiter.axi, latency=latency, stall=memory_stall)
    commands = [
        {"addr": 64 * rng.randrange(1 << 20), "beats": 8 * rng.choice((1, 1, 2, 7, 30)), "tag": 1000 + n}
        for n in range(20)
    ]
    commands.append({"addr": 64, "beats": 1, "tag": 9})
    expected = expected_of(BASE, commands)
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
    m = WeightBench(BASE.replace(weight_buffer_depth=256))
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=m.arbiter.axi, latency=latency)
    commands = [{"addr": 4096 * n, "beats": beats, "tag": n} for n, beats in enumerate((400, 8, 8, 8, 300))]
    expected = expected_of(BASE, commands)
    receiver = Receiver(m.dut.o, rng=rng, convert=beat_of)
    run_benches(
        m,
        lambda ctx: send(ctx, m.dut.commands, commands, rng=rng),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=3000,
        background=(slave.run,),
    )
    assert receiver.items == expected
    start = receiver.times[0]
    assert receiver.times == list(range(start, start + len(expected))), "a beat in every cycle"


@pytest.mark.parametrize("width", [32, 64, 128, 256, 512])
@pytest.mark.parametrize("depth", [128, 512])
@pytest.mark.parametrize("beats", [2000, 40])
def test_covers_100_cycles_of_latency(width: int, depth: int, beats: int) -> None:
    """2000 beats in one stream that starts inside a burst, and in many short streams."""
    rng = seeded(width + depth)
    config = BASE.replace(axi_data_width=width, weight_buffer_depth=depth)
    m = WeightBench(config)
    slave = ReadSubordinate(
        rng=rng,
        beat_bytes=config.beat_bytes,
        axi=m.arbiter.axi,
        latency=100,
        memory=lambda addr, _: addr.to_bytes(4, "little"),
    )
    commands = [{"addr": (n << 17) + 0x340, "beats": beats, "tag": n} for n in range(2000 // beats)]
    receiver = Receiver(m.dut.o, rng=rng, convert=lambda payload: int(payload.data))
    run_benches(
        m,
        lambda ctx: send(ctx, m.dut.commands, commands, rng=rng),
        lambda ctx: receiver.take(ctx, 2000),
        cycles=4000,
        background=(slave.run,),
    )
    assert receiver.items == fetched_of(config, commands)
    assert 2000 / (receiver.times[-1] - receiver.times[0] + 1) >= 0.99


def test_requests_no_more_than_the_buffer_takes() -> None:
    rng = seeded(6)
    m = WeightBench(BASE.replace(weight_buffer_depth=64))
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=m.arbiter.axi)

    async def wait(ctx: Any) -> None:
        await ctx.tick().repeat(400)

    commands = [{"addr": 4096 * n, "beats": 24, "tag": n} for n in range(8)]
    run_benches(m, wait, cycles=500, background=(slave.run, lambda ctx: send(ctx, m.dut.commands, commands, rng=rng)))
    beats = sum(count for _, count in slave.bursts)
    assert 64 - 16 < beats <= 64


def test_without_a_cache_every_command_is_fetched() -> None:
    rng = seeded(7)
    config = BASE.replace(weight_cache_bytes=0)
    m = WeightBench(config)
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=m.arbiter.axi)
    commands = [command(residency, residency, 8, addr=64 * residency) for residency in Residency]
    expected = expected_of(config, [{**c, "residency": 0} for c in commands])
    receiver = Receiver(m.dut.o, rng=rng, convert=beat_of)
    run_benches(
        m,
        lambda ctx: send(ctx, m.dut.commands, commands, rng=rng),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=500,
        background=(slave.run,),
    )
    assert commands[-1]["residency"] == REUSE
    assert receiver.items == expected


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig, not 1"):
        WeightStream(config=1)  # type: ignore[arg-type]

# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.load import LoadEngine
from ssvq_rtl.read_arbiter import ReadArbiter
from ssvq_sim.axi_bench import ReadSubordinate, pattern
from ssvq_sim.stream_bench import TRAILING_CYCLES, Receiver, run_benches, seeded, send


def config_of(bus: int, side: int) -> CoreConfig:
    return CoreConfig(rows=side, cols=side, axi_data_width=bus, activation_bytes=512 * side)


def write_of(payload: Any) -> tuple[int, int]:
    return int(payload.addr), int(payload.data)


def commands_of(config: CoreConfig, rng: Any, count: int) -> list[dict[str, int]]:
    commands = []
    for n in range(count):
        words = rng.choice((1, 2, 3, 5, rng.randint(1, 60)))
        commands.append(
            {
                "addr": 64 * rng.randrange(1 << 16),
                "destination": rng.randrange(config.activation_depth - words + 1),
                "words": words,
                "tag": n,
            }
        )
    return commands


@pytest.mark.parametrize(("bus", "side"), [(32, 8), (32, 16), (64, 8), (64, 32), (128, 8), (512, 8), (32, 64)])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.4, 0.4)])
def test_loads_words(bus: int, side: int, idle: float, stall: float) -> None:
    rng = seeded(bus + side)
    config = config_of(bus, side)
    m = Module()
    m.submodules.arbiter = arbiter = ReadArbiter(config=config, clients=1)
    m.submodules.dut = dut = LoadEngine(config=config)
    wiring.connect(m, arbiter.requests_i[0], dut.requests)
    wiring.connect(m, arbiter.data_i[0], dut.data)
    slave = ReadSubordinate(rng=rng, beat_bytes=config.beat_bytes, axi=arbiter.axi, latency=5, stall=stall)
    commands = commands_of(config, rng, 12)
    commands.append({"addr": 0, "destination": 0, "words": config.activation_depth, "tag": 99})
    word_bytes = config.word_bytes
    expected = [
        (c["destination"] + n, int.from_bytes(pattern(c["addr"] + n * word_bytes, word_bytes), "little"))
        for c in commands
        for n in range(c["words"])
    ]
    receiver = Receiver(dut.write, rng=rng, stall=stall, convert=write_of)
    done_after: list[int] = []

    async def watch(ctx: Any) -> None:
        while True:
            _, _, done = await ctx.tick().sample(dut.done)
            if done:
                done_after.append(len(receiver.items))

    run_benches(
        m,
        lambda ctx: send(ctx, dut.commands, commands, rng=rng, idle=idle),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=100 * len(expected) * max(1, side * 8 // bus),
        background=(slave.run, watch),
    )
    assert receiver.items == expected
    ends = [sum(c["words"] for c in commands[: n + 1]) for n in range(len(commands))]
    assert len(done_after) == len(commands)
    assert all(seen in (end, end + 1) for seen, end in zip(done_after, ends, strict=True))
    if stall == 0:
        last = receiver.times[-config.activation_depth :]
        per_word = max(1, word_bytes // config.beat_bytes)
        assert last[-1] - last[0] == (config.activation_depth - 1) * per_word, "full rate"


def test_done_is_the_cycle_after_the_last_write() -> None:
    rng = seeded(1)
    config = config_of(64, 8)
    dut = LoadEngine(config=config)
    times: dict[str, list[int]] = {"write": [], "done": []}

    async def watch(ctx: Any) -> None:
        ctx.set(dut.requests.ready, 1)
        ctx.set(dut.write.ready, 1)
        for cycle in range(20 + TRAILING_CYCLES):
            ctx.set(dut.data.valid, 5 <= cycle < 8)
            _, _, write, done = await ctx.tick().sample(dut.write.valid, dut.done)
            if write:
                times["write"].append(cycle)
            if done:
                times["done"].append(cycle)

    command = {"addr": 0, "destination": 4, "words": 3, "tag": 0}
    run_benches(dut, watch, lambda ctx: send(ctx, dut.commands, [command], rng=rng), cycles=200)
    assert times == {"write": [6, 7, 8], "done": [9]}


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        LoadEngine(config=PRESETS)  # type: ignore[arg-type]

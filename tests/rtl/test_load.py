# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from ssvq_gen.config import MAX_BURST_BEATS, PRESETS, CoreConfig
from ssvq_rtl.load import OPEN_BEATS, LoadEngine
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


def longest_of(config: CoreConfig) -> dict[str, int]:
    return {"addr": 0, "destination": 0, "words": config.activation_depth, "tag": 0}


@pytest.mark.parametrize(("bus", "side"), [(32, 8), (64, 8), (32, 32)])
def test_full_rate_with_100_cycles_of_latency(bus: int, side: int) -> None:
    rng = seeded(2)
    config = config_of(bus, side)
    m = Module()
    m.submodules.arbiter = arbiter = ReadArbiter(config=config, clients=1)
    m.submodules.dut = dut = LoadEngine(config=config)
    wiring.connect(m, arbiter.requests_i[0], dut.requests)
    wiring.connect(m, arbiter.data_i[0], dut.data)
    slave = ReadSubordinate(rng=rng, beat_bytes=config.beat_bytes, axi=arbiter.axi, latency=100)
    receiver = Receiver(dut.write, rng=rng)
    count = config.activation_depth
    run_benches(
        m,
        lambda ctx: receiver.take(ctx, count),
        cycles=30 * count,
        background=(slave.run, lambda ctx: send(ctx, dut.commands, [longest_of(config)], rng=rng)),
    )
    per_word = max(1, config.word_bytes // config.beat_bytes)
    assert receiver.times[-1] - receiver.times[0] == (count - 1) * per_word


@pytest.mark.parametrize(("bus", "side"), [(32, 8), (64, 8), (512, 8), (32, 16)])
@pytest.mark.parametrize(("slow", "stall"), [(0.0, 0.0), (0.8, 0.0), (0.5, 0.5), (0.0, 0.8)])
def test_beats_on_their_way(bus: int, side: int, slow: float, stall: float) -> None:
    """Never more than `OPEN_BEATS` beats that have not arrived, from command to command; all beats are requested."""
    rng = seeded(3)
    config = config_of(bus, side)
    dut = LoadEngine(config=config)
    commands = [*commands_of(config, rng, 6), longest_of(config), *commands_of(config, rng, 3)]
    beats = sum(-(-c["words"] * config.word_bytes // config.beat_bytes) for c in commands)
    writes = Receiver(dut.write, rng=rng, stall=stall)
    opened = requested = most = 0

    async def memory(ctx: Any) -> None:
        nonlocal opened, requested, most
        request, answer = dut.requests, dut.data
        offered = False
        while True:
            offered = opened > 0 and (offered or rng.random() >= slow)
            ctx.set(request.ready, rng.random() >= stall)
            ctx.set(answer.valid, offered)
            signals = (request.valid, request.ready, request.p.beats, answer.ready)
            _, _, valid, ready, count, taken = await ctx.tick().sample(*signals)
            if valid and ready:
                opened += count
                requested += count
            if offered and taken:
                opened -= 1
                offered = False
            most = max(most, opened)

    run_benches(
        dut,
        lambda ctx: send(ctx, dut.commands, commands, rng=rng),
        lambda ctx: writes.take(ctx, sum(c["words"] for c in commands)),
        cycles=int(20 * beats / (1 - slow) / (1 - stall)) + 1000,
        background=(memory,),
    )
    assert requested == beats
    assert opened == 0
    assert most <= OPEN_BEATS


def test_the_longest_command_fills_the_credit() -> None:
    rng = seeded(4)
    config = config_of(64, 8)
    dut = LoadEngine(config=config)
    requests = Receiver(dut.requests, rng=rng, convert=lambda payload: int(payload.beats))

    async def watch(ctx: Any) -> None:
        await ctx.tick().repeat(OPEN_BEATS)
        assert sum(requests.items) == OPEN_BEATS
        ctx.set(dut.data.valid, 1)
        ctx.set(dut.write.ready, 1)
        await ctx.tick().repeat(MAX_BURST_BEATS)
        ctx.set(dut.data.valid, 0)
        await ctx.tick().repeat(TRAILING_CYCLES)
        assert sum(requests.items) == OPEN_BEATS + MAX_BURST_BEATS, "a burst that arrived makes room for another"

    source = [lambda ctx: send(ctx, dut.commands, [longest_of(config)], rng=rng)]
    run_benches(dut, watch, cycles=500, background=(*source, requests.run))


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        LoadEngine(config=PRESETS)  # type: ignore[arg-type]

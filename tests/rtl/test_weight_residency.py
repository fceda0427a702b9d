# amaranth: UnusedElaboratable=no
"""The weight stream with a weight cache."""

import random
from itertools import pairwise
from typing import Any

import pytest
from small_configs import SQUARE, TALL, WIDE, name_of
from weight_bench import KEEP, NONE, REUSE, Command, WeightBench, beat_of, command, expected_of, fetched_of

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.weight_stream import WeightStream
from ssvq_sim.axi_bench import ReadSubordinate
from ssvq_sim.stream_bench import TRAILING_CYCLES, Receiver, run_benches, seeded, send

NARROW = SQUARE.replace(name="narrow", weight_cache_bytes=1 << 10)
MIDDLE = WIDE.replace(name="middle", weight_cache_bytes=1 << 10)
BROAD = TALL.replace(name="broad", weight_cache_bytes=2 << 10)
BROADEST = PRESETS["edge"].replace(
    name="broadest", axi_data_width=512, weight_buffer_depth=64, weight_cache_bytes=8 << 10
)
CONFIGS = (NARROW, MIDDLE, BROAD, BROADEST)


def range_in(rng: random.Random, config: CoreConfig) -> tuple[int, int]:
    """First beat and number of beats of a range in the cache; lengths of 1 and of the whole cache are among them."""
    depth = config.weight_cache_depth
    beats = min(depth, rng.choice((1, 1, 2, 3, rng.randint(1, 40), rng.randint(1, depth), depth)))
    return rng.randint(0, depth - beats), beats


def random_commands(rng: random.Random, config: CoreConfig, count: int) -> list[Command]:
    """The whole cache is kept, then commands of every kind; a REUSE often reads what the command before used."""
    commands = [command(KEEP, 0, config.weight_cache_depth, addr=1 << 30)]
    for tag in range(1, count):
        residency = rng.choice((NONE, KEEP, REUSE))
        start, beats = range_in(rng, config)
        if residency == NONE:
            start = 0
        elif residency == REUSE and rng.random() < 0.5:
            start, beats = commands[-1]["cache_beat"], commands[-1]["beats"]
        commands.append(command(residency, tag, beats, addr=64 * rng.randrange(1 << 20), cache_beat=start))
    return commands


def kinds_of(commands: list[Command]) -> set[tuple[int, int]]:
    """Pairs of kinds that follow each other."""
    return {(a["residency"], b["residency"]) for a, b in pairwise(commands)}


async def watch_credit(ctx: Any, dut: WeightStream, depth: int, commands: list[Command]) -> None:
    """Beats that were requested and not yet delivered never exceed the buffer."""
    waiting = 0
    while True:
        _, _, requested, request, valid, ready, word = await ctx.tick().sample(
            dut.requests.valid & dut.requests.ready, dut.requests.payload, dut.o.valid, dut.o.ready, dut.o.payload
        )
        waiting += request.beats if requested else 0
        assert 0 <= waiting <= depth
        if valid and ready and commands[word.tag]["residency"] != REUSE:
            waiting -= 1


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize(
    ("idle", "stall", "memory_stall", "latency"),
    [(0.0, 0.0, 0.0, 2), (0.0, 0.0, 0.0, 50), (0.0, 0.6, 0.0, 0), (0.9, 0.2, 0.4, 20), (0.3, 0.5, 0.7, 5)],
)
def test_random_sequences(config: CoreConfig, idle: float, stall: float, memory_stall: float, latency: int) -> None:
    rng = seeded(1000 * config.axi_data_width + latency)
    m = WeightBench(config)
    slave = ReadSubordinate(
        rng=rng, beat_bytes=config.beat_bytes, axi=m.arbiter.axi, latency=latency, stall=memory_stall
    )
    commands = random_commands(rng, config, 40)
    assert {(KEEP, REUSE), (REUSE, NONE), (NONE, REUSE)} <= kinds_of(commands)
    expected = expected_of(config, commands)
    receiver = Receiver(m.dut.o, rng=rng, stall=stall, convert=beat_of)
    counted = 0

    async def count(ctx: Any) -> None:
        nonlocal counted
        while True:
            _, _, beat = await ctx.tick().sample(m.dut.beat)
            counted += beat

    run_benches(
        m,
        lambda ctx: send(ctx, m.dut.commands, commands, rng=rng, idle=idle),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=30_000,
        background=(slave.run, count, lambda ctx: watch_credit(ctx, m.dut, config.weight_buffer_depth, commands)),
    )
    assert receiver.items == expected
    fetched = [addr + n * config.beat_bytes for addr, beats in slave.bursts for n in range(beats)]
    assert fetched == fetched_of(config, commands), "a REUSE requests nothing"
    assert counted == len(fetched)


def times_of(config: CoreConfig, commands: list[Command], *, latency: int) -> tuple[list[int], list[Any]]:
    """Cycles of the beats, without pauses of the receiver, and cycle and address of every request."""
    rng = seeded(latency)
    m = WeightBench(config)
    slave = ReadSubordinate(rng=rng, beat_bytes=config.beat_bytes, axi=m.arbiter.axi, latency=latency)
    expected = expected_of(config, commands)
    receiver = Receiver(m.dut.o, rng=rng, convert=beat_of)
    requests: list[tuple[int, int]] = []

    async def watch(ctx: Any) -> None:
        cycle = 0
        while True:
            _, _, taken, addr = await ctx.tick().sample(
                m.dut.requests.valid & m.dut.requests.ready, m.dut.requests.payload.addr
            )
            if taken:
                requests.append((cycle, int(addr)))
            cycle += 1

    run_benches(
        m,
        lambda ctx: send(ctx, m.dut.commands, commands, rng=rng),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=4000,
        background=(slave.run, watch),
    )
    assert receiver.items == expected
    return receiver.times, requests


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_a_beat_a_cycle_and_one_bubble_in_front_of_a_reuse(config: CoreConfig) -> None:
    depth = config.weight_cache_depth
    half = depth // 2
    parts = [(KEEP, half), (REUSE, half), (REUSE, 9), (NONE, 16), (REUSE, half), (KEEP, 1), (REUSE, 1), (NONE, 5)]
    commands = [
        command(residency, n, beats, addr=4096 * n, cache_beat=half if beats == 1 else 0)
        for n, (residency, beats) in enumerate(parts)
    ]
    times, _ = times_of(config, commands, latency=2)
    expected = times[0]
    for residency, beats in parts:
        expected += residency == REUSE
        assert times[:beats] == list(range(expected, expected + beats))
        del times[:beats]
        expected += beats


def test_first_beat_of_a_reuse_after_4_cycles() -> None:
    rng = seeded(1)
    m = WeightBench(NARROW)
    slave = ReadSubordinate(rng=rng, beat_bytes=NARROW.beat_bytes, axi=m.arbiter.axi)
    receiver = Receiver(m.dut.o, rng=rng)
    sent = 0

    async def host(ctx: Any) -> None:
        nonlocal sent
        await send(ctx, m.dut.commands, [command(KEEP, 0, 8)], rng=rng)
        await ctx.tick().repeat(50)
        sent = receiver.cycle
        await send(ctx, m.dut.commands, [command(REUSE, 1, 8)], rng=rng)

    run_benches(m, lambda ctx: receiver.take(ctx, 16), host, cycles=500, background=(slave.run,))
    assert receiver.times[8:] == list(range(sent + 4, sent + 12))


def test_fetches_of_later_commands_run_ahead_of_a_reuse() -> None:
    """Four times the cache takes 4 * 128 cycles, in which all that the buffer takes arrives from a slow memory."""
    config = MIDDLE
    depth, credit = config.weight_cache_depth, config.weight_buffer_depth
    commands = [
        command(KEEP, 0, depth),
        *(command(REUSE, n, depth) for n in range(1, 5)),
        command(NONE, 5, credit - 8, addr=1 << 20),
        command(NONE, 6, 40, addr=2 << 20),
    ]
    times, requests = times_of(config, commands, latency=100)
    reuse, later = times[depth : 5 * depth], times[5 * depth :]
    ahead = [addr for cycle, addr in requests if addr >= 1 << 20 and cycle < reuse[0] + 20]
    assert ahead == [(1 << 20) + 16 * n * config.beat_bytes for n in range(4)], "no more than the buffer takes"
    assert later[: credit - 8] == list(range(reuse[-1] + 1, reuse[-1] + 1 + credit - 8)), "no wait for the memory"


def test_contents_survive_a_reset_in_the_middle_of_a_reuse() -> None:
    config = NARROW
    rng = seeded(5)
    m = WeightBench(config)
    slave = ReadSubordinate(rng=rng, beat_bytes=config.beat_bytes, axi=m.arbiter.axi, latency=5)
    before = [command(KEEP, 0, 100, addr=4096, cache_beat=10), command(REUSE, 1, 100, cache_beat=10)]
    after = [command(REUSE, 2, 90, cache_beat=20), command(NONE, 3, 20, addr=64)]
    kept: dict[int, int] = {}
    delivered = expected_of(config, before, kept)
    expected = expected_of(config, after, kept)
    receiver = Receiver(m.dut.o, rng=rng, convert=beat_of)
    flushed = 0

    async def host(ctx: Any) -> None:
        nonlocal flushed
        await send(ctx, m.dut.commands, before, rng=rng)
        while len(receiver.items) < 130:
            await ctx.tick()
        ctx.set(m.flush, 1)
        await ctx.tick()
        ctx.set(m.flush, 0)
        await ctx.tick().repeat(TRAILING_CYCLES)
        flushed = len(receiver.items)
        await send(ctx, m.dut.commands, after, rng=rng)
        while len(receiver.items) < flushed + len(expected):
            await ctx.tick()
        await ctx.tick().repeat(TRAILING_CYCLES)

    run_benches(m, host, cycles=1000, background=(slave.run, receiver.run))
    assert 130 <= flushed < 140
    assert receiver.items[:flushed] == delivered[:flushed]
    assert receiver.items[flushed:] == expected

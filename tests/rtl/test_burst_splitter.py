# amaranth: UnusedElaboratable=no
from typing import Any

import pytest

from ssvq_gen.config import MAX_BURST_BEATS, PRESETS, CoreConfig
from ssvq_rtl.burst_splitter import BurstSplitter
from ssvq_sim.stream_bench import Receiver, run_benches, seeded, send

PAGE = 4096


def config_of(bus: int) -> CoreConfig:
    return PRESETS["base"].replace(axi_data_width=bus)


def request_of(payload: Any) -> tuple[int, int, int]:
    return int(payload.addr), int(payload.beats), int(payload.tag)


def split(config: CoreConfig, addr: int, beats: int, tag: int) -> list[tuple[int, int, int]]:
    bursts = []
    while beats:
        count = min(beats, MAX_BURST_BEATS - addr // config.beat_bytes % MAX_BURST_BEATS)
        bursts.append((addr, count, tag))
        addr, beats = addr + count * config.beat_bytes, beats - count
    return bursts


@pytest.mark.parametrize("bus", [32, 64, 128, 512])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.5, 0.5)])
def test_bursts_cover_commands_and_cross_no_page(bus: int, idle: float, stall: float) -> None:
    rng = seeded(bus)
    config = config_of(bus)
    dut = BurstSplitter(config=config)
    commands = [
        {
            "addr": 64 * rng.getrandbits(rng.choice((4, 20, config.axi_addr_width - 8))),
            "beats": rng.choice((1, 2, 15, 16, 17, rng.randint(1, 300))),
            "tag": n,
        }
        for n in range(30)
    ]
    expected = [burst for c in commands for burst in split(config, **c)]
    for addr, beats, _ in expected:
        assert addr // PAGE == (addr + beats * config.beat_bytes - 1) // PAGE
    receiver = Receiver(dut.requests, rng=rng, stall=stall, convert=request_of)

    async def credit(ctx: Any) -> None:
        ctx.set(dut.credit, MAX_BURST_BEATS)

    run_benches(
        dut,
        credit,
        lambda ctx: send(ctx, dut.commands, commands, rng=rng, idle=idle),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=8 * len(expected) + 300,
    )
    assert receiver.items == expected
    if idle == stall == 0:
        assert receiver.times == list(range(1, len(expected) + 1))


def test_waits_for_credit() -> None:
    rng = seeded(3)
    config = config_of(64)
    dut = BurstSplitter(config=config, credit_width=8)
    capacity, taken = 40, []

    async def sink(ctx: Any) -> None:
        level, trailing = 0, 0
        while trailing < 20:
            ctx.set(dut.credit, capacity - level)
            ctx.set(dut.requests.ready, ready := rng.random() < 0.7)
            _, _, valid, payload = await ctx.tick().sample(dut.requests.valid, dut.requests.payload)
            if valid:
                assert payload.beats <= capacity - level
            if valid and ready:
                taken.append(int(payload.beats))
                level += payload.beats
            if level and rng.random() < 0.6:
                level -= 1
            trailing = trailing + 1 if sum(taken) == 500 else 0

    run_benches(
        dut,
        lambda ctx: send(ctx, dut.commands, [{"addr": 0, "beats": 500, "tag": 1}], rng=rng),
        sink,
        cycles=3000,
    )
    assert sum(taken) == 500


def test_refuses_bad_arguments() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig, not None"):
        BurstSplitter(config=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="credit_width must be from 5 to 30, not 4"):
        BurstSplitter(config=config_of(64), credit_width=4)

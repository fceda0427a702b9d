# amaranth: UnusedElaboratable=no
from typing import Any

import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.format import ErrorCode
from ssvq_rtl.read_arbiter import OPEN_BURSTS, ReadArbiter
from ssvq_sim.axi_bench import DECERR, SLVERR, ReadSubordinate, pattern
from ssvq_sim.stream_bench import Receiver, run_benches, seeded, send

CONFIG = PRESETS["base"]
BEAT = CONFIG.beat_bytes


def beat_of(payload: Any) -> tuple[int, int]:
    return int(payload.data), int(payload.last)


def beats_of(requests: list[dict[str, int]]) -> list[tuple[int, int]]:
    return [
        (int.from_bytes(pattern(r["addr"] + n * BEAT, BEAT), "little"), int(n == r["beats"] - 1))
        for r in requests
        for n in range(r["beats"])
    ]


def random_requests(rng: Any, client: int, count: int) -> list[dict[str, int]]:
    return [
        {"addr": (client << 24) + 128 * rng.randrange(1 << 16), "beats": rng.randint(1, 16), "tag": 100 * client + n}
        for n in range(count)
    ]


@pytest.mark.parametrize("clients", [1, 2, 3])
@pytest.mark.parametrize(
    ("idle", "stall", "latency"), [(0.0, 0.0, 0), (0.0, 0.0, 60), (0.5, 0.3, 5), (0.0, 0.6, 20), (0.9, 0.0, 3)]
)
def test_routes_beats_in_order(clients: int, idle: float, stall: float, latency: int) -> None:
    rng = seeded(clients * 100 + latency)
    dut = ReadArbiter(config=CONFIG, clients=clients)
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=dut.axi, latency=latency, stall=stall)
    requests = [random_requests(rng, c, 20) for c in range(clients)]
    expected = [beats_of(r) for r in requests]
    receivers = [Receiver(dut.data_i[c], rng=rng, stall=stall, convert=beat_of) for c in range(clients)]
    counted = 0

    async def count(ctx: Any) -> None:
        nonlocal counted
        while True:
            _, _, beat, error = await ctx.tick().sample(dut.beat, dut.error_valid)
            counted += beat
            assert not error

    benches = []
    for c in range(clients):
        benches.append(lambda ctx, c=c: send(ctx, dut.requests_i[c], requests[c], rng=rng, idle=idle))
        benches.append(lambda ctx, c=c: receivers[c].take(ctx, len(expected[c])))
    run_benches(dut, *benches, cycles=12000, background=(slave.run, count))
    assert [r.items for r in receivers] == expected
    assert counted == sum(map(len, expected))


def test_lower_clients_go_first_and_nothing_is_lost_between_bursts() -> None:
    rng = seeded(1)
    dut = ReadArbiter(config=CONFIG, clients=2)
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=dut.axi, latency=10)
    requests = [[{"addr": (c << 20) + n * 128, "beats": 16, "tag": n} for n in range(6)] for c in range(2)]
    receivers = [Receiver(dut.data_i[c], rng=rng) for c in range(2)]
    run_benches(
        dut,
        *(lambda ctx, c=c: send(ctx, dut.requests_i[c], requests[c], rng=rng) for c in range(2)),
        *(lambda ctx, c=c: receivers[c].take(ctx, 96) for c in range(2)),
        cycles=1000,
        background=(slave.run,),
    )
    assert slave.bursts == [(r["addr"], 16) for client in requests for r in client]
    times = receivers[0].times + receivers[1].times
    assert times == list(range(times[0], times[0] + 192))


def test_keeps_enough_bursts_open() -> None:
    rng = seeded(2)
    dut = ReadArbiter(config=CONFIG, clients=1)
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=dut.axi, latency=10_000)

    async def wait(ctx: Any) -> None:
        await ctx.tick().repeat(100)

    requests = [{"addr": 128 * n, "beats": 16, "tag": 0} for n in range(100)]
    run_benches(
        dut, wait, cycles=200, background=(slave.run, lambda ctx: send(ctx, dut.requests_i[0], requests, rng=rng))
    )
    assert len(slave.bursts) == OPEN_BURSTS


@pytest.mark.parametrize(("response", "code"), [(SLVERR, ErrorCode.READ_SLAVE), (DECERR, ErrorCode.READ_DECODE)])
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_error_is_reported_once_and_stops_delivery(response: int, code: ErrorCode, stall: float) -> None:
    rng = seeded(4)
    dut = ReadArbiter(config=CONFIG, clients=2)
    requests = [{"addr": 0x1000 + 128 * n, "beats": 16, "tag": 50 + n} for n in range(8)]
    bad = 0x1000 + 3 * 128 + 5 * BEAT
    slave = ReadSubordinate(
        rng=rng, beat_bytes=BEAT, axi=dut.axi, latency=4, stall=stall, responses={bad: response, bad + 128: SLVERR}
    )
    receiver = Receiver(dut.data_i[1], rng=rng, stall=stall, convert=beat_of)
    later = Receiver(dut.data_i[0], rng=rng, convert=beat_of)
    errors = []

    async def watch(ctx: Any) -> None:
        while True:
            _, _, valid, error = await ctx.tick().sample(dut.error_valid, dut.error)
            if valid:
                errors.append((int(error.code), int(error.addr), int(error.tag)))

    async def host(ctx: Any) -> None:
        await ctx.tick().until(dut.error_valid)
        await ctx.tick().repeat(20)
        ctx.set(dut.halt, 1)
        await ctx.tick().until(dut.idle)
        await ctx.tick().repeat(5)
        ctx.set(dut.halt, 0)
        again = [{"addr": 0x8000, "beats": 3, "tag": 1}]
        await send(ctx, dut.requests_i[0], again, rng=rng)
        await later.take(ctx, 3)
        assert later.items == beats_of(again)

    async def drive(ctx: Any) -> None:
        """Requests until the arbiter stops; then the client is reset, as the core does."""
        port = dut.requests_i[1]
        for item in requests:
            ctx.set(port.payload, item)
            ctx.set(port.valid, 1)
            while True:
                _, _, ready, halt = await ctx.tick().sample(port.ready, dut.halt)
                if ready or halt:
                    break
            ctx.set(port.valid, 0)
            if halt:
                return

    run_benches(dut, host, drive, cycles=3000, background=(slave.run, receiver.run, watch))
    assert errors == [(code, bad, 53)]
    assert receiver.items == beats_of(requests)[: 3 * 16 + 5]


def test_halt_drains_open_bursts_and_keeps_a_raised_address() -> None:
    rng = seeded(5)
    dut = ReadArbiter(config=CONFIG, clients=1)
    slave = ReadSubordinate(rng=rng, beat_bytes=BEAT, axi=dut.axi, latency=20)
    receiver = Receiver(dut.data_i[0], rng=rng, stall=1.0)
    idle_seen = []

    async def host(ctx: Any) -> None:
        requests = [{"addr": 128 * n, "beats": 16, "tag": 0} for n in range(2)]
        await send(ctx, dut.requests_i[0], requests, rng=rng)
        await ctx.tick().repeat(3)
        slave.accept = False
        await send(ctx, dut.requests_i[0], [{"addr": 0x4000, "beats": 4, "tag": 0}], rng=rng)
        ctx.set(dut.requests_i[0].valid, 1)
        ctx.set(dut.halt, 1)
        await ctx.tick().repeat(100)
        assert not ctx.get(dut.idle)
        assert ctx.get(dut.axi.arvalid)
        slave.accept = True
        await ctx.tick().until(dut.idle)
        idle_seen.append(True)
        await ctx.tick().repeat(40)
        assert ctx.get(dut.idle)

    run_benches(dut, host, cycles=1000, background=(slave.run, receiver.run))
    assert idle_seen
    assert receiver.items == []
    assert slave.bursts == [(0, 16), (128, 16), (0x4000, 4)]


def test_refuses_bad_arguments() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        ReadArbiter(config="base")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="clients must be from 1 to 8, not 0"):
        ReadArbiter(config=CONFIG, clients=0)

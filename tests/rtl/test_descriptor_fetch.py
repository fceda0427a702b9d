# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from ssvq_gen.config import PRESETS
from ssvq_gen.format import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, Opcode, pack_descriptor
from ssvq_rtl.descriptor import descriptor_layout
from ssvq_rtl.descriptor_fetch import DescriptorFetch
from ssvq_rtl.read_arbiter import ReadArbiter
from ssvq_sim.axi_bench import ReadSubordinate
from ssvq_sim.stream_bench import Receiver, run_benches, seeded

BASE = 0x12340


def fetched_of(payload: Any) -> tuple[dict[str, int], int, int]:
    return (
        {f.name: int(payload.fields[f.name]) for f in DESCRIPTOR_FIELDS if f.belongs_to(int(payload.fields.opcode))},
        int(payload.index),
        int(payload.last),
    )


def random_descriptor(rng: Any) -> dict[str, int]:
    opcode = rng.choice(list(Opcode))
    values = {f.name: rng.randint(*f.bounds) for f in DESCRIPTOR_FIELDS if f.belongs_to(opcode)}
    return values | {"opcode": int(opcode)}


def test_layout_has_every_field_where_the_format_has_it() -> None:
    layout = descriptor_layout()
    for field in DESCRIPTOR_FIELDS:
        place = layout[field.name]
        assert (place.offset, place.width) == (field.offset, field.width)
        assert place.shape.signed == field.signed


@pytest.mark.parametrize("bus", [32, 64, 256, 512])
@pytest.mark.parametrize(("stall", "latency"), [(0.0, 0), (0.0, 40), (0.5, 4), (0.95, 0)])
def test_fetches_jobs(bus: int, stall: float, latency: int) -> None:
    rng = seeded(bus + latency)
    config = PRESETS["base"].replace(axi_data_width=bus)
    m = Module()
    m.submodules.arbiter = arbiter = ReadArbiter(config=config, clients=1)
    m.submodules.dut = dut = DescriptorFetch(config=config)
    wiring.connect(m, arbiter.requests_i[0], dut.requests)
    wiring.connect(m, arbiter.data_i[0], dut.data)
    jobs = [[random_descriptor(rng) for _ in range(n)] for n in (1, 7, 2)]
    images = [b"".join(map(pack_descriptor, job)) for job in jobs]
    bases = [BASE + 0x1000 * n for n in range(3)]

    def memory(addr: int, count: int) -> bytes:
        job = (addr - BASE) // 0x1000
        start = addr - bases[job]
        return images[job][start : start + count]

    slave = ReadSubordinate(
        rng=rng, beat_bytes=bus // 8, axi=arbiter.axi, latency=latency, stall=min(stall, 0.5), memory=memory
    )
    receiver = Receiver(dut.o, rng=rng, stall=stall, convert=fetched_of)
    expected = [(fields, n, int(n == len(job) - 1)) for job in jobs for n, fields in enumerate(job)]

    async def host(ctx: Any) -> None:
        await ctx.tick()
        ctx.set(dut.start, 1)
        ctx.set(dut.count, 0)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(10)
        total = 0
        for base, job in zip(bases, jobs, strict=True):
            ctx.set(dut.addr, base)
            ctx.set(dut.count, len(job))
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.addr, 0)
            ctx.set(dut.count, 0)
            total += len(job)
            while len(receiver.items) < total:
                await ctx.tick()

    async def always_ready(ctx: Any) -> None:
        while True:
            _, _, valid, ready = await ctx.tick().sample(dut.data.valid, dut.data.ready)
            assert ready or not valid

    run_benches(
        m, host, lambda ctx: receiver.take(ctx, len(expected)), cycles=6000, background=(slave.run, always_ready)
    )
    assert receiver.items == expected
    assert len(slave.bursts) == len(expected)
    assert all(beats * bus // 8 == DESCRIPTOR_BYTES for _, beats in slave.bursts)


def test_keeps_two_descriptors_ready() -> None:
    rng = seeded(1)
    config = PRESETS["base"]
    m = Module()
    m.submodules.arbiter = arbiter = ReadArbiter(config=config, clients=1)
    m.submodules.dut = dut = DescriptorFetch(config=config)
    wiring.connect(m, arbiter.requests_i[0], dut.requests)
    wiring.connect(m, arbiter.data_i[0], dut.data)
    slave = ReadSubordinate(rng=rng, beat_bytes=8, axi=arbiter.axi)

    async def host(ctx: Any) -> None:
        ctx.set(dut.addr, BASE)
        ctx.set(dut.count, 5)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(60)
        assert len(slave.bursts) == 2
        ctx.set(dut.o.ready, 1)
        for _ in range(2):
            assert ctx.get(dut.o.valid)
            await ctx.tick()
        ctx.set(dut.o.ready, 0)
        await ctx.tick().repeat(60)
        assert len(slave.bursts) == 4

    run_benches(m, host, cycles=300, background=(slave.run,))


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        DescriptorFetch(config=0)  # type: ignore[arg-type]

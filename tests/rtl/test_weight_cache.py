# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from small_configs import TALL

from ssvq_rtl.weight_cache import WeightCache
from ssvq_sim.stream_bench import run_benches, seeded

CONFIG = TALL.replace(weight_cache_bytes=1 << 10)
DEPTH = CONFIG.weight_cache_depth


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_the_cache_by_itself(stall: float) -> None:
    """Runs of writes and reads from random positions; reads end early, with a beat that is offered and dropped."""
    rng = seeded(8)
    dut = WeightCache(config=CONFIG)
    held: dict[int, int] = {}

    async def seek(ctx: Any, beat: int) -> None:
        ctx.set(dut.seek, 1)
        ctx.set(dut.beat, beat)
        await ctx.tick()
        ctx.set(dut.seek, 0)

    async def write(ctx: Any, start: int, beats: int) -> None:
        await seek(ctx, start)
        for beat in range(start, start + beats):
            while rng.random() < stall:
                await ctx.tick()
            held[beat] = rng.getrandbits(CONFIG.axi_data_width)
            ctx.set(dut.write_data, held[beat])
            ctx.set(dut.write_en, 1)
            await ctx.tick()
            ctx.set(dut.write_en, 0)

    async def read(ctx: Any, start: int, beats: int) -> None:
        await seek(ctx, start)
        ctx.set(dut.read_en, 1)
        taken, cycles = 0, 0
        while taken < beats:
            ctx.set(dut.o.ready, ready := rng.random() >= stall)
            _, _, valid, value = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            assert valid == (cycles > 0)
            if valid:
                assert value == held[start + taken]
                taken += ready
            cycles += 1
        ctx.set(dut.o.ready, 0)
        await seek(ctx, 0)
        assert not ctx.get(dut.o.valid)
        ctx.set(dut.read_en, 0)

    async def host(ctx: Any) -> None:
        await write(ctx, 0, DEPTH)
        for _ in range(60):
            start = rng.randrange(DEPTH)
            await rng.choice((write, read))(ctx, start, rng.randint(1, DEPTH - start))

    run_benches(dut, host, cycles=20_000)


def test_refuses_what_has_no_cache() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig, not 1"):
        WeightCache(config=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight_cache_bytes must not be 0 for a WeightCache"):
        WeightCache(config=CONFIG.replace(weight_cache_bytes=0))

from typing import Any

import pytest
from small_configs import CONFIGS, SQUARE, name_of

from ssvq_gen.config import PRESETS
from ssvq_rtl.activation_memory import ActivationMemory
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_random_accesses(config: Any) -> None:
    """Masked writes and reads of few addresses, so that they collide, against a list of bytes."""
    rng = seeded(3)
    dut = ActivationMemory(config=config)
    lane_bits = 8 * config.requantize_lanes
    masks = config.word_bytes // config.requantize_lanes
    depth = config.activation_depth
    addresses = [0, 1, depth - 2, depth - 1]
    content = dict.fromkeys(addresses, 0)

    async def bench(ctx: Any) -> None:
        expected = None
        for _ in range(500):
            read_en, write_en = rng.random() < 0.5, rng.random() < 0.5
            read_addr, write_addr = rng.choice(addresses), rng.choice(addresses)
            data = rng.getrandbits(8 * config.word_bytes)
            mask = rng.choice((0, (1 << masks) - 1, 1 << rng.randrange(masks), rng.getrandbits(masks)))
            for port, value in (
                (dut.read_en, read_en),
                (dut.read_addr, read_addr),
                (dut.write_en, write_en),
                (dut.write_addr, write_addr),
                (dut.write_data, data),
                (dut.write_mask, mask),
            ):
                ctx.set(port, value)
            if read_en:
                expected = content[read_addr]  # the write of the same cycle is not seen
            if write_en:
                for i in range(masks):
                    if mask >> i & 1:
                        bits = ((1 << lane_bits) - 1) << (lane_bits * i)
                        content[write_addr] = content[write_addr] & ~bits | data & bits
            await ctx.tick()
            if expected is not None:
                assert ctx.get(dut.read_data) == expected

    run_benches(dut, bench, cycles=600)


def test_every_word_is_kept() -> None:
    rng = seeded(4)
    dut = ActivationMemory(config=SQUARE)
    words = [rng.getrandbits(8 * SQUARE.word_bytes) for _ in range(SQUARE.activation_depth)]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.write_mask, ~0)
        ctx.set(dut.write_en, 1)
        for address, word in enumerate(words):
            ctx.set(dut.write_addr, address)
            ctx.set(dut.write_data, word)
            await ctx.tick()
        ctx.set(dut.write_en, 0)
        ctx.set(dut.write_data, 0)
        ctx.set(dut.read_en, 1)
        for address, word in enumerate(words):
            ctx.set(dut.read_addr, address)
            await ctx.tick()
            assert ctx.get(dut.read_data) == word
        ctx.set(dut.read_en, 0)
        ctx.set(dut.read_addr, 0)
        for _ in range(TRAILING_CYCLES):
            await ctx.tick()
            assert ctx.get(dut.read_data) == words[-1], "held until the next read"

    run_benches(dut, bench, cycles=2 * len(words) + 2 * TRAILING_CYCLES)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        ActivationMemory(config=PRESETS)  # type: ignore[arg-type]

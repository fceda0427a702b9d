import itertools
from typing import Any

import pytest
from small_configs import CONFIGS, QUARTER, SQUARE, name_of

from ssvq_gen.arithmetic import (
    ACCUMULATOR_WIDTH,
    ACTIVATION_MAX,
    ACTIVATION_MIN,
    MANTISSA_MAX,
    MAX_SHIFT,
    MIN_SHIFT,
    requantize,
)
from ssvq_gen.config import PRESETS
from ssvq_rtl.requantizer import Requantizer
from ssvq_sim.stream_bench import run_benches, seeded

INT32_MIN, INT32_MAX = -(1 << (ACCUMULATOR_WIDTH - 1)), (1 << (ACCUMULATOR_WIDTH - 1)) - 1
EXPONENTS = range(MAX_SHIFT - MIN_SHIFT + 1)

Channel = tuple[int, int, int, int]
"""Accumulator, bias, mantissa, exponent."""
Range = tuple[int, int, int]
"""Values of `RANGE_FIELDS`."""
RANGE_FIELDS = ("zero_point", "clamp_min", "clamp_max")


def split(rng: Any, total: int) -> tuple[int, int]:
    """Accumulator and bias with this sum, each of them int32."""
    bias = rng.randint(max(INT32_MIN, total - INT32_MAX), min(INT32_MAX, total - INT32_MIN))
    return total - bias, bias


def extremes(rng: Any) -> list[Channel]:
    """The limits of int32 and everything near zero, with all exponents and the extreme mantissas."""
    totals = [INT32_MIN, INT32_MIN + 1, INT32_MAX, INT32_MAX - 1, 0, 1, -1, 2, -2]
    mantissas = [0, 1, 2, MANTISSA_MAX >> 1, (MANTISSA_MAX + 1) >> 1, MANTISSA_MAX - 1, MANTISSA_MAX]
    sums = [(total, bias) for total in totals for bias in (0, None)]
    return [
        (*(split(rng, total) if bias is None else (total, bias)), mantissa, exponent)
        for (total, bias), mantissa, exponent in itertools.product(sums, mantissas, EXPONENTS)
    ]


def halves(rng: Any) -> list[Channel]:
    """Exact halves between two outputs, and the values one step of the accumulator away from them."""
    channels = []
    for exponent in EXPONENTS:
        shift = exponent + MIN_SHIFT
        for log2 in range(12):
            unit = 1 << max(shift - 1 - log2, 0)
            for odd in (-255, -129, -3, -1, 1, 3, 127, 255, 2 * rng.randint(-130, 130) + 1):
                totals = (total for total in (odd * unit - 1, odd * unit, odd * unit + 1) if abs(total) <= INT32_MAX)
                channels += [(*split(rng, total), 1 << log2, exponent) for total in totals]
    return channels


def in_range(rng: Any, count: int) -> list[Channel]:
    """Random multipliers with sums whose outputs mostly lie within int8, and random sums."""
    channels = []
    for _ in range(count):
        mantissa, exponent = rng.randint(0, MANTISSA_MAX), rng.choice(EXPONENTS)
        reach = min(INT32_MAX, (300 << (exponent + MIN_SHIFT)) // max(mantissa, 1))
        total = rng.choice((rng.randint(-reach, reach), rng.randint(INT32_MIN, INT32_MAX)))
        channels.append((*split(rng, total), mantissa, exponent))
    return channels


def check(config: Any, channels: list[Channel], ranges: list[Range]) -> None:
    """One vector of lanes per cycle, with the ranges in turn; outputs exactly `LATENCY` cycles later."""
    dut = Requantizer(config=config)
    lanes = config.requantize_lanes
    channels = channels + [(0, 0, 0, 0)] * (-len(channels) % lanes)
    vectors = [channels[i : i + lanes] for i in range(0, len(channels), lanes)]

    async def bench(ctx: Any) -> None:
        for cycle in range(len(vectors) + Requantizer.LATENCY):
            before = cycle - Requantizer.LATENCY
            if before >= 0:
                check_outputs(ctx.get(dut.o), vectors[before], ranges[before % len(ranges)])
            vector = vectors[cycle] if cycle < len(vectors) else []
            packed = sum((a & 0xFFFFFFFF) << (ACCUMULATOR_WIDTH * i) for i, (a, *_) in enumerate(vector))
            ctx.set(dut.i, packed)
            ctx.set(dut.output_range, dict(zip(RANGE_FIELDS, ranges[cycle % len(ranges)], strict=True)))
            for lane, (_, bias, mantissa, exponent) in enumerate(vector):
                parameters = {"bias": bias, "mantissa": mantissa, "exponent": exponent}
                ctx.set(dut.parameters[lane], parameters)
            await ctx.tick()

    def check_outputs(raw: int, vector: list[Channel], expected_range: Range) -> None:
        for lane, channel in enumerate(vector):
            byte = (raw >> (8 * lane)) & 0xFF
            assert byte == requantize(*channel, *expected_range) & 0xFF, (channel, expected_range)

    run_benches(dut, bench, cycles=len(vectors) + 100)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_random_and_extreme_values(config: Any) -> None:
    rng = seeded(1)
    channels = in_range(rng, 600) + rng.sample(extremes(rng), 200) + rng.sample(halves(rng), 200)
    rng.shuffle(channels)
    check(config, channels, [(rng.randint(-128, 127), ACTIVATION_MIN, ACTIVATION_MAX)])


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_the_range_changes_every_cycle(config: Any) -> None:
    """It is taken with the input, however many other ranges follow before the output."""
    rng = seeded(3)
    ranges = []
    for _ in range(101):
        clamp_min = rng.randint(-128, 127)
        ranges.append((rng.randint(-128, 127), clamp_min, rng.randint(clamp_min, 127)))
    # Values all over int8, so that every range shows.
    check(config, [(rng.randint(-300, 300) << MIN_SHIFT, 0, 1, 0) for _ in range(1500)], ranges)


@pytest.mark.parametrize("values", [extremes, halves])
@pytest.mark.parametrize("zero_point", [0, -128, 127])
def test_every_extreme(values: Any, zero_point: int) -> None:
    check(QUARTER, values(seeded(2)), [(zero_point, ACTIVATION_MIN, ACTIVATION_MAX)])


@pytest.mark.parametrize("zero_point", [-128, -1, 0, 127])
@pytest.mark.parametrize(("clamp_min", "clamp_max"), [(-128, -128), (127, 127), (-128, 127), (0, 0), (-7, 90), (-1, 0)])
def test_zero_points_and_clamps(zero_point: int, clamp_min: int, clamp_max: int) -> None:
    rng = seeded(zero_point)
    unit = [(value << MIN_SHIFT, 0, 1, 0) for value in range(-600, 600, 7)]  # outputs are the values themselves
    near = [((bound - zero_point + d) << MIN_SHIFT, 0, 1, 0) for bound in (clamp_min, clamp_max) for d in (-1, 0, 1)]
    check(SQUARE, unit + near + in_range(rng, 100), [(zero_point, clamp_min, clamp_max)])


def test_every_sum_around_the_window() -> None:
    """Every doubled value around the width that is kept after the shift, see `_WINDOW_WIDTH`."""
    sums = [(1 << (MIN_SHIFT - 1)) * doubled for doubled in range(-1100, 1100)]
    for zero_point in (-128, 127):
        check(QUARTER, [(s, 0, 1, 0) for s in sums], [(zero_point, ACTIVATION_MIN, ACTIVATION_MAX)])


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Requantizer(config=PRESETS)  # type: ignore[arg-type]

from typing import Any

import pytest

from ssvq_gen.registers import COUNTERS, TRAFFIC_COUNTERS
from ssvq_rtl.counters import Counters
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

TOTAL, *CLASSES = (name.lower() for name, _ in COUNTERS)
TRAFFIC = tuple(name.lower() for name, _ in TRAFFIC_COUNTERS)


@pytest.mark.parametrize("busy", [0.1, 0.5, 0.95])
def test_classes_add_up_to_the_total(busy: float) -> None:
    rng = seeded(int(100 * busy))
    dut = Counters()
    expected = dict.fromkeys((TOTAL, *CLASSES, *TRAFFIC), 0)

    async def bench(ctx: Any) -> None:
        for cycle in range(1500):
            clear, run = rng.random() < 0.003, rng.random() < 0.8
            classes = {name: int(rng.random() < busy) for name in CLASSES[:-1]}
            beats = {name: int(rng.random() < busy) for name in TRAFFIC}
            ctx.set(dut.clear, clear)
            ctx.set(dut.run, run)
            ctx.set(dut.classes, classes)
            ctx.set(dut.beats, beats)
            await ctx.tick()
            if clear:
                expected.update(dict.fromkeys(expected, 0))
            else:
                first = next((name for name in CLASSES[:-1] if classes[name]), CLASSES[-1])
                expected[TOTAL] += run
                expected[first] += run
                for name in TRAFFIC:
                    expected[name] += beats[name]
            if cycle % 10 == 0 or clear:
                check(ctx)
        for port in (dut.clear, dut.run, dut.beats.as_value()):
            ctx.set(port, 0)
        for _ in range(TRAILING_CYCLES):
            await ctx.tick()
            check(ctx)

    def check(ctx: Any) -> None:
        found = {name: ctx.get(dut.values[name]) for name in expected}
        assert found == expected
        assert sum(found[name] for name in CLASSES) == found[TOTAL]

    run_benches(dut, bench, cycles=2000)


def test_every_combination_of_classes() -> None:
    dut = Counters()
    count = 1 << len(CLASSES[:-1])

    async def bench(ctx: Any) -> None:
        ctx.set(dut.run, 1)
        for flags in range(count):
            ctx.set(dut.classes.as_value(), flags)
            await ctx.tick()
        found = [ctx.get(dut.values[name]) for name in CLASSES]
        # The first class wins half of the combinations, the second half of the rest, ...
        assert found == [count >> (i + 1) for i in range(len(CLASSES) - 1)] + [1]
        assert ctx.get(dut.values[TOTAL]) == count == sum(found)

    run_benches(dut, bench, cycles=count + 100)


@pytest.mark.parametrize("name", [TOTAL, CLASSES[-1], TRAFFIC[0]])
def test_stops_at_its_maximum(name: str) -> None:
    dut = Counters()
    value = dut.values[name]
    maximum = (1 << len(value)) - 1

    async def bench(ctx: Any) -> None:
        ctx.set(dut.run, 1)
        ctx.set(dut.beats.as_value(), ~0)
        ctx.set(value, maximum - 2)
        for expected in (maximum - 1, maximum, maximum, maximum):
            await ctx.tick()
            assert ctx.get(value) == expected
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert ctx.get(value) == 0

    run_benches(dut, bench, cycles=100)

"""Which cycles of waiting for weights count as the bus's, the decoder's and the array's."""

from collections.abc import Mapping
from typing import Any

import pytest
from small_configs import FULL

from ssvq_rtl.decoder import SIGNS_AHEAD
from ssvq_rtl.monitor import Monitor
from ssvq_sim.stream_bench import run_benches

WEIGHT, DECODE, ARRAY = "wait_weight_cycles", "wait_decode_cycles", "wait_array_cycles"
MOST = FULL.plane_count + SIGNS_AHEAD


def waits(cycles: str) -> Mapping[str, int]:
    """Counters after cycles in which the array waits for weights, one for each letter.

    t : a word is taken
    s : a word is there and not taken
    n : no word is there
    T, S : as t and s, while a row is in use
    """
    dut = Monitor(config=FULL)
    found = {}

    async def bench(ctx: Any) -> None:
        ctx.set(dut.running, 1)
        for letter in cycles:
            held = letter.isupper()
            ctx.set(dut.taken, letter in "tT")
            ctx.set(dut.stalled, letter in "sS")
            ctx.set(dut.matmul, {"wait_weights": not held, "wait_array": held, "rows_in_use": held})
            await ctx.tick()
        found.update({name: ctx.get(dut.values[name]) for name in (WEIGHT, DECODE, ARRAY)})

    run_benches(dut, bench, cycles=len(cycles) + 10)
    assert sum(found.values()) == len(cycles)
    return found


@pytest.mark.parametrize(
    ("cycles", "expected"),
    [
        pytest.param("tntt", (4, 0, 0), id="the bus is the slower side"),
        pytest.param("tsts", (2, 2, 0), id="the decoder is the slower side"),
        pytest.param("tSSSt", (2, 0, 3), id="the array has no place"),
        pytest.param("tSSsst", (2, 2, 2), id="nothing was taken while the array had no place"),
        pytest.param("TTSsst", (1, 0, 5), id="what was taken then is used first"),
        pytest.param("TTSsssst", (1, 2, 5), id="and no more than that"),
        pytest.param("TTtsttst", (4, 0, 4), id="later as well"),
        pytest.param("TTsTssst", (1, 1, 6), id="it adds up"),
        pytest.param("TTnnst", (3, 1, 2), id="unless the bus let the decoder catch up"),
        pytest.param("T" * 200 + "s" * 100, (0, 100 - MOST, 200 + MOST), id="other words are not before any step"),
    ],
)
def test_whose_cycles(cycles: str, expected: tuple[int, int, int]) -> None:
    found = waits(cycles)
    assert (found[WEIGHT], found[DECODE], found[ARRAY]) == expected

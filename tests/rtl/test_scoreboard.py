import itertools
from typing import Any

import pytest
from small_configs import CONFIGS, SQUARE, name_of

from ssvq_gen.config import LANE_WEIGHTS, PRESETS, CoreConfig
from ssvq_rtl.feeder import MIN_TILE_CYCLES
from ssvq_rtl.scoreboard import Scoreboard
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

LOAD_TO_ENABLE = 2
"""Cycles from the write of a row to the first enabled cycle that can swap it."""


class Model:
    """The scoreboard in prose: where every activation is, and when every row was written."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.pipe: list[str | None] = [None] * (rows + 2)
        """Activations between issue and the last sum: None, "token", or "start" for one that starts a tile."""
        self.reserved: set[int] = set()
        self.loaded: dict[int, int] = {}
        """Rows that are loaded, with the cycle of the write."""
        self.swaps: list[tuple[int, int]] = []

    def swap_rows(self) -> list[int]:
        """Each waits in front of its row, or takes it over in this cycle."""
        return [r for r in range(self.rows) if self.pipe[r] == "start"]

    def enable(self, cycle: int) -> bool:
        return all(r in self.loaded and self.loaded[r] <= cycle - LOAD_TO_ENABLE for r in self.swap_rows())

    def outputs(self, cycle: int) -> dict[str, int]:
        swap_rows = self.swap_rows()
        free = [
            self.reserved.isdisjoint(range(LANE_WEIGHTS * b, LANE_WEIGHTS * (b + 1)))
            for b in range(self.rows // LANE_WEIGHTS)
        ]
        return {
            "enable": int(self.enable(cycle)),
            "swap_rows": sum(1 << r for r in swap_rows),
            "valid_rows": sum(1 << r for r in range(self.rows + 1) if self.pipe[r + 1]),
            "row_block_free": sum(1 << b for b, is_free in enumerate(free) if is_free),
            "first_row_loaded": int(0 in self.loaded and self.loaded[0] < cycle and 0 not in swap_rows),
            "busy": int(any(self.pipe)),
        }

    def advance(self, cycle: int, issued: str | None) -> None:
        if self.enable(cycle):
            for r in self.swap_rows():
                self.reserved.discard(r)
                del self.loaded[r]
            self.pipe = [issued, *self.pipe[:-1]]


def run(config: CoreConfig, rng: Any, *, tiles: int, tokens: int, idle: float, slow: float) -> list[int]:
    """Feed `tiles` tiles of `tokens` activations. `slow`, `idle`: chances of a pause of decoder and feeder.

    Returns the cycles in which tiles start.
    """
    dut = Scoreboard(config=config)
    model = Model(config.rows)
    starts: list[int] = []

    async def bench(ctx: Any) -> None:
        to_reserve = [b for _ in range(tiles) for b in range(config.row_blocks)]
        to_load: list[tuple[int, int]] = []
        to_issue = [n % tokens for n in range(tiles * tokens)]
        enabled_since_start = MIN_TILE_CYCLES
        trailing = cycle = 0
        while trailing < TRAILING_CYCLES + 2 * config.rows:
            outputs = model.outputs(cycle) if cycle else None
            if outputs:
                assert {name: ctx.get(getattr(dut, name)) for name in outputs} == outputs, cycle
            enable = ctx.get(dut.enable)
            reserve = bool(to_reserve) and rng.random() >= slow and ctx.get(dut.row_block_free) >> to_reserve[0] & 1
            ctx.set(dut.reserve, reserve)
            ctx.set(dut.reserve_row_block, to_reserve[0] if reserve else 0)
            load = bool(to_load) and to_load[0][0] <= cycle
            ctx.set(dut.load, load)
            ctx.set(dut.load_row_block, to_load[0][1] if load else rng.randrange(config.row_blocks))
            issued = None
            if to_issue and enable and rng.random() >= idle:
                if to_issue[0]:
                    issued = "token"
                elif ctx.get(dut.first_row_loaded) and enabled_since_start >= MIN_TILE_CYCLES:
                    issued = "start"
            ctx.set(dut.valid_next, issued is not None)
            ctx.set(dut.swap_next, issued == "start")
            await ctx.tick()
            # The model follows.
            if enable:
                enabled_since_start += 1
            model.advance(cycle, issued)
            if issued:
                to_issue.pop(0)
                if issued == "start":
                    starts.append(cycle)
                    enabled_since_start = 1
            if load:
                block = to_load.pop(0)[1]
                rows = range(LANE_WEIGHTS * block, LANE_WEIGHTS * (block + 1))
                model.loaded |= dict.fromkeys(rows, cycle)
            if reserve:
                block = to_reserve.pop(0)
                model.reserved |= set(range(LANE_WEIGHTS * block, LANE_WEIGHTS * (block + 1)))
                to_load.append((cycle + 2, block))
            trailing = trailing + 1 if not to_issue else 0
            cycle += 1
        assert not ctx.get(dut.busy)

    pauses = (1 - idle) * (1 - slow)
    run_benches(dut, bench, cycles=int((tiles * (tokens + 3 * config.rows) + 100) / pauses) + 500)
    return starts


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize(("idle", "slow"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.8), (0.5, 0.5), (0.9, 0.0)])
@pytest.mark.parametrize("tokens", [1, 3, 7])
def test_against_the_prose(config: CoreConfig, tokens: int, idle: float, slow: float) -> None:
    run(config, seeded(50), tiles=12, tokens=tokens, idle=idle, slow=slow)


def test_tiles_of_many_activations_follow_without_a_gap() -> None:
    """With a decode step per cycle the weights of the next tile are there in time."""
    starts = run(SQUARE, seeded(51), tiles=10, tokens=16, idle=0.0, slow=0.0)
    assert [b - a for a, b in itertools.pairwise(starts[1:])] == [16] * 8


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Scoreboard(config=PRESETS)  # type: ignore[arg-type]

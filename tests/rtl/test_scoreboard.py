import itertools
from typing import Any

import pytest
from small_configs import CONFIGS, ON_ECP5, PACKED, SQUARE, name_of

from ssvq_gen.config import LANE_WEIGHTS, PRESETS, CoreConfig
from ssvq_rtl.array_timing import array_latency, row_delays
from ssvq_rtl.feeder import MIN_TILE_CYCLES
from ssvq_rtl.scoreboard import Scoreboard
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

LOAD_TO_ENABLE = 1
"""Cycles from the write of a row to the first enabled cycle that can swap it."""


class Model:
    """The scoreboard in prose: where every activation is, and when every row was written."""

    def __init__(self, config: CoreConfig) -> None:
        self.delays = row_delays(config)
        self.pipe: list[str | None] = [None] * (array_latency(config) + 1)
        """Activations between issue and the last sum: None, "token", or "start" for one that starts a tile."""
        self.loaded: dict[int, int] = {}
        """Rows that are loaded, with the cycle of the write."""
        self.swaps: list[tuple[int, int]] = []

    def swap_rows(self) -> list[int]:
        """Each waits in front of its row, or takes it over in this cycle."""
        return [r for r, delay in enumerate(self.delays) if self.pipe[delay] == "start"]

    def enable(self, cycle: int) -> bool:
        return all(r in self.loaded and self.loaded[r] <= cycle - LOAD_TO_ENABLE for r in self.swap_rows())

    def leaving(self, cycle: int) -> list[int]:
        """Rows that are swapped in this cycle."""
        return self.swap_rows() if self.enable(cycle) else []

    def ready(self, cycle: int, block: int) -> bool:
        rows = range(LANE_WEIGHTS * block, LANE_WEIGHTS * (block + 1))
        return all(r not in self.loaded or r in self.leaving(cycle) for r in rows)

    def outputs(self, cycle: int) -> dict[str, int]:
        return {
            "enable": int(self.enable(cycle)),
            "swaps": sum(1 << d for d in range(self.delays[-1] + 1) if self.pipe[d] == "start"),
            "valids": sum(1 << d for d in range(len(self.pipe) - 1) if self.pipe[d + 1]),
            "first_row_loaded": int(0 in self.loaded and 0 not in self.leaving(cycle)),
        }

    def advance(self, cycle: int, issued: str | None, written: int | None) -> None:
        if self.enable(cycle):
            for r in self.swap_rows():
                del self.loaded[r]
            self.pipe = [issued, *self.pipe[:-1]]
        if written is not None:
            rows = range(LANE_WEIGHTS * written, LANE_WEIGHTS * (written + 1))
            self.loaded |= dict.fromkeys(rows, cycle)


def run(config: CoreConfig, rng: Any, *, tiles: int, tokens: int, idle: float, slow: float) -> list[int]:
    """Feed `tiles` tiles of `tokens` activations. `slow`, `idle`: chances of a pause of decoder and feeder.

    Returns the cycles in which tiles start.
    """
    dut = Scoreboard(config=config)
    model = Model(config)
    starts: list[int] = []

    async def bench(ctx: Any) -> None:
        # Every row block takes two steps, of which the second completes it.
        to_write = [(b, half) for _ in range(tiles) for b in range(config.row_blocks) for half in range(2)]
        to_issue = [n % tokens for n in range(tiles * tokens)]
        enabled_since_start = MIN_TILE_CYCLES
        trailing = cycle = 0
        while trailing < TRAILING_CYCLES + 2 * config.rows:
            valid = bool(to_write) and rng.random() >= slow
            block, completes = to_write[0] if valid else (rng.randrange(config.row_blocks), rng.randrange(2))
            ctx.set(dut.step_valid, valid)
            ctx.set(dut.step_row_block, block)
            ctx.set(dut.step_completes, completes)
            if cycle:
                outputs = model.outputs(cycle) | {"step_ready": int(model.ready(cycle, block))}
                assert {name: ctx.get(getattr(dut, name)) for name in outputs} == outputs, cycle
            enable = ctx.get(dut.enable)
            written = valid and ctx.get(dut.step_ready)
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
            model.advance(cycle, issued, block if written and completes else None)
            if issued:
                to_issue.pop(0)
                if issued == "start":
                    starts.append(cycle)
                    enabled_since_start = 1
            if written:
                to_write.pop(0)
            trailing = trailing + 1 if not to_issue else 0
            cycle += 1
        assert not any(model.pipe)
        assert not to_write

    pauses = (1 - idle) * (1 - slow)
    run_benches(dut, bench, cycles=int((tiles * (tokens + 3 * config.rows) + 100) / pauses) + 500)
    return starts


@pytest.mark.parametrize("config", [*CONFIGS, *PACKED, *ON_ECP5], ids=name_of)
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

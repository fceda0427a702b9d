from dataclasses import dataclass
from typing import Any

import pytest
from small_configs import CONFIGS, SQUARE, TALL, name_of

from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.accumulator import AccumulatorMemory
from ssvq_rtl.feeder import MIN_TILE_CYCLES
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

TOKEN_FIELDS = ("index", "first", "last", "opens")


@dataclass(frozen=True)
class Sums:
    """One activation's token and its sums."""

    index: int
    first: bool
    last: bool
    sums: tuple[int, ...]

    @property
    def opens(self) -> bool:
        return self.last and self.index == 0

    @property
    def token(self) -> dict[str, int]:
        return {name: int(getattr(self, name)) for name in TOKEN_FIELDS}


def columns_of(config: CoreConfig, rng: Any, shapes: list[tuple[int, int]], extreme: bool) -> list[Sums]:
    """Tile columns of (tiles, tokens), one after the other."""
    low, high = -(1 << (config.partial_width - 1)), (1 << (config.partial_width - 1)) - 1
    return [
        Sums(
            index=token,
            first=tile == 0,
            last=tile == tiles - 1,
            sums=tuple(rng.choice((low, high)) if extreme else rng.randint(low, high) for _ in range(config.cols)),
        )
        for tiles, tokens in shapes
        for tile in range(tiles)
        for token in range(tokens)
    ]


def pack(values: Any, width: int) -> int:
    return sum((v & ((1 << width) - 1)) << (width * i) for i, v in enumerate(values))


def accumulate(config: CoreConfig, rng: Any, items: list[Sums], *, freeze: float, idle: float) -> int:
    """Add everything and check every final total; returns the cycles it took.

    Sums come one enabled cycle after their token. `opens` is there in the cycle in which the first final sums of a
    column are added, `final` in the next one, and the total stays until other sums are added.
    """
    dut = AccumulatorMemory(config=config)
    totals: dict[int, list[int]] = {}
    duration = 0

    async def bench(ctx: Any) -> None:
        nonlocal duration
        waiting = list(items)
        adding: Sums | None = None
        shown: list[int] | None = None
        final = False
        spacing = trailing = 0
        while trailing < TRAILING_CYCLES:
            enable = rng.random() >= freeze
            item = None
            # Gaps only between tiles: one inside a tile could bring an address back too early.
            if waiting and (waiting[0].index or (not spacing and rng.random() >= idle)):
                item = waiting[0]
            ctx.set(dut.enable, enable)
            ctx.set(dut.valid, item is not None)
            ctx.set(dut.token, item.token if item else {"opens": 1, "last": 1, "index": rng.getrandbits(2)})
            sums = adding.sums if adding else [rng.getrandbits(8)] * config.cols
            ctx.set(dut.sums, pack(sums, config.partial_width))
            assert ctx.get(dut.opens) == (enable and adding is not None and adding.opens)
            assert ctx.get(dut.final) == final
            if shown is not None:
                assert ctx.get(dut.total) == pack(shown, ACCUMULATOR_WIDTH)
            await ctx.tick()
            final = False
            if enable:
                if adding:
                    before = [0] * config.cols if adding.first else totals[adding.index]
                    shown = totals[adding.index] = [a + b for a, b in zip(before, adding.sums, strict=True)]
                    final = adding.last
                    if adding.last:
                        del totals[adding.index]
                adding = item
                spacing = max(0, spacing - 1)
                if item:
                    waiting.pop(0)
                    if item.index == 0:
                        spacing = MIN_TILE_CYCLES - 1
            trailing += not waiting
            duration += bool(waiting)
        assert not totals

    work = MIN_TILE_CYCLES * len(items) / (1 - freeze) / (1 - idle)
    run_benches(dut, bench, cycles=int(3 * work) + 500)
    return duration


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize(("freeze", "idle"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.3)])
@pytest.mark.parametrize("extreme", [False, True])
def test_accumulates(config: CoreConfig, freeze: float, idle: float, extreme: bool) -> None:
    rng = seeded(70)
    depth = config.accumulator_depth
    shapes = [(1, 1), (4, 1), (3, depth), (1, depth), (2, 2), (5, 3), (1, 1), (1, 2), (6, depth - 1)]
    accumulate(config, rng, columns_of(config, rng, shapes, extreme), freeze=freeze, idle=idle)


def test_one_activation_every_three_cycles_in_the_same_place() -> None:
    """The sum of one tile is written just before the next tile reads it."""
    rng = seeded(71)
    items = columns_of(SQUARE, rng, [(40, 1), (40, 1)], extreme=True)
    assert accumulate(SQUARE, rng, items, freeze=0.0, idle=0.0) == MIN_TILE_CYCLES * (len(items) - 1)


@pytest.mark.parametrize("lowest", [True, False])
def test_limits_of_int32(lowest: bool) -> None:
    """Sums of either sign up to the ends of int32, in every column."""
    rng = seeded(72)
    config = TALL.replace(rows=128, activation_bytes=128 * 26)
    step = 1 << (config.partial_width - 1)
    if lowest:
        steps = [-step] * ((1 << (ACCUMULATOR_WIDTH - 1)) // step)
    else:
        steps = [step - 1] * ((1 << (ACCUMULATOR_WIDTH - 1)) // step)
        steps.append((1 << (ACCUMULATOR_WIDTH - 1)) - 1 - sum(steps))
    items = [
        Sums(index=0, first=n == 0, last=n == len(steps) - 1, sums=(value,) * config.cols)
        for n, value in enumerate(steps)
    ]
    assert sum(steps) in (-(1 << 31), (1 << 31) - 1)
    accumulate(config, rng, items, freeze=0.0, idle=0.0)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        AccumulatorMemory(config=PRESETS)  # type: ignore[arg-type]

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from small_configs import CONFIGS, ON_ECP5, PACKED, SQUARE, TALL, name_of

from ssvq_gen.config import LANE_WEIGHTS, PRESETS, CoreConfig
from ssvq_rtl.array import MacArray
from ssvq_rtl.array_timing import array_latency, input_delay, row_delays
from ssvq_rtl.feeder import MIN_TILE_CYCLES
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

Int8Matrix = np.ndarray


@dataclass(frozen=True, eq=False)
class Activation:
    """A row of activations, the tile it is multiplied with, and whether it is the tile's first."""

    values: np.ndarray
    tile: int
    starts: bool


def packed(values: np.ndarray) -> int:
    return int.from_bytes(values.astype(np.int8).tobytes(), "little")


class ArrayBench:
    """Activations enter tile after tile; weights are written behind the swap; everything pauses at random."""

    def __init__(
        self,
        config: CoreConfig,
        rng: Any,
        work: tuple[list[Int8Matrix], list[Activation]],
        *,
        freeze: float = 0.0,
        idle: float = 0.0,
        slow: float = 0.0,
        by_halves: bool = False,
    ) -> None:
        tiles, activations = work
        self._config, self._rng, self._tiles = config, rng, tiles
        self._to_enter = list(activations)
        # The scoreboard knows whole row blocks; with fewer rows ahead some orders of writes would never go on.
        self._rows_ahead = 1 if by_halves else LANE_WEIGHTS
        self._freeze, self._idle, self._slow = freeze, idle, slow
        self.checked = 0
        self.cycles = 0
        self.starts: list[int] = []
        """Enabled cycles in which tiles entered."""
        self._delays = row_delays(config)
        # Index 0: between memory and array; d + 1: rows with delay d multiply; the last: the sums are out.
        self._pipe: list[Activation | None] = [None] * (array_latency(config) + 2)
        self._shown: list[Activation | None] = [None] * input_delay(config)
        self._shadow = [-1] * config.rows  # tile whose weights are complete in a row's shadow
        self._taken = [-1] * config.rows  # tile that a row has taken over
        self._writes = self._all_writes(by_halves)

    def _all_writes(self, by_halves: bool) -> list[tuple[int, int, int, list[int]]]:
        """(tile, row block, row mask, column groups in any order): row blocks whole, or in parts of any rows."""
        partitions = ([0b0011, 0b1100],) if by_halves else ([0b1111], [0b0011, 0b1100], [0b1000, 0b0101, 0b0010])
        writes = []
        for tile in range(len(self._tiles)):
            for block in range(self._config.row_blocks):
                for mask in self._rng.choice(partitions):
                    groups = list(range(self._config.column_groups))
                    self._rng.shuffle(groups)
                    writes.append((tile, block, mask, groups))
        return writes

    def _write(self, ctx: Any, dut: MacArray) -> list[int]:
        """Write one column group of the next rows, once they are swapped out; returns rows that are now complete."""
        rng, config = self._rng, self._config
        values = np.array([[rng.randint(-128, 127) for _ in range(config.decode_lanes)] for _ in range(LANE_WEIGHTS)])
        fields = {"row_block": rng.randrange(config.row_blocks), "column_group": rng.randrange(config.column_groups)}
        fields |= {"row_mask": rng.getrandbits(LANE_WEIGHTS), "completes_rows": 0}
        completed: list[int] = []
        valid = False
        if self._writes and rng.random() >= self._slow:
            tile, block, mask, groups = self._writes[0]
            rows = [LANE_WEIGHTS * block + r for r in range(LANE_WEIGHTS) if mask >> r & 1]
            if all(self._taken[r] == tile - 1 for r in rows):
                group = groups.pop()
                first = group * config.decode_lanes
                for r in rows:  # what is not in the mask is not written
                    values[r % LANE_WEIGHTS] = self._tiles[tile][r, first : first + config.decode_lanes]
                fields = {"row_block": block, "column_group": group, "row_mask": mask, "completes_rows": 0}
                valid = True
                if not groups:
                    self._writes.pop(0)
                    completed = rows
        ctx.set(dut.step_valid, valid)
        ctx.set(dut.step, fields | {"weights": (values & 0xFF).tolist()})
        return completed

    def run(self, cycles: int) -> None:
        dut = MacArray(config=self._config)
        total = len(self._to_enter)

        async def bench(ctx: Any) -> None:
            trailing = 0
            enabled = 0
            while trailing < TRAILING_CYCLES:
                trailing += self.checked == total
                enabled += await self._cycle(ctx, dut, enabled)
                self.cycles += 1

        run_benches(dut, bench, cycles=cycles)
        assert self.checked == total

    async def _cycle(self, ctx: Any, dut: MacArray, enabled: int) -> bool:
        config, rng, pipe = self._config, self._rng, self._pipe
        starting = {d: there.tile for d, there in enumerate(pipe[: self._delays[-1] + 1]) if there and there.starts}
        swaps = {r: starting[d] for r, d in enumerate(self._delays) if d in starting}  # row: the tile it takes over
        blocked = any(self._shadow[r] != tile for r, tile in swaps.items())
        enable = not blocked and rng.random() >= self._freeze
        present = pipe[1].values if pipe[1] is not None else np.array([rng.randint(-128, 127)] * config.rows)
        ctx.set(dut.enable, enable)
        ctx.set(dut.swaps, sum(1 << d for d in starting))
        ctx.set(dut.valids, sum(1 << d for d in range(array_latency(config)) if pipe[d + 1] is not None))
        ctx.set(dut.activation, packed(present))
        completed = self._write(ctx, dut)
        self._check_sums(ctx.get(dut.sums))
        await ctx.tick()
        for r in completed:
            self._shadow[r] += 1
        if enable:
            self.checked += pipe[-1] is not None
            self._taken = [swaps.get(r, tile) for r, tile in enumerate(self._taken)]
            entering = None
            if self._to_enter and rng.random() >= self._idle:
                spaced = not self.starts or enabled - self.starts[-1] >= MIN_TILE_CYCLES
                first_there = all(self._shadow[r] == self._to_enter[0].tile for r in range(self._rows_ahead))
                if not self._to_enter[0].starts or (spaced and first_there):
                    entering = self._to_enter.pop(0)
                    if entering.starts:
                        self.starts.append(enabled)
            self._pipe = [entering, *pipe[:-1]]
        return enable

    def _check_sums(self, raw: int) -> None:
        """The sums of an activation are there `array_latency` enabled cycles after it, also in frozen cycles.

        All of that is `input_delay` cycles late.
        """
        config = self._config
        self._shown.append(self._pipe[1 + array_latency(config)])
        done = self._shown.pop(0)
        if done is None:
            return
        expected = done.values.astype(np.int64) @ self._tiles[done.tile].astype(np.int64)
        width = config.partial_width
        found = [(raw >> (width * c)) & ((1 << width) - 1) for c in range(config.cols)]
        assert found == [int(v) & ((1 << width) - 1) for v in expected]


def random_work(
    config: CoreConfig, seed: int, tokens: list[int], low: int = -128, high: int = 127
) -> tuple[list[Int8Matrix], list[Activation]]:
    generator = np.random.default_rng(seed)
    tiles = [generator.integers(low, high + 1, (config.rows, config.cols), dtype=np.int8) for _ in tokens]
    activations = [
        Activation(generator.integers(low, high + 1, config.rows, dtype=np.int8), tile, token == 0)
        for tile, count in enumerate(tokens)
        for token in range(count)
    ]
    return tiles, activations


@pytest.mark.parametrize("config", [*CONFIGS, *PACKED, *ON_ECP5], ids=name_of)
@pytest.mark.parametrize(
    ("freeze", "idle", "slow"), [(0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.0, 0.5, 0.2), (0.3, 0.1, 0.7)]
)
def test_against_numpy(config: CoreConfig, freeze: float, idle: float, slow: float) -> None:
    rng = seeded(60)
    tokens = [1, 1, 5, 3, 1, 2, 1, 8]
    work = random_work(config, 60, tokens)
    bench = ArrayBench(config, rng, work, freeze=freeze, idle=idle, slow=slow)
    bench.run(cycles=10000)
    assert len(bench.starts) == len(tokens)


@pytest.mark.parametrize("config", [SQUARE, TALL, *PACKED, *ON_ECP5], ids=name_of)
@pytest.mark.parametrize("value", [-128, 127])
def test_extremes(config: CoreConfig, value: int) -> None:
    """The largest sums, of either sign, fit the partial sums."""
    work = random_work(config, 61, [2, 2, 2], value, value)
    work[0][1][:] = -128
    work[0][2][:] = 127
    ArrayBench(config, seeded(61), work, freeze=0.2).run(cycles=3000)


@pytest.mark.parametrize("freeze", [0.0, 0.5])
@pytest.mark.parametrize("tokens", [1, 3])
def test_tiles_enter_every_three_cycles(tokens: int, freeze: float) -> None:
    """Rows are written two by two just behind the swap, and swapped again in the next cycle."""
    config = PRESETS["tiny"].replace(rows=4, cols=8)
    bench = ArrayBench(config, seeded(62), random_work(config, 62, [tokens] * 20), freeze=freeze, by_halves=True)
    bench.run(cycles=3000)
    gaps = set(np.diff(bench.starts).tolist())
    assert gaps == {MIN_TILE_CYCLES}


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        MacArray(config=PRESETS)  # type: ignore[arg-type]

# amaranth: UnusedElaboratable=no
from collections.abc import Callable
from typing import Any

import numpy as np
import operands
import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib.wiring import connect
from small_configs import CONFIGS, QUARTER, SQUARE, name_of

from ssvq_gen.config import LANE_WEIGHTS, PRESETS, CoreConfig
from ssvq_rtl.activation_memory import ActivationMemory
from ssvq_rtl.operand import OperandLoader
from ssvq_rtl.operand_words import OperandWords
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

SMALLEST = SQUARE.replace(name="smallest", rows=4, activation_bytes=8 * 64, max_codebook_size=16)
"""One step a tile."""

ATTENTION = tuple(c.replace(attention=True) for c in (*CONFIGS, SMALLEST))


class Shadow:
    """Stands for the array, makes tiles of steps. Every weight of a row block is written once before it is complete."""

    def __init__(self, config: CoreConfig) -> None:
        self.tiles: list[np.ndarray] = []
        self._config = config
        self._weights = np.zeros((config.rows, config.cols), np.int8)
        self._writes = np.zeros((config.rows, config.cols), int)
        self._complete = 0

    def write(self, step: Any) -> None:
        config, block = self._config, int(step.row_block)
        first = config.decode_lanes * int(step.column_group)
        rows = slice(LANE_WEIGHTS * block, LANE_WEIGHTS * (block + 1))
        for r in range(LANE_WEIGHTS):
            if int(step.row_mask) >> r & 1:
                raw = step.weights[r].as_bits().to_bytes(config.decode_lanes, "little")
                where = rows.start + r, slice(first, first + config.decode_lanes)
                self._weights[where] = np.frombuffer(raw, np.int8)
                self._writes[where] += 1
        if step.completes_rows:
            assert (self._writes[rows] == 1).all()
            assert block == self._complete
            self._writes[rows] = 0
            self._complete += 1
            if self._complete == config.row_blocks:
                self.tiles.append(self._weights.copy())
                self._complete = 0


class Bench:
    """A loader between a memory that grants at random, a decoder that hands over, and an array that pauses.

    `read_at` and `written_at` are the cycles of granted reads and taken steps, `reads` the words that were read.
    """

    def __init__(self, config: CoreConfig, rng: Any, *, stall: float = 0.0, reset: Signal | None = None) -> None:
        self.dut = OperandLoader(config=config)
        self.top = ResetInserter(reset)(self.dut) if reset is not None else self.dut
        self.memory = operands.random_memory(config, rng)
        self.shadow = Shadow(config)
        self.reads: list[int] = []
        self.read_at: list[int] = []
        self.written_at: list[int] = []
        self.done_at: list[int] = []
        self.cycle = 0
        self._config, self._rng, self._stall = config, rng, stall

    async def run(self, ctx: Any) -> None:
        """Memory and array: a background bench. Steps stay until they are taken and come only in turn."""
        dut, waiting = self.dut, None
        while True:
            ready, granted = self._rng.random() >= self._stall, self._rng.random() >= self._stall
            ctx.set(dut.o.ready, ready)
            ctx.set(dut.read.ready, granted)
            steps = dut.o.valid, dut.o.payload, dut.read.en, dut.read.addr
            states = dut.turn, dut.done, dut.loading, dut.commands.ready
            _, _, valid, step, en, addr, turn, done, loading, accepts = await ctx.tick().sample(*steps, *states)
            item = step.as_bits() if valid else None
            assert waiting in (None, item), "a step changed while it waited"
            waiting = item if not ready else None
            assert not valid or turn
            assert not (accepts if loading else valid or en)
            if valid and ready:
                self.written_at.append(self.cycle)
                self.shadow.write(step)
            if done:
                assert valid
                assert ready
                self.done_at.append(self.cycle)
            word = self._rng.getrandbits(8 * self._config.word_bytes)
            if en and granted:
                word = int.from_bytes(self.memory[addr].tobytes(), "little")
                self.reads.append(addr)
                self.read_at.append(self.cycle)
            ctx.set(dut.read.data, word)
            self.cycle += 1

    async def command(self, ctx: Any, command: operands.Command) -> None:
        """Hand a command over."""
        ctx.set(self.dut.commands.payload, command)
        ctx.set(self.dut.commands.valid, 1)
        await ctx.tick().until(self.dut.commands.ready)
        ctx.set(self.dut.commands.valid, 0)

    async def hand_over(self, ctx: Any) -> None:
        """The decoder waits in its turn."""
        ctx.set(self.dut.turn, 1)
        await ctx.tick().until(self.dut.done)
        ctx.set(self.dut.turn, 0)

    def check(self, commands: list[operands.Command]) -> None:
        """Everything was read and loaded that `commands` say, and nothing else."""
        config = self._config
        assert self.reads == [address for c in commands for address in operands.reads(config, c)]
        expected = [(c, tile) for c in commands for tile in operands.tiles(c)]
        assert len(self.shadow.tiles) == len(expected)
        for loaded, (command, tile) in zip(self.shadow.tiles, expected, strict=True):
            # Rows beyond the tensor meet activations of zero.
            rows = command["last_rows"] if tile[2] == command["k_tiles"] - 1 and command["transposed"] else config.rows
            weights = operands.tile_weights(config, command, self.memory, *tile)
            np.testing.assert_array_equal(loaded[:rows], weights[:rows], str((command, tile)))
        assert len(self.written_at) == len(expected) * config.steps_per_tile
        assert len(self.done_at) == len(commands)


def run(bench: Bench, script: Callable[[Any], Any], *, cycles: int) -> None:
    """Run `script` and, after it, cycles in which nothing happens."""

    async def whole(ctx: Any) -> None:
        await script(ctx)
        await ctx.tick()
        before = len(bench.reads), len(bench.written_at), len(bench.done_at)
        ctx.set(bench.dut.turn, 1)
        for _ in range(TRAILING_CYCLES):
            await ctx.tick()
        assert (len(bench.reads), len(bench.written_at), len(bench.done_at)) == before

    run_benches(bench.top, whole, cycles=cycles + 2 * TRAILING_CYCLES, background=[bench.run])


@pytest.mark.parametrize("config", ATTENTION, ids=name_of)
@pytest.mark.parametrize("stall", [0.0, 0.3, 0.8])
def test_random_products(config: CoreConfig, stall: float) -> None:
    """Both orientations in any order; the decoder's turn comes before, while and after the first words are read."""
    rng = seeded(70)
    bench = Bench(config, rng, stall=stall)
    commands = [
        operands.random_command(config, rng, transposed=transposed) for transposed in (False, True, True, False)
    ]

    async def script(ctx: Any) -> None:
        for command in commands:
            ctx.set(bench.dut.all_written, rng.randrange(2))
            await bench.command(ctx, command)
            for _ in range(rng.choice((0, 1, 5, 50))):
                await ctx.tick()
            ctx.set(bench.dut.all_written, 1)
            await bench.hand_over(ctx)
            ctx.set(bench.dut.all_written, 0)

    work = sum(len(list(operands.tiles(c))) * (config.word_bytes + config.steps_per_tile) for c in commands)
    run(bench, script, cycles=int((work + 1000) / (1 - stall) ** 2) + 1000)
    bench.check(commands)


@pytest.mark.parametrize("config", ATTENTION, ids=name_of)
@pytest.mark.parametrize("transposed", [False, True])
def test_throughput(config: CoreConfig, transposed: bool) -> None:
    """Without pauses a tile takes `tile_cycles`, ragged or not, across columns and products."""
    rng = seeded(71)
    bench = Bench(config, rng)
    command = operands.random_command(config, rng, transposed=transposed)
    command |= {"operand_stride": 1, "operand_batch_stride": 1, "k_tiles": 2, "n_tiles": 2, "batch_last": 1}
    command["operand"] = 0
    started_at = []

    async def script(ctx: Any) -> None:
        ctx.set(bench.dut.all_written, 1)
        await bench.command(ctx, command)
        started_at.append(bench.cycle)
        await bench.hand_over(ctx)

    run(bench, script, cycles=1000)
    bench.check([command])
    steps = config.steps_per_tile
    pace = OperandLoader.tile_cycles(config, transposed=transposed)
    assert bench.written_at[0] - started_at[0] == OperandLoader.first_step(config, transposed=transposed)
    for step in range(steps):
        times = np.array(bench.written_at[step::steps])
        assert (np.diff(times) == pace).all()
    assert len(bench.written_at) == 8 * steps


@pytest.mark.parametrize("config", ATTENTION, ids=name_of)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("early_tiles", [0, 1, 2, 3, 0xFFFF])
def test_waits_for_what_is_not_written(config: CoreConfig, transposed: bool, early_tiles: int) -> None:
    """Early tiles are read when the last column before is missing, all others when it is there."""
    rng = seeded(72)
    bench = Bench(config, rng)
    command = operands.random_command(config, rng, transposed=transposed)
    command |= {"k_tiles": 3, "n_tiles": 2, "operand_stride": 0, "operand": 0, "batch_last": 1}
    command["early_tiles"] = early_tiles
    early = [address for k in range(min(early_tiles, 3)) for address in operands.tile_reads(config, command, 0, 0, k)]

    async def script(ctx: Any) -> None:
        ctx.set(bench.dut.turn, 1)
        await bench.command(ctx, command)
        for _ in range(TRAILING_CYCLES):
            await ctx.tick()
        assert not bench.reads
        ctx.set(bench.dut.most_written, 1)
        for _ in range(200):
            await ctx.tick()
        assert bench.reads == early
        assert len(bench.shadow.tiles) == min(early_tiles, 3)
        ctx.set(bench.dut.all_written, 1)
        await bench.hand_over(ctx)
        ctx.set(bench.dut.most_written, 0)

    run(bench, script, cycles=2500)
    bench.check([command])


@pytest.mark.parametrize("config", ATTENTION, ids=name_of)
@pytest.mark.parametrize("transposed", [False, True])
def test_reads_ahead_of_its_turn(config: CoreConfig, transposed: bool) -> None:
    """The first buffer, and the words that are held beside it; no step before the decoder hands over."""
    rng = seeded(73)
    bench = Bench(config, rng)
    command = operands.random_command(config, rng, transposed=transposed, ragged=False)
    command |= {"k_tiles": 2, "n_tiles": 2, "operand_stride": 1, "operand": 0, "batch_last": 0}
    turn_at = []

    async def script(ctx: Any) -> None:
        ctx.set(bench.dut.all_written, 1)
        await bench.command(ctx, command)
        for _ in range(2 * TRAILING_CYCLES):
            await ctx.tick()
        assert len(bench.reads) == (config.decode_lanes if transposed else LANE_WEIGHTS) + OperandWords.HELD
        turn_at.append(bench.cycle + 1)
        await bench.hand_over(ctx)

    run(bench, script, cycles=1000)
    assert bench.written_at[0] == turn_at[0] + 1
    bench.check([command])


@pytest.mark.parametrize("config", ATTENTION, ids=name_of)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("beyond", [0, 7, 1 << 31])
def test_address_outside_the_memory(config: CoreConfig, transposed: bool, beyond: int) -> None:
    """Everything before it is read, nothing after it; a reset, and the next command is exact."""
    rng = seeded(74)
    reset = Signal()
    bench = Bench(config, rng, reset=reset)
    depth = config.activation_depth
    command = operands.random_command(config, rng, transposed=transposed, ragged=False)
    command |= {"k_tiles": 2, "n_tiles": 2, "operand_stride": 1, "operand_batch_stride": 3, "batch_last": 1}
    command["operand"] = max(0, depth - max(operands.reads(config, command | {"operand": 0}))) + beyond
    wanted = operands.reads(config, command)
    first_outside = next(i for i, address in enumerate(wanted) if address >= depth)
    good = operands.random_command(config, rng, transposed=not transposed)

    async def script(ctx: Any) -> None:
        dut = bench.dut
        ctx.set(dut.all_written, 1)
        ctx.set(dut.turn, 1)
        await bench.command(ctx, command)
        await ctx.tick().until(dut.error)
        for _ in range(2 * TRAILING_CYCLES):
            await ctx.tick()
            assert ctx.get(dut.error)
            assert ctx.get(dut.error_addr) == wanted[first_outside]
        assert bench.reads == wanted[:first_outside]
        assert not bench.done_at
        ctx.set(dut.turn, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        assert not ctx.get(dut.error)
        assert not ctx.get(dut.loading)
        bench.shadow = Shadow(config)
        bench.reads, bench.read_at, bench.written_at = [], [], []
        await bench.command(ctx, good)
        await bench.hand_over(ctx)

    run(bench, script, cycles=4000)
    bench.check([good])


@pytest.mark.parametrize("transposed", [False, True])
def test_with_the_memory(transposed: bool) -> None:
    """From a real memory, whose other reader comes first and reads every other cycle."""
    rng = seeded(75)
    config = QUARTER
    command = operands.random_command(config, rng, transposed=transposed)
    content = operands.random_memory(config, rng)
    shadow = Shadow(config)
    m = Module()
    m.submodules.loader = loader = OperandLoader(config=config)
    m.submodules.memory = memory = ActivationMemory(config=config, readers=2, writers=1)
    connect(m, loader.read, memory.reads[1])

    async def other_reader(ctx: Any) -> None:
        while True:
            ctx.set(memory.reads[0].en, rng.randrange(2))
            ctx.set(memory.reads[0].addr, rng.randrange(config.activation_depth))
            await ctx.tick()

    async def script(ctx: Any) -> None:
        ctx.set(memory.writes[0].en, 1)
        ctx.set(memory.writes[0].mask, ~0)
        for address, word in enumerate(content):
            ctx.set(memory.writes[0].addr, address)
            ctx.set(memory.writes[0].data, int.from_bytes(word.tobytes(), "little"))
            await ctx.tick()
        ctx.set(memory.writes[0].en, 0)
        for port, value in ((loader.turn, 1), (loader.all_written, 1), (loader.o.ready, 1), (loader.commands.valid, 1)):
            ctx.set(port, value)
        ctx.set(loader.commands.payload, command)
        await ctx.tick()
        ctx.set(loader.commands.valid, 0)
        done = False
        while not done:
            _, _, valid, step, done = await ctx.tick().sample(loader.o.valid, loader.o.payload, loader.done)
            if valid:
                shadow.write(step)

    run_benches(m, script, cycles=5000, background=[other_reader])
    rows = command["last_rows"] if transposed else config.rows
    for loaded, tile in zip(shadow.tiles, operands.tiles(command), strict=True):
        weights = operands.tile_weights(config, command, content, *tile)
        used = rows if tile[2] == command["k_tiles"] - 1 else config.rows
        np.testing.assert_array_equal(loaded[:used], weights[:used])


@pytest.mark.parametrize("config", [PRESETS["base"], *ATTENTION], ids=name_of)
def test_converts_to_verilog(config: CoreConfig) -> None:
    assert "module top" in verilog.convert(OperandLoader(config=config), emit_src=False)


def test_refuses_what_is_no_configuration() -> None:
    for component in (OperandLoader, OperandWords):
        with pytest.raises(TypeError, match="config must be a CoreConfig"):
            component(config=PRESETS)  # type: ignore[arg-type]

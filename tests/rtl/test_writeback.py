# amaranth: UnusedElaboratable=no
from dataclasses import dataclass
from typing import Any

import pytest
from small_configs import CONFIGS, SQUARE, TALL, WIDE, name_of

from ssvq_gen.arithmetic import (
    ACCUMULATOR_WIDTH,
    BIAS_WIDTH,
    MANTISSA_MAX,
    MANTISSA_WIDTH,
    requantize,
)
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import CHANNEL_PARAMETER_WIDTH
from ssvq_rtl.writeback import Writeback
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send

Parameters = tuple[int, int, int]
"""Bias, mantissa, exponent of a channel."""
Write = tuple[int, int, bytes]
"""Address, slot in the word, bytes of one pass."""


@dataclass(frozen=True)
class Job:
    """A command, the parameters of its columns, and the sums of each column's activations."""

    command: dict[str, int]
    parameters: list[list[Parameters]]
    sums: list[list[list[int]]]

    def writes(self, config: CoreConfig) -> list[Write]:
        c, lanes = self.command, config.requantize_lanes
        per_word = config.word_bytes // config.cols  # tile columns that fill a word
        writes = []
        for n, (parameters, activations) in enumerate(zip(self.parameters, self.sums, strict=True)):
            for t, sums in enumerate(activations):
                address = c["destination"] + t * c["output_stride"] + n // per_word
                outputs = [
                    requantize(total, *channel, c["zero_point"], c["clamp_min"], c["clamp_max"]) & 0xFF
                    for total, channel in zip(sums, parameters, strict=True)
                ]
                for run in range(config.requantize_groups):
                    slot = n % per_word * config.requantize_groups + run
                    writes.append((address, slot, bytes(outputs[run * lanes : (run + 1) * lanes])))
        return writes


def random_job(config: CoreConfig, rng: Any, *, tokens: int, n_tiles: int, **changes: int) -> Job:
    words = -(-n_tiles * config.cols // config.word_bytes)
    command = {
        "tokens": tokens,
        "n_tiles": n_tiles,
        "output_stride": words + rng.randrange(3),
        "zero_point": rng.choice((-128, 127, 0, rng.randint(-128, 127))),
        "clamp_min": rng.randint(-128, -90),
        "clamp_max": rng.randint(90, 127),
    } | changes
    used = (tokens - 1) * command["output_stride"] + words
    command = {"destination": rng.choice((0, config.activation_depth - used))} | command
    channels = range(config.cols)
    parameters = [
        [(rng.randint(-(1 << 20), 1 << 20), rng.randint(0, MANTISSA_MAX), rng.randint(8, 15)) for _ in channels]
        for _ in range(n_tiles)
    ]
    sums = [[[rng.randint(-(1 << 20), 1 << 20) for _ in channels] for _ in range(tokens)] for _ in range(n_tiles)]
    return Job(command, parameters, sums)


def column_words(config: CoreConfig) -> int:
    """Stream words of a column's parameters."""
    return config.cols * CHANNEL_PARAMETER_WIDTH // config.stream_width


def parameter_words(config: CoreConfig, columns: list[list[Parameters]]) -> list[dict[str, int]]:
    """The columns' parameters as payloads of the writeback's port."""
    words = []
    for column in columns:
        image = 0
        for bias, mantissa, exponent in reversed(column):
            channel = bias & ((1 << BIAS_WIDTH) - 1) | mantissa << BIAS_WIDTH
            channel |= exponent << (BIAS_WIDTH + MANTISSA_WIDTH)
            image = image << CHANNEL_PARAMETER_WIDTH | channel
        for i in range(column_words(config)):
            words.append({"data": image >> (config.stream_width * i) & ((1 << config.stream_width) - 1)})
    return words


class WritebackBench:
    """Feeder, accumulators and activation memory around a writeback.

    A column is claimed, then opened one cycle before its first sums; sums follow each other in `requantize_groups`
    cycles or more. With `idle` there is time between all of these.
    """

    def __init__(self, config: CoreConfig, rng: Any, *, idle: float = 0.0, stream_idle: float = 0.0) -> None:
        self.dut = Writeback(config=config)
        self.writes: list[Write] = []
        self.write_times: list[int] = []
        self.pass_times: list[int] = []
        self.errors: list[int] = []
        """Addresses, a value for each cycle with an error."""
        self._config, self._rng, self._idle, self._stream_idle = config, rng, idle, stream_idle

    def run(self, jobs: list[Job], cycles: int) -> None:
        dut = self.dut
        columns = [column for job in jobs for column in job.parameters]
        words = parameter_words(self._config, columns)

        async def commands(ctx: Any) -> None:
            for job in jobs:
                await self._job(ctx, job)
                if self.errors:
                    break
            await ctx.tick().repeat(TRAILING_CYCLES)

        async def parameters(ctx: Any) -> None:
            await send(ctx, dut.parameters, words, rng=self._rng, idle=self._stream_idle)

        run_benches(dut, commands, cycles=cycles, background=(parameters, self.watch))

    async def watch(self, ctx: Any) -> None:
        """Record every write and error: a background bench."""
        dut, config = self.dut, self._config
        lanes = config.requantize_lanes
        signals = (dut.valid, dut.write_en, dut.write_addr, dut.write_data, dut.write_mask, dut.error, dut.error_addr)
        cycle = 0
        while True:
            _, _, valid, write, address, word, mask, error, error_addr = await ctx.tick().sample(*signals)
            if valid:
                self.pass_times += range(cycle, cycle + config.requantize_groups)
            if write:
                assert mask.bit_count() == 1
                slot = mask.bit_length() - 1
                raw = word >> (8 * lanes * slot) & ((1 << (8 * lanes)) - 1)
                self.writes.append((address, slot, raw.to_bytes(lanes, "little")))
                self.write_times.append(cycle)
            if error:
                self.errors.append(error_addr)
            cycle += 1

    async def _pause(self, ctx: Any) -> None:
        while self._rng.random() < self._idle:
            await ctx.tick()

    async def _job(self, ctx: Any, job: Job) -> None:
        dut = self.dut
        assert not ctx.get(dut.busy)
        assert ctx.get(dut.commands.ready)
        ctx.set(dut.commands.payload, job.command)
        ctx.set(dut.commands.valid, 1)
        await ctx.tick()
        ctx.set(dut.commands.valid, 0)
        for column in job.sums:
            await self._pause(ctx)
            while not ctx.get(dut.parameters_ready):
                assert ctx.get(dut.busy)
                await ctx.tick()
            await self._pulse(ctx, dut.claim)
            assert not ctx.get(dut.parameters_ready), "claimed parameters are not offered again"
            await self._pause(ctx)
            await self._pulse(ctx, dut.opens)
            for sums in column:
                await self._sums(ctx, sums)
                await self._pause(ctx)
        while ctx.get(dut.busy):
            await ctx.tick()

    async def _pulse(self, ctx: Any, signal: Any) -> None:
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)

    async def _sums(self, ctx: Any, sums: list[int]) -> None:
        """Sums with `valid` in their first cycle."""
        dut, passes = self.dut, self._config.requantize_groups
        packed = sum((v & ((1 << ACCUMULATOR_WIDTH) - 1)) << (ACCUMULATOR_WIDTH * i) for i, v in enumerate(sums))
        ctx.set(dut.sums, packed)
        ctx.set(dut.valid, 1)
        await ctx.tick()
        ctx.set(dut.valid, 0)
        if passes > 1:
            await ctx.tick().repeat(passes - 1)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize(("idle", "stream_idle"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.8), (0.4, 0.4)])
def test_writes_requantized_sums(config: CoreConfig, idle: float, stream_idle: float) -> None:
    rng = seeded(90)
    depth = config.accumulator_depth
    shapes = [(1, 1), (depth, 2), (2, 5), (1, 4), (3, 3), (1, 1), (2, 1)]
    jobs = [random_job(config, rng, tokens=tokens, n_tiles=n_tiles) for tokens, n_tiles in shapes]
    bench = WritebackBench(config, rng, idle=idle, stream_idle=stream_idle)
    expected = [write for job in jobs for write in job.writes(config)]
    bench.run(jobs, cycles=int(4 * (len(expected) + 2000) / (1 - idle) / (1 - stream_idle)))
    assert bench.writes == expected
    assert bench.write_times == [time + Writeback.LATENCY for time in bench.pass_times]
    assert bench.errors == []


@pytest.mark.parametrize("config", [SQUARE, TALL, WIDE], ids=name_of)
def test_a_column_opens_with_the_last_pass_of_the_one_before(config: CoreConfig) -> None:
    """Sums without a gap from column to column: parameters change with the first pass."""
    rng = seeded(91)
    tokens, n_tiles, passes = 4, 3, config.requantize_groups
    job = random_job(config, rng, tokens=tokens, n_tiles=n_tiles)
    bench = WritebackBench(config, rng)
    dut = bench.dut
    collect = column_words(config) + 4
    words = parameter_words(config, job.parameters)

    async def drive(ctx: Any) -> None:
        ctx.set(dut.commands.payload, job.command)
        ctx.set(dut.commands.valid, 1)
        await ctx.tick()
        ctx.set(dut.commands.valid, 0)
        flat = [sums for column in job.sums for sums in column]
        # Slow enough for the parameters of the next column to be collected and claimed in time.
        space = max(passes, collect // tokens + 2)
        start = collect + 2
        for cycle in range(start + space * len(flat) + passes + Writeback.LATENCY + TRAILING_CYCLES):
            number, phase = divmod(cycle - start, space)
            now = 0 <= number < len(flat) and phase == 0
            following = number + 1 if phase == space - 1 else -1
            ctx.set(dut.valid, now)
            ctx.set(dut.opens, 0 <= following < len(flat) and following % tokens == 0)
            ctx.set(dut.claim, (0 <= following < len(flat) and following % tokens == tokens - 1) or cycle == start - 2)
            if now:
                packed = [(v & 0xFFFFFFFF) << (ACCUMULATOR_WIDTH * i) for i, v in enumerate(flat[number])]
                ctx.set(dut.sums, sum(packed))
            await ctx.tick()
        assert not ctx.get(dut.busy)

    source = [lambda ctx: send(ctx, dut.parameters, words, rng=rng)]
    run_benches(dut, drive, cycles=2000, background=(*source, bench.watch))
    assert bench.writes == job.writes(config)


@pytest.mark.parametrize("config", [SQUARE, TALL, WIDE], ids=name_of)
@pytest.mark.parametrize("stride", [1, 65535])
@pytest.mark.parametrize("good", [0, 1, 3])
def test_addresses_outside_the_memory(config: CoreConfig, good: int, stride: int) -> None:
    """What is inside is written, the first address outside is reported, nothing is written any more."""
    rng = seeded(92)
    depth = config.activation_depth
    good = min(good, 1) if stride > 1 else good
    job = random_job(
        config, rng, tokens=4, n_tiles=1, output_stride=stride, destination=depth - good if stride == 1 else depth - 1
    )
    bench = WritebackBench(config, rng)
    inside = [write for write in job.writes(config) if write[0] < depth]
    bench.run([job], cycles=2000)
    assert bench.writes == inside
    bad = depth if stride == 1 else depth - 1 + stride
    assert set(bench.errors) == {bad}
    assert len(bench.errors) >= TRAILING_CYCLES, "stays until reset"


def test_the_stream_waits_when_no_column_is_claimed() -> None:
    """Parameters of a column at hand and a column in the buffer, then no more."""
    rng = seeded(93)
    config = SQUARE
    job = random_job(config, rng, tokens=1, n_tiles=10)
    words = parameter_words(config, job.parameters)
    per_column = column_words(config)
    dut = Writeback(config=config)
    taken = 0

    async def watch(ctx: Any) -> None:
        nonlocal taken
        for _ in range(len(words) + TRAILING_CYCLES):
            _, _, valid, ready = await ctx.tick().sample(dut.parameters.valid, dut.parameters.ready)
            taken += valid & ready
        assert ctx.get(dut.parameters_ready)

    run_benches(dut, watch, cycles=1000, background=[lambda ctx: send(ctx, dut.parameters, words, rng=rng)])
    assert 2 * per_column <= taken < len(words)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Writeback(config=PRESETS)  # type: ignore[arg-type]

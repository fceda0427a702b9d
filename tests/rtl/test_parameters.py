# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from small_configs import CONFIGS, QUARTER, SQUARE, TALL, name_of

from ssvq_gen.arithmetic import BIAS_WIDTH, EXPONENT_WIDTH, MANTISSA_MAX, MANTISSA_WIDTH
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.stream_format import StreamFormat
from ssvq_rtl.parameters import ParameterCollector
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send

Channel = tuple[int, int, int]
"""Bias, mantissa, exponent."""
Column = tuple[list[Channel], list[dict[str, int]]]
"""What has to come out, and the items that say so."""

NARROW, SHARED = "narrow_bias", "shared_multiplier"
RECORDS = ((0, 0), (0, 1), (1, 0), (1, 1))


def mask(width: int) -> int:
    return (1 << width) - 1


def column_of(config: CoreConfig, rng: Any, *, narrow: int, shared: int, edges: bool = False) -> Column:
    """A column of random channels, packed by hand: record after record, nothing between."""
    f = StreamFormat(
        config=config, weight_format=WeightFormat.INT8, narrow_bias=bool(narrow), shared_multiplier=bool(shared)
    )
    bias_width = 16 if narrow else BIAS_WIDTH
    shift = rng.randrange(16)
    low, high = -(1 << (bias_width - 1)), (1 << (bias_width - 1)) - 1
    multiplier = rng.randint(0, MANTISSA_MAX), rng.randrange(16)
    channels, bits, place = [], 0, 0
    for _ in range(config.cols):
        bias = rng.choice((low, high, -1, 0, 1)) if edges else rng.randint(low, high)
        mantissa, exponent = multiplier if shared else (rng.randint(0, MANTISSA_MAX), rng.randrange(16))
        channels.append((bias << shift if narrow else bias, mantissa, exponent))
        bits |= (bias & mask(bias_width)) << place
        place += bias_width
        if not shared:
            bits |= (mantissa | exponent << MANTISSA_WIDTH) << place
            place += MANTISSA_WIDTH + EXPONENT_WIDTH
    assert place == f.parameter_words * config.stream_width
    # What a record does not need is anything at all.
    fields = {
        NARROW: narrow,
        SHARED: shared,
        "bias_shift": shift if narrow else rng.randrange(16),
        "mantissa": multiplier[0] if shared else rng.randint(0, MANTISSA_MAX),
        "exponent": multiplier[1] if shared else rng.randrange(16),
        "fill": 0,
    }
    words = [bits >> (config.stream_width * i) & mask(config.stream_width) for i in range(f.parameter_words)]
    return channels, [{"data": word, **fields} for word in words]


def filled(config: CoreConfig, rng: Any) -> Column:
    """A column without records."""
    mantissa, exponent = rng.randint(0, MANTISSA_MAX), rng.randrange(16)
    item = {
        "data": rng.getrandbits(config.stream_width),
        NARROW: rng.randrange(2),
        SHARED: rng.randrange(2),
        "bias_shift": rng.randrange(16),
        "mantissa": mantissa,
        "exponent": exponent,
        "fill": 1,
    }
    return [(0, mantissa, exponent)] * config.cols, [item]


def columns_of(config: CoreConfig, rng: Any, count: int) -> list[Column]:
    """Every kind of column next to every other."""
    kinds = [*RECORDS] + ([None] if config.attention else [])
    columns = []
    for i in range(count):
        kind = kinds[i % len(kinds)] if i < len(kinds) else rng.choice(kinds)
        if kind is None:
            columns.append(filled(config, rng))
        else:
            columns.append(column_of(config, rng, narrow=kind[0], shared=kind[1], edges=i % 2 == 1))
    return columns


class CollectorBench:
    """Sends columns, claims and opens them with random pauses, and reads what is current."""

    def __init__(self, config: CoreConfig, rng: Any, *, idle: float = 0.0, pause: float = 0.0) -> None:
        self.dut = ParameterCollector(config=config)
        self.found: list[list[Channel]] = []
        self.opened: list[int] = []
        self.taken: list[int] = []
        """Cycles in which an item was taken; `opened` those in which a column was."""
        self.ready_at: list[int] = []
        self.cycle = 0
        self._config, self._rng, self._idle, self._pause = config, rng, idle, pause

    def current(self, ctx: Any) -> list[Channel]:
        values = ctx.get(self.dut.current)
        return [(int(v.bias), int(v.mantissa), int(v.exponent)) for v in (values[n] for n in range(self._config.cols))]

    async def watch(self, ctx: Any) -> None:
        dut = self.dut
        waits = True
        async for _, _, valid, ready, complete, opens in ctx.tick().sample(
            dut.i.valid, dut.i.ready, dut.parameters_ready, dut.opens
        ):
            if valid and ready:
                self.taken.append(self.cycle)
            if complete and waits:
                self.ready_at.append(self.cycle)
            if opens:
                self.opened.append(self.cycle)
            waits = not complete
            self.cycle += 1

    async def _wait(self, ctx: Any) -> None:
        while self._rng.random() < self._pause:
            await ctx.tick()

    async def _pulse(self, ctx: Any, signal: Any) -> None:
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)

    def run(self, columns: list[Column], cycles: int) -> None:
        dut, rng = self.dut, self._rng

        async def use(ctx: Any) -> None:
            for channels, _ in columns:
                while not ctx.get(dut.parameters_ready):
                    await ctx.tick()
                await self._wait(ctx)
                await self._pulse(ctx, dut.claim)
                assert not ctx.get(dut.parameters_ready), "claimed parameters are not offered again"
                await self._wait(ctx)
                await self._pulse(ctx, dut.opens)
                self.found.append(self.current(ctx))
                await self._wait(ctx)
                assert self.current(ctx) == channels, "they stay until the next column opens"
            for _ in range(TRAILING_CYCLES):
                await ctx.tick()
                assert not ctx.get(dut.parameters_ready)
            assert self.current(ctx) == columns[-1][0]

        async def source(ctx: Any) -> None:
            await send(ctx, dut.i, [item for _, items in columns for item in items], rng=rng, idle=self._idle)

        run_benches(dut, use, cycles=cycles, background=(source, self.watch))


@pytest.mark.parametrize("config", [*CONFIGS, SQUARE.replace(name="no_products", attention=False)], ids=name_of)
@pytest.mark.parametrize(("idle", "pause"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.9), (0.3, 0.6)])
def test_expands_all_records(config: CoreConfig, idle: float, pause: float) -> None:
    rng = seeded(120)
    columns = columns_of(config, rng, 25)
    bench = CollectorBench(config, rng, idle=idle, pause=pause)
    items = sum(len(items) for _, items in columns)
    bench.run(columns, cycles=int(4 * items / (1 - idle) + 200 * len(columns) / (1 - pause)))
    assert bench.found == [channels for channels, _ in columns]
    assert len(bench.taken) == items


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize("kind", [*RECORDS, None])
def test_latency_and_one_item_per_cycle(config: CoreConfig, kind: tuple[int, int] | None) -> None:
    rng = seeded(121)
    column = filled(config, rng) if kind is None else column_of(config, rng, narrow=kind[0], shared=kind[1])
    bench = CollectorBench(config, rng)
    bench.run([column], cycles=1000)
    count = len(column[1])
    assert bench.taken == list(range(bench.taken[0], bench.taken[0] + count))
    assert bench.ready_at == [bench.taken[-1] + ParameterCollector.LATENCY]


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_the_next_column_comes_in_while_one_opens(config: CoreConfig) -> None:
    """With its items in the buffer, a column is ready as many cycles after the one before opens as it has items."""
    rng = seeded(122)
    columns = [column_of(config, rng, narrow=0, shared=0), column_of(config, rng, narrow=1, shared=1)]
    columns.append(filled(config, rng))
    bench = CollectorBench(config, rng)
    dut = bench.dut

    async def use(ctx: Any) -> None:
        for channels, _ in columns:
            await ctx.tick().repeat(5 * len(columns[0][1]))
            await bench._pulse(ctx, dut.claim)
            await bench._pulse(ctx, dut.opens)
            assert bench.current(ctx) == channels

    async def source(ctx: Any) -> None:
        await send(ctx, dut.i, [item for _, items in columns for item in items], rng=rng)

    run_benches(dut, use, cycles=2000, background=(source, bench.watch))
    gaps = [ready - opened for opened, ready in zip(bench.opened, bench.ready_at[1:], strict=False)]
    assert gaps == [len(items) for _, items in columns[1:]]


@pytest.mark.parametrize("config", [SQUARE, TALL, QUARTER], ids=name_of)
@pytest.mark.parametrize("kind", RECORDS)
def test_buffers_a_column_beyond_the_next(config: CoreConfig, kind: tuple[int, int]) -> None:
    """Whatever its records; the stream waits for no end of a column."""
    rng = seeded(123)
    columns = [column_of(config, rng, narrow=kind[0], shared=kind[1]) for _ in range(8)]
    bench = CollectorBench(config, rng)
    items = [item for _, items in columns for item in items]

    async def wait(ctx: Any) -> None:
        await ctx.tick().repeat(len(items) + TRAILING_CYCLES)
        assert ctx.get(bench.dut.parameters_ready)

    background = [lambda ctx: send(ctx, bench.dut.i, items, rng=rng), bench.watch]
    run_benches(bench.dut, wait, cycles=2000, background=background)
    per_column = len(columns[0][1])
    assert 2 * per_column <= len(bench.taken) < len(items)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        ParameterCollector(config=PRESETS)  # type: ignore[arg-type]

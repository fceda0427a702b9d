# amaranth: UnusedElaboratable=no
import itertools
from typing import Any

import numpy as np
import pytest
from layers import random_input, random_layer
from matmul_bench import MatmulBench, commands_of, layer_command, start, stream_words
from small_configs import FULL, QUARTER, SQUARE, TALL, WIDE, name_of

from ssvq.integer_layer import IntegerLayer
from ssvq.reference import matmul_reference
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_rtl.matmul import MatmulEngine
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send


def run(config, jobs, **options):
    bench = MatmulBench(config, **options)
    outputs = bench.run(jobs)
    for (layer, x), output in zip(jobs, outputs, strict=True):
        expected = matmul_reference(
            x,
            layer.weight,
            layer.bias,
            layer.mantissa,
            layer.exponent,
            zero_point=layer.output_scale.zero_point,
            clamp_min=layer.clamp_min,
            clamp_max=layer.clamp_max,
        ).output
        np.testing.assert_array_equal(output, expected)
    return bench


@pytest.mark.parametrize("idle", [0.0, 0.3])
@pytest.mark.parametrize(
    ("weight_format", "codebook_size", "vector_dim"),
    [
        (WeightFormat.INT8, 256, 1),
        (WeightFormat.SSVQ, 16, 8),
        (WeightFormat.SSVQ, 2, 2),
        (WeightFormat.SSVQ, 64, 4),
        (WeightFormat.VQ, 256, 8),
        (WeightFormat.VQ, 4, 2),
    ],
)
def test_matmul(weight_format: WeightFormat, codebook_size: int, vector_dim: int, idle: float) -> None:
    rng = np.random.default_rng(1)
    sizes = [(24, 16, 5), (9, 13, 1), (8, 40, 2)]
    jobs = []
    for out_channels, in_channels, tokens in sizes:
        layer = random_layer(
            rng,
            weight_format=weight_format,
            out_channels=out_channels,
            in_channels=in_channels,
            codebook_size=codebook_size,
            vector_dim=vector_dim,
        )
        jobs.append((layer, random_input(rng, tokens, layer)))
    run(PRESETS["tiny"], jobs, idle=idle)


def random_config(rng: Any) -> CoreConfig:
    """Any relation of rows, columns, lanes and bus, small enough to simulate."""
    rows, cols = rng.choice([(4, 8), (8, 8), (4, 16), (16, 8), (8, 16), (32, 8), (4, 32), (8, 32)])
    base = CoreConfig(
        name="random",
        rows=rows,
        cols=cols,
        axi_data_width=rng.choice((32, 64, 128, 256)),
        activation_bytes=128 * max(rows, cols),
        accumulator_depth=rng.choice((4, 8)),
        max_codebook_size=rng.choice((4, 16, 64)),
    )
    return base.replace(
        decode_lanes=rng.choice(base.lane_choices),
        requantize_lanes=rng.choice([1 << i for i in range(cols.bit_length())]),
    )


def random_job(rng: Any, config: CoreConfig, extreme: str) -> tuple[IntegerLayer, Any]:
    """A layer of a few tiles and its input, both random or at their limits."""
    weight_format = rng.choice(list(WeightFormat))
    dim = rng.choice([d for d in (2, 4, 8, 16, 32) if d <= config.max_vector_dim])
    sizes = [
        k for k in (2, 4, 16, 64) if k <= config.max_codebook_size and k * max(1, dim // 4) <= config.codebook_depth
    ]
    generator = np.random.default_rng(rng.getrandbits(32))
    layer = random_layer(
        generator,
        weight_format=weight_format,
        out_channels=rng.choice((1, config.cols, rng.randint(1, 3 * config.cols))),
        in_channels=rng.choice((1, config.rows, 2 * config.rows, rng.randint(1, 4 * config.rows))),
        codebook_size=rng.choice(sizes),
        vector_dim=dim,
    )
    x = random_input(generator, rng.choice((1, 2, 3, config.accumulator_depth)), layer)
    if extreme in ("activations", "both"):
        x[:] = -128
    if extreme in ("weights", "both"):
        largest = 127 if weight_format is not WeightFormat.INT8 else -128
        if layer.codebook is not None:
            layer.codebook[:] = largest
        signs = 1 if layer.signs is None else np.where(layer.signs[:, : layer.in_channels], -1, 1)
        layer.weight[:] = largest * signs
    return layer, x


@pytest.mark.parametrize("seed", range(25))
def test_random_configurations_and_layers(seed: int) -> None:
    rng = seeded(1000 + seed)
    config = random_config(rng)
    extremes = ["none", "activations", "weights", "both"]
    jobs = [random_job(rng, config, extremes[(seed + n) % 4]) for n in range(3)]
    run(config, jobs, idle=rng.choice((0.0, 0.0, 0.2, 0.7)), seed=seed)


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL, QUARTER, FULL], ids=name_of)
def test_few_activations(config: CoreConfig) -> None:
    """Tiles shorter than the array is deep and than the accumulators' read, add and write."""
    rng = np.random.default_rng(5)
    shapes = [(2 * config.cols, 3 * config.rows), (3 * config.cols - 1, config.rows), (1, 1)]
    jobs = []
    for tokens, (out_channels, in_channels) in itertools.product((1, 2, 3, 4), shapes):
        layer = random_layer(
            rng,
            weight_format=WeightFormat.SSVQ,
            out_channels=out_channels,
            in_channels=in_channels,
            codebook_size=4,
            vector_dim=4,
        )
        jobs.append((layer, random_input(rng, tokens, layer)))
    run(config, jobs)


class FailingBench:
    """Runs one MATMUL that has to fail, and watches every access to the activation memory."""

    def __init__(self, config: CoreConfig) -> None:
        self.reads: list[int] = []
        self.writes: list[int] = []
        self.stream_error: list[int] = []
        """Tags, a value for each cycle with a stream error; `range_error` alike has addresses."""
        self.range_error: list[int] = []
        self._config = config

    def run(self, layer: IntegerLayer, words: list[dict[str, int]], commands: Any, *, cycles: int = 3000) -> None:
        config = self._config
        dut = MatmulEngine(config=config)
        rng = seeded(9)

        async def bench(ctx: Any) -> None:
            await start(ctx, dut, commands)
            while not (ctx.get(dut.stream_error) or ctx.get(dut.range_error)):
                await ctx.tick()
            for _ in range(TRAILING_CYCLES):
                if ctx.get(dut.stream_error):
                    self.stream_error.append(ctx.get(dut.stream_tag))
                if ctx.get(dut.range_error):
                    self.range_error.append(ctx.get(dut.range_addr))
                await ctx.tick()

        async def accesses(ctx: Any) -> None:
            signals = (dut.read_en, dut.read_addr, dut.write_en, dut.write_addr)
            async for _, _, read, read_addr, write, write_addr in ctx.tick().sample(*signals):
                if read:
                    self.reads.append(read_addr)
                if write:
                    self.writes.append(write_addr)

        async def weights(ctx: Any) -> None:
            await send(ctx, dut.weights, words, rng=rng)

        async def layers(ctx: Any) -> None:
            await send(ctx, dut.layers, [layer_command(layer, config)], rng=rng)

        run_benches(dut, bench, cycles=cycles, background=(accesses, weights, layers))


def layer_for_errors(config: CoreConfig, weight_format: WeightFormat) -> IntegerLayer:
    return random_layer(
        np.random.default_rng(3),
        weight_format=weight_format,
        out_channels=2 * config.cols,
        in_channels=2 * config.rows,
        codebook_size=4,
        vector_dim=4,
    )


@pytest.mark.parametrize("weight_format", list(WeightFormat), ids=name_of)
@pytest.mark.parametrize("config", [SQUARE, TALL], ids=name_of)
@pytest.mark.parametrize("units", [-1, 1])
def test_weight_streams_of_the_wrong_length(config: CoreConfig, weight_format: WeightFormat, units: int) -> None:
    """One alignment unit too short or too long; on the second configuration a unit is four words."""
    layer = layer_for_errors(config, weight_format)
    words = [word | {"last": 0} for word in stream_words(layer, config, 21)]
    unit = config.stream_alignment // config.stream_bytes
    words = words[:-unit] if units < 0 else words + [words[0]] * unit
    words[-1] = words[-1] | {"last": 1}
    bench = FailingBench(config)
    bench.run(layer, words, commands_of(layer, 2, config, destination=50))
    assert bench.stream_error == [21] * TRAILING_CYCLES
    assert bench.range_error == []


@pytest.mark.parametrize("weight_format", list(WeightFormat), ids=name_of)
def test_a_weight_stream_one_word_short(weight_format: WeightFormat) -> None:
    layer = layer_for_errors(SQUARE, weight_format)
    words = stream_words(layer, SQUARE, 22)[:-1]
    words[-1] = words[-1] | {"last": 1}
    bench = FailingBench(SQUARE)
    bench.run(layer, words, commands_of(layer, 2, SQUARE, destination=50))
    assert bench.stream_error == [22] * TRAILING_CYCLES


@pytest.mark.parametrize("config", [SQUARE, TALL], ids=name_of)
@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("beyond", [1, 1000])
def test_addresses_outside_the_activation_memory(config: CoreConfig, side: str, tokens: int, beyond: int) -> None:
    """The first address outside is reported; no access leaves the memory."""
    layer = layer_for_errors(config, WeightFormat.INT8)
    depth = config.activation_depth
    channels = layer.in_channels if side == "source" else layer.out_channels
    used = tokens * -(-channels // config.word_bytes)
    addresses = {"source": 0, "destination": 40} | {side: depth - used + beyond}
    bench = FailingBench(config)
    bench.run(layer, stream_words(layer, config, 1), commands_of(layer, tokens, config, **addresses))
    assert bench.stream_error == []
    assert len(set(bench.range_error)) == 1, "stays until reset"
    assert depth <= bench.range_error[0] < depth - used + beyond + used
    assert all(address < depth for address in bench.reads + bench.writes)


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL], ids=name_of)
def test_the_last_words_of_the_activation_memory(config: CoreConfig) -> None:
    """Input and output may end with the memory."""
    layer = layer_for_errors(config, WeightFormat.INT8)
    tokens, depth = 3, config.activation_depth
    words_in, words_out = (tokens * -(-n // config.word_bytes) for n in (layer.in_channels, layer.out_channels))
    dut = MatmulEngine(config=config)
    last = {"read": 0, "write": 0}

    async def bench(ctx: Any) -> None:
        commands = commands_of(layer, tokens, config, source=depth - words_in, destination=depth - words_out)
        await start(ctx, dut, commands)
        while ctx.get(dut.busy):
            await ctx.tick()
        await ctx.tick().repeat(TRAILING_CYCLES)
        assert not ctx.get(dut.range_error)
        assert not ctx.get(dut.stream_error)

    async def accesses(ctx: Any) -> None:
        signals = (dut.read_en, dut.read_addr, dut.write_en, dut.write_addr)
        async for _, _, read, read_addr, write, write_addr in ctx.tick().sample(*signals):
            last["read"] = max(last["read"], read and read_addr)
            last["write"] = max(last["write"], write and write_addr)

    rng = seeded(10)
    words = stream_words(layer, config, 1)
    sources = [
        lambda ctx: send(ctx, dut.weights, words, rng=rng),
        lambda ctx: send(ctx, dut.layers, [layer_command(layer, config)], rng=rng),
    ]
    run_benches(dut, bench, cycles=3000, background=(accesses, *sources))
    assert last == {"read": depth - 1, "write": depth - 1}

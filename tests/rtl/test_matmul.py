# amaranth: UnusedElaboratable=no
import itertools
from typing import Any

import numpy as np
import pytest
from matmul_bench import MatmulBench
from matrix_programs import ALL_TILES, MatrixProgram, Step, random_words, with_words
from placed_steps import matmul_between, product_of, side_by_side, small_matmul
from random_steps import RandomSteps
from small_configs import FULL, NO_CONVOLUTIONS, NO_PRODUCTS, ON_ECP5, PACKED, QUARTER, SQUARE, TALL, WIDE, name_of

from ssvq.integer_layer import IntegerLayer
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_rtl.matmul import MatmulEngine
from ssvq_sim.stream_bench import seeded
from ssvq_sim.systems.layers import random_layer


def run(program: MatrixProgram, **options: Any) -> MatmulBench:
    bench = MatmulBench(program.config, **options)
    np.testing.assert_array_equal(bench.run(program), program.expected())
    return bench


def place_jobs(config: CoreConfig, rng: Any, jobs: list[tuple[IntegerLayer, int]], matmuls_open: int) -> MatrixProgram:
    """MATMULs of so many tokens, each with tensors of its own."""
    shapes = [(tokens, count) for layer, tokens in jobs for count in (layer.in_channels, layer.out_channels)]
    *places, (end, _) = side_by_side(config, *shapes, (0, 0))
    config = with_words(config, max(end + end % 2, 16))
    program = MatrixProgram(config, random_words(config, rng))
    for (layer, tokens), source, target in zip(jobs, places[::2], places[1::2], strict=True):
        program.append(matmul_between(layer, config, tokens, source, target), matmuls_open=matmuls_open)
    return program


@pytest.mark.parametrize(("idle", "matmuls_open"), [(0.0, 0), (0.0, 1), (0.3, 1)])
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
def test_matmul(
    weight_format: WeightFormat, codebook_size: int, vector_dim: int, idle: float, matmuls_open: int
) -> None:
    rng = np.random.default_rng(1)
    jobs = []
    for out_channels, in_channels, tokens in [(24, 16, 5), (9, 13, 1), (8, 40, 2)]:
        layer = random_layer(
            rng,
            weight_format=weight_format,
            out_channels=out_channels,
            in_channels=in_channels,
            codebook_size=codebook_size,
            vector_dim=vector_dim,
        )
        jobs.append((layer, tokens))
    run(place_jobs(PRESETS["tiny"], seeded(1), jobs, matmuls_open), idle=idle)


def random_config(rng: Any) -> CoreConfig:
    """Any relation of rows, columns, lanes and bus, small enough to simulate."""
    rows, cols = rng.choice([(4, 8), (8, 8), (4, 16), (16, 8), (8, 16), (32, 8), (4, 32), (8, 32)])
    base = CoreConfig(
        name="random",
        rows=rows,
        cols=cols,
        axi_data_width=rng.choice((32, 64, 128, 256)),
        activation_bytes=256 * max(rows, cols),
        accumulator_depth=rng.choice((4, 8)),
        max_codebook_size=rng.choice((4, 16, 64)),
    )
    return base.replace(
        decode_lanes=rng.choice(base.lane_choices),
        requantize_lanes=rng.choice([1 << i for i in range(cols.bit_length())]),
    )


def extreme_job(rng: Any, config: CoreConfig) -> tuple[IntegerLayer, int]:
    """A layer of a few tiles with the largest weights of its format."""
    weight_format = rng.choice(list(WeightFormat))
    dim = rng.choice([d for d in (2, 4, 8, 16, 32) if d <= config.max_vector_dim])
    layer = random_layer(
        np.random.default_rng(rng.getrandbits(32)),
        weight_format=weight_format,
        out_channels=rng.choice((1, config.cols, rng.randint(1, 3 * config.cols))),
        in_channels=rng.choice((1, config.rows, 2 * config.rows, rng.randint(1, 4 * config.rows))),
        codebook_size=2,
        vector_dim=dim,
    )
    largest = 127 if weight_format is not WeightFormat.INT8 else -128
    if layer.codebook is not None:
        layer.codebook[:] = largest
    signs = 1 if layer.signs is None else np.where(layer.signs[:, : layer.in_channels], -1, 1)
    layer.weight[:] = largest * signs
    return layer, rng.choice((1, 2, 3, config.accumulator_depth))


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_sums(seed: int) -> None:
    rng = seeded(1000 + seed)
    config = random_config(rng)
    program = place_jobs(config, rng, [extreme_job(rng, config) for _ in range(3)], 1)
    program.words[:] = rng.choice((-128, 127))
    run(program, idle=rng.choice((0.0, 0.7)))


@pytest.mark.parametrize("seed", range(30))
def test_random_configurations_and_steps(seed: int) -> None:
    """Matrix steps on each other's outputs, two at a time, with as many early tiles as they may have."""
    rng = seeded(2000 + seed)
    config = random_config(rng)
    products, convolutions = rng.choice((0.0, 0.4, 0.8)), rng.choice((0.0, 0.3, 0.8))
    program = RandomSteps(config, rng, products=products, convolutions=convolutions).program(5)
    run(
        program,
        idle=rng.choice((0.0, 0.0, 0.2, 0.7)),
        denied=rng.choice((0.0, 0.0, 0.3, 0.7)),
        late=rng.choice((0.0, 0.0, 0.8)),
        seed=seed,
    )


@pytest.mark.parametrize("config", [NO_PRODUCTS, NO_CONVOLUTIONS], ids=name_of)
def test_a_core_without_some_steps(config: CoreConfig) -> None:
    run(RandomSteps(config, seeded(3000), products=0.5, convolutions=0.5).program(6), denied=0.3)


@pytest.mark.parametrize("config", ON_ECP5, ids=name_of)
@pytest.mark.parametrize(("idle", "denied", "late"), [(0.0, 0.0, 0.0), (0.3, 0.0, 0.8), (0.2, 0.5, 0.0)])
def test_multiplier_blocks_of_ecp5(config: CoreConfig, idle: float, denied: float, late: float) -> None:
    """Random layers, products and convolutions, and layers of the largest sums, with pauses of all neighbours."""
    rng = seeded(4000)
    run(RandomSteps(config, rng, products=0.3, convolutions=0.3).program(5), idle=idle, denied=denied, late=late)
    program = place_jobs(config, rng, [extreme_job(rng, config) for _ in range(2)], 1)
    program.words[:] = rng.choice((-128, 127))
    run(program, idle=idle, denied=denied, late=late)


@pytest.mark.parametrize("config", [SQUARE, *ON_ECP5[::2], PACKED[0]], ids=name_of)
@pytest.mark.parametrize("idle", [0.0, 0.3])
def test_sums_on_their_way_when_the_array_freezes(config: CoreConfig, idle: float) -> None:
    """int8 weights come block by block, so that a tile begins and has to wait while the sums before it leave."""
    config = config.replace(accumulator_depth=32)
    rng = np.random.default_rng(7)
    jobs = []
    for tokens in (2, 4, 5, 6, 7, 8, 9, 10, 12, 16, 24):
        layer = random_layer(
            rng,
            weight_format=WeightFormat.INT8,
            out_channels=2 * config.cols,
            in_channels=2 * config.rows,
            codebook_size=256,
            vector_dim=1,
        )
        jobs.append((layer, tokens))
    run(place_jobs(config, seeded(7), jobs, 1), idle=idle)


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL, QUARTER, FULL], ids=name_of)
@pytest.mark.parametrize(("idle", "denied"), [(0.0, 0.0), (0.5, 0.7)])
def test_few_activations(config: CoreConfig, idle: float, denied: float) -> None:
    """Tiles shorter than the array is deep and than the accumulators' read, add and write, whatever comes between."""
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
        jobs.append((layer, tokens))
    run(place_jobs(config, seeded(5), jobs, 1), idle=idle, denied=denied)


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL, QUARTER, FULL], ids=name_of)
@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("denied", [0.0, 0.5])
def test_products(config: CoreConfig, transposed: int, denied: float) -> None:
    """One tile and many, whole and ragged, one product and a batch."""
    rows, cols, depth = config.rows, config.cols, config.accumulator_depth
    shapes = [(1, 1, 1, 1), (depth, rows, cols, 2), (3, 2 * rows + 1, cols - 1, 1), (2, rows - 1, 2 * cols + 1, 3)]
    config = with_words(config, 512)
    program = MatrixProgram(config, random_words(config, seeded(6)))
    for tokens, k, n, batch in shapes:
        step = product_of(config, transposed=transposed, tokens=tokens, k=k, n=n, batch=batch)
        program.append(step, matmuls_open=1)
    run(program, denied=denied)


def fast_layer(config: CoreConfig, *, out_channels: int, in_channels: int) -> IntegerLayer:
    """Few bits a weight, so that the array need not wait for them."""
    return random_layer(
        np.random.default_rng(3),
        weight_format=WeightFormat.VQ,
        out_channels=out_channels,
        in_channels=in_channels,
        codebook_size=2,
        vector_dim=4,
    )


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL, QUARTER, FULL], ids=name_of)
@pytest.mark.parametrize("transposed", [0, 1])
def test_weights_are_decoded_ahead_of_a_product(config: CoreConfig, transposed: int) -> None:
    """MATMUL, PRODUCT, MATMUL on each other's outputs: the last one's stream is taken apart while the PRODUCT runs."""
    config = with_words(config, 512)
    tokens, n = 4, 2 * config.cols
    layer = fast_layer(config, out_channels=n, in_channels=config.rows)
    *places, (word, _) = side_by_side(config, (tokens, config.rows), (tokens, n), (tokens, n), (0, 0))
    before = matmul_between(layer, config, tokens, places[0], places[1])
    product = product_of(config, transposed=transposed, tokens=tokens, k=n, n=config.rows, word=word)
    product.fields["source"] = before.fields["destination"]
    output = product.fields["destination"], product.fields["output_stride"]
    program = MatrixProgram(config, random_words(config, seeded(7)))
    for step in (before, product, matmul_between(layer, config, tokens, output, places[2])):
        program.append(step, matmuls_open=1)
    events = run(program).events
    assert events["unpacks_begin"][2] < events["feeds_begin"][1]


@pytest.mark.parametrize("early", [0, 1, 2, ALL_TILES])
@pytest.mark.parametrize("config", [SQUARE, TALL], ids=name_of)
def test_early_tiles(config: CoreConfig, early: int) -> None:
    """Of a step that needs nothing of the last one's outputs, as many tiles are fed early as it says."""
    tokens = 4
    layer = fast_layer(config, out_channels=2 * config.cols, in_channels=4 * config.rows)
    program = place_jobs(config, seeded(8), [(layer, tokens)] * 2, 1)
    program.steps[1].fields["early_tiles"] = early
    bench = run(program)
    fed_before, complete = bench.events["feeds_end"][0], bench.events["ends"][0]
    issues = [cycle for cycle in bench.issues if cycle > fed_before]
    if early == ALL_TILES:
        assert issues[0] - fed_before == config.requantize_groups, "final sums are all that is waited for"
    else:
        assert sum(cycle <= complete for cycle in issues) == early * tokens


def test_a_step_waits_for_all_before_it() -> None:
    """Without early tiles nothing is fed before the last output is written, and then at once."""
    layer = fast_layer(SQUARE, out_channels=16, in_channels=16)
    program = place_jobs(SQUARE, seeded(9), [(layer, 4)] * 3, 1)
    for step in program.steps:
        step.fields["early_tiles"] = 0
    events = run(program).events
    assert [after - before for after, before in zip(events["feeds_begin"][1:], events["ends"], strict=False)] == [1, 1]


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL], ids=name_of)
@pytest.mark.parametrize("transposed", [0, 1])
def test_the_last_words_of_the_activation_memory(config: CoreConfig, transposed: int) -> None:
    """Input, operand and output may end with the memory."""
    tokens, depth = 3, config.activation_depth
    program = MatrixProgram(config, random_words(config, seeded(10)))
    for side in ("source", "operand", "destination"):
        step = product_of(config, transposed=transposed, tokens=tokens, k=config.rows, n=config.cols)
        rows = {"source": tokens, "operand": config.cols if transposed else config.rows, "destination": tokens}[side]
        step.fields[side] = depth - rows
        program.append(step)
    for side in ("source", "destination"):
        step = small_matmul(config, WeightFormat.INT8, tokens)
        stride = step.fields["input_stride" if side == "source" else "output_stride"]
        program.append(Step(step.fields | {side: depth - tokens * stride}, step.layer))
    run(program)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        MatmulEngine(config=PRESETS)  # type: ignore[arg-type]

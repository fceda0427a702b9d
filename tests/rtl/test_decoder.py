# amaranth: UnusedElaboratable=no
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from layer_shapes import layer_shape, product_shape
from matmul_bench import stream_words
from small_configs import (
    BROAD,
    CONFIGS,
    FORMATS,
    FULL,
    INT8,
    INT8_ONLY,
    LARGE_CODEBOOK,
    SQUARE,
    SSVQ,
    SSVQ_ONLY,
    TALL,
    VQ,
    VQ_ONLY,
    WIDE,
    name_of,
)

from ssvq.integer_layer import IntegerLayer
from ssvq.weight_stream import pack_stream, stream_format_of, tile_counts, unpack_stream
from ssvq_gen.config import LANE_WEIGHTS, PRESETS, CoreConfig, WeightFormat
from ssvq_rtl.decoder import Decoder
from ssvq_rtl.unpacker import Unpacker
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send
from ssvq_sim.systems.layers import random_layer


def layer_of(
    rng: Any, codes: tuple[WeightFormat, int, int], *, out_channels: int, in_channels: int, extreme: bool = False
) -> IntegerLayer:
    weight_format, codebook_size, vector_dim = codes
    generator = np.random.default_rng(rng.getrandbits(32))
    layer = random_layer(
        generator,
        weight_format=weight_format,
        out_channels=out_channels,
        in_channels=in_channels,
        codebook_size=codebook_size,
        vector_dim=vector_dim,
    )
    if extreme and layer.codebook is not None:
        layer.codebook[:] = generator.choice([0, 127] if weight_format is SSVQ else [-128, 127], layer.codebook.shape)
    return layer


def tiles_of(layer: IntegerLayer, config: CoreConfig) -> list[np.ndarray]:
    """int8 (rows, cols) of each tile in stream order, padding as the stream has it."""
    f = stream_format_of(layer, config)
    k_tiles, n_tiles = tile_counts(layer, config)
    weight = unpack_stream(pack_stream(layer, f), f, k_tiles=k_tiles, n_tiles=n_tiles).weight
    tiled = weight.reshape(n_tiles, config.cols, k_tiles, config.rows).transpose(0, 2, 3, 1)
    return list(tiled.reshape(-1, config.rows, config.cols))


class Shadow:
    """Stands for scoreboard and array: collects rows, frees a row block some cycles after it is complete.

    Row blocks are freed in order, as the swap does. Every weight of a block is written exactly once before that, and
    none while the block is complete and not yet free.
    """

    def __init__(
        self,
        config: CoreConfig,
        decoder: Decoder,
        rng: Any,
        *,
        longest_hold: int,
        blocked: "Callable[[Shadow], bool]",
    ) -> None:
        self.tiles: list[np.ndarray] = []
        self.codebook_at: list[int] = []
        self.groups_at: list[int] = []
        self.written_at: list[int] = []
        self.completed_at: list[int] = []
        self.cycle = 0
        self._config, self._decoder, self._rng, self._longest_hold = config, decoder, rng, longest_hold
        self._weights = np.zeros((config.rows, config.cols), np.int8)
        self._writes = np.zeros((config.rows, config.cols), int)
        self._blocked = blocked
        self._held: deque[tuple[int, int]] = deque()
        self._tile: list[np.ndarray] = []

    async def run(self, ctx: Any) -> None:
        dut, config = self._decoder, self._config
        free = (1 << config.row_blocks) - 1
        while True:
            valid, step = ctx.get(dut.o.valid), ctx.get(dut.o.payload)
            ready = free >> int(step.row_block) & (not self._blocked(self))
            ctx.set(dut.o.ready, ready)
            _, _, grouped, writes = await ctx.tick().sample(dut.groups.valid & dut.groups.ready, dut.codebook_en)
            if grouped:
                self.groups_at.append(self.cycle)
            if writes:
                self.codebook_at.append(self.cycle)
            if valid and ready:
                self._write(step)
                if step.completes_rows:
                    free &= ~(1 << int(step.row_block))
            if self._held and self._held[0][0] <= self.cycle:
                free |= 1 << self._held.popleft()[1]
            self.cycle += 1

    def _write(self, step: Any) -> None:
        config, block = self._config, int(step.row_block)
        self.written_at.append(self.cycle)
        first = config.decode_lanes * int(step.column_group)
        columns = slice(first, first + config.decode_lanes)
        for r in range(LANE_WEIGHTS):
            if int(step.row_mask) >> r & 1:
                row = LANE_WEIGHTS * block + r
                raw = step.weights[r].as_bits()
                self._weights[row, columns] = np.frombuffer(raw.to_bytes(config.decode_lanes, "little"), np.int8)
                self._writes[row, columns] += 1
        if step.completes_rows:
            self._complete(block)

    def _complete(self, block: int) -> None:
        rows = slice(LANE_WEIGHTS * block, LANE_WEIGHTS * (block + 1))
        assert (self._writes[rows] == 1).all()
        self._writes[rows] = 0
        assert block == len(self._tile)
        self._tile.append(self._weights[rows].copy())
        if len(self._tile) == self._config.row_blocks:
            self.tiles.append(np.concatenate(self._tile))
            self._tile = []
        self.completed_at.append(self.cycle)
        latest = self._held[-1][0] if self._held else 0
        self._held.append((max(latest, self.cycle + self._rng.randint(0, self._longest_hold)), block))


def decode(
    config: CoreConfig,
    work: Sequence[IntegerLayer | None],
    rng: Any,
    *,
    idle: float = 0.0,
    stall: float = 0.0,
    hold: int = 0,
    blocked: Callable[[Shadow], bool] = lambda shadow: False,
) -> Shadow:
    """Run the layers' streams through unpacker and decoder and compare every tile; None in `work` is a PRODUCT."""
    m = Module()
    m.submodules.unpacker = unpacker = Unpacker(config=config)
    m.submodules.decoder = decoder = Decoder(config=config)
    connect(m, unpacker.groups, decoder.groups)
    connect(m, unpacker.signs, decoder.signs)
    m.d.comb += [
        decoder.codebook_en.eq(unpacker.codebook_en),
        decoder.codebook_addr.eq(unpacker.codebook_addr),
        decoder.codebook_data.eq(unpacker.codebook_data),
    ]
    shadow = Shadow(config, decoder, rng, longest_hold=hold, blocked=blocked)
    layers = [layer for layer in work if layer is not None]
    words = [word for tag, layer in enumerate(layers) for word in stream_words(layer, config, tag)]
    expected = [tile for layer in layers for tile in tiles_of(layer, config)]
    steps = 2 * len(expected) * (config.steps_per_tile + hold * config.row_blocks)
    pieces = config.stream_width // 32

    async def commands(ctx: Any) -> None:
        product = product_shape(n_tiles=2, batch_last=1, mantissa=5, exponent=6)
        shapes = [product if layer is None else layer_shape(layer, config) for layer in work]
        await send(ctx, unpacker.commands, shapes, rng=rng, idle=idle)

    async def parameters(ctx: Any) -> None:
        while True:
            ctx.set(unpacker.parameters.ready, rng.random() >= stall)
            await ctx.tick()

    async def operands(ctx: Any) -> None:
        """Stands for the operand loader: takes its turn, for a while, in the place of each PRODUCT."""
        tiles = 0
        for layer in work:
            if layer is not None:
                tiles += len(tiles_of(layer, config))
                continue
            while not ctx.get(decoder.product_turn):
                await ctx.tick()
            for _ in range(1 + rng.randrange(30)):
                await ctx.tick()
                assert ctx.get(decoder.product_turn)
                assert not ctx.get(decoder.o.valid), "no step is left, and none comes"
                assert len(shadow.tiles) == tiles
            ctx.set(decoder.product_done, 1)
            await ctx.tick()
            ctx.set(decoder.product_done, 0)

    async def end(ctx: Any) -> None:
        await operands(ctx)
        while len(shadow.tiles) < len(expected):
            await ctx.tick()
        for _ in range(TRAILING_CYCLES + config.stream_alignment):
            await ctx.tick()
            assert not ctx.get(decoder.o.valid)
            assert not ctx.get(decoder.product_turn)
        assert not ctx.get(unpacker.busy)
        assert not ctx.get(unpacker.error)

    async def source(ctx: Any) -> None:
        await send(ctx, unpacker.i, words, rng=rng, idle=idle)

    run_benches(
        m,
        end,
        cycles=int(3 * pieces * (len(words) + steps) / (1 - idle) / (1 - stall)) + 1000 + 100 * len(work),
        background=(commands, parameters, source, shadow.run),
    )
    assert len(shadow.tiles) == len(expected)
    for number, (found, wanted) in enumerate(zip(shadow.tiles, expected, strict=True)):
        np.testing.assert_array_equal(found, wanted, err_msg=f"tile {number}")
    return shadow


def sizes_of(config: CoreConfig, number: int) -> dict[str, int]:
    """One tile, ragged tiles, several columns in turn."""
    rows, cols = config.rows, config.cols
    sizes = [(cols, rows), (2 * cols - 3, 2 * rows - 1), (cols + 1, rows), (1, 3 * rows)]
    out_channels, in_channels = sizes[number % len(sizes)]
    return {"out_channels": out_channels, "in_channels": in_channels}


@pytest.mark.parametrize("config", [*CONFIGS, BROAD, INT8_ONLY, SSVQ_ONLY, VQ_ONLY], ids=name_of)
@pytest.mark.parametrize(("idle", "stall", "hold"), [(0.0, 0.0, 0), (0.4, 0.3, 6)])
def test_decodes_the_integer_weights(config: CoreConfig, idle: float, stall: float, hold: int) -> None:
    """Layers of all formats behind each other, each with its own codebook, and products between them."""
    rng = seeded(40)
    layers = [
        layer_of(rng, codes, extreme=number % 2 == 1, **sizes_of(config, number))
        for number, codes in enumerate(FORMATS[config.name])
    ]
    decode(config, [*layers, None, *layers[:2], None, None, layers[-1], None], rng, idle=idle, stall=stall, hold=hold)


@pytest.mark.parametrize("config", [SQUARE, FULL, BROAD], ids=name_of)
@pytest.mark.parametrize("weight_format", [SSVQ, VQ], ids=name_of)
def test_consecutive_codebooks_lose_no_cycle(config: CoreConfig, weight_format: WeightFormat) -> None:
    """The second codebook is written while steps of the first still wait, and the steps follow each other."""
    rng = seeded(45)
    codes = (weight_format, 8, 4)
    layers = [layer_of(rng, codes, out_channels=config.cols, in_channels=4 * config.rows) for _ in range(2)]
    steps = 4 * config.steps_per_tile
    writes = 8 // config.codebook_write_words
    before: list[int] = []

    def blocked(shadow: Shadow) -> bool:
        """From the last step but one of the first layer, until the unpacker can do no more."""
        if len(shadow.written_at) != steps - 2:
            return False
        before.append(len(shadow.codebook_at))
        return len(before) < 200

    shadow = decode(config, layers, rng, blocked=blocked)
    assert before[-1] == 2 * writes, "both codebooks are written while two steps of the first layer wait"
    first_group = slice(steps - 2, steps + 4)
    assert np.diff(shadow.written_at[first_group]).tolist() == [1] * 5


@pytest.mark.parametrize("waits", [0, 5])
def test_a_turn_comes_when_the_pipeline_is_empty(waits: int) -> None:
    """Right behind a marker that was there with the last step: after the step is out, and taken."""
    dut = Decoder(config=SQUARE)
    rng = seeded(48)
    turns: list[int] = []
    outputs: list[int] = []
    dense = {"steps": 1, "weight_format": INT8, "index_width": 8}

    async def watch(ctx: Any) -> None:
        for cycle in range(TRAILING_CYCLES):
            ctx.set(dut.o.ready, cycle >= 3 + waits)
            _, _, valid, turn = await ctx.tick().sample(dut.o.valid, dut.product_turn)
            outputs.extend([cycle] * valid)
            turns.extend([cycle] * turn)

    run_benches(
        dut, watch, cycles=200, background=[lambda ctx: send(ctx, dut.groups, [dense, {"is_product": 1}], rng=rng)]
    )
    first = 1 + Decoder.LATENCY
    assert outputs == list(range(first, first + waits + 1))
    assert turns == list(range(outputs[-1] + 1, TRAILING_CYCLES))


def test_a_product_right_behind_a_product_has_its_turn_at_once() -> None:
    """`product_turn` need not fall between two; the layer behind them is decoded as ever."""
    rng = seeded(46)
    layer = layer_of(rng, (SSVQ, 16, 8), out_channels=8, in_channels=16)
    decode(SQUARE, [None, None, None, layer], rng)


def test_a_core_without_products_has_no_turn() -> None:
    rng = seeded(47)
    config = SQUARE.replace(attention=False)
    decode(config, [layer_of(rng, (SSVQ, 16, 8), out_channels=8, in_channels=16)], rng)


@pytest.mark.parametrize("codes", [c for c in FORMATS[LARGE_CODEBOOK.name] if c[0] is not INT8])
def test_largest_codebooks(codes: tuple[WeightFormat, int, int]) -> None:
    rng = seeded(41)
    layer = layer_of(rng, codes, out_channels=16, in_channels=64)
    decode(LARGE_CODEBOOK, [layer], rng)


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL], ids=name_of)
@pytest.mark.parametrize("codes", [(INT8, 256, 1), (VQ, 4, 4), (VQ, 2, 2)])
def test_latency(config: CoreConfig, codes: tuple[WeightFormat, int, int]) -> None:
    """The first step is issued the cycle after its group was taken, and is out `LATENCY` cycles later."""
    rng = seeded(42)
    layer = layer_of(rng, codes, out_channels=config.cols, in_channels=3 * config.rows)
    shadow = decode(config, [layer], rng)
    assert shadow.written_at[0] == shadow.groups_at[0] + 1 + Decoder.LATENCY


def test_one_step_per_cycle() -> None:
    """32 steps share five words of planes here, so that the decoder is what takes the time."""
    config = TALL.replace(axi_data_width=32, decode_lanes=8)
    layer = layer_of(seeded(43), (VQ, 32, 32), out_channels=8, in_channels=4 * 32)
    shadow = decode(config, [layer], seeded(43), hold=0)
    busy = shadow.completed_at[-1] - shadow.completed_at[0] + 1
    # A row block comes back only after it is complete; there are eight of them.
    assert busy == len(shadow.completed_at)


WIDEST = CoreConfig(
    name="widest",
    rows=8,
    cols=128,
    axi_data_width=512,
    activation_bytes=128 * 16,
    accumulator_depth=4,
    max_codebook_size=16,
    attention=False,
    formats=(INT8, SSVQ),
)
"""A stream word is a beat of the widest bus."""


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        *((FULL, codes) for codes in ((INT8, 256, 1), (SSVQ, 4, 2), (SSVQ, 256, 2), (SSVQ, 2, 4), (SSVQ, 2, 16))),
        *((FULL, codes) for codes in ((SSVQ, 16, 8), (SSVQ, 256, 8))),
        *((WIDEST, codes) for codes in ((INT8, 256, 1), (SSVQ, 4, 2), (SSVQ, 16, 8))),
    ],
    ids=name_of,
)
def test_a_stream_word_in_every_cycle(config: CoreConfig, codes: tuple[WeightFormat, int, int]) -> None:
    """The lanes keep up with a bus as wide as a stream word, for all that SSVQ and int8 have at a bit and more."""
    tiles = 8
    layer = layer_of(seeded(49), codes, out_channels=config.cols, in_channels=tiles * config.rows)
    shadow = decode(config, [layer], seeded(49))
    f = stream_format_of(layer, config)
    words = f.column_words(tiles) - f.parameter_words
    # The first group came with its last plane, and the last step comes out `LATENCY` cycles after its issue. Steps of
    # two cycles end so much later.
    rest = f.steps_per_group if f.vector_dim == 2 else 0
    assert shadow.written_at[-1] - shadow.groups_at[0] <= words - f.index_width + 1 + rest + Decoder.LATENCY


def test_a_step_of_short_vectors_takes_two_cycles() -> None:
    layer = layer_of(seeded(44), (VQ, 2, 2), out_channels=8, in_channels=32)
    shadow = decode(TALL, [layer], seeded(44))
    assert np.diff(shadow.completed_at).tolist() == [2] * (len(shadow.completed_at) - 1)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Decoder(config=PRESETS)  # type: ignore[arg-type]

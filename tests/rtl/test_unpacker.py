# amaranth: UnusedElaboratable=no
from typing import Any

import numpy as np
import pytest
from layer_shapes import RECORDS, layer_shape, product_shape
from matmul_bench import stream_words
from small_configs import (
    BROAD,
    CONFIGS,
    FORMATS,
    INT8,
    INT8_ONLY,
    QUARTER,
    SQUARE,
    SSVQ,
    SSVQ_ONLY,
    TALL,
    VQ,
    VQ_ONLY,
    name_of,
)

from ssvq.weight_stream import tile_counts
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.stream_format import StreamFormat
from ssvq_rtl.unpacker import Unpacker
from ssvq_sim.stream_bench import TRAILING_CYCLES, Receiver, run_benches, seeded, send
from ssvq_sim.systems.layers import random_layer

Layer = tuple[dict[str, int], list[dict[str, int]]]
"""A command and the words of its stream."""


def layer_of(
    rng: Any,
    config: CoreConfig,
    codes: tuple[WeightFormat, int, int],
    *,
    k_tiles: int,
    n_tiles: int,
    tag: int,
    records: tuple[int | None, bool] = (None, False),
) -> Layer:
    weight_format, codebook_size, vector_dim = codes
    bias_shift, shared_multiplier = records
    layer = random_layer(
        np.random.default_rng(rng.getrandbits(32)),
        weight_format=weight_format,
        out_channels=n_tiles * config.cols,
        in_channels=k_tiles * config.rows,
        codebook_size=codebook_size,
        vector_dim=vector_dim,
        bias_shift=bias_shift,
        shared_multiplier=shared_multiplier,
    )
    assert tile_counts(layer, config) == (k_tiles, n_tiles)
    return layer_shape(layer, config, tag), stream_words(layer, config, tag)


def product_of(rng: Any, *, n_tiles: int, batch_last: int, tag: int) -> Layer:
    mantissa, exponent = rng.getrandbits(12), rng.getrandbits(4)
    return product_shape(n_tiles=n_tiles, batch_last=batch_last, mantissa=mantissa, exponent=exponent, index=tag), []


class Parts:
    """What has to come out, by the prose of `StreamFormat`."""

    def __init__(self, config: CoreConfig) -> None:
        self.codebook: list[tuple[int, int]] = []
        self.parameters: list[tuple[int, ...]] = []
        self.groups: list[tuple[Any, ...]] = []
        self.signs: list[int] = []
        self.indices: list[int] = []
        self._config = config
        self._page = 1

    def add(self, layer: Layer) -> None:
        command, words = layer
        self.indices.append(command["index"])
        if command.get("is_product"):
            columns = command["n_tiles"] * (command["batch_last"] + 1)
            self.parameters += [(1, command["mantissa"], command["exponent"])] * columns
            self.groups.append(("product",))
            return
        config = self._config
        weight_format = command["weight_format"]
        dense = weight_format is WeightFormat.INT8
        f = StreamFormat(
            config=config,
            weight_format=WeightFormat(weight_format),
            codebook_size=256 if dense else 1 << command["index_width"],
            vector_dim=1 << command["vector_dim_log2"],
            narrow_bias=bool(command["narrow_bias"]),
            shared_multiplier=bool(command["shared_multiplier"]),
        )
        names = ("narrow_bias", "shared_multiplier", "bias_shift", "mantissa", "exponent")
        kind = tuple(int(command[name]) for name in names)
        rest = iter([word["data"] for word in words])
        codebook = b"".join(next(rest).to_bytes(config.stream_bytes, "little") for _ in range(f.codebook_stream_words))
        if not dense:
            self._page = 1 - self._page
        size = 4 * config.codebook_write_words
        for place in range(4 * f.codebook_words // size):
            address = self._page * (4 * config.codebook_depth // size) + place
            self.codebook.append((address, int.from_bytes(codebook[size * place :][:size], "little")))
        for _ in range(command["n_tiles"]):
            self.parameters += [(0, next(rest), *kind) for _ in range(f.parameter_words)]
            steps = command["k_tiles"] * config.steps_per_tile
            while steps:
                count = min(steps, f.steps_per_group)
                steps -= count
                planes = [next(rest) for _ in range(f.index_width)][::-1]
                planes += [0] * (config.plane_count - len(planes))
                codes = command["index_width"], command["vector_dim_log2"]
                page = None if dense else self._page
                self.groups.append((tuple(planes), count, int(weight_format), page, *codes))
                if weight_format is WeightFormat.SSVQ:
                    self.signs += [next(rest) for _ in range(count)]
        assert not any(rest), "only padding is left"


class UnpackerBench:
    """Streams of several layers, taken apart."""

    def __init__(self, config: CoreConfig, rng: Any, *, idle: float = 0.0, stall: float = 0.0) -> None:
        self.dut = dut = Unpacker(config=config)
        self._config, self._rng, self._idle = config, rng, idle
        self.groups = Receiver(dut.groups, rng=rng, stall=stall, convert=self._group_of)
        self.signs = Receiver(dut.signs, rng=rng, stall=stall)
        self.parameters = Receiver(dut.parameters, rng=rng, stall=stall, convert=self._parameters_of)
        self.codebook: list[tuple[int, int]] = []
        self.codebook_times: list[int] = []
        self.taken: list[int] = []
        self.begun: list[int] = []
        self.ended: list[int] = []
        """Indices of the layers."""
        self.errors: list[int] = []
        """Cycles with `error`."""
        self.tags: set[int] = set()
        self.busy = False

    def _parameters_of(self, payload: Any) -> tuple[int, ...]:
        if payload.fill:
            return 1, int(payload.mantissa), int(payload.exponent)
        names = ("data", "narrow_bias", "shared_multiplier", "bias_shift", "mantissa", "exponent")
        return 0, *(int(payload[name]) for name in names)

    def _group_of(self, payload: Any) -> tuple[Any, ...]:
        if payload.is_product:
            return ("product",)
        planes = tuple(int(payload.planes[p]) for p in range(self._config.plane_count))
        codes = int(payload.index_width), int(payload.vector_dim_log2)
        page = None if payload.weight_format == INT8 else int(payload.codebook_page)
        return planes, int(payload.steps), int(payload.weight_format), page, *codes

    async def watch(self, ctx: Any) -> None:
        dut, cycle = self.dut, 0
        signals = (dut.codebook_en, dut.codebook_addr, dut.codebook_data, dut.begins, dut.ends, dut.index)
        ports = (dut.i.valid, dut.i.ready, dut.error, dut.error_tag, dut.busy)
        while True:
            _, _, write, address, word, begins, ends, index, valid, ready, error, tag, busy = await ctx.tick().sample(
                *signals, *ports
            )
            if write:
                self.codebook.append((address, word))
                self.codebook_times.append(cycle)
            if begins:
                self.begun.append(index)
            if ends:
                self.ended.append(index)
            if valid and ready:
                self.taken.append(cycle)
            if error:
                self.errors.append(cycle)
                self.tags.add(tag)
            self.busy = bool(busy)
            cycle += 1

    def run(self, layers: list[Layer], cycles: int) -> None:
        dut, rng = self.dut, self._rng
        words = [word for _, words in layers for word in words]

        async def commands(ctx: Any) -> None:
            await send(ctx, dut.commands, [command for command, _ in layers], rng=rng, idle=self._idle)

        async def source(ctx: Any) -> None:
            await send(ctx, dut.i, words, rng=rng, idle=self._idle)

        async def end(ctx: Any) -> None:
            while (len(self.taken) < len(words) or len(self.ended) < len(layers)) and not self.errors:
                await ctx.tick()
            await ctx.tick().repeat(2 * TRAILING_CYCLES)

        receivers = (self.groups.run, self.signs.run, self.parameters.run)
        run_benches(dut, end, cycles=cycles, background=(commands, source, self.watch, *receivers))


@pytest.mark.parametrize("config", [*CONFIGS, BROAD, INT8_ONLY, SSVQ_ONLY, VQ_ONLY], ids=name_of)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.6), (0.3, 0.3)])
def test_takes_streams_apart(config: CoreConfig, idle: float, stall: float) -> None:
    rng = seeded(30)
    sizes = [(1, 1), (3, 2), (2, 1), (1, 3)]
    layers, parts = [], Parts(config)
    for number, codes in enumerate(FORMATS[config.name]):
        k_tiles, n_tiles = sizes[number % len(sizes)]
        records = RECORDS[number % len(RECORDS)]
        tag = 10 * number
        layers.append(layer_of(rng, config, codes, k_tiles=k_tiles, n_tiles=n_tiles, tag=tag, records=records))
        if number != 1:
            layers.append(product_of(rng, n_tiles=1 + number % 3, batch_last=number % 2, tag=tag + 1))
    layers.append(product_of(rng, n_tiles=2, batch_last=0, tag=1000))
    for layer in layers:
        parts.add(layer)
    bench = UnpackerBench(config, rng, idle=idle, stall=stall)
    total = sum(len(words) for _, words in layers) + len(parts.codebook) + len(parts.parameters)
    bench.run(layers, cycles=int(4 * total / (1 - idle) / (1 - stall)) + 1000)
    assert bench.codebook == parts.codebook
    assert bench.parameters.items == parts.parameters
    assert bench.groups.items == parts.groups
    assert bench.signs.items == parts.signs
    assert bench.begun == bench.ended == parts.indices
    assert bench.errors == []
    assert not bench.busy


@pytest.mark.parametrize("records", RECORDS)
def test_channel_parameters_of_all_widths(records: tuple[int | None, bool]) -> None:
    rng = seeded(36)
    for config in (TALL, QUARTER):
        layer = layer_of(rng, config, (INT8, 256, 1), k_tiles=1, n_tiles=2, tag=3, records=records)
        parts = Parts(config)
        parts.add(layer)
        bench = UnpackerBench(config, rng)
        bench.run([layer], cycles=2000)
        assert bench.parameters.items == parts.parameters
        assert bench.groups.items == parts.groups
        assert bench.errors == []


@pytest.mark.parametrize("codes", [(INT8, 256, 1), (SSVQ, 64, 8), (VQ, 4, 2)])
def test_one_word_per_cycle_and_no_latency(codes: tuple[WeightFormat, int, int]) -> None:
    rng = seeded(31)
    layer = layer_of(rng, SQUARE, codes, k_tiles=4, n_tiles=2, tag=0)
    bench = UnpackerBench(SQUARE, rng)
    bench.run([layer], cycles=2000)
    words = len(layer[1])
    first = bench.taken[0]
    # A stream word of this configuration is one word of codebook.
    assert bench.taken == list(range(first, first + words))
    dense_or_vq = codes[0] is not SSVQ
    last = bench.groups.times[-1] if dense_or_vq else bench.signs.times[-1]
    assert last == first + words - 1, "a word leaves in the cycle in which it comes"


@pytest.mark.parametrize("lanes", [8, 16, 32])
@pytest.mark.parametrize("size", [2, 16])
def test_the_codebook_takes_two_words_a_cycle(lanes: int, size: int) -> None:
    """A stream word of 32 or 64 bits takes a cycle, one of 128 bits two, unless the codebook ends in its first half."""
    config = PRESETS["base"].replace(max_codebook_size=16, decode_lanes=lanes)
    layer = layer_of(seeded(32), config, (VQ, size, 4), k_tiles=1, n_tiles=1, tag=0)
    parts = Parts(config)
    parts.add(layer)
    bench = UnpackerBench(config, seeded(32))
    bench.run([layer], cycles=4000)
    assert bench.codebook == parts.codebook
    cycles = -(-32 * size // min(config.stream_width, 64))
    assert np.diff(bench.codebook_times).tolist() == [1] * (cycles - 1)
    words = -(-32 * size // config.stream_width)
    assert bench.taken[words - 1] - bench.codebook_times[0] == cycles - 1
    assert bench.taken[words] == bench.taken[words - 1] + 1


@pytest.mark.parametrize("first", [INT8, SSVQ, VQ])
@pytest.mark.parametrize("second", [INT8, SSVQ, VQ])
def test_no_cycle_between_layers(first: WeightFormat, second: WeightFormat) -> None:
    """Without padding, the words of consecutive layers follow each other; codebooks wait for nobody."""
    rng = seeded(33)
    codes = {INT8: (INT8, 256, 1), SSVQ: (SSVQ, 64, 8), VQ: (VQ, 4, 2)}
    layers = [layer_of(rng, SQUARE, codes[kind], k_tiles=2, n_tiles=1, tag=0) for kind in (first, second, first)]
    bench = UnpackerBench(SQUARE, rng)
    bench.run(layers, cycles=3000)
    assert set(np.diff(bench.taken).tolist()) == {1}


def test_a_product_has_its_columns_filled_one_a_cycle() -> None:
    rng = seeded(37)
    bench = UnpackerBench(SQUARE, rng)
    layer = product_of(rng, n_tiles=5, batch_last=2, tag=8)
    bench.run([layer], cycles=200)
    (marker,) = bench.groups.times
    assert bench.groups.items == [("product",)]
    assert bench.parameters.times == list(range(marker + 1, marker + 1 + 15))
    assert bench.begun == bench.ended == [8]


@pytest.mark.parametrize("config", [SQUARE, TALL, QUARTER], ids=name_of)
@pytest.mark.parametrize("weight_format", [INT8, SSVQ, VQ])
def test_early_end(config: CoreConfig, weight_format: WeightFormat) -> None:
    rng = seeded(34)
    codes = next(c for c in FORMATS[config.name] if c[0] is weight_format)
    command, words = layer_of(rng, config, codes, k_tiles=1, n_tiles=1, tag=77)
    parts = Parts(config)
    parts.add((command, words))
    needed = len(words)
    while needed and not words[needed - 1]["data"]:
        needed -= 1  # at least the words that are not padding
    ends = rng.sample(range(needed - 1), min(needed - 1, 8))
    for end in ends:
        short = [word | {"last": i == end} for i, word in enumerate(words[: end + 1])]
        bench = UnpackerBench(config, rng)
        bench.run([(command, short)], cycles=2000)
        assert bench.errors, end
        assert bench.errors[0] == bench.taken[-1] + 1
        assert np.diff(bench.errors).tolist() == [1] * (len(bench.errors) - 1), "stays until reset"
        assert bench.tags == {77}


@pytest.mark.parametrize("config", [SQUARE, TALL, QUARTER, SSVQ_ONLY], ids=name_of)
@pytest.mark.parametrize("units", [1, 2])
def test_late_end(config: CoreConfig, units: int) -> None:
    """Whole alignment units too many; the following layer is not begun."""
    rng = seeded(35)
    extra = units * config.stream_alignment // config.stream_bytes
    for codes in FORMATS[config.name][:3]:
        command, words = layer_of(rng, config, codes, k_tiles=1, n_tiles=2, tag=5)
        follower = layer_of(rng, config, codes, k_tiles=1, n_tiles=1, tag=6)
        long = [word | {"last": 0} for word in words] + [words[-1] | {"data": 0, "last": 0}] * extra
        long[-1] = long[-1] | {"last": 1}
        bench = UnpackerBench(config, rng)
        parts = Parts(config)
        parts.add((command, words))
        bench.run([(command, long), follower], cycles=4000)
        assert bench.errors
        assert bench.tags == {5}
        assert bench.parameters.items == parts.parameters
        assert bench.groups.items == parts.groups
        assert bench.signs.items == parts.signs


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Unpacker(config=PRESETS)  # type: ignore[arg-type]

# amaranth: UnusedElaboratable=no
from typing import Any

import numpy as np
import pytest
from layers import random_layer
from matmul_bench import stream_words
from small_configs import (
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

from ssvq.weight_stream import stream_format_of, tile_counts
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import StreamFormat
from ssvq_rtl.unpacker import Unpacker
from ssvq_sim.stream_bench import TRAILING_CYCLES, Receiver, run_benches, seeded, send

Layer = tuple[dict[str, int], list[dict[str, int]]]
"""A command and the words of its stream."""


def layer_of(
    rng: Any, config: CoreConfig, codes: tuple[WeightFormat, int, int], *, k_tiles: int, n_tiles: int, tag: int
) -> Layer:
    weight_format, codebook_size, vector_dim = codes
    layer = random_layer(
        np.random.default_rng(rng.getrandbits(32)),
        weight_format=weight_format,
        out_channels=n_tiles * config.cols,
        in_channels=k_tiles * config.rows,
        codebook_size=codebook_size,
        vector_dim=vector_dim,
    )
    f = stream_format_of(layer, config)
    assert tile_counts(layer, config) == (k_tiles, n_tiles)
    command = {
        "weight_format": weight_format,
        "index_width": f.index_width,
        "vector_dim_log2": f.vector_dim_log2,
        "k_tiles": k_tiles,
        "n_tiles": n_tiles,
    }
    return command, stream_words(layer, config, tag)


class Parts:
    """What has to come out, by the prose of `StreamFormat`."""

    def __init__(self, config: CoreConfig) -> None:
        self.codebook: list[tuple[int, int]] = []
        self.parameters: list[int] = []
        self.groups: list[tuple[Any, ...]] = []
        self.signs: list[int] = []
        self._config = config

    def add(self, layer: Layer) -> None:
        command, words = layer
        config = self._config
        weight_format = command["weight_format"]
        dense = weight_format is WeightFormat.INT8
        f = StreamFormat(
            config=config,
            weight_format=WeightFormat(weight_format),
            codebook_size=256 if dense else 1 << command["index_width"],
            vector_dim=1 << command["vector_dim_log2"],
        )
        rest = iter([word["data"] for word in words])
        codebook = b"".join(next(rest).to_bytes(config.stream_bytes, "little") for _ in range(f.codebook_stream_words))
        for address in range(f.codebook_words):
            self.codebook.append((address, int.from_bytes(codebook[4 * address : 4 * address + 4], "little")))
        for _ in range(command["n_tiles"]):
            self.parameters += [next(rest) for _ in range(f.parameter_words)]
            steps = command["k_tiles"] * config.steps_per_tile
            while steps:
                count = min(steps, f.steps_per_group)
                steps -= count
                planes = [next(rest) for _ in range(f.index_width)][::-1]
                planes += [0] * (config.plane_count - len(planes))
                codes = command["index_width"], command["vector_dim_log2"]
                self.groups.append((tuple(planes), count, int(weight_format), *codes))
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
        self.parameters = Receiver(dut.parameters, rng=rng, stall=stall)
        self.codebook: list[tuple[int, int]] = []
        self.taken: list[int] = []
        self.errors: list[int] = []
        """Cycles with `error`."""
        self.tags: set[int] = set()
        self.busy = False

    def _group_of(self, payload: Any) -> tuple[Any, ...]:
        planes = tuple(int(payload.planes[p]) for p in range(self._config.plane_count))
        codes = int(payload.index_width), int(payload.vector_dim_log2)
        return planes, int(payload.steps), int(payload.weight_format), *codes

    async def watch(self, ctx: Any) -> None:
        dut, cycle = self.dut, 0
        signals = (dut.codebook_en, dut.codebook_addr, dut.codebook_data, dut.decoding)
        ports = (dut.i.valid, dut.i.ready, dut.error, dut.error_tag, dut.busy)
        while True:
            ctx.set(dut.decoding, cycle < 20)  # the pipeline still works for an earlier layer
            _, _, write, address, word, decoding, valid, ready, error, tag, busy = await ctx.tick().sample(
                *signals, *ports
            )
            if write:
                assert not decoding
                self.codebook.append((address, word))
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
            while len(self.taken) < len(words) and not self.errors:
                await ctx.tick()
            await ctx.tick().repeat(2 * TRAILING_CYCLES)

        receivers = (self.groups.run, self.signs.run, self.parameters.run)
        run_benches(dut, end, cycles=cycles, background=(commands, source, self.watch, *receivers))


@pytest.mark.parametrize("config", [*CONFIGS, INT8_ONLY, SSVQ_ONLY, VQ_ONLY], ids=name_of)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.6), (0.3, 0.3)])
def test_takes_streams_apart(config: CoreConfig, idle: float, stall: float) -> None:
    rng = seeded(30)
    sizes = [(1, 1), (3, 2), (2, 1), (1, 3)]
    layers, parts = [], Parts(config)
    for tag, codes in enumerate(FORMATS[config.name]):
        k_tiles, n_tiles = sizes[tag % len(sizes)]
        layers.append(layer_of(rng, config, codes, k_tiles=k_tiles, n_tiles=n_tiles, tag=tag))
        parts.add(layers[-1])
    bench = UnpackerBench(config, rng, idle=idle, stall=stall)
    total = sum(len(words) for _, words in layers) + len(parts.codebook)
    bench.run(layers, cycles=int(4 * total / (1 - idle) / (1 - stall)) + 1000)
    assert bench.codebook == parts.codebook
    assert bench.parameters.items == parts.parameters
    assert bench.groups.items == parts.groups
    assert bench.signs.items == parts.signs
    assert bench.errors == []
    assert not bench.busy


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


def test_the_codebook_takes_a_cycle_for_four_weights() -> None:
    """Four words of codebook for each stream word of 128 bits."""
    config = PRESETS["base"].replace(max_codebook_size=16, decode_lanes=32)
    layer = layer_of(seeded(32), config, (VQ, 16, 4), k_tiles=1, n_tiles=1, tag=0)
    bench = UnpackerBench(config, seeded(32))
    bench.run([layer], cycles=2000)
    words = config.stream_width // 32
    stream_words_of_codebook = 16 // words
    assert np.diff(bench.taken[:stream_words_of_codebook]).tolist() == [words] * (stream_words_of_codebook - 1)
    assert [address for address, _ in bench.codebook] == list(range(16))


def test_dense_weights_do_not_wait_for_the_decoder() -> None:
    """Only a codebook has to wait until nobody reads the one before."""
    rng = seeded(33)
    first_taken = []
    for codes in ((INT8, 256, 1), (VQ, 4, 2)):
        bench = UnpackerBench(SQUARE, rng)
        bench.run([layer_of(rng, SQUARE, codes, k_tiles=1, n_tiles=1, tag=0)], cycles=500)
        first_taken.append(bench.taken[0])
    assert first_taken[0] < 5
    assert first_taken[1] > 20


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

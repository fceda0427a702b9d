"""A MATMUL on the engine alone: the weight stream from a list of words, the activation memory as a NumPy array."""

import random
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Module

from ssvq.integer_layer import IntegerLayer
from ssvq.weight_stream import pack_stream, stream_format_of, tile_counts
from ssvq_gen.config import CoreConfig
from ssvq_rtl.matmul import MatmulEngine
from ssvq_sim.stream_bench import run_benches, send


def stream_words(layer: IntegerLayer, config: CoreConfig, tag: int) -> list[dict[str, int]]:
    """The layer's stream as payloads of the engine's weight port."""
    image = pack_stream(layer, stream_format_of(layer, config))
    width = config.stream_bytes
    words = [int.from_bytes(image[i : i + width], "little") for i in range(0, len(image), width)]
    return [{"data": word, "last": i == len(words) - 1, "tag": tag} for i, word in enumerate(words)]


def memory_words(x: npt.NDArray[np.int8], config: CoreConfig) -> list[int]:
    """(T, K) as words of the activation memory; padding is garbage on purpose."""
    words = -(-x.shape[1] // config.word_bytes)
    padded = np.full((x.shape[0], words * config.word_bytes), 0x55, dtype=np.int8)
    padded[:, : x.shape[1]] = x
    flat = padded.reshape(-1, config.word_bytes).view(np.uint8)
    return [int.from_bytes(row.tobytes(), "little") for row in flat]


class MatmulBench:
    """Runs layers one after the other on one engine; `cycles` holds the duration of each."""

    def __init__(self, config: CoreConfig, *, idle: float = 0.0, seed: int = 0) -> None:
        self._config = config
        self._idle = idle
        self._rng = random.Random(seed)
        self.cycles: list[int] = []

    def run(self, jobs: list[tuple[IntegerLayer, npt.NDArray[np.int8]]]) -> list[npt.NDArray[np.int8]]:
        """int8 (T, N) of each job."""
        config = self._config
        words_in = [memory_words(x, config) for _, x in jobs]
        words_out = [len(x) * -(-layer.out_channels // config.word_bytes) for layer, x in jobs]
        m = Module()
        m.submodules.dut = dut = MatmulEngine(config=config)
        memory: dict[int, int] = {}
        outputs: list[npt.NDArray[np.int8]] = []

        async def weights(ctx: Any) -> None:
            words = [word for tag, (layer, _) in enumerate(jobs) for word in stream_words(layer, config, tag)]
            await send(ctx, dut.weights, words, rng=self._rng, idle=self._idle)

        async def layers(ctx: Any) -> None:
            await send(ctx, dut.layers, [layer_command(layer, config) for layer, _ in jobs], rng=self._rng)

        async def reads(ctx: Any) -> None:
            async for _, _, enable, address in ctx.tick().sample(dut.read_en, dut.read_addr):
                if enable:
                    ctx.set(dut.read_data, memory.get(address, 0))

        async def writes(ctx: Any) -> None:
            lane = 8 * config.requantize_lanes
            signals = (dut.write_en, dut.write_addr, dut.write_data, dut.write_mask)
            async for _, _, enable, address, data, mask in ctx.tick().sample(*signals):
                if enable:
                    bits = sum(((1 << lane) - 1) << (lane * i) for i in range(mask.bit_length()) if mask >> i & 1)
                    memory[address] = (memory.get(address, 0) & ~bits) | (data & bits)

        async def commands(ctx: Any) -> None:
            for (layer, x), words, out_count in zip(jobs, words_in, words_out, strict=True):
                memory.update(enumerate(words))
                base = len(words)
                await start(ctx, dut, commands_of(layer, len(x), config, destination=base))
                cycles = 0
                while ctx.get(dut.busy):
                    await ctx.tick()
                    cycles += 1
                await ctx.tick()
                if ctx.get(dut.stream_error) or ctx.get(dut.range_error):
                    raise AssertionError("the engine reports an error")
                self.cycles.append(cycles)
                data = b"".join(memory[base + i].to_bytes(config.word_bytes, "little") for i in range(out_count))
                rows = np.frombuffer(data, np.int8).reshape(len(x), -1)
                outputs.append(rows[:, : layer.out_channels])

        stream_length = sum(len(stream_words(layer, config, 0)) for layer, _ in jobs)
        work = sum(len(x) * np.prod(tile_counts(layer, config)) for layer, x in jobs)
        limit = 2000 * len(jobs) + int(10 * (stream_length / (1 - self._idle) + work))
        run_benches(m, commands, cycles=limit, background=(weights, layers, reads, writes))
        return outputs


def layer_command(layer: IntegerLayer, config: CoreConfig) -> dict[str, int]:
    """Payload of the engine's layer port."""
    stream = stream_format_of(layer, config)
    k_tiles, n_tiles = tile_counts(layer, config)
    return {
        "weight_format": stream.weight_format,
        "index_width": stream.index_width,
        "vector_dim_log2": stream.vector_dim_log2,
        "k_tiles": k_tiles,
        "n_tiles": n_tiles,
    }


def commands_of(
    layer: IntegerLayer, tokens: int, config: CoreConfig, *, source: int = 0, destination: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Payloads of the engine's feed and writeback ports."""
    k_tiles, n_tiles = tile_counts(layer, config)
    shared = {"tokens": tokens, "n_tiles": n_tiles}
    feed = {
        "source": source,
        "k_tiles": k_tiles,
        "input_stride": -(-layer.in_channels // config.word_bytes),
        "last_rows": layer.in_channels - (k_tiles - 1) * config.rows,
    }
    writeback = {
        "destination": destination,
        "output_stride": -(-layer.out_channels // config.word_bytes),
        "zero_point": layer.output_scale.zero_point,
        "clamp_min": layer.clamp_min,
        "clamp_max": layer.clamp_max,
    }
    return shared | feed, shared | writeback


async def start(ctx: Any, dut: MatmulEngine, commands: tuple[dict[str, int], dict[str, int]]) -> None:
    """Give both commands to an idle engine."""
    feed, writeback = commands
    ctx.set(dut.feed_commands.payload, feed)
    ctx.set(dut.writeback_commands.payload, writeback)
    ctx.set(dut.feed_commands.valid, 1)
    ctx.set(dut.writeback_commands.valid, 1)
    await ctx.tick()
    ctx.set(dut.feed_commands.valid, 0)
    ctx.set(dut.writeback_commands.valid, 0)

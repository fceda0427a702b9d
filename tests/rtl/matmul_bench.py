"""The matrix engine alone: weight streams from lists of words, an activation memory that grants what it likes."""

import random
from typing import Any

import numpy as np
from amaranth.hdl import Cat
from layer_shapes import layer_shape
from matrix_programs import MatrixProgram, Step, Words

from ssvq.integer_weights import IntegerWeights
from ssvq.weight_stream import pack_stream, stream_format_of
from ssvq_gen.config import CoreConfig
from ssvq_rtl.feeder import FeedCommand
from ssvq_rtl.layer_shape import LayerShape
from ssvq_rtl.matmul import MatmulEngine
from ssvq_rtl.operand import OperandCommand
from ssvq_rtl.writeback import WritebackCommand
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, send


def stream_words(layer: IntegerWeights, config: CoreConfig, tag: int) -> list[dict[str, int]]:
    """The layer's stream as payloads of the engine's weight port."""
    image = pack_stream(layer, stream_format_of(layer, config))
    width = config.stream_bytes
    words = [int.from_bytes(image[i : i + width], "little") for i in range(0, len(image), width)]
    return [{"data": word, "last": i == len(words) - 1, "tag": tag} for i, word in enumerate(words)]


def commands_of(step: Step, index: int) -> list[dict[str, int]]:
    """Payloads of the engine's feed, writeback and operand ports; the last for a PRODUCT only."""
    values = step.fields | {"index": index, "is_product": step.is_product, "is_window": step.is_window}
    layouts = [FeedCommand(), WritebackCommand()] + ([OperandCommand()] if step.is_product else [])
    return [{name: values.get(name, 0) for name, _ in layout} for layout in layouts]


def layer_command(step: Step, config: CoreConfig, index: int) -> dict[str, int]:
    """Payload of the engine's layer port."""
    if step.layer is not None:
        return layer_shape(step.layer, config, index)
    values = step.fields | {"index": index, "is_product": 1}
    return {name: values.get(name, 0) for name, _ in LayerShape()}


class MatmulBench:
    """Runs a program on an engine, as the executor does: a step is given when as few before it are incomplete as it
    says. Layers and weights come as soon as they are taken.

    idle : chance of a pause in the weight stream
    denied : chance that a read of the activation memory is not granted
    late : chance that a step waits for another cycle
    """

    EVENTS = ("unpacks_begin", "unpacks_end", "feeds_begin", "feeds_end", "drains_begin", "ends")
    DOES = ("issuing", "wait_weights", "wait_operand", "wait_activation", "wait_array")

    def __init__(
        self, config: CoreConfig, *, idle: float = 0.0, denied: float = 0.0, late: float = 0.0, seed: int = 0
    ) -> None:
        self.dut = MatmulEngine(config=config)
        self.events: dict[str, list[int]] = {name: [] for name in self.EVENTS}
        """Cycles of each event, step by step."""
        self.issues: list[int] = []
        """Cycles in which an activation enters the array."""
        self._config, self._idle, self._denied, self._late = config, idle, denied, late
        self._rng = random.Random(seed)
        self._cycle = self._written = 0
        self._memory: list[int] = []
        self._passes: list[int] = []
        """Writes of each step."""

    def run(self, program: MatrixProgram) -> Words:
        """The activation memory at the end."""
        config, dut, steps = self._config, self.dut, program.steps
        self._memory = [int.from_bytes(word.tobytes(), "little") for word in program.words]
        self._passes = [s.fields["tokens"] * s.fields["n_tiles"] * s.products * config.requantize_groups for s in steps]
        streams = [stream_words(s.layer, config, tag) for tag, s in enumerate(steps) if s.layer is not None]
        words = [word for stream in streams for word in stream]
        layers = [layer_command(step, config, index) for index, step in enumerate(steps)]

        async def weights(ctx: Any) -> None:
            await send(ctx, dut.weights, words, rng=self._rng, idle=self._idle)

        async def shapes(ctx: Any) -> None:
            await send(ctx, dut.layers, layers, rng=self._rng)

        work = sum(len(s.tiles()) * (s.fields["tokens"] * config.requantize_groups + 3 * config.cols) for s in steps)
        limit = 2000 + int(6 * (len(words) + work) / (1 - self._idle) / (1 - self._denied) / (1 - self._late))
        run_benches(dut, lambda ctx: self._run(ctx, steps), cycles=limit, background=(weights, shapes))
        raw = b"".join(word.to_bytes(config.word_bytes, "little") for word in self._memory)
        return np.frombuffer(raw, np.int8).reshape(-1, config.word_bytes)

    async def _run(self, ctx: Any, steps: list[Step]) -> None:
        given = trailing = 0
        while trailing < TRAILING_CYCLES:
            given += given < len(steps) and self._give(ctx, steps[given], given)
            await self._tick(ctx)
            trailing += len(self.events["ends"]) == len(steps)
        assert ctx.get(self.dut.feed_commands.ready)
        assert not ctx.get(self.dut.unpacking)
        assert self._written == sum(self._passes)
        assert {name: len(cycles) for name, cycles in self.events.items()} == dict.fromkeys(self.EVENTS, len(steps))

    def _give(self, ctx: Any, step: Step, index: int) -> bool:
        """Offer the commands of a step in this cycle if it may begin and they can be taken together."""
        dut = self.dut
        ports = [dut.feed_commands, dut.writeback_commands] + ([dut.operand_commands] if step.is_product else [])
        incomplete = index - len(self.events["ends"])
        gives = (
            incomplete <= step.fields["matmuls_open"]
            and all(ctx.get(port.ready) for port in ports)
            and self._rng.random() >= self._late
        )
        if gives:
            for port, payload in zip(ports, commands_of(step, index), strict=True):
                ctx.set(port.payload, payload)
                ctx.set(port.valid, 1)
        return gives

    async def _tick(self, ctx: Any) -> None:
        """One cycle of the activation memory; reads see the writes of the cycles before."""
        dut, status = self.dut, self.dut.status
        reads = (dut.read, dut.operand_read)
        for port in reads:
            ctx.set(port.ready, bool(ctx.get(port.en)) and self._rng.random() >= self._denied)
        granted = [ctx.get(port.addr) if ctx.get(port.ready) else None for port in reads]
        indices = [status[f"{name.split('_')[0]}_index"] for name in self.EVENTS]
        _, _, error, feeding, does, writes, address, data, mask, *events = await ctx.tick().sample(
            dut.stream_error | dut.range_error,
            ~dut.feed_commands.ready,
            Cat(status[name] for name in self.DOES),
            dut.write.en,
            dut.write.addr,
            dut.write.data,
            dut.write.mask,
            *(status[name] for name in self.EVENTS),
            *indices,
        )
        assert not error
        assert does.bit_count() == feeding, "one thing in every cycle with a step to feed"
        self.issues += [self._cycle] * (does & 1)
        for name, event, index in zip(self.EVENTS, events, events[len(self.EVENTS) :], strict=False):
            if event:
                self._event(name, index)
        for port, read in zip(reads, granted, strict=True):
            # The memory shows a word for one cycle.
            garbage = self._rng.getrandbits(8 * self._config.word_bytes)
            ctx.set(port.data, garbage if read is None else self._memory[read])
        if writes:
            self._write(address, data, mask)
        for port in (dut.feed_commands, dut.writeback_commands, dut.operand_commands):
            ctx.set(port.valid, 0)
        self._cycle += 1

    def _event(self, name: str, index: int) -> None:
        assert index == len(self.events[name]), "steps are in order"
        self.events[name].append(self._cycle)
        if name == "ends":
            assert self._written == sum(self._passes[: index + 1]), "all outputs are in memory, and no others yet"

    def _write(self, address: int, data: int, mask: int) -> None:
        lane = 8 * self._config.requantize_lanes
        bits = sum(((1 << lane) - 1) << (lane * i) for i in range(mask.bit_length()) if mask >> i & 1)
        self._memory[address] = (self._memory[address] & ~bits) | (data & bits)
        self._written += 1

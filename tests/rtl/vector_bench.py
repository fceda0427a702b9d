"""The vector unit alone, with an activation memory that grants what it likes."""

import random
from typing import Any

import numpy as np
from vector_programs import VectorStep, Words

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Opcode
from ssvq_rtl.vector import VectorEngine
from ssvq_rtl.vector_command import Operation, VectorCommand
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches


def command_of(step: VectorStep) -> dict[str, Any]:
    """The payload of the unit's command port."""
    operation = Operation[Opcode(step.fields["opcode"]).name]
    return {name: step.fields.get(name, 0) for name, _ in VectorCommand()} | {"operation": operation}


class VectorBench:
    """Runs steps one after the other, each on its own memory.

    denied : chance that a read or write of the activation memory is not granted
    """

    def __init__(self, config: CoreConfig, *, denied: float = 0.0, seed: int = 0) -> None:
        self.dut = VectorEngine(config=config)
        self.cycles: list[int] = []
        """From each step's command to its end."""
        self._config, self._denied = config, denied
        self._rng = random.Random(seed)
        self._memory: list[int] = []

    def run(self, steps: list[VectorStep]) -> list[Words]:
        """The memory after each step."""
        results: list[Words] = []

        async def bench(ctx: Any) -> None:
            for step in steps:
                results.append(await self._step(ctx, step))

        work = sum(step.before.size * 6 + 2000 + _window_cycles(self._config, step.fields) for step in steps)
        run_benches(self.dut, bench, cycles=int(2000 + work / (1 - self._denied) ** 2))
        return results

    async def _step(self, ctx: Any, step: VectorStep) -> Words:
        config, dut = self._config, self.dut
        self._memory = [int.from_bytes(word.tobytes(), "little") for word in step.before]
        ctx.set(dut.commands.payload, command_of(step))
        ctx.set(dut.commands.valid, 1)
        assert ctx.get(dut.commands.ready)
        cycles, ended, trailing = 0, False, 0
        while trailing < TRAILING_CYCLES:
            ends, writes = await self._tick(ctx)
            ctx.set(dut.commands.valid, 0)
            assert not (ended and (ends or writes)), "nothing comes after the end"
            if ends:
                ended = True
                assert ctx.get(dut.ends_index) == step.fields["index"]
                self.cycles.append(cycles)
            cycles += 1
            trailing += ended
        raw = b"".join(word.to_bytes(config.word_bytes, "little") for word in self._memory)
        return np.frombuffer(raw, np.int8).reshape(-1, config.word_bytes)

    async def _tick(self, ctx: Any) -> tuple[bool, bool]:
        dut = self.dut
        for port in (dut.read, dut.write):
            ctx.set(port.ready, bool(ctx.get(port.en)) and self._rng.random() >= self._denied)
        read = ctx.get(dut.read.addr) if ctx.get(dut.read.ready) else None
        write, address, data, mask = (
            ctx.get(value) for value in (dut.write.ready, dut.write.addr, dut.write.data, dut.write.mask)
        )
        _, _, ends, error = await ctx.tick().sample(dut.ends, dut.error)
        assert not error
        garbage = self._rng.getrandbits(8 * self._config.word_bytes)
        ctx.set(dut.read.data, garbage if read is None else self._memory[read])
        if write:
            lane = 8 * self._config.write_lanes
            bits = sum(((1 << lane) - 1) << (lane * i) for i in range(mask.bit_length()) if mask >> i & 1)
            self._memory[address] = (self._memory[address] & ~bits) | (data & bits)
        return bool(ends), bool(write)


def _window_cycles(config: CoreConfig, fields: dict[str, int]) -> int:
    """Cycles of pooling, an upper bound."""
    positions = fields.get("kernel_height", 0) * fields.get("kernel_width", 0)
    return positions * (fields["tokens"] + 10) * -(-fields["channels"] // config.vector_lanes)

# amaranth: UnusedElaboratable=no
import random
from collections.abc import Callable
from typing import Any

import pytest
from matmul_bench import commands_of, layer_command, stream_words
from matrix_programs import Step
from placed_steps import product_of, small_matmul
from small_configs import FULL, QUARTER, SQUARE, TALL, WIDE, name_of

from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_rtl.matmul import MatmulEngine
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, send

INDEX = 9
"""Of the step that fails."""


class FailingBench:
    """Gives steps that have to fail, as soon as they are taken, and records every access to the activation memory."""

    def __init__(self, config: CoreConfig) -> None:
        self.accesses: list[int] = []
        """Addresses."""
        self.stream_error: list[int] = []
        """Tags, a value for each cycle with a stream error; `range_error` alike has indices and addresses."""
        self.range_error: list[tuple[int, int]] = []
        self._config = config

    def run(
        self,
        steps: list[Step],
        *,
        index: int,
        change: Callable[[list[dict[str, int]]], list[dict[str, int]]] = lambda words: words,
        cycles: int = 3000,
    ) -> None:
        """The first step has this index; `change` makes its stream another one."""
        config, rng = self._config, random.Random(9)
        dut = MatmulEngine(config=config)
        streams = [stream_words(s.layer, config, index + n) for n, s in enumerate(steps) if s.layer is not None]
        if streams:
            words = [word | {"last": 0} for word in change(streams[0])]
            streams[0] = [*words[:-1], words[-1] | {"last": 1}]
        layers = [layer_command(step, config, index + n) for n, step in enumerate(steps)]

        async def bench(ctx: Any) -> None:
            for signal in (dut.read.ready, dut.operand_read.ready):
                ctx.set(signal, 1)
            errors = 0
            waiting = [commands_of(step, index + n) for n, step in enumerate(steps)]
            ports = (dut.feed_commands, dut.writeback_commands, dut.operand_commands)
            while errors < TRAILING_CYCLES:
                gives = bool(waiting) and all(ctx.get(port.ready) for port in ports[: len(waiting[0])])
                for port, payload in zip(ports, waiting.pop(0) if gives else [], strict=False):
                    ctx.set(port.payload, payload)
                    ctx.set(port.valid, 1)
                errors += await self._cycle(ctx, dut)
                for port in ports:
                    ctx.set(port.valid, 0)

        async def weights(ctx: Any) -> None:
            await send(ctx, dut.weights, [word for stream in streams for word in stream], rng=rng)

        async def shapes(ctx: Any) -> None:
            await send(ctx, dut.layers, layers, rng=rng)

        run_benches(dut, bench, cycles=cycles, background=(weights, shapes))

    async def _cycle(self, ctx: Any, dut: MatmulEngine) -> bool:
        """Returns whether there is an error."""
        ports = (dut.read, dut.operand_read, dut.write)
        errors = (dut.stream_error, dut.stream_tag, dut.range_error, dut.range_index, dut.range_addr)
        values = (await ctx.tick().sample(*errors, *(s for port in ports for s in (port.en, port.addr))))[2:]
        stream_error, tag, range_error, index, address, *accesses = values
        if stream_error:
            self.stream_error.append(tag)
        if range_error:
            self.range_error.append((index, address))
        self.accesses += [addr for enable, addr in zip(accesses[::2], accesses[1::2], strict=True) if enable]
        return bool(stream_error or range_error)


@pytest.mark.parametrize("weight_format", list(WeightFormat), ids=name_of)
@pytest.mark.parametrize("config", [SQUARE, TALL], ids=name_of)
@pytest.mark.parametrize("units", [-1, 1])
def test_weight_streams_of_the_wrong_length(config: CoreConfig, weight_format: WeightFormat, units: int) -> None:
    """One alignment unit too short or too long; on the second configuration a unit is four words."""
    step = small_matmul(config, weight_format)
    unit = config.stream_alignment // config.stream_bytes
    bench = FailingBench(config)
    bench.run([step], index=21, change=lambda words: words[:-unit] if units < 0 else words + [words[0]] * unit)
    assert bench.stream_error == [21] * TRAILING_CYCLES
    assert bench.range_error == []


@pytest.mark.parametrize("weight_format", list(WeightFormat), ids=name_of)
def test_a_weight_stream_one_word_short(weight_format: WeightFormat) -> None:
    bench = FailingBench(SQUARE)
    bench.run([small_matmul(SQUARE, weight_format)], index=22, change=lambda words: words[:-1])
    assert bench.stream_error == [22] * TRAILING_CYCLES


@pytest.mark.parametrize("config", [SQUARE, TALL], ids=name_of)
@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("side", ["source", "destination", "operand"])
@pytest.mark.parametrize("beyond", [1, 1000])
def test_addresses_outside_the_activation_memory(config: CoreConfig, side: str, tokens: int, beyond: int) -> None:
    """The first address outside is reported; no access leaves the memory."""
    depth = config.activation_depth
    if side == "operand":
        step = product_of(config, transposed=0, tokens=tokens, k=config.rows, n=config.cols)
        used = config.rows
    else:
        step = small_matmul(config, WeightFormat.INT8, tokens)
        used = tokens * step.fields["input_stride" if side == "source" else "output_stride"]
    step.fields[side] = depth - used + beyond
    bench = FailingBench(config)
    bench.run([step], index=INDEX)
    assert bench.stream_error == []
    assert len(set(bench.range_error)) == 1, "stays until reset"
    index, address = bench.range_error[0]
    assert index == INDEX
    assert depth <= address < depth - used + beyond + used
    assert all(address < depth for address in bench.accesses)


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL, QUARTER, FULL], ids=name_of)
@pytest.mark.parametrize("missing", range(1, 4))
def test_an_operand_outside_the_memory_while_the_next_step_waits(config: CoreConfig, missing: int) -> None:
    """Its last words are loaded while the array is fed already, and even the next step may be in hand."""
    depth = config.activation_depth
    product = product_of(config, transposed=0, tokens=1, k=config.rows, n=config.cols)
    product.fields["operand"] = depth - config.rows + missing
    following = small_matmul(config, WeightFormat.INT8)
    bench = FailingBench(config)
    bench.run([product, following], index=INDEX)
    assert set(bench.range_error) == {(INDEX, depth)}
    assert all(address < depth for address in bench.accesses)

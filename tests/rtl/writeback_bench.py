"""Feeder, accumulators and activation memory around a writeback, as lists of cycles."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH, BIAS_WIDTH, MANTISSA_MAX, MANTISSA_WIDTH, requantize
from ssvq_gen.config import CoreConfig
from ssvq_gen.stream_format import CHANNEL_PARAMETER_WIDTH
from ssvq_rtl.writeback import Writeback
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, send

Parameters = tuple[int, int, int]
"""Bias, mantissa, exponent of a channel."""
Write = tuple[int, int, bytes]
"""Address, slot in the word, bytes of one pass."""


@dataclass(frozen=True)
class Job:
    """A command, the parameters of its columns, and the sums of each column's activations.

    Columns are those of all products of the batch. With `filled`, all channels have one multiplier and no bias, and a
    column's parameters are one item.
    """

    command: dict[str, int]
    parameters: list[list[Parameters]]
    sums: list[list[list[int]]]
    filled: bool = False

    @property
    def activations(self) -> int:
        return sum(len(column) for column in self.sums)

    def writes(self, config: CoreConfig) -> list[Write]:
        c, lanes = self.command, config.requantize_lanes
        per_word = config.word_bytes // config.cols  # tile columns that fill a word
        writes = []
        for column, (parameters, activations) in enumerate(zip(self.parameters, self.sums, strict=True)):
            b, n = divmod(column, c["n_tiles"])
            for t, sums in enumerate(activations):
                address = c["destination"] + b * c["output_batch_stride"] + t * c["output_stride"] + n // per_word
                outputs = [
                    requantize(total, *channel, c["zero_point"], c["clamp_min"], c["clamp_max"]) & 0xFF
                    for total, channel in zip(sums, parameters, strict=True)
                ]
                for run in range(config.requantize_groups):
                    slot = n % per_word * config.requantize_groups + run
                    writes.append((address, slot, bytes(outputs[run * lanes : (run + 1) * lanes])))
        return writes


def random_job(
    config: CoreConfig, rng: Any, *, tokens: int, n_tiles: int, batch: int = 1, filled: bool = False, **changes: int
) -> Job:
    words = -(-n_tiles * config.cols // config.word_bytes)
    clamp_min = rng.randint(-128, 100)
    command = {
        "tokens": tokens,
        "n_tiles": n_tiles,
        "batch_last": batch - 1,
        "output_stride": words + rng.randrange(3),
        "output_batch_stride": rng.randrange(config.activation_depth // 2 // batch),
        "zero_point": rng.choice((-128, 127, 0, rng.randint(-128, 127))),
        "clamp_min": clamp_min,
        "clamp_max": rng.randint(clamp_min, 127),
    } | changes
    used = (tokens - 1) * command["output_stride"] + (batch - 1) * command["output_batch_stride"] + words
    command = {"destination": rng.choice((0, config.activation_depth - used))} | command
    shared = (0, rng.randint(1, MANTISSA_MAX), rng.randint(8, 15))
    columns, channels = range(n_tiles * batch), range(config.cols)

    def random_parameters() -> Parameters:
        return rng.randint(-(1 << 20), 1 << 20), rng.randint(0, MANTISSA_MAX), rng.randint(8, 15)

    parameters = [[shared if filled else random_parameters() for _ in channels] for _ in columns]
    sums = [[[rng.randint(-(1 << 20), 1 << 20) for _ in channels] for _ in range(tokens)] for _ in columns]
    return Job(command, parameters, sums, filled)


def column_words(config: CoreConfig) -> int:
    """Stream words of a column's parameters."""
    return config.cols * CHANNEL_PARAMETER_WIDTH // config.stream_width


def parameter_items(config: CoreConfig, jobs: list[Job]) -> list[dict[str, int]]:
    """Parameters of the jobs' columns as payloads of the writeback's port."""
    items = []
    for job in jobs:
        for column in job.parameters:
            if job.filled:
                _, mantissa, exponent = column[0]
                items.append({"fill": 1, "mantissa": mantissa, "exponent": exponent})
                continue
            image = 0
            for bias, mantissa, exponent in reversed(column):
                channel = bias & ((1 << BIAS_WIDTH) - 1) | mantissa << BIAS_WIDTH
                channel |= exponent << (BIAS_WIDTH + MANTISSA_WIDTH)
                image = image << CHANNEL_PARAMETER_WIDTH | channel
            for i in range(column_words(config)):
                items.append({"data": image >> (config.stream_width * i) & ((1 << config.stream_width) - 1)})
    return items


class Cycle(NamedTuple):
    """Outputs of the writeback in a cycle, and the events at its inputs."""

    valid: int
    accepts: int
    begins: int
    ends: int
    index: int
    ends_index: int
    in_last_column: int
    error: int
    error_index: int
    error_addr: int


class WritebackBench:
    """Runs jobs as the engine does.

    A column is claimed while the one before runs, then opened one cycle before its first sums, which is when sums of
    the column before may still be requantized; sums follow each other in `requantize_groups` cycles or more. With
    `idle` there is time between all of these. The first column of a command opens as soon as the command was accepted.
    """

    def __init__(
        self, config: CoreConfig, rng: Any, idle: float = 0.0, stream_idle: float = 0.0, command_idle: float = 0.0
    ) -> None:
        self.dut = Writeback(config=config)
        self.cycles: list[Cycle] = []
        self.writes: list[tuple[int, int, int, bytes]] = []
        """Cycle, address, slot in the word, bytes."""
        self._config, self._rng = config, rng
        self._idle, self._stream_idle, self._command_idle = idle, stream_idle, command_idle
        self._accepted = 0

    def run(self, jobs: list[Job], cycles: int) -> None:
        dut, rng = self.dut, self._rng
        items = parameter_items(self._config, jobs)

        async def sums(ctx: Any) -> None:
            await self._drive(ctx, jobs)
            await ctx.tick().repeat(Writeback.LATENCY + TRAILING_CYCLES)

        async def commands(ctx: Any) -> None:
            await send(ctx, dut.commands, [job.command for job in jobs], rng=rng, idle=self._command_idle)

        async def parameters(ctx: Any) -> None:
            await send(ctx, dut.parameters, items, rng=rng, idle=self._stream_idle)

        run_benches(dut, sums, cycles=cycles, background=(commands, parameters, self._watch))

    async def _watch(self, ctx: Any) -> None:
        dut, lanes = self.dut, self._config.requantize_lanes
        outputs = [getattr(dut, name) for name in Cycle._fields if name != "accepts"]
        while True:
            _, _, ready, command, write, address, word, mask, *values = await ctx.tick().sample(
                dut.commands.ready,
                dut.commands.valid,
                dut.write.en,
                dut.write.addr,
                dut.write.data,
                dut.write.mask,
                *outputs,
            )
            accepts = ready & command
            self._accepted += accepts
            if write:
                assert mask.bit_count() == 1
                slot = mask.bit_length() - 1
                raw = word >> (8 * lanes * slot) & ((1 << (8 * lanes)) - 1)
                self.writes.append((len(self.cycles), address, slot, raw.to_bytes(lanes, "little")))
            self.cycles.append(Cycle(values[0], accepts, *values[1:]))

    async def _drive(self, ctx: Any, jobs: list[Job]) -> None:
        """Claim, open and run the columns of all jobs, in one loop over the cycles."""
        dut, passes = self.dut, self._config.requantize_groups
        columns = [(number, column) for number, job in enumerate(jobs) for column in job.sums]
        claimed = opened = 0
        waiting: list[list[int]] = []  # sums of the open column that did not come in yet
        left = 0  # passes of the sums that are in
        while opened < len(columns) or waiting or left:
            starts = left == 0 and bool(waiting) and self._goes()
            if starts:
                ctx.set(dut.sums, _packed(waiting.pop(0)))
                left = passes
            ctx.set(dut.valid, starts)
            left -= left > 0
            # The next column opens with the last pass of the last sums of this one.
            opens = not waiting and left == 0 and opened < claimed and self._goes()
            claims = claimed == opened < len(columns) and ctx.get(dut.parameters_ready) and self._goes()
            if opens:
                number, column = columns[opened]
                opens = self._accepted > number
            ctx.set(dut.opens, opens)
            ctx.set(dut.claim, claims)
            await ctx.tick()
            assert not claims or not ctx.get(dut.parameters_ready), "claimed parameters are not offered again"
            claimed += claims
            if opens:
                waiting = list(column)
                opened += 1
        ctx.set(dut.valid, 0)
        ctx.set(dut.opens, 0)

    def _goes(self) -> bool:
        return bool(self._rng.random() >= self._idle)


def _packed(sums: list[int]) -> int:
    mask = (1 << ACCUMULATOR_WIDTH) - 1
    return sum((value & mask) << (ACCUMULATOR_WIDTH * i) for i, value in enumerate(sums))

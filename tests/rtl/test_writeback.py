# amaranth: UnusedElaboratable=no
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import pytest
from small_configs import CONFIGS, SQUARE, TALL, WIDE, name_of
from writeback_bench import Cycle, Job, WritebackBench, column_words, parameter_items, random_job

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.writeback import Writeback
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send

PAUSES = [(0.0, 0.0, 0.0), (0.6, 0.0, 0.0), (0.0, 0.8, 0.0), (0.4, 0.4, 0.4), (0.0, 0.0, 0.95)]
"""Chances of a pause between sums, in the parameter stream, and between commands."""


def cycles_of(jobs: list[Job], config: CoreConfig, *pauses: float) -> int:
    work = sum(len(job.writes(config)) + 50 * len(job.sums) for job in jobs) + 500
    for pause in pauses:
        work = int(work / (1 - pause))
    return 4 * work


@dataclass(frozen=True)
class Expected:
    """What the bench has to have seen, from the cycles in which sums came in."""

    writes: list[tuple[int, int, int, bytes]]
    """Cycle, address, slot, bytes."""
    passes: list[tuple[int, int]]
    """Cycle of a pass and index of its command."""
    begins: list[int]
    ends: list[tuple[int, int]]
    before_last: list[int]
    """Cycle of the last write to an earlier column than a command's last one; -1 if there is none."""


def expect(bench: WritebackBench, jobs: list[Job], config: CoreConfig) -> Expected:
    starts = iter([n for n, cycle in enumerate(bench.cycles) if cycle.valid])
    expected = Expected([], [], [], [], [])
    for job in jobs:
        firsts = list(islice(starts, job.activations))
        times = [first + run for first in firsts for run in range(config.requantize_groups)]
        written = [time + Writeback.LATENCY for time in times]
        expected.writes.extend((time, *write) for time, write in zip(written, job.writes(config), strict=True))
        expected.passes.extend((time, job.command["index"]) for time in times)
        expected.begins.append(times[0])
        expected.ends.append((written[-1] + 1, job.command["index"]))
        last_column = job.command["tokens"] * config.requantize_groups
        expected.before_last.append(written[-last_column - 1] if len(written) > last_column else -1)
    assert next(starts, None) is None
    return expected


def check(bench: WritebackBench, jobs: list[Job], config: CoreConfig) -> Expected:
    cycles, expected = bench.cycles, expect(bench, jobs, config)
    assert bench.writes == expected.writes
    assert [n for n, cycle in enumerate(cycles) if cycle.begins] == expected.begins
    assert [(n, cycle.ends_index) for n, cycle in enumerate(cycles) if cycle.ends] == expected.ends
    assert all(cycles[n].index == index for n, index in expected.passes)
    accepted = [n for n, cycle in enumerate(cycles) if cycle.accepts]
    assert len(accepted) == len(jobs)
    assert not any(cycle.error for cycle in cycles)
    check_last_columns(cycles, expected, accepted)
    return expected


def check_last_columns(cycles: list[Cycle], expected: Expected, accepted: list[int]) -> None:
    """In the last column, all others are in memory; that is said at most two cycles late."""
    takes_over = -1
    for (end, _), start, before in zip(expected.ends, accepted, expected.before_last, strict=True):
        finishes = end - 1 - Writeback.LATENCY
        takes_over = max(takes_over, start + 2)
        for n in range(takes_over, finishes + 1):
            assert not cycles[n].in_last_column or before < n
            late = max(before + 2, takes_over + (Writeback.LATENCY + 2 if before < 0 else 0))
            assert cycles[n].in_last_column or n < late
        takes_over = finishes + 1


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize("pauses", PAUSES)
def test_writes_requantized_sums(config: CoreConfig, pauses: tuple[float, float, float]) -> None:
    rng = seeded(90)
    depth = config.accumulator_depth
    shapes = [(1, 1, 1), (1, 1, 1), (depth, 2, 1), (2, 5, 1), (1, 4, 2), (3, 3, 1), (1, 1, 3), (2, 1, 2), (1, 1, 1)]
    jobs = [
        random_job(config, rng, tokens=tokens, n_tiles=n_tiles, batch=batch, index=10 + n)
        for n, (tokens, n_tiles, batch) in enumerate(shapes)
    ]
    bench = WritebackBench(config, rng, *pauses)
    bench.run(jobs, cycles=cycles_of(jobs, config, *pauses))
    check(bench, jobs, config)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize("seed", range(4))
def test_short_commands(config: CoreConfig, seed: int) -> None:
    """One or two activations each: the next command begins and ends before the outputs of the last are written."""
    rng = seeded(100 + seed)
    jobs = [
        random_job(config, rng, tokens=rng.randint(1, 2), n_tiles=rng.choice((1, 1, 2)), index=n, filled=True)
        for n in range(30)
    ]
    bench = WritebackBench(config, rng, rng.choice((0.0, 0.1)))
    bench.run(jobs, cycles=cycles_of(jobs, config))
    check(bench, jobs, config)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_no_cycle_is_lost_between_commands(config: CoreConfig) -> None:
    """Sums without a gap from column to column and from command to command."""
    rng = seeded(91)
    tokens = config.accumulator_depth
    jobs = [
        random_job(config, rng, tokens=tokens, n_tiles=n_tiles, batch=batch, index=n, filled=True)
        for n, (n_tiles, batch) in enumerate([(1, 1), (3, 1), (1, 2), (1, 1), (1, 1), (2, 2)])
    ]
    bench = WritebackBench(config, rng)
    bench.run(jobs, cycles=cycles_of(jobs, config))
    times = [time for time, _ in check(bench, jobs, config).passes]
    assert all(after == before + 1 for before, after in pairwise(times))


@pytest.mark.parametrize("config", [SQUARE, TALL, WIDE], ids=name_of)
@pytest.mark.parametrize("stride", [1, 65535])
@pytest.mark.parametrize("good", [0, 1, 3])
def test_addresses_outside_the_memory(config: CoreConfig, good: int, stride: int) -> None:
    """What is inside is written, the first address outside is reported, nothing is written any more."""
    rng = seeded(92)
    depth = config.activation_depth
    good = min(good, 1) if stride > 1 else good
    before = random_job(config, rng, tokens=2, n_tiles=1, index=6, filled=True)
    destination = depth - good if stride == 1 else depth - 1
    job = random_job(
        config, rng, tokens=4, n_tiles=1, output_stride=stride, destination=destination, index=7, filled=True
    )
    after = random_job(config, rng, tokens=2, n_tiles=1, index=8, filled=True)
    bench = WritebackBench(config, rng)
    inside = [write for write in job.writes(config) if write[0] < depth]
    bench.run([before, job, after], cycles=2000)
    assert [write for _, *write in bench.writes] == [list(write) for write in before.writes(config) + inside]
    bad = depth if stride == 1 else depth - 1 + stride
    errors = [(cycle.error_index, cycle.error_addr) for cycle in bench.cycles if cycle.error]
    assert set(errors) == {(7, bad)}
    assert len(errors) >= TRAILING_CYCLES, "stays until reset"


@pytest.mark.parametrize("config", [SQUARE, TALL, WIDE], ids=name_of)
def test_a_batch_that_leaves_the_memory(config: CoreConfig) -> None:
    """The second product begins outside."""
    rng = seeded(94)
    depth = config.activation_depth
    job = random_job(
        config, rng, tokens=2, n_tiles=1, batch=2, output_stride=1, destination=0, output_batch_stride=depth, index=3
    )
    bench = WritebackBench(config, rng)
    bench.run([job], cycles=2000)
    inside = [write for write in job.writes(config) if write[0] < depth]
    assert [write for _, *write in bench.writes] == [list(write) for write in inside]
    assert {(cycle.error_index, cycle.error_addr) for cycle in bench.cycles if cycle.error} == {(3, depth)}


def test_the_stream_waits_when_no_column_is_claimed() -> None:
    """Parameters of a column at hand and a column in the buffer, then no more."""
    rng = seeded(93)
    config = SQUARE
    job = random_job(config, rng, tokens=1, n_tiles=10)
    words = parameter_items(config, [job])
    per_column = column_words(config)
    dut = Writeback(config=config)
    taken = 0

    async def watch(ctx: Any) -> None:
        nonlocal taken
        for _ in range(len(words) + TRAILING_CYCLES):
            _, _, valid, ready = await ctx.tick().sample(dut.parameters.valid, dut.parameters.ready)
            taken += valid & ready
        assert ctx.get(dut.parameters_ready)

    run_benches(dut, watch, cycles=1000, background=[lambda ctx: send(ctx, dut.parameters, words, rng=rng)])
    assert 2 * per_column <= taken < len(words)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Writeback(config=PRESETS)  # type: ignore[arg-type]

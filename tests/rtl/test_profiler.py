import random
from collections.abc import Iterable
from typing import Any

import pytest
from amaranth.hdl import ResetInserter, Signal
from small_configs import CONFIGS, SQUARE

from ssvq_gen.profile import PROFILE_STORED, PROFILE_TIMES, PROFILE_WORD, PROFILE_WORDS, profile_addr
from ssvq_rtl.profiler import EVENTS, SNAPSHOT_CYCLES, SNAPSHOT_CYCLES_MAX, SPACING, Profiler
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

DEPTH = 16
CONFIG = SQUARE.replace(profile_depth=DEPTH)
KINDS = ("load", "store", "matrix", "vector")
BEGIN_LATENCY = 3
END_LATENCY = 4
SETTLE_CYCLES = SNAPSHOT_CYCLES_MAX + END_LATENCY
INDEX_MAX = (1 << 16) - 1


def engine(source: str) -> str:
    return source.partition("_")[0]


def row_of(source: str, rng: random.Random, depth: int = DEPTH) -> int:
    """A descriptor of a kind that has this event; some are beyond the depth."""
    kind = KINDS.index(engine(source)) if engine(source) in KINDS else KINDS.index("matrix")
    index = rng.choice((rng.randrange(depth), rng.randrange(depth), depth, depth + rng.randrange(depth), INDEX_MAX))
    return index if index > depth else min(index - index % len(KINDS) + kind, depth)


class Model:
    """Rows as they have to become, and everything that is driven from cycle to cycle."""

    def __init__(self, dut: Profiler, rng: random.Random, depth: int = DEPTH) -> None:
        self.words = [0] * (PROFILE_WORDS * depth)
        self.depth = depth
        self._dut = dut
        self._rng = rng
        self._ends: list[tuple[str, int]] = []

    async def cycle(self, ctx: Any, events: dict[str, int]) -> None:
        """One cycle with these events; times and classes are random, so that a mix-up of cycles shows."""
        time, classes = self._rng.getrandbits(32), [self._rng.getrandbits(32) for _ in PROFILE_STORED]
        ctx.set(self._dut.cycle, time)
        ctx.set(self._dut.classes, classes)
        for source in EVENTS:
            event = {"valid": source in events, "index": events.get(source, self._rng.getrandbits(16))}
            ctx.set(getattr(self._dut, source), event)
        begins = [(source, index) for source, index in events.items() if not source.endswith("_end")]
        for source, index in begins + self._ends:
            if index < self.depth:
                self.words[profile_addr(index, EVENTS[source])] = time
                if source == "compute_end":
                    for name, value in zip(PROFILE_STORED, classes, strict=True):
                        self.words[profile_addr(index, name)] = value
        self._ends = [(source, index) for source, index in events.items() if source.endswith("_end")]
        await ctx.tick()

    async def check(self, ctx: Any) -> None:
        """Every word, twice with idle cycles in between."""
        for _ in range(2):
            for addr, word in enumerate(self.words):
                assert await read(ctx, self._dut, addr) == word, divmod(addr, PROFILE_WORDS)
            for _ in range(TRAILING_CYCLES):
                await self.cycle(ctx, {})
                assert not ctx.get(self._dut.busy)


async def read(ctx: Any, dut: Profiler, addr: int) -> int:
    ctx.set(dut.read_addr, addr)
    await ctx.tick()
    return int(ctx.get(dut.read_data))


def silence(ctx: Any, dut: Profiler) -> None:
    for source in EVENTS:
        ctx.set(getattr(dut, source).valid, 0)


def longest_wait(words: int, before: Iterable[str]) -> int:
    """Cycles until `words` writes are done when all events that are served before come as often as they may."""
    found, last = words, 0
    while found != last:
        last, found = found, words + sum(-(-found // SPACING[engine(source)]) for source in before)
    return found


WAITS = {"compute": 1, "decode": 1, "drain": 2, "load": 3, "store": 5, "vector": 14}


def test_waiting_is_no_longer_than_the_spacing() -> None:
    """The overrun argument: an entry is written before its source can fire again."""
    waits = {}
    for bank in range(4):
        sources = [s for s, word in EVENTS.items() if PROFILE_WORD[word] % 4 == bank]
        for i, source in enumerate(sources):
            waits[source] = longest_wait(1, sources[:i])
            assert waits[source] <= SPACING[engine(source)]
        snapshot = sum(n % 4 == bank for n in range(len(PROFILE_TIMES), len(PROFILE_WORD)))
        assert 1 + longest_wait(snapshot, sources) <= SNAPSHOT_CYCLES_MAX
    assert set(waits) == set(EVENTS)
    assert {engine(s): w for s, w in waits.items()} == WAITS


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0])
def test_random_events(rate: float, seed: int) -> None:
    """At rate 1 every source fires as often as it may; all other sources fire at random as soon as they may."""
    rng = seeded(seed)
    dut = Profiler(config=CONFIG)
    model = Model(dut, rng)
    allowed = {source: rng.randrange(8) for source in EVENTS}

    async def bench(ctx: Any) -> None:
        busy_for = 0
        for cycle in range(1200):
            busy = bool(ctx.get(dut.busy))
            busy_for = busy_for + 1 if busy else 0
            assert busy_for <= SNAPSHOT_CYCLES_MAX
            events = {}
            for source in EVENTS:
                held = cycle < allowed[source] or (source == "compute_end" and busy)
                if not held and rng.random() < rate:
                    events[source] = row_of(source, rng)
                    allowed[source] = cycle + SPACING[engine(source)]
            await model.cycle(ctx, events)
        for _ in range(SETTLE_CYCLES):
            await model.cycle(ctx, {})
        silence(ctx, dut)
        await model.check(ctx)

    run_benches(dut, bench, cycles=2500)


@pytest.mark.parametrize("phase", range(4))
def test_all_events_of_a_cycle_again_and_again(phase: int) -> None:
    """Bursts of everything at once, as close as the spacing allows, then just long enough a pause."""
    rng = seeded(phase)
    dut = Profiler(config=CONFIG)
    model = Model(dut, rng)

    async def bench(ctx: Any) -> None:
        for _ in range(10):
            start = {source: rng.randrange(phase + 1) for source in EVENTS}
            for cycle in range(40):
                events = {
                    source: row_of(source, rng)
                    for source in EVENTS
                    if cycle >= start[source] and (cycle - start[source]) % SPACING[engine(source)] == 0
                }
                if ctx.get(dut.busy):
                    events.pop("compute_end", None)
                await model.cycle(ctx, events)
            for _ in range(SETTLE_CYCLES):
                await model.cycle(ctx, {})
            assert not ctx.get(dut.busy)
        silence(ctx, dut)
        await model.check(ctx)

    run_benches(dut, bench, cycles=2500)


@pytest.mark.parametrize("depth", [2, 64])
def test_every_row_and_word_is_its_own(depth: int) -> None:
    rng = seeded(depth)
    dut = Profiler(config=SQUARE.replace(profile_depth=depth))
    model = Model(dut, rng, depth)

    async def bench(ctx: Any) -> None:
        for index in [*range(2 * depth), 1 << 15, INDEX_MAX]:
            matrix = {s: index for s in EVENTS if engine(s) not in ("load", "store", "vector")}
            await model.cycle(ctx, {s: i for s, i in matrix.items() if s != "drain_end"})
            await model.cycle(ctx, {"drain_end": index})
            for _ in range(SETTLE_CYCLES):
                await model.cycle(ctx, {})
        silence(ctx, dut)
        assert all(model.words)
        await model.check(ctx)

    run_benches(dut, bench, cycles=(2 * depth + 8) * (SETTLE_CYCLES + 2) + 3 * PROFILE_WORDS * depth + 200)


@pytest.mark.parametrize("source", EVENTS)
def test_latency(source: str) -> None:
    dut = Profiler(config=CONFIG)
    is_end = source.endswith("_end")
    latency = END_LATENCY if is_end else BEGIN_LATENCY

    async def bench(ctx: Any) -> None:
        ctx.set(dut.read_addr, profile_addr(5, EVENTS[source]))
        ctx.set(getattr(dut, source), {"valid": 1, "index": 5})
        for cycle in range(100, 100 + latency):
            ctx.set(dut.cycle, cycle)
            assert ctx.get(dut.read_data) == 0
            await ctx.tick()
            silence(ctx, dut)
        assert ctx.get(dut.read_data) == 100 + is_end

    run_benches(dut, bench, cycles=50)


@pytest.mark.parametrize("index", [3, DEPTH])
def test_busy_while_a_snapshot_is_written(index: int) -> None:
    dut = Profiler(config=CONFIG)
    expected = SNAPSHOT_CYCLES if index < DEPTH else 0

    async def bench(ctx: Any) -> None:
        ctx.set(dut.compute_end, {"valid": 1, "index": index})
        assert not ctx.get(dut.busy)
        for cycle in range(TRAILING_CYCLES):
            await ctx.tick()
            silence(ctx, dut)
            assert ctx.get(dut.busy) == (cycle < expected)

    run_benches(dut, bench, cycles=100)


def test_reset_drops_what_waits_and_keeps_the_rows() -> None:
    rng = seeded(0)
    dut = Profiler(config=CONFIG)
    flush = Signal()
    model = Model(dut, rng)

    async def bench(ctx: Any) -> None:
        await model.cycle(ctx, {source: row_of(source, rng) % DEPTH for source in EVENTS})
        for _ in range(SETTLE_CYCLES):
            await model.cycle(ctx, {})
        kept = list(model.words)
        await model.cycle(ctx, dict.fromkeys(EVENTS, 0))
        ctx.set(flush, 1)
        await model.cycle(ctx, {})
        ctx.set(flush, 0)
        silence(ctx, dut)
        # The begins that are first in their memories were written in the cycle of the reset.
        written = [profile_addr(0, word) for word in ("BEGIN", "COMPUTE_BEGIN")]
        model.words = [now if a in written else was for a, (now, was) in enumerate(zip(model.words, kept, strict=True))]
        await model.check(ctx)

    run_benches(ResetInserter(flush)(dut), bench, cycles=1000)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_refuses_a_core_without_profile(config: Any) -> None:
    with pytest.raises(ValueError, match="profile_depth must not be 0"):
        Profiler(config=config.replace(profile_depth=0))


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Profiler(config=4)  # type: ignore[arg-type]

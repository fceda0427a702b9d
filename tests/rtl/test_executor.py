# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from descriptors import fetched, random_fields
from small_configs import CONFIGS, SQUARE, name_of

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import ErrorCode, Opcode
from ssvq_rtl.executor import Executor
from ssvq_rtl.feeder import FeedCommand
from ssvq_rtl.writeback import WritebackCommand
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send

FEED_FIELDS = tuple(name for name, _ in FeedCommand())
WRITEBACK_FIELDS = tuple(name for name, _ in WritebackCommand())
BASE = 4096 * 12345


def random_items(rng: Any, config: CoreConfig, count: int) -> list[dict[str, Any]]:
    items = []
    for index in range(count):
        fields = random_fields(rng, config)
        words = fields["dram_bytes"] // config.word_bytes
        last = index == count - 1
        items.append({"descriptor": fetched(fields, index, last), "code": ErrorCode.NONE, "words": words})
    return items


def expected_event(item: dict[str, Any]) -> tuple[Any, ...]:
    fields, index = item["descriptor"]["fields"], item["descriptor"]["index"]
    addr = BASE + fields["dram_offset"]
    if fields["opcode"] is Opcode.LOAD:
        return "load", addr, fields["destination"], item["words"], index
    if fields["opcode"] is Opcode.STORE:
        return "store", addr, fields["source"], item["words"], index
    return "matmul", *(int(fields[n]) for n in FEED_FIELDS), *(int(fields[n]) for n in WRITEBACK_FIELDS)


class Engines:
    """Stands for the engines: takes a command, is busy for a while, says it is done. Nothing may start meanwhile."""

    def __init__(self, dut: Executor, rng: Any, *, stall: float, longest: int) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.counts: list[int] = []
        self.finished_after: list[int] = []
        self.durations: list[int] = []
        self._dut, self._rng, self._stall, self._longest = dut, rng, stall, longest
        self._left = 0

    async def run(self, ctx: Any) -> None:
        dut, rng = self._dut, self._rng
        ctx.set(dut.memory_base, BASE)
        ctx.set(dut.feed_commands.ready, 1)
        ctx.set(dut.writeback_commands.ready, 1)
        signals = [dut.load_commands, dut.store_commands, dut.feed_commands, dut.writeback_commands]
        kind = ""
        while True:
            done = self._left == 1
            ctx.set(dut.load_commands.ready, rng.random() >= self._stall)
            ctx.set(dut.store_commands.ready, rng.random() >= self._stall)
            ctx.set(dut.load_done, done and kind == "load")
            ctx.set(dut.store_done, done and kind == "store")
            ctx.set(dut.matmul_busy, self._left > 1 and kind == "matmul")
            running = ctx.get(dut.running_load), ctx.get(dut.running_store), ctx.get(dut.running_matmul)
            wanted = (kind == "load", kind == "store", kind == "matmul") if self._left else (False,) * 3
            assert running == wanted
            assert ctx.get(dut.ends) == done
            if self._left:
                assert ctx.get(dut.index) == len(self.events) - 1
                self._left -= 1
            ports = [(ctx.get(p.valid) and ctx.get(p.ready), p) for p in signals]
            taken = [port for valid, port in ports if valid]
            if taken:
                assert self._left == 0
                assert not done, "starts after the one before"
                kind = self._take(ctx, taken)
                self._left = rng.randint(1, self._longest)
            ends = ctx.get(dut.ends)
            assert ends == done
            await ctx.tick()
            if ends:
                self.counts.append(len(self.counts) + 1)
            if ctx.get(dut.finished):
                self.finished_after.append(len(self.counts))

    def _take(self, ctx: Any, taken: list[Any]) -> str:
        dut = self._dut
        if taken == [dut.load_commands]:
            p = ctx.get(dut.load_commands.payload)
            self.events.append(("load", int(p.addr), int(p.destination), int(p.words), int(p.tag)))
        elif taken == [dut.store_commands]:
            p = ctx.get(dut.store_commands.payload)
            self.events.append(("store", int(p.addr), int(p.source), int(p.words), int(p.tag)))
        else:
            assert taken == [dut.feed_commands, dut.writeback_commands], "both sides of a MATMUL start together"
            feed, writeback = ctx.get(dut.feed_commands.payload), ctx.get(dut.writeback_commands.payload)
            self.events.append(
                ("matmul", *(int(feed[n]) for n in FEED_FIELDS), *(int(writeback[n]) for n in WRITEBACK_FIELDS))
            )
        return str(self.events[-1][0])


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize(("idle", "stall", "longest"), [(0.0, 0.0, 1), (0.0, 0.5, 9), (0.8, 0.0, 9), (0.5, 0.8, 20)])
def test_runs_one_after_the_other(config: CoreConfig, idle: float, stall: float, longest: int) -> None:
    rng = seeded(20)
    dut = Executor(config=config)
    items = random_items(rng, config, 25)
    engines = Engines(dut, rng, stall=stall, longest=longest)

    async def source(ctx: Any) -> None:
        await send(ctx, dut.descriptors, items, rng=rng, idle=idle)
        while len(engines.counts) < len(items):
            await ctx.tick()
        await ctx.tick().repeat(TRAILING_CYCLES)
        assert ctx.get(dut.error_code) == ErrorCode.NONE

    run_benches(dut, source, cycles=4000, background=(engines.run,))
    assert engines.events == [expected_event(item) for item in items]
    assert engines.counts == list(range(1, len(items) + 1))
    assert engines.finished_after == [len(items)], "one pulse, with the last descriptor"


@pytest.mark.parametrize("failing", [0, 3])
@pytest.mark.parametrize(
    ("code", "opcode", "where"),
    [
        (ErrorCode.BAD_DESCRIPTOR, Opcode.MATMUL, None),
        (ErrorCode.DRAM_RANGE, Opcode.STORE, None),
        (ErrorCode.ACTIVATION_RANGE, Opcode.LOAD, "destination"),
        (ErrorCode.ACTIVATION_RANGE, Opcode.STORE, "source"),
    ],
)
def test_a_failed_descriptor_reports_in_its_turn(
    failing: int, code: ErrorCode, opcode: Opcode, where: str | None
) -> None:
    """With the bus address of its transfer, or the activation word in the field `where`."""
    rng = seeded(21)
    dut = Executor(config=SQUARE)
    items = random_items(rng, SQUARE, 6)
    items[failing]["code"] = code
    items[failing]["descriptor"]["fields"]["opcode"] = opcode
    engines = Engines(dut, rng, stall=0.3, longest=6)
    errors: list[tuple[int, int, int, int]] = []

    async def watch(ctx: Any) -> None:
        for _ in range(200 + TRAILING_CYCLES):
            found, index, addr, ready = (
                ctx.get(s) for s in (dut.error_code, dut.index, dut.error_addr, dut.descriptors.ready)
            )
            if found != ErrorCode.NONE:
                errors.append((found, index, addr, ready))
                assert len(engines.counts) == failing
            else:
                assert not errors, "stays until reset"
            await ctx.tick()

    source = [lambda ctx: send(ctx, dut.descriptors, items, rng=rng)]
    run_benches(dut, watch, cycles=500, background=(*source, engines.run))
    assert engines.events == [expected_event(item) for item in items[:failing]]
    assert len(errors) > TRAILING_CYCLES
    fields = items[failing]["descriptor"]["fields"]
    addr = fields[where] if where else BASE + fields["dram_offset"]
    assert set(errors) == {(int(code), failing, addr, 0)}
    assert engines.finished_after == []


def test_index_is_that_of_the_last_descriptor_taken() -> None:
    """What stands on the port of descriptors while it is not valid does not matter."""
    rng = seeded(22)
    dut = Executor(config=SQUARE)
    first = random_items(rng, SQUARE, 1)[0]
    first["descriptor"]["index"] = 7
    other = random_items(rng, SQUARE, 1)[0]
    other["descriptor"]["index"] = 9

    async def bench(ctx: Any) -> None:
        ctx.set(dut.descriptors.payload, other)
        for expected, count in ((0, 5), (7, 15)):
            for _ in range(count):
                assert ctx.get(dut.index) == expected
                await ctx.tick()
            ctx.set(dut.descriptors.payload, first)
            ctx.set(dut.descriptors.valid, expected == 0)
            await ctx.tick()
            ctx.set(dut.descriptors.valid, 0)
            ctx.set(dut.descriptors.payload, other)

    async def ready(ctx: Any) -> None:
        ctx.set(dut.load_commands.ready, 1)
        ctx.set(dut.store_commands.ready, 1)
        ctx.set(dut.load_done, 1)
        ctx.set(dut.store_done, 1)

    run_benches(dut, bench, cycles=200, background=(ready,))


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Executor(config=PRESETS)  # type: ignore[arg-type]

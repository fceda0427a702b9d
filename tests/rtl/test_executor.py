# amaranth: UnusedElaboratable=no
from collections import deque
from typing import Any

import pytest
from descriptors import all_of, fetched, random_fields
from small_configs import CONFIGS, NO_CONVOLUTIONS, NO_PRODUCTS, SQUARE, name_of

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import FIELD_BY_NAME, OPEN_ALL, VECTOR_OPCODES, ErrorCode, Opcode
from ssvq_rtl.executor import MATMULS_OPEN, Executor
from ssvq_rtl.feeder import FeedCommand
from ssvq_rtl.operand import OperandCommand
from ssvq_rtl.vector_command import Operation, VectorCommand
from ssvq_rtl.writeback import WritebackCommand
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send

MATRIX_FIELDS = tuple(tuple(name for name, _ in layout()) for layout in (FeedCommand, WritebackCommand, OperandCommand))
BASE = 4096 * 12345
VECTOR_FIELDS = tuple(name for name, _ in VectorCommand() if name != "operation")
KINDS = ("load", "store", "matrix", "vector")
OPEN_FIELDS = ("loads_open", "stores_open", "matmuls_open", "vectors_open")
"""In the order of `KINDS`."""

Event = tuple[Any, ...]


def kind_of(opcode: int) -> str:
    kinds = {Opcode.LOAD: "load", Opcode.STORE: "store", **dict.fromkeys(VECTOR_OPCODES, "vector")}
    return kinds.get(Opcode(opcode), "matrix")


def random_items(rng: Any, config: CoreConfig, count: int, opens: tuple[int, ...] = (0, OPEN_ALL)) -> list[Any]:
    """Payloads of the executor's descriptors, the numbers of open ones out of `opens`."""
    items = []
    for index in range(count):
        fields = random_fields(rng, config) | {name: rng.choice(opens) for name in OPEN_FIELDS}
        words = fields["dram_bytes"] // config.word_bytes
        last = index == count - 1
        items.append({"descriptor": fetched(fields, index, last), "code": ErrorCode.NONE, "words": words})
    return items


def expected_event(item: dict[str, Any]) -> Event:
    fields, index = item["descriptor"]["fields"], item["descriptor"]["index"]
    addr = BASE + fields.get("dram_offset", 0)
    if fields["opcode"] is Opcode.LOAD:
        return "load", addr, fields["destination"], item["words"], index
    if fields["opcode"] is Opcode.STORE:
        return "store", addr, fields["source"], item["words"], index
    if fields["opcode"] in VECTOR_OPCODES:
        values = fields | {"index": index}
        return "vector", Opcode(fields["opcode"]).name, *(values[name] for name in VECTOR_FIELDS if name in values)
    is_product = fields["opcode"] is Opcode.PRODUCT
    values = all_of(fields) | {"index": index, "is_product": is_product, "is_window": fields["opcode"] is Opcode.CONV}
    commands = MATRIX_FIELDS if is_product else MATRIX_FIELDS[:2]
    return "matrix", *(int(values.get(name, 0)) for names in commands for name in names)


class Engines:
    """Takes commands, works on those of a kind one after the other for a random time, and says when they are done.

    Every cycle is compared with the rules: the descriptor in hand begins in the first cycle in which no more than its
    numbers of earlier descriptors are incomplete, two matrix descriptors at most, and its engine takes it.
    """

    def __init__(self, dut: Executor, rng: Any, *, stall: float, longest: int) -> None:
        self.events: list[Event] = []
        self.open_when_begun: list[tuple[int, ...]] = []
        """Incomplete descriptors of each kind before each begin."""
        self.completed = 0
        self.finished_after: list[int] = []
        self._dut, self._rng, self._stall, self._longest = dut, rng, stall, longest
        self._left: dict[str, deque[int]] = {kind: deque() for kind in KINDS}
        self._in_hand: dict[str, Any] | None = None
        """A descriptor and its code, from the cycle after it was taken."""
        self._last_begun = False
        self._index = 0
        self._indices: dict[str, deque[int]] = {kind: deque() for kind in KINDS}
        """Of the incomplete descriptors of each kind."""
        self._oldest = 0
        """In the cycle before."""

    @property
    def idle(self) -> bool:
        return not any(self._left.values())

    async def run(self, ctx: Any) -> None:
        ctx.set(self._dut.memory_base, BASE)
        finishes = False
        while True:
            done = self._drive(ctx)
            self._check_outputs(ctx, finishes=finishes)
            begun = self._begun(ctx)
            taken = self._taken(ctx)
            finishes = self._last_begun and self.idle
            self._oldest = min([self._index, *(indices[0] for indices in self._indices.values() if indices)])
            await ctx.tick()
            if finishes:
                self._last_begun = False
            for kind in done:
                self._left[kind].popleft()
                self._indices[kind].popleft()
                self.completed += 1
            if begun is not None:
                self._left[begun].append(self._rng.randint(1, self._longest))
                self._indices[begun].append(self._index)
                assert self._in_hand is not None
                self._last_begun |= self._in_hand["last"]
                self._in_hand = None
            if taken is not None:
                self._in_hand = taken
                self._index = taken["index"]

    def _drive(self, ctx: Any) -> list[str]:
        """Returns the kinds of which a command is done in this cycle."""
        dut = self._dut
        done = []
        signals = (dut.load_done, dut.store_done, dut.matmul_done, dut.vector_done)
        for kind, signal in zip(KINDS, signals, strict=True):
            left = self._left[kind]
            if left and left[0] > 0:
                left[0] -= 1
            elif left:
                done.append(kind)
            ctx.set(signal, kind in done)
        # Of a command in front and one that is worked on; the matrix engine always offers a place.
        for kind, port in (("load", dut.load_commands), ("store", dut.store_commands), ("vector", dut.vector_commands)):
            ctx.set(port.ready, len(self._left[kind]) < 2 and self._rng.random() >= self._stall)
        for port in (dut.feed_commands, dut.writeback_commands, dut.operand_commands):
            ctx.set(port.ready, self._rng.random() >= self._stall)
        return done

    def _check_outputs(self, ctx: Any, *, finishes: bool) -> None:
        dut = self._dut
        counts = tuple(ctx.get(s) for s in (dut.loads, dut.stores, dut.matmuls, dut.vectors))
        assert counts == tuple(len(self._left[kind]) for kind in KINDS)
        assert ctx.get(dut.index) == self._index
        assert ctx.get(dut.oldest) == self._oldest
        assert ctx.get(dut.finished) == finishes
        if finishes:
            self.finished_after.append(self.completed)

    def _taken(self, ctx: Any) -> dict[str, Any] | None:
        port = self._dut.descriptors
        if not (ctx.get(port.valid) and ctx.get(port.ready)):
            return None
        assert self._in_hand is None
        payload = ctx.get(port.payload)
        fields = payload.descriptor.fields
        return {
            "opcode": int(fields.opcode),
            "open": tuple(int(fields[name]) for name in OPEN_FIELDS),
            "code": int(payload.code),
            "index": int(payload.descriptor.index),
            "last": bool(payload.descriptor.last),
        }

    def _may_begin(self, ctx: Any) -> bool:
        item = self._in_hand
        if item is None or item["code"] != ErrorCode.NONE:
            return False
        for kind, allowed in zip(KINDS, item["open"], strict=True):
            if allowed != OPEN_ALL and len(self._left[kind]) > allowed:
                return False
        dut, kind = self._dut, kind_of(item["opcode"])
        if kind == "load":
            return bool(ctx.get(dut.load_commands.ready))
        if kind == "store":
            return bool(ctx.get(dut.store_commands.ready))
        if kind == "vector":
            return bool(ctx.get(dut.vector_commands.ready))
        ports = [dut.feed_commands, dut.writeback_commands]
        if item["opcode"] == Opcode.PRODUCT:
            ports.append(dut.operand_commands)
        return len(self._left["matrix"]) < MATMULS_OPEN and all(ctx.get(port.ready) for port in ports)

    def _begun(self, ctx: Any) -> str | None:
        """Record the commands of this cycle; returns their kind."""
        dut = self._dut
        ports = (dut.load_commands, dut.store_commands, dut.feed_commands, dut.writeback_commands, dut.operand_commands)
        ports += (dut.vector_commands,)
        taken = [bool(ctx.get(port.valid) and ctx.get(port.ready)) for port in ports]
        found = ctx.get(dut.load_begins), ctx.get(dut.store_begins), ctx.get(dut.vector_begins)
        assert found == (taken[0], taken[1], taken[5])
        begins = self._may_begin(ctx)
        assert any(taken) == begins
        if not begins:
            return None
        assert self._in_hand is not None
        kind = kind_of(self._in_hand["opcode"])
        is_product = self._in_hand["opcode"] == Opcode.PRODUCT
        expected = [kind == "load", kind == "store", kind == "matrix", kind == "matrix", is_product, kind == "vector"]
        assert taken == expected
        self.open_when_begun.append(tuple(len(self._left[k]) for k in KINDS))
        self.events.append(self._event(ctx, kind, self._in_hand["opcode"]))
        return kind

    def _event(self, ctx: Any, kind: str, opcode: int) -> Event:
        dut, is_product = self._dut, opcode == Opcode.PRODUCT
        if kind == "load":
            p = ctx.get(dut.load_commands.payload)
            return "load", int(p.addr), int(p.destination), int(p.words), int(p.tag)
        if kind == "store":
            p = ctx.get(dut.store_commands.payload)
            return "store", int(p.addr), int(p.source), int(p.words), int(p.tag)
        if kind == "vector":
            p = ctx.get(dut.vector_commands.payload)
            owned = [n for n in VECTOR_FIELDS if n == "index" or FIELD_BY_NAME[n].belongs_to(opcode)]
            return "vector", Operation(int(p.operation)).name, *(int(p[n]) for n in owned)
        ports = [dut.feed_commands, dut.writeback_commands] + ([dut.operand_commands] if is_product else [])
        payloads = [ctx.get(port.payload) for port in ports]
        return "matrix", *(int(p[n]) for p, names in zip(payloads, MATRIX_FIELDS, strict=False) for n in names)


def run(config: CoreConfig, rng: Any, items: list[Any], *, idle: float, stall: float, longest: int) -> Engines:
    """All descriptors to the end; what has to hold of every run is checked."""
    dut = Executor(config=config)
    engines = Engines(dut, rng, stall=stall, longest=longest)

    async def source(ctx: Any) -> None:
        await send(ctx, dut.descriptors, items, rng=rng, idle=idle)
        while engines.completed < len(items):
            await ctx.tick()
        await ctx.tick().repeat(TRAILING_CYCLES)
        assert ctx.get(dut.error_code) == ErrorCode.NONE

    cycles = int(len(items) * (longest + 10) / (1 - idle) / (1 - stall) ** 3) + 500
    run_benches(dut, source, cycles=cycles, background=(engines.run,))
    assert engines.events == [expected_event(item) for item in items]
    assert engines.completed == len(items)
    assert engines.finished_after == [len(items)], "one pulse, when the last one is complete"
    assert max(counts[2] for counts in engines.open_when_begun) <= MATMULS_OPEN
    return engines


PATTERNS = [(0.0, 0.0, 1), (0.0, 0.5, 9), (0.8, 0.0, 9), (0.5, 0.7, 20), (0.0, 0.0, 40)]


@pytest.mark.parametrize("config", [*CONFIGS, NO_PRODUCTS, NO_CONVOLUTIONS], ids=name_of)
@pytest.mark.parametrize(("idle", "stall", "longest"), PATTERNS)
def test_begins_when_few_enough_are_incomplete(config: CoreConfig, idle: float, stall: float, longest: int) -> None:
    rng = seeded(20)
    items = random_items(rng, config, 50, opens=(0, 1, 2, OPEN_ALL, OPEN_ALL))
    run(config, rng, items, idle=idle, stall=stall, longest=longest)


@pytest.mark.parametrize(("idle", "stall", "longest"), PATTERNS)
def test_one_after_the_other(idle: float, stall: float, longest: int) -> None:
    """Descriptors as they were before there was overlap: each begins when all before it are complete."""
    rng = seeded(23)
    items = random_items(rng, SQUARE, 25, opens=(0,))
    engines = run(SQUARE, rng, items, idle=idle, stall=stall, longest=longest)
    assert set(engines.open_when_begun) == {(0,) * len(KINDS)}


def test_everything_overlaps() -> None:
    """With nothing to wait for, engines are as full as they can be."""
    rng = seeded(24)
    engines = run(SQUARE, rng, random_items(rng, SQUARE, 200, opens=(OPEN_ALL,)), idle=0.0, stall=0.0, longest=30)
    assert {counts[2] for counts in engines.open_when_begun} == set(range(MATMULS_OPEN + 1))
    assert any(all(counts) for counts in engines.open_when_begun)


@pytest.mark.parametrize("kind", range(len(KINDS)))
@pytest.mark.parametrize("allowed", [0, 1])
def test_waits_for_each_kind_alone(kind: int, allowed: int) -> None:
    """One number limits, the others do not; more than it are in the engines before a wait."""
    rng = seeded(25)
    items = random_items(rng, SQUARE, 40, opens=(OPEN_ALL,))
    for item in items:
        item["descriptor"]["fields"][OPEN_FIELDS[kind]] = allowed
    engines = run(SQUARE, rng, items, idle=0.0, stall=0.0, longest=30)
    assert max(counts[kind] for counts in engines.open_when_begun) == allowed
    assert all(max(counts[k] for counts in engines.open_when_begun) >= 1 for k in range(len(KINDS)) if k != kind)


FAILURES = [
    (ErrorCode.BAD_DESCRIPTOR, Opcode.MATMUL, None),
    (ErrorCode.DRAM_RANGE, Opcode.STORE, None),
    (ErrorCode.ACTIVATION_RANGE, Opcode.LOAD, "destination"),
    (ErrorCode.ACTIVATION_RANGE, Opcode.STORE, "source"),
]


@pytest.mark.parametrize("failing", [0, 5])
@pytest.mark.parametrize(("code", "opcode", "where"), FAILURES)
def test_a_failed_descriptor_reports_in_its_turn(
    failing: int, code: ErrorCode, opcode: Opcode, where: str | None
) -> None:
    """When all before it are complete, whatever it says of them; with the bus address of its transfer, or the
    activation word in the field `where`."""
    rng = seeded(21)
    dut = Executor(config=SQUARE)
    items = random_items(rng, SQUARE, 8, opens=(OPEN_ALL,))
    items[failing]["code"] = code
    items[failing]["descriptor"] = fetched(random_fields(rng, SQUARE, opcode), failing)
    engines = Engines(dut, rng, stall=0.0, longest=20)
    errors: list[tuple[int, int, int, int]] = []

    async def watch(ctx: Any) -> None:
        for _ in range(300 + TRAILING_CYCLES):
            found, index, addr, ready = (
                ctx.get(s) for s in (dut.error_code, dut.index, dut.error_addr, dut.descriptors.ready)
            )
            if found != ErrorCode.NONE:
                errors.append((found, index, addr, ready))
                assert engines.completed == failing
                assert engines.idle
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


def test_takes_two_cycles_to_a_free_engine() -> None:
    rng = seeded(26)
    dut = Executor(config=SQUARE)
    items = random_items(rng, SQUARE, 6, opens=(OPEN_ALL,))
    for index, item in enumerate(items):
        loads = random_fields(rng, SQUARE, Opcode.LOAD) | dict.fromkeys(OPEN_FIELDS, OPEN_ALL)
        item["descriptor"] = fetched(loads, index)
    begun: list[int] = []

    async def watch(ctx: Any) -> None:
        ctx.set(dut.load_commands.ready, 1)
        begins = 0
        for cycle in range(3 * len(items) + TRAILING_CYCLES):
            ctx.set(dut.load_done, begins)
            _, _, begins = await ctx.tick().sample(dut.load_begins)
            if begins:
                begun.append(cycle)

    run_benches(dut, watch, cycles=200, background=[lambda ctx: send(ctx, dut.descriptors, items, rng=rng)])
    assert begun == [2 * n + 1 for n in range(len(items))]


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

    run_benches(dut, bench, cycles=200)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Executor(config=PRESETS)  # type: ignore[arg-type]

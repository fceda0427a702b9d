# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from descriptors import MEMORY_SIZE, fetched, random_fields
from small_configs import CACHED, CONFIGS, NO_CONVOLUTIONS, NO_PRODUCTS, SQUARE, name_of

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT, MATRIX_OPCODES, STREAM_OPCODES, ErrorCode, Opcode, Residency
from ssvq_rtl.dispatcher import QUEUE_DEPTH, Dispatcher
from ssvq_rtl.layer_shape import LayerShape
from ssvq_sim.stream_bench import TRAILING_CYCLES, Receiver, run_benches, seeded, send

CYCLES_OF_COPY = 3
CYCLES_OF_PRODUCT = 4
CYCLES_OF_MATMUL = 5
LAYER_FIELDS = tuple(name for name, _ in LayerShape())


def checked_of(payload: Any) -> dict[str, int]:
    """A `CheckedDescriptor` as plain numbers."""
    descriptor = payload.descriptor
    values = {name: int(descriptor.fields[name]) for name in ("opcode", "dram_offset", "zero_point", "clamp_max")}
    return values | {
        "index": int(descriptor.index),
        "last": int(descriptor.last),
        "code": int(payload.code),
        "words": int(payload.words),
    }


def expected_of(item: dict[str, Any], config: CoreConfig, code: ErrorCode = ErrorCode.NONE) -> dict[str, int]:
    fields = item["fields"]
    values = {name: int(fields.get(name, 0)) for name in ("opcode", "dram_offset", "zero_point", "clamp_max")}
    values["dram_offset"] += fields.get("parameters", 0)  # which vector operations have in its place
    words = fields["dram_bytes"] // config.word_bytes
    return values | {"index": item["index"], "last": int(item["last"]), "code": code, "words": words}


def command_of(payload: Any) -> tuple[int, ...]:
    """Address, beats, tag, residency; the place in the cache if it has a meaning."""
    values = tuple(int(payload[name]) for name in ("addr", "beats", "tag", "residency"))
    return values if payload.residency == Residency.NONE else (*values, int(payload.cache_beat))


def expected_command(item: dict[str, Any], config: CoreConfig, base: int) -> tuple[int, ...]:
    fields = item["fields"]
    addr = (base + fields["dram_offset"]) % (1 << config.axi_addr_width)
    values = addr, fields["dram_bytes"] // config.beat_bytes, item["index"], fields["residency"]
    return values if fields["residency"] == Residency.NONE else (*values, fields["cache_offset"] // config.beat_bytes)


def layer_of(payload: Any) -> tuple[int, ...]:
    return tuple(int(payload[name]) for name in LAYER_FIELDS)


def expected_layer(item: dict[str, Any]) -> tuple[int, ...]:
    values = item["fields"] | {"is_product": item["fields"]["opcode"] is Opcode.PRODUCT, "index": item["index"]}
    return tuple(int(values.get(name, 0)) for name in LAYER_FIELDS)


class DispatcherBench:
    """Sends descriptors and receives what comes of them."""

    def __init__(self, config: CoreConfig, rng: Any, *, idle: float = 0.0, stall: float = 0.0, base: int = 0) -> None:
        self.dut = dut = Dispatcher(config=config)
        self._config, self._rng, self._idle, self._base = config, rng, idle, base
        self.o = Receiver(dut.o, rng=rng, stall=stall, convert=checked_of)
        self.commands = Receiver(dut.weight_commands, rng=rng, stall=stall, convert=command_of)
        self.layers = Receiver(dut.layers, rng=rng, stall=stall, convert=layer_of)
        self.accepted: list[int] = []

    async def _set_window(self, ctx: Any) -> None:
        ctx.set(self.dut.memory_base, self._base)
        ctx.set(self.dut.memory_size, MEMORY_SIZE)
        cycle = 0
        while True:
            _, _, valid, ready = await ctx.tick().sample(self.dut.descriptors.valid, self.dut.descriptors.ready)
            if valid and ready:
                self.accepted.append(cycle)
            cycle += 1

    def run(self, items: list[dict[str, Any]], *, passed: int) -> None:
        """Send all; exactly `passed` come out, with the weight commands and layers of those that can be run."""
        runs = [item["fields"]["opcode"] for item in items[: len(items) if passed == len(items) else passed - 1]]
        streams, layers = (sum(opcode in kind for opcode in runs) for kind in (STREAM_OPCODES, MATRIX_OPCODES))
        dut = self.dut

        async def source(ctx: Any) -> None:
            await send(ctx, dut.descriptors, items, rng=self._rng, idle=self._idle)

        run_benches(
            dut,
            lambda ctx: self.o.take(ctx, passed),
            lambda ctx: self.commands.take(ctx, streams),
            lambda ctx: self.layers.take(ctx, layers),
            cycles=100 * len(items) + 500,
            background=(self._set_window, source),
        )


@pytest.mark.parametrize("config", [*CONFIGS, CACHED, NO_PRODUCTS, NO_CONVOLUTIONS], ids=name_of)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.5, 0.5), (0.0, 0.9), (0.9, 0.0)])
def test_dispatches(config: CoreConfig, idle: float, stall: float) -> None:
    rng = seeded(10)
    count = 40
    items = [fetched(random_fields(rng, config), index, index == count - 1) for index in range(count)]
    base = 4096 * rng.getrandbits(19)
    bench = DispatcherBench(config, rng, idle=idle, stall=stall, base=base)
    bench.run(items, passed=count)
    assert bench.o.items == [expected_of(item, config) for item in items]
    streams = [item for item in items if item["fields"]["opcode"] in STREAM_OPCODES]
    assert bench.commands.items == [expected_command(item, config, base) for item in streams]
    layers = [item for item in items if item["fields"]["opcode"] in MATRIX_OPCODES]
    assert bench.layers.items == [expected_layer(item) for item in layers]


@pytest.mark.parametrize("residency", [Residency.KEEP, Residency.REUSE])
def test_residency(residency: Residency) -> None:
    """Every place in the weight cache; what is reused may lie anywhere in DRAM."""
    rng = seeded(15)
    items = []
    for index, offset in enumerate(range(0, CACHED.weight_cache_bytes, DRAM_ALIGNMENT)):
        fields = random_fields(rng, CACHED, Opcode.MATMUL)
        fields |= {"residency": residency, "cache_offset": offset, "dram_bytes": DRAM_ALIGNMENT}
        if residency is Residency.REUSE:
            fields["dram_offset"] = DRAM_ALIGNMENT * rng.getrandbits(26)
        items.append(fetched(fields, index))
    bench = DispatcherBench(CACHED, rng)
    bench.run(items, passed=len(items))
    assert bench.commands.items == [expected_command(item, CACHED, 0) for item in items]
    assert [command[-1] for command in bench.commands.items] == [
        offset // CACHED.beat_bytes for offset in range(0, CACHED.weight_cache_bytes, DRAM_ALIGNMENT)
    ]


@pytest.mark.parametrize(
    ("opcode", "cycles"),
    [
        (Opcode.LOAD, CYCLES_OF_COPY),
        (Opcode.STORE, CYCLES_OF_COPY),
        (Opcode.PRODUCT, CYCLES_OF_PRODUCT),
        (Opcode.MATMUL, CYCLES_OF_MATMUL),
        (Opcode.CONV, CYCLES_OF_MATMUL),
    ],
)
def test_cycles_of_a_descriptor(opcode: Opcode, cycles: int) -> None:
    rng = seeded(11)
    items = [fetched(random_fields(rng, SQUARE, opcode), index) for index in range(8)]
    bench = DispatcherBench(SQUARE, rng)
    bench.run(items, passed=8)
    assert bench.accepted == [bench.accepted[0] + cycles * n for n in range(8)]


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"magic": 0}, ErrorCode.BAD_DESCRIPTOR),
        ({"opcode": 9}, ErrorCode.BAD_DESCRIPTOR),
        ({"dram_offset": MEMORY_SIZE}, ErrorCode.DRAM_RANGE),
        ({"opcode": Opcode.LOAD, "destination": SQUARE.activation_depth}, ErrorCode.ACTIVATION_RANGE),
        ({"opcode": Opcode.MATMUL, "tokens": 0}, ErrorCode.BAD_DESCRIPTOR),
        ({"opcode": Opcode.PRODUCT}, ErrorCode.BAD_DESCRIPTOR),
        ({"opcode": Opcode.PRODUCT, "dram_bytes": 0, "last_columns": 0}, ErrorCode.BAD_DESCRIPTOR),
        ({"opcode": Opcode.CONV, "channel_tiles": 0}, ErrorCode.BAD_DESCRIPTOR),
    ],
)
def test_nothing_follows_an_error(changes: dict[str, int], code: ErrorCode, stall: float) -> None:
    """The failed descriptor comes out in its turn, without weights and layer; later ones are not taken."""
    rng = seeded(12)
    items = [fetched(random_fields(rng, SQUARE, MATRIX_OPCODES[(index + 1) % 2]), index) for index in range(6)]
    dense = {"weight_format": 0, "index_width": 8, "vector_dim_log2": 0, "dram_bytes": SQUARE.word_bytes}
    items[3]["fields"] |= dense | changes
    bench = DispatcherBench(SQUARE, rng, stall=stall)
    bench.run(items, passed=4)
    assert [item["code"] for item in bench.o.items] == [ErrorCode.NONE] * 3 + [code]
    assert [item["index"] for item in bench.o.items] == [0, 1, 2, 3]
    assert len(bench.accepted) == 4


def test_queue_depth() -> None:
    """`QUEUE_DEPTH` descriptors wait, and one more is in hand; weights of all that wait are on their way."""
    rng = seeded(13)
    dut = Dispatcher(config=SQUARE)
    items = [fetched(random_fields(rng, SQUARE, Opcode.MATMUL), index) for index in range(10)]
    commands = Receiver(dut.weight_commands, rng=rng)
    accepted = 0

    async def watch(ctx: Any) -> None:
        nonlocal accepted
        ctx.set(dut.memory_size, MEMORY_SIZE)
        ctx.set(dut.layers.ready, 1)
        for _ in range(10 * CYCLES_OF_MATMUL + TRAILING_CYCLES):
            _, _, valid, ready = await ctx.tick().sample(dut.descriptors.valid, dut.descriptors.ready)
            accepted += valid & ready

    source = [lambda ctx: send(ctx, dut.descriptors, items, rng=rng)]
    run_benches(dut, watch, cycles=500, background=(*source, commands.run))
    assert accepted == QUEUE_DEPTH + 1
    assert len(commands.items) == QUEUE_DEPTH


@pytest.mark.parametrize("opcode", MATRIX_OPCODES)
def test_layers_wait_for_the_unpacker(opcode: Opcode) -> None:
    """`QUEUE_DEPTH` layers wait, and one more is in hand; their descriptors are passed on. Copies need no place."""
    rng = seeded(16)
    dut = Dispatcher(config=SQUARE)
    copies = QUEUE_DEPTH
    items = [fetched(random_fields(rng, SQUARE, Opcode.LOAD), index) for index in range(copies)]
    items += [fetched(random_fields(rng, SQUARE, opcode), copies + index) for index in range(QUEUE_DEPTH + 3)]
    o = Receiver(dut.o, rng=rng, convert=checked_of)
    layers = Receiver(dut.layers, rng=rng, convert=layer_of)
    accepted = 0

    async def watch(ctx: Any) -> None:
        nonlocal accepted
        ctx.set(dut.memory_size, MEMORY_SIZE)
        ctx.set(dut.weight_commands.ready, 1)
        for _ in range(CYCLES_OF_MATMUL * len(items) + TRAILING_CYCLES):
            _, _, valid, ready = await ctx.tick().sample(dut.descriptors.valid, dut.descriptors.ready)
            accepted += valid & ready
        assert accepted == len(o.items) == copies + QUEUE_DEPTH + 1
        await layers.take(ctx, QUEUE_DEPTH + 3)

    run_benches(dut, watch, cycles=1000, background=(o.run, lambda ctx: send(ctx, dut.descriptors, items, rng=rng)))
    assert o.items == [expected_of(item, SQUARE) for item in items]
    assert layers.items == [expected_layer(item) for item in items[copies:]]


@pytest.mark.parametrize("size", [1 << 28, 1 << 30, (1 << 31) + 64, (1 << 32) - 2 * DRAM_ALIGNMENT])
def test_longest_weight_streams(size: int) -> None:
    """The beats of any stream that fits the DRAM window fit the command."""
    rng = seeded(14)
    fields = random_fields(rng, SQUARE, Opcode.MATMUL) | {"dram_offset": 0, "dram_bytes": size}
    dut = Dispatcher(config=SQUARE)
    commands = Receiver(dut.weight_commands, rng=rng, convert=command_of)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.memory_size, (1 << 32) - 1)
        await commands.take(ctx, 1)

    source = [lambda ctx: send(ctx, dut.descriptors, [fetched(fields, 3)], rng=rng)]
    run_benches(dut, bench, cycles=200, background=source)
    assert commands.items == [(0, size // SQUARE.beat_bytes, 3, Residency.NONE)]


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Dispatcher(config=PRESETS)  # type: ignore[arg-type]

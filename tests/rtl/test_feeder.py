# amaranth: UnusedElaboratable=no
import itertools
from typing import Any

import pytest
from feeder_bench import REASONS, Chances, FeederBench, Issue, issues_of
from small_configs import CONFIGS, NO_CONVOLUTIONS, SQUARE, TALL, WIDE, name_of

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.feeder import MIN_TILE_CYCLES, Feeder
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

COMMAND_CYCLES = 2
"""Cycles from the last activation of a command to the first of the next."""


def earliest(commands: list[list[Issue]], config: CoreConfig) -> list[int]:
    """Cycles of the issues when nothing is missing, from the first on.

    Tiles start `MIN_TILE_CYCLES` apart, and final sums take the requantizer `requantize_groups` cycles each.
    """
    times: list[int] = []
    start = -MIN_TILE_CYCLES
    for issues in commands:
        for n, issue in enumerate(issues):
            time = 0
            if times:
                final = issues[n - 1].is_final if n else True
                time = times[-1] + max(config.requantize_groups if final else 1, 1 if n else COMMAND_CYCLES)
            if issue.starts_tile:
                start = time = max(time, start + MIN_TILE_CYCLES)
            times.append(time)
    return times


def command_of(config: CoreConfig, rng: Any, **fixed: int) -> dict[str, int]:
    """Strides may be larger than the input needs, or zero: the same activation, or the same input, again."""
    command = {
        "tokens": rng.choice((1, 2, 3, config.accumulator_depth)),
        "k_tiles": rng.randint(1, 5),
        "n_tiles": rng.randint(1, 3),
        "last_rows": rng.choice((1, config.rows, rng.randint(1, config.rows))),
        "batch_last": rng.choice((0, 0, 1, 2)),
        "early_tiles": rng.choice((0, 1, 2, 5, 65535)),
        "is_product": rng.getrandbits(1),
        "index": rng.getrandbits(16),
    } | fixed
    words = -(-command["k_tiles"] * config.rows // config.word_bytes)
    longest = (config.activation_depth - words) // max(1, command["tokens"] - 1)
    stride = rng.choice((words, 0, rng.randint(0, min(longest, 65535))))
    used = (command["tokens"] - 1) * stride + words
    batch_stride = rng.randint(0, config.activation_depth - used) // max(1, command["batch_last"])
    used += batch_stride * command["batch_last"]
    place = rng.choice((0, config.activation_depth - used))
    return {"input_stride": stride, "input_batch_stride": batch_stride, "source": place} | command


def windows_of(config: CoreConfig, rng: Any, **fixed: int) -> dict[str, int]:
    """A command of windows whose pixels inside the image are in the memory, many others outside."""
    tokens = rng.choice((1, 2, 3, config.accumulator_depth))
    channel_tiles = rng.randint(1, 4)
    command = {
        "is_window": 1,
        "tokens": tokens,
        "n_tiles": rng.randint(1, 2),
        "channel_tiles": channel_tiles,
        "k_tiles": channel_tiles * rng.randint(1, 6),
        "kernel_width": rng.randint(1, 3),
        "output_width": rng.randint(1, tokens),
        "last_rows": rng.choice((1, config.rows, rng.randint(1, config.rows))),
        "padding_value": rng.randint(-128, 127),
        "early_tiles": rng.choice((0, 1, 2, 5, 65535)),
        "index": rng.getrandbits(16),
        "input_height": rng.randint(1, 4),
        "input_width": rng.randint(1, 4),
        "origin_y": rng.randint(-3, 2),
        "origin_x": rng.randint(-3, 2),
        "stride_y": rng.randint(1, 3),
        "stride_x": rng.randint(1, 3),
        "dilation_y": rng.randint(1, 3),
        "dilation_x": rng.randint(1, 3),
    } | fixed
    words = -(-command["channel_tiles"] * config.rows // config.word_bytes)
    stride = words + rng.randrange(2)
    row_stride = command["input_width"] * stride + rng.randrange(3)
    used = command["input_height"] * row_stride + words
    first = rng.choice((0, config.activation_depth - used))
    source = first + command["origin_y"] * row_stride + command["origin_x"] * stride
    return command | {"input_stride": stride, "row_stride": row_stride, "source": source % (1 << 32), "batch_last": 0}


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize(
    "chances",
    [
        Chances(),
        Chances(freeze=0.4),
        Chances(denied=0.6),
        Chances(freeze=0.3, slow=0.2, late=0.4, denied=0.3, unwritten=0.3),
    ],
)
def test_feeds_windows(config: CoreConfig, chances: Chances) -> None:
    """Between matrices, as in a network."""
    rng = seeded(84)
    commands = [rng.choice((windows_of, windows_of, command_of))(config, rng) for _ in range(10)]
    FeederBench(config, rng, chances).run(commands)


def test_padding_waits_for_no_bank() -> None:
    """Windows all of which are outside are issued one a cycle although hardly any read is granted."""
    rng = seeded(85)
    command = windows_of(SQUARE, rng, tokens=8, output_width=4, k_tiles=9, channel_tiles=1, origin_x=10, n_tiles=1)
    bench = FeederBench(SQUARE, rng, Chances(denied=0.99))
    bench.run([command])
    assert bench.reasons["wait_activation"] == 0
    assert len(bench.times) == 9 * 8


@pytest.mark.parametrize("config", [NO_CONVOLUTIONS, *CONFIGS], ids=name_of)
@pytest.mark.parametrize(
    "chances",
    [
        Chances(),
        Chances(freeze=0.4),
        Chances(slow=0.6),
        Chances(late=0.9),
        Chances(denied=0.6),
        Chances(unwritten=0.8),
        Chances(hold=0.9),
        Chances(freeze=0.3, slow=0.2, late=0.4, denied=0.3, unwritten=0.3, hold=0.3),
    ],
    ids=lambda chances: "-".join(f"{name}{chance}" for name, chance in vars(chances).items() if chance) or "nothing",
)
def test_feeds(config: CoreConfig, chances: Chances) -> None:
    rng = seeded(80)
    commands = [command_of(config, rng) for _ in range(8)]
    bench = FeederBench(config, rng, chances)
    bench.run(commands)
    assert bench.reasons["issue"] == len(bench.times)
    missing = {
        "wait_weights": chances.freeze + chances.slow + chances.late,
        "wait_activation": chances.denied + chances.unwritten,
    }
    assert all((bench.reasons[reason] > 0) == (chance > 0) for reason, chance in missing.items())
    assert set(bench.reasons) <= set(REASONS)


@pytest.mark.parametrize("config", [SQUARE, TALL, WIDE], ids=name_of)
@pytest.mark.parametrize("denied", [0.0, 0.5])
def test_every_pattern_of_freezes(config: CoreConfig, denied: float) -> None:
    """The word of an activation is taken whichever of the cycles around its issue the array stands in."""
    rng = seeded(82)
    for pattern in itertools.product((0, 1), repeat=6):
        if any(pattern):
            commands = [command_of(config, rng, tokens=tokens, k_tiles=2, n_tiles=1) for tokens in (1, 4)]
            FeederBench(config, rng, Chances(denied=denied), pattern).run(commands)


@pytest.mark.parametrize("tokens", [1, 2, 3, 4])
@pytest.mark.parametrize("config", [NO_CONVOLUTIONS, *CONFIGS], ids=name_of)
def test_full_rate(config: CoreConfig, tokens: int) -> None:
    """Every activation comes as early as accumulators and requantizer allow, from command to command."""
    rng = seeded(81)
    commands = [
        command_of(config, rng, tokens=tokens, k_tiles=k_tiles, n_tiles=n_tiles, batch_last=batch_last)
        for k_tiles, n_tiles, batch_last in ((6, 2, 0), (1, 1, 0), (1, 3, 1), (2, 1, 2))
    ]
    if config.convolution:
        commands[1:1] = [windows_of(config, rng, tokens=tokens, output_width=width) for width in (1, tokens)]
    bench = FeederBench(config, rng, Chances())
    bench.run(commands)
    expected = earliest([issues_of(command, config, bench.memory) for command in commands], config)
    assert [time - bench.times[0] for time in bench.times] == expected


@pytest.mark.parametrize("early_tiles", [0, 1, 3, 4, 65535])
def test_early_tiles(early_tiles: int) -> None:
    """While the last column before is missing, so many tiles of the first column go, and no more."""
    rng = seeded(83)
    config = SQUARE
    dut = Feeder(config=config)
    command = command_of(config, rng, tokens=3, k_tiles=4, n_tiles=2, batch_last=1) | {"early_tiles": early_tiles}
    issues = 0

    async def bench(ctx: Any) -> None:
        nonlocal issues
        for signal in (dut.enable, dut.row_loaded, dut.parameters_ready, dut.read.ready, dut.commands.valid):
            ctx.set(signal, 1)
        ctx.set(dut.commands.payload, command)
        await ctx.tick()
        ctx.set(dut.commands.valid, 0)
        for most_written, expected in ((0, 0), (1, min(early_tiles, 4) * 3)):
            ctx.set(dut.most_written, most_written)
            for _ in range(100):
                _, _, issue = await ctx.tick().sample(dut.issue)
                issues += issue
            assert issues == expected
            assert ctx.get(dut.wait_activation)
        ctx.set(dut.all_written, 1)
        while ctx.get(dut.busy):
            _, _, issue = await ctx.tick().sample(dut.issue)
            issues += issue

    run_benches(dut, bench, cycles=1000)
    assert issues == 2 * 2 * 4 * 3


@pytest.mark.parametrize("config", [SQUARE, TALL, WIDE], ids=name_of)
@pytest.mark.parametrize(
    ("where", "good"),
    [
        *(("end", 5), ("first", 0), ("wrap", 0), ("stride", 1), ("last_word", 3), ("long_stride", 2), ("batch", 2)),
        *(("row", 2), ("before", 1)),
    ],
)
def test_addresses_outside_the_memory(config: CoreConfig, where: str, good: int) -> None:
    """Activations up to the end are issued, the next address is reported, nothing is read any more."""
    depth, tiles = config.activation_depth, config.word_bytes // config.rows
    steps = dict.fromkeys(("stride_y", "stride_x", "dilation_y", "dilation_x", "kernel_width", "channel_tiles"), 1)
    image = steps | {"is_window": 1, "tokens": 4, "input_stride": 1, "output_width": 2}
    image |= {"input_height": 2, "input_width": 2}
    command, bad = {
        "end": ({"source": depth - 5, "tokens": 8, "input_stride": 1}, depth),
        "first": ({"source": depth, "tokens": 1, "input_stride": 1}, depth),
        "wrap": ({"source": (1 << 32) - 1, "tokens": 3, "input_stride": 1}, (1 << 32) - 1),
        "stride": ({"source": 1, "tokens": 3, "input_stride": 65535}, 65536),
        "last_word": ({"source": depth - 1, "tokens": 3, "k_tiles": tiles + 1, "input_stride": 0}, depth),
        "long_stride": ({"source": 0, "tokens": 8, "input_stride": depth - 1}, 2 * depth - 2),
        "batch": ({"source": 3, "tokens": 1, "batch_last": 2, "input_batch_stride": depth - 4}, 2 * depth - 5),
        "row": (image | {"source": 1, "row_stride": depth}, depth + 1),
        "before": (image | {"source": (1 << 32) - 3, "origin_x": -1}, (1 << 32) - 2),
    }[where]
    if where == "last_word":
        good = 3 * tiles
    command = {"k_tiles": 1, "n_tiles": 1, "last_rows": 1, "index": 77} | command
    dut = Feeder(config=config)
    issues = 0

    async def bench(ctx: Any) -> None:
        nonlocal issues
        for signal in (dut.enable, dut.row_loaded, dut.parameters_ready, dut.all_written, dut.commands.valid):
            ctx.set(signal, 1)
        ctx.set(dut.commands.payload, command)
        await ctx.tick()
        ctx.set(dut.commands.valid, 0)
        while not ctx.get(dut.error):
            ctx.set(dut.read.ready, ctx.get(dut.read.en))
            issues += ctx.get(dut.issue)
            assert not ctx.get(dut.read.en) or ctx.get(dut.read.addr) < depth
            await ctx.tick()
        for _ in range(TRAILING_CYCLES):
            assert (ctx.get(dut.error), ctx.get(dut.error_addr), ctx.get(dut.index)) == (1, bad, 77)
            assert not ctx.get(dut.read.en)
            assert not ctx.get(dut.issue)
            await ctx.tick()

    run_benches(dut, bench, cycles=300)
    assert issues == good


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Feeder(config=PRESETS)  # type: ignore[arg-type]

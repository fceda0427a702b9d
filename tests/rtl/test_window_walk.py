# amaranth: UnusedElaboratable=no
import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from small_configs import CONFIGS, SQUARE, WIDE, name_of
from windows import places_of

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.matrix_walk import MatrixWalk
from ssvq_rtl.walk import WalkCommand
from ssvq_rtl.window_walk import WindowWalk
from ssvq_sim.stream_bench import run_benches, seeded

Command = dict[str, int]
WALK_FIELDS = tuple(name for name, _ in WalkCommand())


def check(dut: Any, config: CoreConfig, commands: Iterable[Command], rng: Any, *, pause: float = 0.0) -> int:
    """Walk through all commands; between two of its activations a walk may stand for some cycles."""
    listed = list(commands)
    steps = 0

    async def bench(ctx: Any) -> None:
        nonlocal steps
        for command in listed:
            ctx.set(dut.command, {name: command.get(name, 0) for name in WALK_FIELDS})
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.command.as_value(), rng.getrandbits(len(dut.command.as_value())))
            for place in places_of(command, config):
                ctx.set(dut.last_token, place.t == command["tokens"] - 1)
                ctx.set(dut.last_tile, place.k == command["k_tiles"] - 1)
                ctx.set(dut.last_column, place.n == command["n_tiles"] - 1)
                while True:
                    assert ctx.get(dut.inside) == place.inside, (command, place)
                    assert ctx.get(dut.address) == place.address, (command, place)
                    assert ctx.get(dut.lane) == place.lane, (command, place)
                    assert ctx.get(dut.last_channels) == place.last_channels, (command, place)
                    if rng.random() >= pause:
                        break
                    await ctx.tick()
                ctx.set(dut.advance, 1)
                await ctx.tick()
                ctx.set(dut.advance, 0)
                steps += 1

    run_benches(dut, bench, cycles=10_000_000)
    return steps


def windows(rng: Any, **fixed: int) -> Command:
    """A command of few pixels anywhere in the image and outside, at any words."""
    return {
        "is_window": 1,
        "source": rng.getrandbits(32),
        "tokens": rng.randint(1, 5),
        "k_tiles": rng.randint(1, 9),
        "n_tiles": rng.randint(1, 2),
        "input_stride": rng.choice((1, 2, 65535, rng.getrandbits(16))),
        "row_stride": rng.choice((0, 5, 65535, rng.getrandbits(16))),
        "input_batch_stride": rng.getrandbits(16),
        "output_width": rng.randint(1, 4),
        "input_height": rng.choice((1, 2, 3, 4095)),
        "input_width": rng.choice((1, 2, 3, 4095)),
        "origin_y": rng.choice((-4096, 4095, *range(-3, 4))),
        "origin_x": rng.choice((-4096, 4095, *range(-3, 4))),
        "stride_y": rng.randint(1, 7),
        "stride_x": rng.randint(1, 7),
        "dilation_y": rng.randint(1, 15),
        "dilation_x": rng.randint(1, 15),
        "kernel_width": rng.randint(1, 15),
        "channel_tiles": rng.choice((1, 2, 3, 4095)),
    } | fixed


@pytest.mark.parametrize("config", [SQUARE, WIDE], ids=name_of)
def test_every_small_loop(config: CoreConfig) -> None:
    """All numbers of windows in a row, kernel positions and channel tiles, strides and dilations of 1 and 2."""
    rng = seeded(300)
    names = ("tokens", "output_width", "kernel_width", "channel_tiles")
    steps = ("stride_y", "stride_x", "dilation_y", "dilation_x")
    commands = []
    for counts in itertools.product((1, 2, 3, 4), (1, 2, 3), (1, 2), (1, 2)):
        for sizes in itertools.product((1, 2), repeat=4):
            fixed = dict(zip(names + steps, counts + sizes, strict=True))
            positions = fixed["kernel_width"] * rng.randint(1, 2)
            fixed |= {"k_tiles": positions * fixed["channel_tiles"], "input_height": rng.randint(1, 4)}
            commands.append(windows(rng, **fixed, input_width=rng.randint(1, 4)))
    check(WindowWalk(config=config), config, commands, rng)


def test_every_border() -> None:
    """Images of up to 3 x 3 pixels with windows that begin up to 2 before and behind each of their sides."""
    rng = seeded(301)
    fixed = {"tokens": 9, "output_width": 3, "stride_y": 1, "stride_x": 1, "k_tiles": 1, "n_tiles": 1}
    names = ("input_height", "input_width", "origin_y", "origin_x")
    places = itertools.product((1, 2, 3), (1, 2, 3), range(-2, 4), range(-2, 4))
    commands = [windows(rng, **fixed, **dict(zip(names, place, strict=True))) for place in places]
    check(WindowWalk(config=SQUARE), SQUARE, commands, rng)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_any_command_at_any_pace(config: CoreConfig) -> None:
    """Windows and matrices follow each other."""
    rng = seeded(302)
    commands = [windows(rng, is_window=rng.getrandbits(1), batch_last=0) for _ in range(200)]
    for command in commands:
        if not command["is_window"]:
            command["batch_last"] = rng.randint(0, 2)
    check(WindowWalk(config=config), config, commands, rng, pause=0.3)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_matrices_alone(config: CoreConfig) -> None:
    """In a core without convolutions; what says that it is a window is not looked at."""
    rng = seeded(303)
    commands = [windows(rng, is_window=0, batch_last=rng.randint(0, 2)) for _ in range(200)]
    check(MatrixWalk(config=config), config, commands, rng, pause=0.3)


@pytest.mark.parametrize(
    "shape",
    [
        {"tokens": 1, "k_tiles": 65535, "kernel_width": 1, "origin_y": 4095},
        {"tokens": 4096, "k_tiles": 15, "output_width": 4095, "kernel_width": 15, "origin_x": 4095},
        {"tokens": 4096, "k_tiles": 2, "output_width": 1, "kernel_width": 1, "origin_y": 4095},
    ],
    ids=["kernel", "columns", "rows"],
)
def test_no_window_comes_back_to_the_image(shape: Command) -> None:
    """The longest ways to walk away from an image of which everything is in reach."""
    rng = seeded(304)
    steps = {"stride_y": 7, "stride_x": 7, "dilation_y": 15, "dilation_x": 15}
    size = {"input_height": 4095, "input_width": 4095, "channel_tiles": 1, "n_tiles": 1}
    command = windows(rng, **{"origin_y": 0, "origin_x": 0} | steps | size | shape)
    assert check(WindowWalk(config=SQUARE), SQUARE, [command], rng) == shape["tokens"] * shape["k_tiles"]


@pytest.mark.parametrize("walk", [WindowWalk, MatrixWalk])
def test_refuses_what_is_no_configuration(walk: Any) -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        walk(config=PRESETS)

"""The walk of the vector unit against loops written from the formats page: addresses, places, and the longest ways."""

# amaranth: UnusedElaboratable=no
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ssvq_rtl.vector_command import Operation, VectorCommand
from ssvq_rtl.vector_windows import VectorWindows
from ssvq_sim.stream_bench import run_benches, seeded

Command = dict[str, int]
ADDRESSES = 1 << 33


@dataclass(frozen=True, kw_only=True)
class Step:
    """A pixel.

    group : of channels
    weight : row and column of the kernel in the window that is completed next; None where that does not have the pixel
    last_token : that window is the last one of the group
    place : row of the kernel, and column of the period
    """

    group: int
    address: int
    outside: bool
    opens: bool
    shifts: bool
    closes: bool
    weight: tuple[int, int] | None
    last_token: bool
    place: tuple[int, int]


def is_window(f: Command) -> bool:
    return f["operation"] in (Operation.POOL, Operation.DEPTHWISE)


def steps_of(f: Command) -> Iterator[Step]:
    """All pixels of a command, in rows of windows; a matrix is one."""
    if not is_window(f):
        ones = dict.fromkeys(("kernel_height", "kernel_width", "stride_x", "stride_y", "dilation_x", "dilation_y"), 1)
        f = f | ones | {"output_width": f["tokens"], "extra_taps": 0}
    extra = f["extra_taps"] if f["operation"] == Operation.DEPTHWISE else 0
    first = f["source"] - (f["source"] >> 31 << 32 if is_window(f) else 0)
    for group in range(f["groups"]):
        for row in range(-(-f["tokens"] // f["output_width"])):
            windows = min(f["output_width"], f["tokens"] - row * f["output_width"])
            for period in range(windows + extra):
                count = f["stride_x"] if extra else f["kernel_width"]
                behind = f["kernel_width"] - f["stride_x"] * extra  # pixels of the last window's last period
                for column in range(behind if extra and period == windows + extra - 1 else count):
                    yield from _column(f, first, group, row, period, column, extra, windows, count, behind)
        first += group % f["slots"] == f["slots"] - 1


def _column(
    f: Command,
    first: int,
    group: int,
    row: int,
    period: int,
    column: int,
    extra: int,
    windows: int,
    count: int,
    behind: int,
) -> Iterator[Step]:
    right = period * f["stride_x"] + column * f["dilation_x"]
    x = f["origin_x"] + right
    is_column = not is_window(f) or 0 <= x < f["input_width"]
    last_period = period == windows + extra - 1
    rows = f["kernel_height"] if is_column else 1
    for kernel_y in range(rows):
        down = row * f["stride_y"] + kernel_y * f["dilation_y"]
        y = f["origin_y"] + down
        ends = kernel_y == rows - 1 and column == (behind - 1 if extra and last_period else count - 1)
        kernel_x = column + extra * f["stride_x"]
        token = row * f["output_width"] + max(period - extra, 0)
        yield Step(
            group=group,
            address=(first + down * f["row_stride"] * is_window(f) + right * f["input_stride"]) % ADDRESSES,
            outside=is_window(f) and not (is_column and 0 <= y < f["input_height"]),
            opens=kernel_y == 0 and column == 0 and (period == 0 or not extra),
            shifts=ends,
            closes=ends and period >= extra,
            weight=(kernel_y, kernel_x) if kernel_x < f["kernel_width"] else None,
            last_token=token == f["tokens"] - 1,
            place=(kernel_y, column),
        )


def walk(commands: list[Command], rng: Any, *, pause: float = 0.0) -> int:
    """Follow all commands; between two pixels the walk may stand for some cycles. Returns how many pixels there are."""
    dut = VectorWindows()
    count = 0

    async def bench(ctx: Any) -> None:
        nonlocal count
        for command in commands:
            values = {name: command.get(name, 0) for name, _ in VectorCommand()}
            ctx.set(dut.command, values | {"operation": Operation(command["operation"])})
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for step in steps_of(command):
                ctx.set(dut.last_token, step.last_token)
                ctx.set(dut.next_word, step.group % command["slots"] == command["slots"] - 1)
                while rng.random() < pause:
                    await ctx.tick()
                found = ctx.get(dut.place)
                flags = [bool(found[name]) for name in ("outside", "opens", "shifts", "closes", "beyond")]
                wanted = [step.outside, step.opens, step.shifts, step.closes, step.weight is None]
                assert flags == wanted, (command, step)
                if not step.outside:
                    assert ctx.get(dut.address) == step.address, (command, step)
                    assert found["weight"] == step.place[0] % 8 + step.place[1] % 8 * 8, (command, step)
                ctx.set(dut.advance, 1)
                await ctx.tick()
                ctx.set(dut.advance, 0)
                count += 1

    run_benches(dut, bench, cycles=1_000_000)
    return count


def windows(rng: Any, **fixed: int) -> Command:
    """A command of few windows anywhere in the image and outside, at any words."""
    command = {
        "operation": rng.choice((Operation.POOL, Operation.DEPTHWISE, Operation.DEPTHWISE)),
        "source": rng.getrandbits(32),
        "tokens": rng.randint(1, 7),
        "groups": rng.randint(1, 3),
        "slots": rng.randint(1, 2),
        "input_stride": rng.choice((1, 2, 65535, rng.getrandbits(16))),
        "row_stride": rng.choice((0, 5, 65535, rng.getrandbits(16))),
        "output_width": rng.randint(1, 4),
        "input_height": rng.choice((1, 2, 3, 4095)),
        "input_width": rng.choice((1, 2, 3, 4095)),
        "origin_y": rng.choice((-4096, 4095, *range(-3, 4))),
        "origin_x": rng.choice((-4096, 4095, *range(-3, 4))),
        "stride_y": rng.randint(1, 7),
        "stride_x": rng.randint(1, 7),
        "dilation_y": rng.randint(1, 15),
        "dilation_x": rng.randint(1, 15),
        "kernel_height": rng.randint(1, 8),
        "kernel_width": rng.randint(1, 8),
        "extra_taps": 0,
    } | fixed
    extra = -(-command["kernel_width"] // command["stride_x"]) - 1
    if command["operation"] == Operation.DEPTHWISE and 0 < extra < 5 and rng.random() < 0.7:
        command |= {"extra_taps": extra, "dilation_x": 1}
    return command


def test_any_windows_at_any_pace() -> None:
    rng = seeded(310)
    walk([windows(rng) for _ in range(150)], rng, pause=0.2)


def test_windows_that_share_pixels() -> None:
    """Every kernel width and stride that taps are for, with rows of one to four windows and parts of rows."""
    rng = seeded(311)
    commands = []
    for width in range(2, 9):
        for stride in range(1, width):
            extra = -(-width // stride) - 1
            if extra < 5:
                size = {"tokens": rng.randint(1, 9), "kernel_height": rng.randint(1, 3), "groups": 1}
                fixed = {"kernel_width": width, "stride_x": stride, "extra_taps": extra, "dilation_x": 1}
                commands.append(windows(rng, operation=Operation.DEPTHWISE, **size, **fixed))
    walk(commands, rng)


def test_matrices() -> None:
    """What says that it is a window is not looked at."""
    rng = seeded(312)
    operations = (Operation.SUM, Operation.MULTIPLY, Operation.LAYERNORM, Operation.SOFTMAX)
    commands = [windows(rng, operation=rng.choice(operations)) for _ in range(60)]
    walk(commands, rng, pause=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        {"tokens": 1, "kernel_height": 4095, "kernel_width": 1, "origin_y": 4095},
        {"tokens": 4095, "kernel_height": 1, "kernel_width": 15, "output_width": 4095, "origin_x": 4095},
        {"tokens": 65535, "kernel_height": 1, "kernel_width": 1, "output_width": 1, "origin_y": 4095},
    ],
    ids=["kernel", "columns", "rows"],
)
def test_no_window_comes_back_to_the_image(shape: Command) -> None:
    """The longest ways to walk away from an image of which everything is in reach."""
    rng = seeded(313)
    steps = {"stride_y": 7, "stride_x": 7, "dilation_y": 15, "dilation_x": 15, "operation": Operation.POOL, "groups": 1}
    command = windows(rng, **{"origin_y": 0, "origin_x": 0, "input_height": 4095, "input_width": 4095} | steps | shape)
    assert walk([command], rng) >= shape["tokens"]

"""The vector unit against the integer definition: every operation, format of parameters, width and place."""

import os
from typing import Any

import numpy as np
import pytest
from small_configs import NO_VECTORS, SQUARE, TALL, WIDE, name_of
from vector_bench import VectorBench, command_of
from vector_programs import VectorStep, random_step, random_window_step

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.reference import ActivationScale
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import VECTOR_OPCODES, VECTOR_WINDOW_OPCODES, Opcode
from ssvq_rtl.vector import VectorEngine
from ssvq_rtl.vector_parameters import PLANE_POSITIONS
from ssvq_rtl.vector_walk import DRAIN_CYCLES
from ssvq_sim.stream_bench import run_benches

SEED = int(os.environ.get("SSVQ_SEED", "0"))
ROOMY = SQUARE.replace(name="roomy", activation_bytes=8 * 400)
CONFIGS = [
    ROOMY.replace(name="half", vector_lanes=4, depthwise_taps=1),
    ROOMY,
    WIDE.replace(name="quarter", vector_lanes=4, depthwise_taps=2),
    WIDE,
    TALL.replace(name="deep", activation_bytes=32 * 200, accumulator_depth=16, vector_lanes=8, depthwise_taps=5),
]
"""Groups of lanes are whole words, halves and quarters; outputs are narrower, as wide and wider than a word's parts."""


def check(config: CoreConfig, steps: list[VectorStep], denied: float) -> VectorBench:
    """Run steps, and compare the whole memory after each."""
    bench = VectorBench(config, denied=denied, seed=SEED)
    for step, memory in zip(steps, bench.run(steps), strict=True):
        where = np.argwhere(memory != step.after)
        assert where.size == 0, f"{step.operation} {step.fields}: {len(where)} differences, the first at {where[0]}"
    return bench


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize("opcode", VECTOR_OPCODES, ids=lambda o: o.name)
def test_each_operation(config: CoreConfig, opcode: Opcode) -> None:
    steps = [random_step(config, SEED + seed, opcode=opcode, index=seed) for seed in range(3)]
    check(config, steps, 0.0)


@pytest.mark.parametrize("denied", [0.3, 0.8])
@pytest.mark.parametrize("config", CONFIGS[:3], ids=name_of)
def test_memory_that_others_use(config: CoreConfig, denied: float) -> None:
    check(config, [random_step(config, SEED + 100 + seed, index=seed) for seed in range(4)], denied)


def test_a_table_is_kept() -> None:
    """Until another one is loaded."""
    step = next(s for n in range(1000) if (s := random_step(ROOMY, n)).operation.table is not None)
    kept = VectorStep(
        operation=step.operation,
        fields=step.fields | {"table_use": 2, "table": 0, "index": 1},
        before=step.before,
        after=step.after,
    )
    bench = check(ROOMY, [step, kept], 0.0)
    assert bench.cycles[1] < bench.cycles[0] - 256


@pytest.mark.parametrize(
    "opcode", [opcode for opcode in VECTOR_OPCODES if opcode not in VECTOR_WINDOW_OPCODES], ids=lambda o: o.name
)
def test_throughput(opcode: Opcode) -> None:
    """A group of lanes in every cycle of every pass; what else there is depends on groups and activations only."""
    config = ROOMY.replace(accumulator_depth=64)
    passes = {Opcode.SUM: 1, Opcode.MULTIPLY: 2, Opcode.LAYERNORM: 2, Opcode.SOFTMAX: 3}[opcode]
    step = next(
        s
        for n in range(10_000)
        if (s := random_step(config, n, opcode=opcode)).fields["tokens"] > 30
        and not s.fields["planes"]
        and s.fields["table_use"] == (opcode is Opcode.SOFTMAX)
        and (opcode is Opcode.MULTIPLY or not s.operation.has_second)
    )
    bench = check(config, [step], 0.0)
    elements = step.fields["tokens"] * -(-step.operation.channels // config.vector_lanes)
    phases = {Opcode.LAYERNORM: 3, Opcode.SOFTMAX: 4}.get(opcode, 1)
    roots = step.fields["tokens"] if phases > 1 else 0
    table = (256 + 3 * 64) if step.fields["table_use"] else 0
    assert (
        passes * elements + roots <= bench.cycles[0] <= passes * elements + roots + phases * (DRAIN_CYCLES + 6) + table
    )


def pixels_read(geometry: ConvolutionGeometry, size: int, *, shared: bool) -> int:
    """Steps through a square image: columns of a kernel in every window, or of a row of windows once if they share."""
    (kernel_y, kernel_x), (stride, _), pad = geometry.kernel, geometry.stride, geometry.padding[0]
    height, width = geometry.output_size(size, size)
    spans = [(0, (width - 1) * stride + kernel_x)] if shared else [(ox * stride, kernel_x) for ox in range(width)]
    columns = [first + number - pad for first, count in spans for number in range(count)]
    return height * sum(kernel_y if 0 <= x < size else 1 for x in columns)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("taps", [1, 3, 5])
def test_throughput_of_depthwise_convolutions(kernel: int, stride: int, taps: int) -> None:
    """With as many taps as windows have a pixel in common, about ``stride * kernel`` cycles an output."""
    config = ROOMY.replace(depthwise_taps=taps)
    geometry = ConvolutionGeometry(kernel=(kernel,) * 2, stride=(stride,) * 2, padding=(kernel // 2,) * 4)
    step = next(
        s
        for n in range(100)
        if not (
            s := random_window_step(
                config, n, opcode=Opcode.DEPTHWISE, geometry=geometry, size=(9, 9), channels=config.vector_lanes
            )
        ).fields["table_use"]
    )
    shared = taps * stride >= kernel
    assert step.fields["extra_taps"] == (-(-kernel // stride) - 1 if shared else 0)
    bench = check(config, [step], 0.0)
    pixels = pixels_read(geometry, 9, shared=shared)
    parameters = PLANE_POSITIONS + kernel**2
    assert pixels + parameters <= bench.cycles[0] <= pixels + parameters + DRAIN_CYCLES + 6
    assert not shared or pixels <= (stride * kernel + 1) * step.fields["tokens"]


def test_padding_waits_for_nothing() -> None:
    """Pixels outside the image are neither read nor wait for the memory."""
    geometry = ConvolutionGeometry(kernel=(8, 8), padding=(7, 7, 7, 7))
    steps = [
        next(
            s
            for n in range(100)
            if not (
                s := random_window_step(ROOMY, n, opcode=Opcode.POOL, geometry=geometry, size=(1, 1), channels=8)
            ).fields["table_use"]
            and not s.fields["planes"]
        )
    ]
    cycles = [check(ROOMY, steps, denied).cycles[0] for denied in (0.0, 0.9)]
    reads = 64
    assert cycles[0] >= 64 * 8
    assert cycles[1] <= cycles[0] + 30 * reads


@pytest.mark.parametrize("opcode", VECTOR_WINDOW_OPCODES, ids=lambda o: o.name)
@pytest.mark.parametrize("config", [ROOMY, CONFIGS[4]], ids=name_of)
def test_windows_of_all_kinds(config: CoreConfig, opcode: Opcode) -> None:
    """As many as there is time for, on a memory that others use now and then."""
    check(config, [random_step(config, SEED + 200 + n, opcode=opcode, index=n) for n in range(12)], 0.2)


@pytest.mark.parametrize(("value", "weight"), [(127, -128), (127, 127), (-128, 127), (-128, -128)])
@pytest.mark.parametrize("opcode", VECTOR_WINDOW_OPCODES, ids=lambda o: o.name)
def test_widest_sums(opcode: Opcode, value: int, weight: int) -> None:
    """Of the most positions, with pixels and zero point at opposite ends; close to where outputs saturate."""
    size = (8, 8) if opcode is Opcode.DEPTHWISE else (37, 13)
    zero_point = -128 if value > 0 else 127
    total = (value - zero_point) * (size[0] * size[1] if opcode is Opcode.POOL else 64 * weight)
    shift, multiplier = 24, max(1, int(110 * 2**24 / abs(total)))
    operation = WindowOperation(
        name="widest",
        opcode=opcode,
        channels=3,
        geometry=ConvolutionGeometry(kernel=size),
        weight=np.full((3, 8, 8) if opcode is Opcode.DEPTHWISE else (0, 0, 0), weight, dtype=np.int8),
        multiplier=np.asarray(multiplier),
        shift=shift,
        input_zero_point=zero_point,
        zero_point=0,
        output_scale=ActivationScale(scale=1.0),
    )
    config = ROOMY.replace(activation_bytes=8 * 1100)
    image = np.full((*size, 3), value, dtype=np.int8)
    step = random_window_step(
        config,
        SEED,
        opcode=opcode,
        geometry=operation.geometry,
        size=size,
        channels=3,
        operation=operation,
        image=image,
    )
    assert 100 < abs(int(operation.reference(image)[0, 0, 0])) < 120
    check(config, [step], 0.0)


def test_weights_of_the_operation_before() -> None:
    """They are in the lanes, all of them, and count for nothing where a kernel has fewer."""
    config = ROOMY.replace(depthwise_taps=5)
    shapes = [((8, 8), 2), ((3, 3), 2), ((8, 8), 3), ((5, 5), 2), ((8, 8), 2), ((7, 4), 3), ((5, 5), 3)]
    steps = [
        random_window_step(
            config,
            SEED + number,
            opcode=Opcode.DEPTHWISE,
            index=number,
            geometry=ConvolutionGeometry(kernel=kernel, stride=(1, stride), padding=(2, 2, 2, 2)),
            size=(8, 7),
            channels=5,
        )
        for number, (kernel, stride) in enumerate(shapes)
    ]
    assert all(step.fields["extra_taps"] for step in steps)
    check(config, steps, 0.0)


@pytest.mark.parametrize("opcode", VECTOR_WINDOW_OPCODES, ids=lambda o: o.name)
@pytest.mark.parametrize("field", ["source", "parameters", "row_stride"])
def test_pixels_outside_the_memory(opcode: Opcode, field: str) -> None:
    """Found when they are needed, by a pixel inside the image or a parameter."""
    step = next(
        s
        for n in range(10_000)
        if (s := random_step(ROOMY, n, opcode=opcode)).fields["planes"]
        and s.fields["input_height"] > 2
        and s.fields["tokens"] > 10
        and s.fields["output_width"] < 4
        and s.fields["stride_y"] < 3
    )
    value = {"source": ROOMY.activation_depth, "parameters": ROOMY.activation_depth, "row_stride": 65535}[field]
    check_address_error(step, {field: value}, None)


@pytest.mark.parametrize(
    ("field", "value", "first"),
    [
        ("source", 400, 400),
        ("destination", 400, 400),
        ("second_source", 400, 400),
        ("parameters", 1 << 31, 1 << 31),
        ("input_stride", 65535, None),
    ],
)
def test_addresses_outside_the_memory(field: str, value: int, first: int | None) -> None:
    """Nothing is read or written there; the first such address is reported, and nothing follows."""
    step = next(
        s
        for n in range(10_000)
        if (s := random_step(ROOMY, n, opcode=Opcode.SUM)).operation.has_second
        and s.fields["planes"]
        and s.fields["tokens"] == 8
        and s.fields["input_stride"] >= 2
        and not s.fields["table_use"]
    )
    check_address_error(step, {field: value}, first)


def check_address_error(step: VectorStep, changes: dict[str, int], first: int | None) -> None:
    """With these fields, some address is outside the memory of `ROOMY`; `first` is the one that is reported."""
    changed = VectorStep(operation=step.operation, fields=step.fields | changes, before=step.before, after=step.after)
    dut = VectorEngine(config=ROOMY)
    addresses: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.commands.payload, command_of(changed))
        ctx.set(dut.commands.valid, 1)
        ctx.set(dut.read.ready, 1)
        ctx.set(dut.write.ready, 1)
        for _ in range(1500):
            for port in (dut.read, dut.write):
                if ctx.get(port.en):
                    addresses.append(ctx.get(port.addr))
            await ctx.tick()
            ctx.set(dut.commands.valid, 0)
            assert not ctx.get(dut.ends)
        assert ctx.get(dut.error)
        assert ctx.get(dut.error_index) == step.fields["index"]
        found = ctx.get(dut.error_addr)
        assert found >= ROOMY.activation_depth
        assert first is None or found == first

    run_benches(dut, bench, cycles=2000)
    assert max(addresses, default=0) < ROOMY.activation_depth


def test_a_core_without_it_has_none() -> None:
    with pytest.raises(ValueError, match="vector must be true in a core with a vector unit"):
        VectorEngine(config=NO_VECTORS)

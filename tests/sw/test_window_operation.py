"""Operations on windows: bounds of their error against PyTorch in float64, and every rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.layer_arithmetic import CompileError
from ssvq.quantize import QuantizeConfig, WeightFormat, encode
from ssvq.reference import ActivationScale, FloatArray, Int8Array
from ssvq.vector_scales import followed_by, look_up
from ssvq.window_operation import WindowOperation
from ssvq.window_scales import average_pool, depthwise, depthwise_from_compressed, max_pool
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode
from ssvq_sim.systems.vector_operations import random_geometry

Real = npt.NDArray[np.float64]
X, OUT = ActivationScale(scale=0.05, zero_point=-10), ActivationScale(scale=0.04, zero_point=3)


def real(scale: ActivationScale, values: Int8Array) -> Real:
    return np.asarray(scale.steps() * (values.astype(np.float64) - scale.zero_point))


def error(output: Int8Array, expected: Real, scale: ActivationScale) -> float:
    """Largest distance from what is wanted, in steps; beyond the range of int8, from its end."""
    steps = np.clip(expected / scale.steps() + scale.zero_point, -128, 127)
    return float(np.abs(output - steps).max())


def image(seed: int, height: int = 9, width: int = 8, channels: int = 5) -> Int8Array:
    return np.random.default_rng(seed).integers(-128, 128, (height, width, channels), dtype=np.int8)


def planes(values: Real) -> torch.Tensor:
    """(1, C, H, W) of (H, W, C)."""
    return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())


def pixels(tensor: torch.Tensor) -> Real:
    """The inverse."""
    return np.asarray(tensor[0].numpy().transpose(1, 2, 0))


def padded(values: Real, geometry: ConvolutionGeometry, value: float) -> torch.Tensor:
    top, bottom, left, right = geometry.padding
    return functional.pad(planes(values), (left, right, top, bottom), value=value)


@pytest.mark.parametrize("seed", range(8))
def test_average(seed: int) -> None:
    geometry = replace(random_geometry(np.random.default_rng(seed), Opcode.POOL), dilation=(1, 1))
    geometry = replace(geometry, kernel=(min(geometry.kernel[0], 9), min(geometry.kernel[1], 8)))
    operation = average_pool("pool", channels=5, geometry=geometry, input_scale=X, output_scale=OUT)
    x = image(seed)
    expected = functional.avg_pool2d(padded(real(X, x), geometry, 0.0), geometry.kernel, geometry.stride)
    bound = 0.5 + 255 * geometry.positions / 2 ** (operation.shift + 1)
    assert error(operation.reference(x), pixels(expected), OUT) <= bound < 0.57


@pytest.mark.parametrize("size", [1, 7, 14, 22])
def test_global_average(size: int) -> None:
    geometry = ConvolutionGeometry(kernel=(size, size))
    operation = average_pool("pool", channels=3, geometry=geometry, input_scale=X, output_scale=OUT)
    for x in (image(size, size, size, 3), np.full((size, size, 3), 127, dtype=np.int8)):
        output = operation.reference(x)
        assert output.shape == (1, 1, 3)
        assert error(output, real(X, x).mean(axis=(0, 1)), OUT) <= 0.57


@pytest.mark.parametrize("seed", range(8))
def test_largest(seed: int) -> None:
    geometry = random_geometry(np.random.default_rng(seed), Opcode.POOL, largest=4)
    reach = [(size - 1) * step for size, step in zip(geometry.kernel, geometry.dilation, strict=True)]
    limits = (reach[0], reach[0], reach[1], reach[1])
    top, bottom, left, right = (min(pad, most) for pad, most in zip(geometry.padding, limits, strict=True))
    geometry = replace(geometry, padding=(top, bottom, left, right))
    operation = max_pool("pool", channels=5, geometry=geometry, input_scale=X, output_scale=OUT)
    x = image(seed)
    expected = functional.max_pool2d(
        padded(real(X, x), geometry, -np.inf), geometry.kernel, geometry.stride, dilation=geometry.dilation
    )
    assert error(operation.reference(x), pixels(expected), OUT) <= 0.5 + 255 / 2 ** (operation.shift + 1)
    same = max_pool("pool", channels=5, geometry=geometry, input_scale=X, output_scale=X)
    np.testing.assert_array_equal(same.reference(x), np.rint(pixels(expected) / X.scale + X.zero_point))


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_depthwise(kernel: int, stride: int, dilation: int) -> None:
    rng = np.random.default_rng(kernel)
    channels, pad = 6, kernel // 2 * dilation
    geometry = ConvolutionGeometry(
        kernel=(kernel, kernel), stride=(stride,) * 2, dilation=(dilation,) * 2, padding=(pad,) * 4
    )
    weight = rng.integers(-127, 128, (channels, kernel, kernel), dtype=np.int8)
    scales, bias = rng.uniform(0.001, 0.01, channels), rng.normal(0, 1, channels)
    x = image(kernel, 14, 13, channels)
    weights = torch.from_numpy(weight * scales[:, None, None])[:, None]
    expected = pixels(
        functional.conv2d(
            planes(real(X, x)), weights, torch.from_numpy(bias), stride, pad, dilation=dilation, groups=channels
        )
    )
    out = ActivationScale.from_values(expected)
    operation = depthwise(
        "dw", weight=weight, weight_scale=scales, bias=bias, geometry=geometry, input_scale=X, output_scale=out
    )
    sums = int(np.abs(weight.astype(np.int64)).sum(axis=(1, 2)).max())
    bound = 0.5 + (255 * sums + 1) / 2 ** (operation.shift + 1)
    assert error(operation.reference(x), expected, out) <= min(bound, 0.6)
    relu6 = depthwise(
        "dw",
        weight=weight,
        weight_scale=scales,
        bias=bias,
        geometry=geometry,
        input_scale=X,
        output_scale=ActivationScale.from_range(0, 6),
        clamp=(0, 6),
    )
    clipped = np.clip(expected, 0, 6)
    assert error(relu6.reference(x), clipped, relu6.output_scale) <= 1


def test_widest_sum() -> None:
    """64 products of the largest pixels and weights are exact."""
    geometry = ConvolutionGeometry(kernel=(8, 8))
    for value, weight in ((127, -128), (127, 127), (-128, 127)):
        operation = WindowOperation(
            name="dw",
            opcode=Opcode.DEPTHWISE,
            channels=1,
            geometry=geometry,
            weight=np.full((1, 8, 8), weight, dtype=np.int8),
            multiplier=np.asarray(1 << 10),
            shift=24,
            input_zero_point=-128 if value > 0 else 127,
            zero_point=0,
            output_scale=OUT,
        )
        x = np.full((8, 8, 1), value, dtype=np.int8)
        total = 64 * (value - operation.input_zero_point) * weight
        assert operation.reference(x)[0, 0, 0] == np.floor(total / 2**14 + 0.5)


def test_a_function_follows() -> None:
    """The table comes behind the rounding to the scale in between, as an operation of its own would."""

    def swish(values: FloatArray) -> FloatArray:
        return np.asarray(values / (1 + np.exp(-values)))

    geometry = ConvolutionGeometry(kernel=(3, 3), padding=(1, 1, 1, 1))
    weight = np.random.default_rng(0).integers(-127, 128, (5, 3, 3), dtype=np.int8)
    between = ActivationScale(scale=0.08, zero_point=5)
    scales = {"input_scale": X, "output_scale": between}
    operation = depthwise("dw", weight=weight, weight_scale=0.003, geometry=geometry, **scales)
    both = followed_by(operation, swish, OUT)
    table = look_up("swish", channels=5, function=swish, input_scale=between, output_scale=OUT)
    plain = operation.reference(image(1)).reshape(-1, 5)
    np.testing.assert_array_equal(both.reference(image(1)).reshape(-1, 5), table.reference(plain))
    assert both.output_scale == OUT
    with pytest.raises(CompileError, match="it has a table: another function cannot follow"):
        followed_by(both, swish, OUT)


@pytest.mark.parametrize("scale", ["channel", "layer"])
def test_a_compressed_layer(scale: Any) -> None:
    torch.manual_seed(0)
    module = torch.nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6)
    with torch.no_grad():
        module.weight *= torch.linspace(0.2, 2, 6)[:, None, None, None]
    config = QuantizeConfig(format=WeightFormat.INT8, scale=scale)
    layer = encode(module.weight, config, bias=module.bias, name="dw", stride=2, padding=1, groups=6)
    x = image(3, 9, 9, 6)
    decoded = layer.decode().to(torch.float64)
    assert module.bias is not None
    bias = module.bias.detach().to(torch.float64)
    expected = pixels(functional.conv2d(planes(real(X, x)), decoded, bias, 2, 1, groups=6))
    out = ActivationScale.from_values(expected)
    operation = depthwise_from_compressed(layer, input_scale=X, output_scale=out)
    assert error(operation.reference(x), expected, out) < 0.6
    relu = depthwise_from_compressed(replace(layer, input_scale=X, output_scale=out, activation="relu"))
    np.testing.assert_array_equal(relu.reference(x), np.maximum(operation.reference(x), out.zero_point))
    for changes, rule in (
        ({}, "input_scale must be given, the layer has none"),
        ({"input_scale": X}, "output_scale must be given, the layer has none"),
        ({"input_scale": X, "output_scale": out, "activation": "gelu"}, "activation must be one of none, relu, relu6"),
        ({"input_scale": X, "output_scale": out, "padding": (-1, 0, 0, 0)}, "padding must be 4 numbers"),
    ):
        with pytest.raises(CompileError, match=f"^layer 'dw': {rule}"):
            depthwise_from_compressed(layer, **changes)
    grouped = encode(torch.randn(6, 2, 3, 3), config, name="dw", groups=3)
    with pytest.raises(
        CompileError, match="must be a conv2d with a group for each channel, not a conv2d with 3 groups"
    ):
        depthwise_from_compressed(grouped, input_scale=X, output_scale=out)
    linear = encode(torch.randn(6, 6), config, name="fc")
    with pytest.raises(
        CompileError, match="must be a conv2d with a group for each channel, not a linear with 1 groups"
    ):
        depthwise_from_compressed(linear, input_scale=X, output_scale=out)


GEOMETRY = ConvolutionGeometry(kernel=(3, 3), padding=(1, 1, 1, 1))
WEIGHT = np.ones((4, 3, 3), dtype=np.int8)


def operation_of(**changes: Any) -> WindowOperation:
    values: dict[str, Any] = {
        "name": "p",
        "opcode": Opcode.POOL,
        "channels": 4,
        "geometry": GEOMETRY,
        "multiplier": np.asarray(1024),
        "shift": 12,
        "zero_point": 0,
        "output_scale": OUT,
    }
    return WindowOperation(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"opcode": Opcode.SUM}, "SUM is no operation on windows"),
        ({"opcode": Opcode.CONV}, "CONV is no operation on windows"),
        ({"geometry": ConvolutionGeometry(kernel=(19, 27))}, "a window must have at most 512 positions, not 513"),
        ({"weight": WEIGHT}, "POOL has no weights"),
        (
            {"opcode": Opcode.DEPTHWISE, "weight": WEIGHT, "largest": True},
            "DEPTHWISE makes sums: largest must be False",
        ),
        (
            {"opcode": Opcode.DEPTHWISE, "geometry": ConvolutionGeometry(kernel=(1, 9))},
            "a kernel must have at most 8 rows and columns, not 1 x 9",
        ),
        (
            {"opcode": Opcode.DEPTHWISE, "weight": WEIGHT[:3]},
            r"weights must be int8 of shape \(4, 3, 3\), not int8 \(3, 3, 3\)",
        ),
        (
            {"opcode": Opcode.DEPTHWISE, "weight": WEIGHT.astype(np.int16)},
            r"weights must be int8 of shape \(4, 3, 3\), not int16 \(4, 3, 3\)",
        ),
        ({"channels": 4097}, "channels must be from 1 to 4096, not 4097"),
        ({"multiplier": np.asarray(1 << 15)}, "multiplier must be from -32768 to 32767, not 32768"),
        ({"clamp_min": 5, "clamp_max": 4}, "clamps must be ascending, not 5 to 4"),
        ({"shift": 11}, "shift must be one of 12, 14, 16, 20, 24, not 11"),
    ],
)
def test_rules(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(CompileError, match=f"^layer 'p': {rule}$"):
        operation_of(**changes)


@pytest.mark.parametrize(
    "wrong", [np.zeros((3, 3, 5), np.int8), np.zeros((3, 3, 4), np.int16), np.zeros((9, 4), np.int8)]
)
def test_wrong_images(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^an image must be int8 \(H, W, 4\), not "):
        operation_of().reference(wrong)


def test_what_scales_cannot_give() -> None:
    scales = {"input_scale": X, "output_scale": OUT}
    with pytest.raises(CompileError, match=r"count_include_pad must be True with padding \(1, 1, 1, 1\)"):
        average_pool("p", channels=4, geometry=GEOMETRY, count_include_pad=False, **scales)
    average_pool("p", channels=4, geometry=replace(GEOMETRY, padding=(0,) * 4), count_include_pad=False, **scales)
    with pytest.raises(CompileError, match=r"padding \(0, 0, 0, 3\) has windows without a pixel of the image"):
        max_pool("p", channels=4, geometry=replace(GEOMETRY, padding=(0, 0, 0, 3)), **scales)
    with pytest.raises(CompileError, match=r"weight_scale must be one or 4 values, not \(3,\)"):
        depthwise("p", weight=WEIGHT, weight_scale=[0.1] * 3, geometry=GEOMETRY, **scales)
    with pytest.raises(CompileError, match="ratios of scales, and offsets in steps, must be smaller than"):
        depthwise("p", weight=WEIGHT, weight_scale=100.0, geometry=GEOMETRY, **scales)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "taps", "extra"),
    [
        (3, 1, 1, 3, 2),
        (3, 1, 1, 2, 0),
        (3, 2, 1, 2, 1),
        (5, 2, 1, 3, 2),
        (5, 1, 1, 5, 4),
        (5, 1, 1, 3, 0),
        (3, 1, 2, 5, 0),
    ],
)
def test_taps(kernel: int, stride: int, dilation: int, taps: int, extra: int) -> None:
    """All windows that have a pixel of a row in common, where the core has as many multipliers."""
    geometry = ConvolutionGeometry(kernel=(3, kernel), stride=(1, stride), dilation=(1, dilation))
    weight = np.zeros((4, 3, kernel), dtype=np.int8)
    config = PRESETS["tiny"].replace(depthwise_taps=taps)
    assert operation_of(opcode=Opcode.DEPTHWISE, geometry=geometry, weight=weight).extra_taps(config) == extra
    assert operation_of(geometry=geometry).extra_taps(config) == 0

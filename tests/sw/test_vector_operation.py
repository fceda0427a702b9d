"""Vector operations: bounds of their error against real numbers, over all inputs, and every rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from ssvq.layer_arithmetic import CompileError
from ssvq.reference import ActivationScale, FloatArray, Int8Array
from ssvq.vector_operation import VectorOperation
from ssvq.vector_scales import layer_norm, look_up, product, rescaled_sum, scaled_shift, softmax
from ssvq_gen.format import Opcode
from ssvq_gen.vector_arithmetic import GAIN_SHIFT_MAX

Real = npt.NDArray[np.float64]

X, Y, OUT = (
    ActivationScale(scale=0.05, zero_point=-10),
    ActivationScale(scale=0.031, zero_point=7),
    ActivationScale(scale=0.06, zero_point=3),
)
PAIRS = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), axis=-1).reshape(-1, 2).astype(np.int8)
"""All pairs of activations."""


def real(scale: ActivationScale, values: Int8Array) -> Real:
    return np.asarray(scale.steps() * (values.astype(np.float64) - scale.zero_point))


def error(output: Int8Array, expected: Real, scale: ActivationScale) -> float:
    """Largest distance from what is wanted, in steps; beyond the range of int8, from its end."""
    steps = np.clip(expected / scale.steps() + scale.zero_point, -128, 127)
    return float(np.abs(output - steps).max())


def test_sum_of_all_pairs() -> None:
    operation = rescaled_sum("sum", channels=1, input_scale=X, second_scale=Y, output_scale=OUT)
    x, y = PAIRS[:, :1], PAIRS[:, 1:]
    bound = 0.5 + 2 * 255 / 2 ** (operation.shift + 1)
    assert error(operation.reference(x, y), real(X, x) + real(Y, y), OUT) <= bound
    assert bound < 0.52


def test_sum_with_gains_and_a_clamp() -> None:
    gains = replace(X, gains=(1.0, 40.0)), replace(Y, gains=(3.0, 64.0)), replace(OUT, gains=(2.0, 100.0))
    x_scale, y_scale, out = gains
    operation = rescaled_sum(
        "sum", channels=2, input_scale=x_scale, second_scale=y_scale, output_scale=out, clamp=(0, np.inf)
    )
    x, y = (np.repeat(PAIRS[:, i : i + 1], 2, axis=1) for i in (0, 1))
    expected = np.maximum(real(x_scale, x) + real(y_scale, y), 0)
    assert error(operation.reference(x, y), expected, out) <= 0.5 + 2 * 255 / 2 ** (operation.shift + 1)
    with pytest.raises(CompileError, match="must not be clamped but at zero"):
        rescaled_sum("sum", channels=2, input_scale=x_scale, output_scale=out, clamp=(0, 6))


def test_relu6_of_one_tensor() -> None:
    operation = rescaled_sum("relu6", channels=1, input_scale=X, output_scale=OUT, clamp=(0, 6))
    x = PAIRS[:256, :1]
    assert error(operation.reference(x), np.clip(real(X, x), 0, 6), OUT) <= 0.5 + 255 / 2 ** (operation.shift + 1)


def test_scale_and_shift_of_channels() -> None:
    scale, shift = np.array([1.0, -0.7, 0.0]), np.array([0.5, -3.0, 2.0])
    operation = scaled_shift("norm", channels=3, scale=scale, shift=shift, input_scale=X, output_scale=OUT)
    x = np.repeat(PAIRS[:256, :1], 3, axis=1)
    bound = 0.5 + 256 / 2 ** (operation.shift + 1)
    assert error(operation.reference(x), real(X, x) * scale + shift, OUT) <= bound < 0.52
    half = scaled_shift(
        "half", channels=3, scale=np.array(0.5), shift=np.array(1.0), input_scale=X, output_scale=OUT, clamp=(0, 2)
    )
    assert not half.multiplier.ndim
    assert error(half.reference(x), np.clip(real(X, x) / 2 + 1, 0, 2), OUT) <= 0.52
    with pytest.raises(CompileError, match="must be smaller than"):
        scaled_shift("s", channels=3, scale=scale * 1e4, shift=shift, input_scale=X, output_scale=OUT)


def test_product_of_all_pairs() -> None:
    out = ActivationScale(scale=0.3, zero_point=-5)
    operation = product("gate", channels=1, input_scale=X, second_scale=Y, output_scale=out)
    x, y = PAIRS[:, :1], PAIRS[:, 1:]
    assert error(operation.reference(x, y), real(X, x) * real(Y, y), out) <= 0.5 + 2**16 / 2 ** (operation.shift + 1)


@pytest.mark.parametrize("exact", [functional.gelu, functional.hardswish, torch.sigmoid, torch.tanh])
def test_table_is_as_near_as_int8_can_be(exact: Callable[[torch.Tensor], torch.Tensor]) -> None:
    def function(values: FloatArray) -> FloatArray:
        return np.asarray(exact(torch.from_numpy(values.astype(np.float64))).numpy())

    operation = look_up("table", channels=1, function=function, input_scale=X, output_scale=OUT)
    x = np.arange(-128, 128, dtype=np.int8)[:, None]
    assert error(operation.reference(x), np.asarray(function(real(X, x)), dtype=np.float64), OUT) <= 0.5 + 1e-5


@pytest.mark.parametrize("channels", [2, 7, 192, 1000])
@pytest.mark.parametrize("spread", [1, 4, 30, 127])
def test_layer_norm(channels: int, spread: int) -> None:
    rng = np.random.default_rng(channels + spread)
    centre = rng.integers(-100, 101, (300, 1))
    x = np.clip(centre + rng.integers(-spread, spread + 1, (300, channels)), -128, 127).astype(np.int8)
    weight, bias = rng.normal(1, 0.4, channels), rng.normal(0, 0.5, channels)
    out = ActivationScale(scale=6 / 127, zero_point=-4)
    operation = layer_norm("norm", weight=weight, bias=bias, epsilon=1e-9, input_scale=X, output_scale=out)
    weights, biases = torch.from_numpy(weight), torch.from_numpy(bias)
    expected = functional.layer_norm(torch.from_numpy(real(X, x)), (channels,), weights, biases, 1e-9).numpy()
    different = x.min(axis=1) < x.max(axis=1)
    assert error(operation.reference(x)[different], expected[different], out) <= 0.75


def test_layer_norm_of_equal_channels_is_the_bias() -> None:
    x = np.repeat(np.arange(-128, 128, dtype=np.int8)[:, None], 77, axis=1)
    bias = np.linspace(-5, 5, 77)
    out = ActivationScale(scale=6 / 127)
    operation = layer_norm("norm", weight=np.ones(77), bias=bias, epsilon=1e-5, input_scale=X, output_scale=out)
    assert (operation.reference(x) == np.floor(bias / out.scale + 0.5)).all()


def test_epsilon_of_layer_norm() -> None:
    """It matters where the variance is small; it is rounded to a unit of channels squared times steps squared."""
    x = np.random.default_rng(5).integers(-1, 2, (300, 192), dtype=np.int8)
    out = ActivationScale(scale=4 / 127)
    for epsilon in (1e-5, 1e-3, 1e-1):
        operation = layer_norm(
            "norm", weight=np.ones(192), bias=np.zeros(192), epsilon=epsilon, input_scale=X, output_scale=out
        )
        expected = functional.layer_norm(torch.from_numpy(real(X, x)), (192,), eps=epsilon).numpy()
        assert error(operation.reference(x), expected, out) <= 0.75


def test_layer_norm_with_gains() -> None:
    """Channels of other ranges keep their precision."""
    rng = np.random.default_rng(3)
    gains = (1.0,) * 30 + (128.0, 16.0)
    scale = ActivationScale(scale=0.01, gains=gains)
    x = rng.integers(-90, 91, (200, 32), dtype=np.int8)
    out = ActivationScale(scale=6 / 127)
    operation = layer_norm(
        "norm", weight=np.ones(32), bias=np.zeros(32), epsilon=1e-5, input_scale=scale, output_scale=out
    )
    expected = functional.layer_norm(torch.from_numpy(real(scale, x)), (32,), eps=1e-5).numpy()
    assert error(operation.reference(x), expected, out) <= 0.75


@pytest.mark.parametrize("channels", [1, 5, 197, 4096])
@pytest.mark.parametrize("scale", [0.005, 0.05, 0.5])
def test_softmax(channels: int, scale: float) -> None:
    rng = np.random.default_rng(channels)
    x = rng.integers(-128, 128, (100, channels), dtype=np.int8)
    inputs = ActivationScale(scale=scale, zero_point=9)
    expected = torch.softmax(torch.from_numpy(real(inputs, x)), dim=1).numpy()
    out = ActivationScale(scale=max(float(expected.max()), 1 / 1024) / 127)
    operation = softmax("attention", channels=channels, input_scale=inputs, output_scale=out)
    assert error(operation.reference(x), expected, out) <= 0.55 + 2**-17 / out.scale


def layer(**changes: Any) -> VectorOperation:
    values: dict[str, Any] = {
        "name": "v",
        "opcode": Opcode.SUM,
        "channels": 4,
        "multiplier": np.asarray(1024),
        "shift": 12,
        "zero_point": 0,
        "output_scale": OUT,
    }
    return VectorOperation(**{**values, **changes})


TABLE = np.zeros(256, dtype=np.int64)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"opcode": Opcode.MATMUL}, "MATMUL is no vector operation"),
        ({"opcode": Opcode.LAYERNORM, "has_second": True}, "LAYERNORM has one operand"),
        ({"opcode": Opcode.MULTIPLY}, "MULTIPLY has two operands"),
        ({"opcode": Opcode.SOFTMAX}, "SOFTMAX needs a table of weights"),
        ({"opcode": Opcode.SOFTMAX, "table": TABLE}, "the weight of a row's largest value must be 65535"),
        ({"table": TABLE + 128}, "a table must have 256 values from -128 to 127"),
        ({"table": TABLE[1:]}, "a table must have 256 values from -128 to 127"),
        ({"channels": 0}, "channels must be from 1 to 4096, not 0"),
        ({"channels": 4097}, "channels must be from 1 to 4096, not 4097"),
        ({"multiplier": np.asarray(1 << 15)}, "multiplier must be from -32768 to 32767, not 32768"),
        ({"second_multiplier": np.asarray([0, 0, 0, -40000])}, "second_multiplier must be from .*, not -40000"),
        ({"offset": np.asarray(1 << 31)}, "offset must be from -2147483648 to 2147483647, not 2147483648"),
        ({"offset": np.zeros(3, dtype=np.int64)}, r"offset must be one or 4 values, not \(3,\)"),
        ({"gain_shift": np.asarray(GAIN_SHIFT_MAX + 1)}, "gain_shift must be from 0 to 7, not 8"),
        ({"zero_point": 128}, "zero_point must be from -128 to 127, not 128"),
        ({"epsilon": -1}, "epsilon must be from 0 to 4294967295, not -1"),
        ({"clamp_min": 5, "clamp_max": 4}, "clamps must be ascending, not 5 to 4"),
        ({"shift": 11}, "shift must be one of 12, 14, 16, 20, 24, not 11"),
    ],
)
def test_rules(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(CompileError, match=f"^layer 'v': {rule}$"):
        layer(**changes)


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        ([np.zeros((2, 3), dtype=np.int8)], r"operands must be int8 of shape \(2, 4\), not int8 \(2, 3\)"),
        ([np.zeros((2, 4), dtype=np.int16)], r"operands must be int8 of shape \(2, 4\), not int16 \(2, 4\)"),
        ([np.zeros((2, 4), dtype=np.int8)] * 2, "'v' has 1 operands, not 2"),
    ],
)
def test_wrong_operands(operands: Sequence[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer().reference(*operands)


def test_scales_out_of_range() -> None:
    small = ActivationScale(scale=1e-3)
    with pytest.raises(CompileError, match=r"^layer 's': ratios of scales, and offsets in steps, must be smaller"):
        rescaled_sum("s", channels=1, input_scale=ActivationScale(scale=1.0), output_scale=small)
    with pytest.raises(CompileError, match=r"a gain in front of a LayerNorm must be a power of two.*, not 3.0$"):
        layer_norm("n", weight=[1], bias=[0], epsilon=0, input_scale=replace(X, gains=(3.0,)), output_scale=OUT)
    with pytest.raises(CompileError, match="input scale must have 2 gains or none, not 1"):
        rescaled_sum("s", channels=2, input_scale=replace(X, gains=(3.0,)), output_scale=OUT)
    wrong = replace(Y, gains=(1.0, 2.0, 3.0))
    with pytest.raises(CompileError, match="second scale must have 2 gains or none, not 3"):
        product("p", channels=2, input_scale=X, second_scale=wrong, output_scale=OUT)
    for make in (softmax, lambda *a, **k: look_up(*a, function=np.tanh, **k)):
        with pytest.raises(CompileError, match="must not have gains"):
            make("t", channels=1, input_scale=replace(X, gains=(2.0,)), output_scale=OUT)

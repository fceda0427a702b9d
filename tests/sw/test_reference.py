"""The integer reference against plain Python integers, and activation scales."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssvq.reference import ActivationScale, exact_matmul, matmul_reference
from ssvq_gen.arithmetic import ArithmeticRangeError, decode_multiplier, requantize


def test_matmul_equals_integers_one_by_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (7, 33), dtype=np.int8)
    weight = rng.integers(-128, 128, (5, 33), dtype=np.int8)
    bias = rng.integers(-(1 << 20), 1 << 20, 5)
    mantissa, exponent = rng.integers(0, 4096, 5), rng.integers(0, 16, 5)
    trace = matmul_reference(x, weight, bias, mantissa, exponent, zero_point=-3, clamp_min=-100, clamp_max=90)
    assert trace.accumulator.dtype == np.int32
    assert trace.output.dtype == np.int8
    for t in range(7):
        for n in range(5):
            total = sum(int(a) * int(b) for a, b in zip(x[t], weight[n], strict=True))
            assert trace.accumulator[t, n] == total
            expected = requantize(total, int(bias[n]), int(mantissa[n]), int(exponent[n]), -3, -100, 90)
            assert trace.output[t, n] == expected


@given(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(0, 4095),
    st.integers(0, 15),
    st.integers(-128, 127),
)
def test_rounding_is_half_up(total: int, mantissa: int, exponent: int, zero_point: int) -> None:
    shift = exponent + 10
    exact = (2 * total * mantissa + (1 << shift)) // (2 << shift) + zero_point
    trace = matmul_reference(
        np.zeros((1, 1), dtype=np.int8),
        np.zeros((1, 1), dtype=np.int8),
        [total],
        [mantissa],
        [exponent],
        zero_point=zero_point,
    )
    assert trace.output[0, 0] == min(max(exact, -128), 127)


def test_halves_round_up_on_both_sides_of_zero() -> None:
    trace = matmul_reference(
        np.zeros((1, 1), dtype=np.int8),
        np.zeros((4, 1), dtype=np.int8),
        [-3, -1, 1, 3],
        [512] * 4,
        [0] * 4,
        zero_point=0,
    )
    assert decode_multiplier(512, 0) == 0.5
    assert trace.output[0].tolist() == [-1, 0, 1, 2]


def test_extreme_values_are_exact() -> None:
    x = np.full((2, 4096), -128, dtype=np.int8)
    weight = np.full((1, 4096), -128, dtype=np.int8)
    assert exact_matmul(x, weight).tolist() == [[1 << 26], [1 << 26]]


def test_large_layer_is_fast() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (128, 1536), dtype=np.int8)
    weight = rng.integers(-128, 128, (1536, 1536), dtype=np.int8)
    start = time.perf_counter()
    sums = exact_matmul(x, weight)
    assert time.perf_counter() - start < 5
    np.testing.assert_array_equal(sums[3, :9], x[3].astype(np.int64) @ weight[:9].astype(np.int64).T)


def test_wrong_arguments() -> None:
    x, weight = np.zeros((2, 3), dtype=np.int8), np.zeros((4, 3), dtype=np.int8)
    with pytest.raises(ValueError, match="x must be an int8 matrix, not float64 of shape"):
        exact_matmul(x.astype(float), weight)
    with pytest.raises(ValueError, match="x has 3 input channels and weight has 2"):
        exact_matmul(x, weight[:, :2])
    ok = np.zeros(4, dtype=np.int64)
    with pytest.raises(ValueError, match=r"bias must have shape \(4,\), not \(3,\)"):
        matmul_reference(x, weight, ok[:3], ok, ok, zero_point=0)
    with pytest.raises(ValueError, match="mantissa must be integers, not float64"):
        matmul_reference(x, weight, ok, ok.astype(float), ok, zero_point=0)


def test_accumulator_beyond_int32() -> None:
    x = np.full((1, 1 << 17), -128, dtype=np.int8)
    with pytest.raises(ArithmeticRangeError, match="an accumulator reaches 2147483648, beyond int32"):
        matmul_reference(x, x, [0], [0], [0], zero_point=0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_activations_survive_quantization(values: list[float]) -> None:
    scale = ActivationScale.from_values(values)
    back = scale.dequantize(scale.quantize(values))
    assert np.abs(back - np.array(values)).max() <= 1.01 * scale.scale
    assert scale.dequantize(scale.quantize([0.0]))[0] == 0


def test_range_of_activations() -> None:
    assert ActivationScale.from_range(0, 2.55) == ActivationScale(scale=2.55 / 255, zero_point=-128)
    assert ActivationScale.from_range(-2.55, -1).zero_point == 127
    assert ActivationScale.from_range(0, 0).zero_point == -128
    scale = ActivationScale(scale=1.0, zero_point=1)
    assert scale.quantize([[-0.5, 0.5, 1e9, -1e9]]).tolist() == [[1, 2, 127, -128]]


def test_bad_scales() -> None:
    with pytest.raises(ValueError, match=r"scale must be positive and finite, not 0.0"):
        ActivationScale(scale=0.0)
    with pytest.raises(ValueError, match="zero_point must be from -128 to 127, not 128"):
        ActivationScale(scale=1.0, zero_point=128)
    with pytest.raises(ValueError, match=r"an activation range must be finite and ascending, not \[nan, 1"):
        ActivationScale.from_range(float("nan"), 1.0)
    with pytest.raises(ValueError, match="needs at least one value"):
        ActivationScale.from_values([])
    with pytest.raises(ValueError, match="there is a NaN"):
        ActivationScale(scale=1.0).quantize([float("nan")])


def test_gains_scale_each_channel() -> None:
    scale = ActivationScale(scale=0.5, zero_point=3, gains=(1.0, 4.0, 0.1))
    values = np.array([[-1.0, 8.0, 0.2], [100.0, 100.0, 100.0]])
    integers = scale.quantize(values)
    assert integers.tolist() == [[1, 7, 7], [127, 53, 127]]
    for channel in range(3):
        alone = scale.channel(channel)
        assert not alone.gains
        assert np.array_equal(alone.quantize(values[:, channel]), integers[:, channel])
        assert np.array_equal(alone.dequantize(integers[:, channel]), scale.dequantize(integers)[:, channel])
    assert ActivationScale(scale=0.5).channel(7) == ActivationScale(scale=0.5)
    with pytest.raises(ValueError, match="could not be broadcast"):
        scale.quantize(np.zeros((2, 4)))


@pytest.mark.parametrize("gain", [0.0, -1.0, float("nan"), float("inf"), 1e-46, 1e39])
def test_a_gain_that_float32_cannot_hold(gain: float) -> None:
    with pytest.raises(ValueError, match=r"scale \* gain must be positive and finite in float32, not"):
        ActivationScale(scale=1.0, gains=(1.0, gain))

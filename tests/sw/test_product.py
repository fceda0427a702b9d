"""Products of activations: the reference, the scales, and every limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssvq.integer_layer import CompileError
from ssvq.product import IntegerProduct
from ssvq.reference import ActivationScale
from ssvq_gen.arithmetic import decode_multiplier, requantize

SCALE = ActivationScale(scale=0.1)


def product(**changes: Any) -> IntegerProduct:
    values: dict[str, Any] = {
        **{"name": "scores", "tokens": 3, "in_channels": 5, "out_channels": 4, "batch_count": 2, "transposed": True},
        **{"input_scale": SCALE, "operand_scale": SCALE, "output_scale": replace(SCALE, scale=0.5, zero_point=-7)},
    }
    return IntegerProduct.from_scales(**{**values, **changes})


@given(transposed=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_every_output_is_the_definition(transposed: bool, seed: int) -> None:
    p = replace(product(transposed=transposed), clamp_min=-100, clamp_max=50)
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, p.input_shape, dtype=np.int8)
    operand = rng.integers(-128, 128, p.operand_shape, dtype=np.int8)
    y = p.reference(x, operand)
    assert y.shape == (2, 3, 4)
    assert y.dtype == np.int8
    for b, t, n in np.ndindex(y.shape):
        weights = operand[b, n] if transposed else operand[b, :, n]
        total = sum(int(a) * int(w) for a, w in zip(x[b, t], weights, strict=True))
        assert y[b, t, n] == requantize(total, 0, p.mantissa, p.exponent, -7, -100, 50)


def test_multiplier_is_that_of_the_scales() -> None:
    p = product()
    assert decode_multiplier(p.mantissa, p.exponent) == pytest.approx(0.1 * 0.1 / 0.5, rel=2**-12)
    x, operand = np.full(p.input_shape, 100, dtype=np.int8), np.full(p.operand_shape, -50, dtype=np.int8)
    real = 5 * (100 * 0.1) * (-50 * 0.1)
    assert (p.reference(x, operand) == max(-128, round(real / 0.5) - 7)).all()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"tokens": 0}, "tokens must be at least 1, not 0"),
        ({"batch_count": 0}, "batch_count must be at least 1, not 0"),
        (
            {"input_scale": ActivationScale(scale=1.0, zero_point=1)},
            "input_scale of a product must have zero_point 0",
        ),
        (
            {"operand_scale": ActivationScale(scale=1.0, zero_point=-2)},
            "operand_scale of a product must have",
        ),
        ({"output_scale": ActivationScale(scale=1.0, gains=(1.0, 2.0))}, "scales of a product must not have gains"),
        ({"output_scale": ActivationScale(scale=1e-9)}, "a multiplier must be from 0 to"),
        ({"in_channels": 131072}, "131072 input channels with bias 0 can reach 2147483648, beyond int32"),
    ],
)
def test_limits(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(CompileError, match=f"layer 'scores': {rule}") as caught:
        product(**changes)
    assert caught.value.layer == "scores"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"mantissa": 4096}, r"there is no multiplier \(4096, "),
        ({"exponent": -1}, r"there is no multiplier \(\d+, -1\)"),
        ({"clamp_min": 5, "clamp_max": 4}, "clamps must be ascending int8, not 5 to 4"),
        ({"clamp_max": 128}, "clamps must be ascending int8, not -128 to 128"),
    ],
)
def test_limits_of_the_integers(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(CompileError, match=rule):
        replace(product(), **changes)


def test_the_longest_sum_is_taken() -> None:
    p = product(in_channels=131071, tokens=1, out_channels=1, batch_count=1)
    x, operand = (np.full(shape, -128, dtype=np.int8) for shape in (p.input_shape, p.operand_shape))
    assert p.reference(x, operand).item() == 127


def test_reference_checks_its_arguments() -> None:
    p = product()
    x, operand = np.zeros(p.input_shape, dtype=np.int8), np.zeros(p.operand_shape, dtype=np.int8)
    with pytest.raises(ValueError, match=r"x must be int8 of shape \(2, 3, 5\), not int8 \(3, 5\)"):
        p.reference(x[0], operand)
    with pytest.raises(ValueError, match=r"operand must be int8 of shape \(2, 4, 5\), not int64"):
        p.reference(x, operand.astype(np.int64))
    assert product(transposed=False).operand_shape == (2, 5, 4)

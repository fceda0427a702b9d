"""No sum leaves the accumulator: layers for which one could are refused when they are made."""

from __future__ import annotations

import numpy as np
import pytest

from ssvq.integer_layer import CompileError, IntegerLayer
from ssvq.reference import ActivationScale
from ssvq_gen.config import WeightFormat


def _extreme(products: int, bias: int, weight: int = -128) -> IntegerLayer:
    """A layer of two channels, the second with these weights."""
    weights = np.zeros((2, products), dtype=np.int8)
    weights[1] = weight
    return IntegerLayer(
        name="extreme",
        weight_format=WeightFormat.INT8,
        weight=weights,
        bias=np.array([0, bias]),
        mantissa=np.ones(2, dtype=np.int64),
        exponent=np.zeros(2, dtype=np.int64),
        input_scale=ActivationScale(scale=1.0),
        output_scale=ActivationScale(scale=1.0),
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_accumulators_are_checked_when_a_layer_is_made(sign: int) -> None:
    """By the shape, and where that is not enough by the weights; the largest layer and bias that fit are accepted."""
    room = (1 << 31) - 1 - 1000 * 128 * 128
    layer = _extreme(1000, sign * room)
    x = np.full((1, 1000), -128, dtype=np.int8)
    assert layer.reference(x).accumulator[0, 1] == 1000 << 14
    with pytest.raises(CompileError, match=r"'extreme': output channel 1: 1000 input channels .* beyond int32"):
        _extreme(1000, sign * (room + 1))
    assert _extreme(1000, sign * (room + 1), weight=127).in_channels == 1000
    assert _extreme((1 << 17) - 1, 0).in_channels == (1 << 17) - 1
    with pytest.raises(CompileError, match=r"'extreme': output channel 1: 131072 input channels"):
        _extreme(1 << 17, 0)

"""Channels of one tensor or two as they are, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ssvq.channel_choice import chosen
from ssvq.layer_arithmetic import CompileError
from ssvq.reference import ActivationScale


@pytest.mark.parametrize("zero_point", [0, -128, 77])
def test_every_value_is_kept(zero_point: int) -> None:
    scale = ActivationScale(scale=0.01, zero_point=zero_point)
    values = np.arange(-128, 128, dtype=np.int8)[:, None]
    x, y = np.tile(values, 3), np.tile(values[::-1], 3)
    first, second = np.array([True, False, False]), np.array([False, True, False])
    zeros = np.full_like(values, zero_point)
    one = chosen("one", first, scale=scale)
    assert (one.reference(x) == np.hstack([values, zeros, zeros])).all()
    both = chosen("both", first, second, scale=scale)
    assert (both.reference(x, y) == np.hstack([values, values[::-1], zeros])).all()
    assert both.output_scale == scale


def test_bad_choices() -> None:
    scale, some = ActivationScale(scale=1.0), np.array([True, False, True])
    with pytest.raises(CompileError, match="a channel must be of one tensor, channel 2 is of both"):
        chosen("x", some, np.array([False, False, True]), scale=scale)
    with pytest.raises(CompileError, match=r"choices must be of the same channels, not \(3,\) and \(2,\)"):
        chosen("x", some, some[:2], scale=scale)
    with pytest.raises(CompileError, match=r"choices must be of the same channels, not \(1, 3\)"):
        chosen("x", some[None], scale=scale)

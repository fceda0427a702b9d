"""Uniform formats: ranges, scales by reach and by squared error, importance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ssvq.quantize import QuantizeConfig, WeightFormat, encode, round_uniform, uniform_scale
from ssvq.quantize.description import to_rows

UNIFORM = [format for format in WeightFormat if format.is_uniform]


def weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.05


def errors(weight: Tensor, scale: Tensor, format: WeightFormat, importance: Tensor | None = None) -> Tensor:
    """Squared error of every output channel, float64 (N,)."""
    decoded = scale[:, None, None] * round_uniform(weight, scale, format)
    error = (to_rows(weight) - decoded).double().square()
    return (error if importance is None else error * importance).sum((1, 2))


@pytest.mark.parametrize("format", UNIFORM)
@pytest.mark.parametrize("kind", ["channel", "layer"])
def test_the_scale_of_the_reach(format: WeightFormat, kind: Any) -> None:
    weight = weights(6, 10, 3, 3)
    low, high = format.integer_range
    scale = uniform_scale(weight, format, scale=kind)
    assert scale.shape == ((6,) if kind == "channel" else (1,))
    exact = to_rows(weight) / scale[:, None, None]
    assert exact.min() >= low * 1.0001
    assert exact.max() <= high * 1.0001
    over = (1, 2) if kind == "channel" else (0, 1, 2)
    assert (((exact.amax(over) - high).abs() < 1e-4) | ((exact.amin(over) - low).abs() < 1e-4)).all()
    integers = round_uniform(weight, scale, format)
    assert integers.dtype == torch.int8
    assert integers.shape == (6, 9, 10)
    assert ((exact - integers).abs() <= 0.5001).all()


@pytest.mark.parametrize("format", UNIFORM)
@pytest.mark.parametrize("kind", ["channel", "layer"])
@pytest.mark.parametrize("important", [False, True])
def test_the_scale_of_the_least_squared_error(format: WeightFormat, kind: Any, important: bool) -> None:
    """As good as the best of a thousand scales, channel by channel."""
    weight = weights(8, 60) * torch.logspace(-1, 1, 8)[:, None] + 0.01
    weight[0] = weight[0].abs()
    weight[1, 3] = 2
    importance = torch.rand(60, generator=torch.Generator().manual_seed(1)) ** 2 if important else None
    scale = uniform_scale(weight, format, scale=kind, clip="mse", importance=importance)
    reach = uniform_scale(weight, format, scale=kind)
    found, plain = (errors(weight, s, format, importance) for s in (scale, reach))
    tries = [errors(weight, reach * ratio, format, importance) for ratio in torch.linspace(0.001, 1, 1000)]
    if kind == "layer":
        assert found.sum() <= 1.01 * min(float(error.sum()) for error in tries)
        assert found.sum() <= plain.sum()
    else:
        assert (found <= 1.03 * torch.stack(tries).amin(0)).all()
        assert (found <= plain * 1.00001).all()


@pytest.mark.parametrize("clip", ["max", "mse"])
@pytest.mark.parametrize("factor", [1e-35, 1e-24, 1e28])
def test_extreme_and_dead_channels(clip: Any, factor: float) -> None:
    weight = weights(4, 16) * factor
    weight[1] = 0
    weight[2] = weight[2].abs()
    weight[3] = -weight[2]
    for format in UNIFORM:
        scale = uniform_scale(weight, format, clip=clip)
        assert torch.isfinite(scale).all()
        assert scale[1] == 0
        assert (round_uniform(weight, scale, format)[1] == 0).all()
        if factor > 1e-30:
            alive = [0, 2, 3]
            error = errors(weight / factor, scale / factor, format)
            assert (error < (weight / factor).square().sum(1))[alive].all()
        else:
            assert (scale == 0).all()


def test_importance_of_groups_decides_the_scale_of_a_layer() -> None:
    weight = torch.cat([weights(3, 8, 1, 1), 10 * weights(3, 8, 1, 1, seed=1)])
    first = torch.cat([torch.ones(8), torch.zeros(8)])
    found = [
        uniform_scale(weight, WeightFormat.INT4, scale="layer", clip="mse", importance=importance, groups=2)
        for importance in (first, first.flip(0))
    ]
    assert found[1] > 4 * found[0]


@pytest.mark.parametrize("format", UNIFORM)
def test_encode(format: WeightFormat) -> None:
    weight = weights(6, 10, 3, 3)
    found = {}
    for clip in ("max", "mse"):
        layer = encode(weight, QuantizeConfig(format=format, clip=clip))  # type: ignore[arg-type]
        found[clip] = float((layer.decode() - weight).square().sum())
        assert layer.bits_per_weight == format.bits + 32 * 6 / weight.numel()
        assert layer.integer_weight() is layer.weight_int8
        again = round_uniform(layer.decode(), layer.scale, format)
        assert torch.equal(again, layer.integer_weight())
    assert found["mse"] < found["max"]


def test_formats_that_are_not_uniform() -> None:
    with pytest.raises(ValueError, match="format ssvq is not uniform"):
        uniform_scale(weights(2, 2), WeightFormat.SSVQ)
    with pytest.raises(ValueError, match="format float is not uniform"):
        round_uniform(weights(2, 2), torch.ones(1), WeightFormat.FLOAT)

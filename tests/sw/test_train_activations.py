from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from trained_models import SSVQ, images, mixed, rules

from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.rules import Rule
from ssvq.reference import ActivationScale
from ssvq.train.activations import ActivationConfig, ActivationQuantizer
from ssvq.train.calibrate import calibrate, second_moments
from ssvq.train.prepare import TrainConfig, prepare, quantizers
from ssvq.train.ranges import RangeKind, RangeObserver
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN

INT8 = QuantizeConfig(format=WeightFormat.INT8)


def _quantizer(scale: ActivationScale, **settings: object) -> ActivationQuantizer:
    quantizer = ActivationQuantizer(ActivationConfig(**settings))  # type: ignore[arg-type]
    quantizer.set_range(scale)
    return quantizer


@given(
    st.floats(2.0**-10, 1024, width=32, allow_subnormal=False),
    st.integers(-128, 127),
    st.lists(st.floats(-10_000, 10_000, width=32), min_size=1, max_size=20),
)
def test_values_are_those_of_the_integer_reference(scale: float, zero_point: int, values: list[float]) -> None:
    reference = ActivationScale(scale=scale, zero_point=zero_point)
    x = np.array(values, dtype=np.float32)
    found = _quantizer(reference)(torch.from_numpy(x)).detach().numpy()
    expected = reference.dequantize(reference.quantize(x))
    ratio = x.astype(np.float64) / scale
    tie = np.abs(ratio - np.floor(ratio) - 0.5) <= 2.0**-22 * np.maximum(np.abs(ratio), 1)
    near = np.abs(found - expected) <= 1e-6 * np.abs(expected)
    assert (near | tie).all()


def test_gradients_pass_inside_the_range_only() -> None:
    scale = ActivationScale(scale=0.5, zero_point=28)
    x = torch.tensor([0.2, 49.7, 49.8, -78.2, -78.3, 1000.0], requires_grad=True)
    quantizer = _quantizer(scale, learn=True)
    quantizer(x).sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 1, 0, 0]
    steps = torch.tensor([0.0, 99, 99, -156, -156, 99])
    slope = torch.where(x.grad > 0, steps - x.detach() / 0.5, steps)
    assert torch.allclose(quantizer.scale.log_gain.grad, slope.sum() * 0.5)


def test_a_quantizer_without_a_range_passes_values() -> None:
    quantizer = ActivationQuantizer(ActivationConfig())
    x = torch.randn(10)
    assert quantizer(x) is x
    with pytest.raises(ValueError, match="activations have no range yet: calibrate first"):
        quantizer.activation_scale()


def test_a_relu_s_range_begins_at_zero() -> None:
    quantizer = ActivationQuantizer(ActivationConfig(range=RangeKind.MINMAX), activation="relu")
    quantizer.observer = RangeObserver("y")
    quantizer(torch.tensor([-5.0, 3.0]))
    scale = quantizer.observer.choose(RangeKind.MINMAX, symmetric=False)
    assert scale == ActivationScale.from_range(0.0, 3.0)
    assert scale.zero_point == ACTIVATION_MIN


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_range_of_least_error_cuts_outliers(symmetric: bool) -> None:
    values = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    values[0] = 40.0
    observer = RangeObserver("x")
    observer.update(values)
    whole = observer.choose(RangeKind.MINMAX, symmetric=symmetric)
    best = observer.choose(RangeKind.MSE, symmetric=symmetric)
    assert best.scale < whole.scale
    assert (best.zero_point == 0) or not symmetric

    def error(scale: ActivationScale) -> float:
        return float(np.square(values.numpy() - scale.dequantize(scale.quantize(values.numpy()))).sum())

    assert error(best) < error(whole)


def test_a_symmetric_range_covers_both_extremes() -> None:
    observer = RangeObserver("x")
    observer.update(torch.tensor([-4.0, 1.0]))
    assert observer.choose(RangeKind.MINMAX, symmetric=True) == ActivationScale(scale=4.0 / ACTIVATION_MAX)


def test_calibration_gives_every_quantizer_a_range_and_restores_the_mode() -> None:
    model = mixed().train()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), example_inputs=(images(),), progress=False)
    calibrate(model, [images(seed=1), images(seed=2)], lambda module, batch: module(batch))
    assert model.training
    assert all(quantizer.active and quantizer.observer is None for quantizer in quantizers(model).values())


def test_calibration_looks_at_float_activations_also_the_second_time() -> None:
    model, x = mixed(), images()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), progress=False)
    calibrate(model, [x], lambda module, batch: module(batch))
    first = {name: quantizer.activation_scale() for name, quantizer in quantizers(model).items()}
    calibrate(model, [x], lambda module, batch: module(batch))
    assert {name: quantizer.activation_scale() for name, quantizer in quantizers(model).items()} == first


def test_non_finite_activations_change_no_range() -> None:
    model, x = mixed(), images()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), progress=False)
    x[0, 0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match="stem.input_quantizer: activations must be finite, 1 of 768 are not"):
        calibrate(model, [x], lambda module, batch: module(batch))
    assert not any(quantizer.active or quantizer.observer for quantizer in quantizers(model).values())


def test_calibration_without_batches_names_the_layer() -> None:
    model = mixed()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), progress=False)
    with pytest.raises(ValueError, match="stem.output_quantizer: the batches never reach it"):
        calibrate(model, [], lambda module, batch: module(batch))


def test_second_moments_are_means_of_squares_by_channel() -> None:
    model, x = mixed(), images()
    layers = {"stem": model.stem, "grouped": model.grouped, "head": model.head}
    seen: dict[str, torch.Tensor] = {}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _m, a, name=name: seen.__setitem__(name, a[0]))
    moments = second_moments(model, layers, [x], lambda module, batch: module(batch))
    assert torch.allclose(moments["stem"], seen["stem"].square().mean((0, 2, 3)))
    by_group = seen["grouped"].square().unflatten(1, (2, 8)).mean((0, 1, 3, 4))
    assert torch.allclose(moments["grouped"], by_group, rtol=1e-5)
    assert torch.allclose(moments["head"], seen["head"].square().mean(0))


def test_second_moments_of_a_layer_that_is_not_reached() -> None:
    model = mixed()
    with pytest.raises(ValueError, match="head: the batches never reach the layer"):
        second_moments(model, {"head": nn.Linear(2, 2)}, [images()], lambda module, batch: module(batch))


def test_gains_keep_channels_of_small_values() -> None:
    """Only behind layers whose output the host alone reads: `first` is read by `second` as it is."""
    torch.manual_seed(0)
    model = nn.Sequential(OrderedDict(first=nn.Linear(16, 16), second=nn.Linear(16, 24)))
    model.second.weight.data[5] *= 300
    x = torch.randn(200, 16)
    exact = model(x).detach()
    config = TrainConfig(weights=INT8, activations=ActivationConfig(output_gains=True))
    prepare(model, [Rule(pattern="*", config=config)], example_inputs=(x,), progress=False)
    calibrate(model, [x], lambda module, batch: module(batch))
    found = quantizers(model)
    assert {name: q.gains is not None for name, q in found.items()} == {
        "first.input_quantizer": False,
        "first.output_quantizer": False,
        "second.output_quantizer": True,
    }

    def error() -> float:
        """Of the worst channel, relative."""
        return float(((model(x).detach() - exact).square().mean(0) / exact.square().mean(0)).max())

    assert error() < 1e-3
    alone = ActivationScale(scale=float(exact.abs().max()) / ACTIVATION_MAX, gains=(1.0,) * 24)
    found["second.output_quantizer"].set_range(alone)
    assert error() > 0.1


def test_gains_of_channels_that_never_move() -> None:
    observer = RangeObserver("y", axis=-3)
    observer.update(torch.stack((torch.zeros(4, 5), torch.full((4, 5), -2.0)))[None])
    scale = observer.choose(RangeKind.MINMAX, symmetric=False)
    assert scale.gains == (2.0**-7, 2.0)
    silent = RangeObserver("y", axis=-1)
    silent.update(torch.zeros(3, 2))
    assert silent.choose(RangeKind.MSE, symmetric=False).gains == (1.0, 1.0)

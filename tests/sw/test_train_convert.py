from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from trained_models import FORMATS, LAYER_NAMES, SSVQ, Mixed, images, mixed, rules

from ssvq.container import load, save
from ssvq.integer_layer import IntegerLayer
from ssvq.layer_arithmetic import CompileError
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.train.activations import ActivationConfig
from ssvq.train.calibrate import calibrate
from ssvq.train.convert import Converted, compressed_layers, convert
from ssvq.train.integer_model import ARITHMETIC, IntegerArithmetic, integer_model
from ssvq.train.prepare import prepare
from ssvq_gen.arithmetic import MANTISSA_MAX, decode_multiplier, requantize


def _trained(
    weights: QuantizeConfig, steps: int = 3, activations: ActivationConfig | None = None, **settings: object
) -> Mixed:
    model, x = mixed(), images()
    activations = activations or ActivationConfig()
    prepare(model, rules(weights, activations=activations, **settings), example_inputs=(x,), progress=False)
    calibrate(model, [x, images(seed=2)], lambda module, batch: module(batch))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(steps):
        optimizer.zero_grad()
        model(images(seed=step)).square().sum().backward()
        optimizer.step()
    return model


def _layer_outputs(model: nn.Module, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Input and output of every layer when the model runs."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _m, a, y, name=name: seen.__setitem__(name, (a[0].detach(), y.detach()))
        )
        for name in LAYER_NAMES
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return seen


def _largest_steps(converted: Converted, name: str, axes: int) -> Tensor:
    """Largest difference of each channel, in steps: half a step, and half a unit of the accumulator, to which biases
    are rounded."""
    units = converted.model.get_submodule(name).get_submodule(ARITHMETIC).get_buffer("multiplier")
    return (units.clamp(min=1) / 2 + 0.5).view(-1, *[1] * (axes - 2))


@pytest.mark.parametrize("gains", [False, True])
@pytest.mark.parametrize("weights", FORMATS, ids=lambda config: config.format.value)
def test_an_integer_layer_is_at_most_one_step_from_the_trained_one(weights: QuantizeConfig, gains: bool) -> None:
    model = _trained(weights, activations=ActivationConfig(output_gains=gains))
    converted, seen = convert(model), 0
    for name, (x, trained) in _layer_outputs(model.eval(), images(64, seed=9)).items():
        scale = converted.layers[name].output_scale
        assert scale is not None
        found = converted.model.get_submodule(name)(x)
        steps = (found - trained) / scale.scale
        if scale.gains:
            seen += 1
            steps /= torch.tensor(scale.gains).view(-1, *[1] * (steps.ndim - 2))
        largest = _largest_steps(converted, name, steps.ndim) if gains else torch.ones(())
        assert float((steps.abs() / largest).max()) < 1.01, name
        assert float((steps.abs() > largest - 0.5).float().mean()) < (0.15 if gains else 0.1), name
    assert (seen > 0) == gains


@pytest.mark.parametrize("gains", [False, True])
def test_a_linear_layer_computes_what_the_core_does_bit_for_bit(gains: bool) -> None:
    converted = convert(_trained(SSVQ, activations=ActivationConfig(output_gains=gains)))
    layer, module = converted.layers["head"], converted.model.get_submodule("head")
    assert layer.input_scale is not None
    assert layer.output_scale is not None
    assert bool(layer.output_scale.gains) == gains
    x = torch.randn(50, 12)
    fixed = IntegerLayer.from_compressed(layer)
    expected = layer.output_scale.dequantize(fixed.reference(layer.input_scale.quantize(x.numpy())).output)
    assert np.array_equal(module(x).numpy(), expected)


def _wide(channels: int) -> Converted:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(channels, 4))
    x = torch.randn(16, channels)
    settings = rules(QuantizeConfig(format=WeightFormat.INT8), activations=ActivationConfig())
    prepare(model, settings, progress=False)
    calibrate(model, [x], lambda module, batch: module(batch))
    return convert(model)


def test_sums_are_exact_whatever_their_size() -> None:
    for channels, dtype in ((256, torch.float32), (4096, torch.float64)):
        converted = _wide(channels)
        arithmetic = converted.model.get_submodule(f"0.{ARITHMETIC}")
        assert isinstance(arithmetic, IntegerArithmetic)
        assert arithmetic.dtype == dtype
        layer = converted.layers["0"]
        x = torch.randn(16, channels)
        fixed = IntegerLayer.from_compressed(layer)
        assert layer.input_scale is not None
        assert layer.output_scale is not None
        expected = layer.output_scale.dequantize(fixed.reference(layer.input_scale.quantize(x.numpy())).output)
        assert np.array_equal(converted.model(x).numpy(), expected)


def test_converting_leaves_the_model_as_it_was() -> None:
    model = _trained(SSVQ).eval()
    before = model(images())
    convert(model)
    assert torch.equal(model(images()), before)
    model(images()).sum().backward()


def test_a_container_holds_all_that_the_integer_model_needs(tmp_path: Path) -> None:
    model = _trained(SSVQ)
    converted = convert(model)
    save(tmp_path / "model.ssvq", converted.layers)
    plain, x = mixed(), images()
    prepare(plain, rules(SSVQ), example_inputs=(x,), progress=False)  # folds the batch norms
    restored = integer_model(plain, load(tmp_path / "model.ssvq"))
    assert torch.equal(restored(x), converted.model(x))


def test_bits_per_weight_are_those_of_the_layers() -> None:
    converted = convert(_trained(SSVQ, steps=0))
    bits = sum(layer.storage_bits for layer in converted.layers.values())
    assert converted.bits_per_weight == bits / sum(layer.weight_count for layer in converted.layers.values())


def test_what_cannot_be_converted() -> None:
    with pytest.raises(ValueError, match="Mixed has no prepared layer"):
        compressed_layers(mixed())
    model = mixed()
    prepare(model, rules(SSVQ), progress=False)
    with pytest.raises(CompileError, match="'stem': has no activation scales: calibrate before converting"):
        convert(model)
    model = mixed()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), progress=False)
    with pytest.raises(ValueError, match="stem: activations have no range yet: calibrate first"):
        convert(model)
    model = _trained(SSVQ)
    with torch.no_grad():
        model.head.parametrizations.weight[0].scale.log_gain[0] = torch.nan
    with pytest.raises(ValueError, match="head: scale must be finite"):
        convert(model)


def test_layers_of_another_model_are_refused() -> None:
    layers = convert(_trained(SSVQ)).layers
    with pytest.raises(ValueError, match="Sequential has no layer 'stem'"):
        integer_model(nn.Sequential(), layers)
    other = mixed()
    other.head = nn.Linear(12, 11)
    with pytest.raises(ValueError, match=r"head: must have shape \(11, 12\), not \(10, 12\)"):
        integer_model(other, layers)


@given(st.data())
def test_requantizing_is_the_core_s_whatever_the_numbers(data: st.DataObject) -> None:
    arithmetic = _wide(8).model.get_submodule(f"0.{ARITHMETIC}")
    assert isinstance(arithmetic, IntegerArithmetic)
    sums = data.draw(st.lists(st.integers(-(2**30), 2**30 - 1), min_size=4, max_size=4))
    bias = data.draw(st.lists(st.integers(-(2**30), 2**30 - 1), min_size=4, max_size=4))
    mantissa = data.draw(st.lists(st.integers(0, MANTISSA_MAX), min_size=4, max_size=4))
    exponent = data.draw(st.lists(st.integers(0, 15), min_size=4, max_size=4))
    arithmetic.bias = torch.tensor(bias, dtype=torch.float64)
    arithmetic.multiplier = torch.tensor(list(map(decode_multiplier, mantissa, exponent)), dtype=torch.float64)
    zero_point = arithmetic.output_scale.zero_point
    expected = [
        requantize(*numbers, zero_point, -128, 127) for numbers in zip(sums, bias, mantissa, exponent, strict=True)
    ]
    assert arithmetic.outputs(torch.tensor(sums)).tolist() == expected

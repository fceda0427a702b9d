"""Convolutions in integers against PyTorch, exactly where it is exact, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.integer_convolution import IntegerConvolution
from ssvq.layer_arithmetic import CompileError
from ssvq.quantize import QuantizeConfig, WeightFormat, encode_module
from ssvq.reference import ActivationScale, Int8Array, conv_reference
from ssvq.weight_stream import pack_stream, parameter_fields, stream_format_of, tile_counts, unpack_stream
from ssvq_gen.arithmetic import requantize
from ssvq_gen.config import CoreConfig
from ssvq_gen.config import WeightFormat as CoreFormat
from ssvq_sim.systems.layers import random_convolution
from ssvq_sim.systems.strategies import configs, geometries, weights_on

FORMATS = [
    QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8),
    QuantizeConfig(format=WeightFormat.VQ, codebook_size=16, vector_dim=4),
    QuantizeConfig(format=WeightFormat.INT8),
]


def torch_sums(image: Int8Array, weight: Int8Array, geometry: ConvolutionGeometry, value: int) -> Any:
    """int64 (OH, OW, N) of float64 arithmetic, which is exact for these."""
    top, bottom, left, right = geometry.padding
    x = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    x = torch.nn.functional.pad(x, (left, right, top, bottom), value=value)
    kernel = torch.from_numpy(weight).permute(0, 3, 1, 2).double()
    sums = torch.nn.functional.conv2d(x, kernel, stride=geometry.stride, dilation=geometry.dilation)
    return sums[0].permute(1, 2, 0).numpy().astype(np.int64)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_reference_equals_torch(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    geometry = data.draw(geometries(height=height, width=width))
    layer = random_convolution(geometry=geometry, **data.draw(weights_on(CoreConfig(**SIZES), max_channels=20)))
    shape = height, width, layer.in_channels
    image = np.random.default_rng(height).integers(-128, 128, shape, dtype=np.int8)
    trace = layer.reference(image)
    sums = torch_sums(image, layer.kernel_weight, geometry, layer.input_scale.zero_point)
    np.testing.assert_array_equal(trace.accumulator, sums)
    expected = requantize(
        sums,
        layer.bias,
        layer.mantissa,
        layer.exponent,
        layer.output_scale.zero_point,
        layer.clamp_min,
        layer.clamp_max,
    )
    np.testing.assert_array_equal(trace.output, expected)


SIZES: dict[str, Any] = {"rows": 32, "cols": 8, "activation_bytes": 1 << 14}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_stream_has_the_channels_of_each_position_in_tiles_of_their_own(data: st.DataObject) -> None:
    config = data.draw(configs())
    geometry = data.draw(geometries(height=4, width=4, most=3))
    layer = random_convolution(geometry=geometry, **data.draw(weights_on(config)))
    stream_format = stream_format_of(layer, config)
    k_tiles, n_tiles = tile_counts(layer, config)
    assert k_tiles == geometry.positions * -(-layer.in_channels // config.rows)
    fields = parameter_fields(layer)
    shared = {name: fields[name] for name in ("bias_shift", "mantissa", "exponent")}
    stream = pack_stream(layer, stream_format)
    unpacked = unpack_stream(stream, stream_format, k_tiles=k_tiles, n_tiles=n_tiles, **shared)
    weight = unpacked.weight[: layer.out_channels].reshape(layer.out_channels, *geometry.kernel, -1)
    np.testing.assert_array_equal(weight[..., : layer.in_channels], layer.kernel_weight)
    if layer.weight_format is CoreFormat.INT8:
        assert not weight[..., layer.in_channels :].any()


@pytest.mark.parametrize("config", FORMATS)
@pytest.mark.parametrize("channels", [16, 13])
def test_close_to_the_float_layer(config: QuantizeConfig, channels: int) -> None:
    """With an input whose zero is not 0: the bias folds it for all positions, those of the padding too."""
    torch.manual_seed(0)
    module = torch.nn.Conv2d(channels, 12, 3, stride=2, padding=2, dilation=2)
    layer = encode_module(module, config, name="conv")
    x = torch.relu(torch.randn(1, channels, 9, 8)) + 0.5
    y = torch.relu(torch.nn.functional.conv2d(x, layer.decode(), layer.bias, stride=2, padding=2, dilation=2))
    fixed = IntegerConvolution.from_compressed(
        layer,
        input_scale=ActivationScale.from_values(x.numpy()),
        output_scale=ActivationScale.from_values(y.numpy()),
        activation="relu",
    )
    assert fixed.input_scale.zero_point == -128
    image = fixed.input_scale.quantize(x[0].permute(1, 2, 0).numpy())
    real = fixed.output_scale.dequantize(fixed.reference(image).output)
    slack = 0.51 * fixed.input_scale.scale * np.abs(layer.decode().flatten(1).numpy()).sum(axis=1)
    assert (np.abs(real - y[0].permute(1, 2, 0).numpy()) <= slack + 1.1 * fixed.output_scale.scale).all()


def test_other_padding_than_the_module_has() -> None:
    layer = encode_module(torch.nn.Conv2d(8, 8, 3, stride=2), FORMATS[2], name="conv")
    scales = {"input_scale": ActivationScale(scale=0.1), "output_scale": ActivationScale(scale=0.2)}
    fixed = IntegerConvolution.from_compressed(layer, padding=(0, 1, 0, 1), **scales)
    assert fixed.geometry == ConvolutionGeometry(kernel=(3, 3), stride=(2, 2), padding=(0, 1, 0, 1))
    assert fixed.reference(np.zeros((4, 6, 8), dtype=np.int8)).output.shape == (2, 3, 8)
    assert fixed.select_channels(2, 5).kernel_weight.shape == (3, 3, 3, 8)
    with pytest.raises(CompileError, match="layer 'conv': padding must be 4 numbers of at least 0"):
        IntegerConvolution.from_compressed(layer, padding=(0, 0, 0, -1), **scales)


@pytest.mark.parametrize(
    ("module", "found"),
    [
        (torch.nn.Linear(8, 8), "linear with 1"),
        (torch.nn.Conv2d(8, 8, 3, groups=2), "conv2d with 2"),
        (torch.nn.ConvTranspose2d(8, 8, 3), "conv_transpose2d with 1"),
    ],
)
def test_layers_that_are_no_such_convolution(module: torch.nn.Module, found: str) -> None:
    layer = encode_module(module, FORMATS[2], name="other")
    with pytest.raises(CompileError, match=f"layer 'other': it must be a conv2d without groups, not a {found}"):
        IntegerConvolution.from_compressed(layer)


def test_weights_of_another_kernel() -> None:
    fields: dict[str, Any] = {"weight_format": CoreFormat.INT8, "out_channels": 2, "in_channels": 3}
    layer = random_convolution(np.random.default_rng(0), geometry=ConvolutionGeometry(kernel=(1, 2)), **fields)
    with pytest.raises(CompileError, match="weights of 6 products are not those of 4 kernel positions"):
        IntegerConvolution(**vars(layer) | {"geometry": ConvolutionGeometry(kernel=(2, 2))})


@pytest.mark.parametrize(
    ("image", "weight", "rule"),
    [
        (np.zeros((4, 4), np.int8), np.zeros((1, 2, 2, 4), np.int8), r"image must be int8 \(H, W, C\), not int8 of"),
        (np.zeros((4, 4, 3), np.int16), np.zeros((1, 2, 2, 3), np.int8), "image must be int8"),
        (np.zeros((4, 4, 3), np.int8), np.zeros((1, 2, 3, 3), np.int8), r"weight must be \(N, 2, 2, 3\), not of shape"),
        (
            np.zeros((1, 4, 3), np.int8),
            np.zeros((1, 2, 2, 3), np.int8),
            "a padded image of 1 pixels has no window of 2",
        ),
    ],
)
def test_reference_refuses(image: Any, weight: Any, rule: str) -> None:
    geometry = ConvolutionGeometry(kernel=(2, 2))
    with pytest.raises(ValueError, match=rule):
        conv_reference(image, weight, [0], [0], [0], geometry=geometry, padding_value=0, zero_point=0)

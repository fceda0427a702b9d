"""CompressedLayer: decoding against a plain loop, bits against formulas, and the rules that a layer checks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ssvq.quantize import CompressedLayer, LayerError, QuantizeConfig, WeightFormat, encode, to_rows
from ssvq.reference import ActivationScale

CODED = [WeightFormat.SSVQ, WeightFormat.VQ, WeightFormat.MVQ]


def weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.05


def coded(format: WeightFormat, size: int = 16, dim: int = 8, **more: Any) -> QuantizeConfig:
    """MVQ keeps one of every two channels, or of three, unless told otherwise."""
    if format is WeightFormat.MVQ and "keep" not in more:
        more |= {"keep": 1, "group": next(group for group in (2, 3, dim) if dim % group == 0)}
    return QuantizeConfig(format=format, codebook_size=size, vector_dim=dim, **more)


def require(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def decoded_by_loop(layer: CompressedLayer) -> Tensor:
    """The definition, one weight at a time."""
    rows, channels, *kernel = layer.weight_shape
    height, width = kernel or (1, 1)
    result = torch.zeros(rows, channels, height, width)
    codebook, indices, dim = require(layer.codebook), require(layer.indices), layer.vector_dim or 1
    for n in range(rows):
        for position in range(height * width):
            for channel in range(channels):
                word = codebook[int(indices[n, position, channel // dim])]
                value = float(word[channel % dim])
                if layer.signs is not None and bool(layer.signs[n, position, channel]):
                    value = -value
                if layer.mask is not None and not bool(layer.mask[n, position, channel]):
                    value = 0.0
                scale = layer.scale[n if layer.scale.numel() > 1 else 0]
                result[n, channel, position // width, position % width] = scale * value
    return result.view(layer.weight_shape)


@pytest.mark.parametrize("format", CODED)
@pytest.mark.parametrize("scale", ["channel", "layer"])
@pytest.mark.parametrize(("shape", "size", "dim"), [((6, 13), 8, 4), ((5, 7, 3, 2), 16, 3), ((9, 1, 3, 3), 4, 8)])
def test_decode_is_the_definition(
    format: WeightFormat, scale: Any, shape: tuple[int, ...], size: int, dim: int
) -> None:
    layer = encode(weights(*shape), coded(format, size, dim, scale=scale))
    rows, channels, positions = shape[0], shape[1], math.prod(shape[2:])
    padded = math.ceil(channels / dim) * dim
    assert layer.kind == ("linear" if len(shape) == 2 else "conv2d")
    assert layer.scale.shape == ((rows,) if scale == "channel" else (1,))
    assert require(layer.codebook).shape == (size, dim)
    assert require(layer.codebook).abs().max() == 127
    assert (layer.mask is None) == (format is not WeightFormat.MVQ)
    assert require(layer.indices).shape == (rows, positions, padded // dim)
    assert require(layer.indices).dtype == torch.int16
    if format is WeightFormat.SSVQ:
        assert require(layer.signs).shape == (rows, positions, padded)
        assert require(layer.codebook).min() >= 0
        assert torch.equal((layer.integer_weight() < 0), (to_rows(weights(*shape)) < 0) & (layer.integer_weight() != 0))
    assert layer.integer_weight().shape == (rows, positions, channels)
    assert layer.integer_weight().dtype == torch.int8
    assert torch.equal(layer.decode(), decoded_by_loop(layer))


def test_float_is_exact() -> None:
    weight = weights(6, 10)
    layer = encode(weight, QuantizeConfig(format=WeightFormat.FLOAT))
    assert torch.equal(layer.decode(), weight)
    assert layer.bits_per_weight == 32
    with pytest.raises(ValueError, match="format float has no codebook"):
        layer.integer_weight()


def test_bits_are_counted_with_codebook_scales_and_padding() -> None:
    layer = encode(weights(64, 21), coded(WeightFormat.SSVQ, 16, 8))
    storage = layer.storage
    assert storage.indices == 64 * 3 * 4
    assert storage.signs == 64 * 24
    assert storage.codebook == 16 * 8 * 8
    assert storage.scales == 64 * 32
    assert storage.padding == (64 * 3 * 4 + 64 * 24) * 3 / 24
    assert layer.storage_bits == 64 * 12 + 64 * 24 + 1024 + 2048
    assert layer.bits_per_weight == layer.storage_bits / (64 * 21)


def test_bits_of_masks() -> None:
    layer = encode(weights(64, 21), coded(WeightFormat.MVQ, 16, 8, keep=2, group=8))
    storage = layer.storage
    assert (storage.indices, storage.signs) == (64 * 3 * 4, 0)
    assert storage.mask == 64 * 3 * 5  # C(8, 2) = 28 patterns
    assert storage.padding == (64 * 3 * 4 + 64 * 3 * 5) * 3 / 24
    assert storage.total == layer.storage_bits == 64 * 3 * (4 + 5) + 16 * 8 * 8 + 64 * 32


def test_large_layer_approaches_one_and_a_half_bits() -> None:
    layer = encode(weights(1024, 512), coded(WeightFormat.SSVQ, 16, 8, scale="layer", iterations=2, refine_rounds=1))
    assert 1.5 < layer.bits_per_weight < 1.503


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"mask": torch.ones(4, 1, 16, dtype=torch.bool)}, "mask must be None for format ssvq"),
        ({"keep": 1}, "keep must be None for format ssvq, not 1"),
        ({"input_scale": 0.5}, "input_scale must be an ActivationScale or None, not 0.5"),
        ({"output_scale": (0.5, 1)}, "output_scale must be an ActivationScale or None, not (0.5, 1)"),
        ({"activation": "gelu"}, "activation must be one of none, relu, relu6, not 'gelu'"),
        ({"activation": None}, "activation must be one of none, relu, relu6, not None"),
        ({"name": ""}, "name must be 1..1024 printable characters, not ''"),
        ({"kind": "conv3d"}, "kind must be one of 'linear', 'conv2d', 'conv_transpose2d', not 'conv3d'"),
        ({"format": "ssvq"}, "format must be a WeightFormat, not 'ssvq'"),
        ({"weight_shape": (4, 16, 1)}, "weight_shape must be 2 sizes for a linear, not (4, 16, 1)"),
        ({"weight_shape": (0, 16)}, "weight_shape must be in 1..2147483647, not 0"),
        ({"stride": 2}, "stride, padding, dilation, groups must be 1, 0, 1, 1 for a linear layer"),
        ({"groups": 3}, "groups must divide the 4 output channels, not 3"),
        ({"codebook_size": 8}, "codebook must have shape (8, 8), not (4, 8)"),
        ({"codebook": None}, "codebook must be given for format ssvq"),
        ({"codebook": torch.full((4, 8), -1, dtype=torch.int8)}, "codebook must hold values in 0..127, not -1..-1"),
        ({"indices": torch.full((4, 1, 2), 4, dtype=torch.int16)}, "indices must hold values in 0..3, not 4..4"),
        ({"indices": torch.zeros(4, 1, 2)}, "indices must be torch.int16, not torch.float32"),
        ({"signs": torch.zeros(4, 1, 15, dtype=torch.bool)}, "signs must have shape (4, 1, 16), not (4, 1, 15)"),
        ({"weight_int8": torch.zeros(4, 1, 16, dtype=torch.int8)}, "weight_int8 must be None for format ssvq"),
        ({"scale": torch.full((4,), -1.0)}, "scale must be at least 0, not -1.0"),
        ({"scale": torch.full((4,), torch.nan)}, "scale must be finite"),
        ({"scale": torch.ones(3)}, "scale must have shape (4,), not (3,)"),
        ({"bias": torch.ones(5)}, "bias must have shape (4,), not (5,)"),
    ],
)
def test_a_layer_checks_itself(change: dict[str, Any], text: str) -> None:
    layer = encode(weights(4, 16), coded(WeightFormat.SSVQ, 4, 8))
    with pytest.raises(LayerError) as caught:
        replace(layer, **change)
    assert str(caught.value) == text


def test_signs_have_one_representation() -> None:
    layer = encode(weights(4, 13), coded(WeightFormat.SSVQ, 4, 8))
    signs = require(layer.signs).clone()
    signs[0, 0, 15] = True
    with pytest.raises(LayerError, match="signs must be False in the padding"):
        replace(layer, signs=signs)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"mask": None}, "mask must be given for format mvq"),
        ({"mask": torch.ones(4, 1, 12, dtype=torch.bool)}, "mask must have shape (4, 1, 16), not (4, 1, 12)"),
        ({"mask": torch.ones(4, 1, 16, dtype=torch.int8)}, "mask must be torch.bool, not torch.int8"),
        ({"mask": torch.ones(4, 1, 16, dtype=torch.bool)}, "mask must keep 2 of every 4 channels"),
        (
            {"mask": torch.tensor([0, 0, 1, 1] * 16, dtype=torch.bool).view(4, 1, 16)},
            "mask must keep channels of the padding only in place of real ones that are missing, the first of them",
        ),
        ({"keep": 4}, "keep must be in 1..3, not 4"),
        ({"group": 3}, "group must divide the vector_dim 8, not be 3"),
        ({"keep": None}, "keep must be an int, not None"),
        (
            {"codebook": torch.full((4, 8), -128, dtype=torch.int8)},
            "codebook must hold values in -127..127, not -128..",
        ),
    ],
)
def test_a_masked_layer_checks_itself(change: dict[str, Any], text: str) -> None:
    layer = encode(weights(4, 13), coded(WeightFormat.MVQ, 4, 8, keep=2, group=4))
    with pytest.raises(LayerError) as caught:
        replace(layer, **change)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("format", [f for f in WeightFormat if f.is_uniform])
def test_integers_are_within_their_range(format: WeightFormat) -> None:
    layer = encode(weights(2, 4), QuantizeConfig(format=format))
    low, high = format.integer_range
    values = torch.tensor([low, high, 0, 0] * 2, dtype=torch.int8).view(2, 1, 4)
    assert torch.equal(replace(layer, weight_int8=values).integer_weight(), values)
    if format is not WeightFormat.INT8:
        values[0, 0, 0] = high + 1
        with pytest.raises(LayerError, match=f"weight_int8 must hold values in {low}..{high}, not "):
            replace(layer, weight_int8=values)
    values[0, 0, 0] = low - 1
    with pytest.raises(LayerError, match=f"weight_int8 must hold values in {low}..{high}, not {low - 1}"):
        replace(layer, weight_int8=values)


def test_activations_are_kept() -> None:
    scale = ActivationScale(scale=0.5, zero_point=3)
    plain = encode(weights(2, 4), QuantizeConfig(format=WeightFormat.INT8))
    assert (plain.input_scale, plain.output_scale, plain.activation) == (None, None, "none")
    layer = replace(plain, input_scale=scale, output_scale=scale, activation="relu")
    assert (layer.input_scale, layer.output_scale, layer.activation) == (scale, scale, "relu")


@pytest.mark.parametrize("format", [WeightFormat.SSVQ, WeightFormat.MVQ, WeightFormat.INT4, WeightFormat.FLOAT])
def test_weights_for_a_transposed_convolution(format: WeightFormat) -> None:
    config = coded(format, 4, 4) if format.has_codebook else QuantizeConfig(format=format)
    layer = encode(weights(6, 4, 3, 3), config, kind="conv_transpose2d", groups=2)
    assert layer.decode().shape == (6, 4, 3, 3)
    weight = layer.module_weight()
    assert weight.shape == torch.nn.ConvTranspose2d(8, 6, 3, groups=2).weight.shape
    assert weight.is_contiguous()
    assert torch.equal(weight[4 + 1, 2], layer.decode()[3 + 2, 1])
    plain = encode(weights(6, 4, 3, 3), config, groups=2)
    assert torch.equal(plain.module_weight(), layer.decode())

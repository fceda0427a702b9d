"""encode, decode, assign: layout, signs, scales, padding, bits; each compared with a plain loop or a formula."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from ssvq.quantize import CompressedLayer, LayerError, QuantizeConfig, WeightFormat, assign, encode, sqnr_db, to_rows

CODED = [WeightFormat.SSVQ, WeightFormat.VQ]


def weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.05


def coded(format: WeightFormat, size: int = 16, dim: int = 8, **more: Any) -> QuantizeConfig:
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
    assert require(layer.indices).shape == (rows, positions, padded // dim)
    assert require(layer.indices).dtype == torch.int16
    if format is WeightFormat.SSVQ:
        assert require(layer.signs).shape == (rows, positions, padded)
        assert require(layer.codebook).min() >= 0
        assert torch.equal((layer.integer_weight() < 0), (to_rows(weights(*shape)) < 0) & (layer.integer_weight() != 0))
    assert layer.integer_weight().shape == (rows, positions, channels)
    assert layer.integer_weight().dtype == torch.int8
    assert torch.equal(layer.decode(), decoded_by_loop(layer))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_assigning_decoded_weights_gives_the_same_representation(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(CODED))
    linear = data.draw(st.booleans())
    sizes = st.integers(1, 24)
    shape = (data.draw(sizes), data.draw(sizes)) + (() if linear else (data.draw(st.integers(1, 3)), 3))
    dim = data.draw(st.integers(2, 32))
    count = math.prod(shape) // shape[1] * math.ceil(shape[1] / dim)
    if count < 2:
        return
    size = 2 ** data.draw(st.integers(1, min(12, int(math.log2(count)))))
    weight = weights(*shape, seed=data.draw(st.integers(0, 1000))) * 10.0 ** data.draw(st.integers(-12, 12))
    sparsity = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    weight[torch.rand(shape, generator=torch.Generator().manual_seed(1)) < sparsity] = 0
    layer = encode(weight, coded(format, size, dim, scale=data.draw(st.sampled_from(["channel", "layer"]))))
    again = assign(layer.decode(), require(layer.codebook), layer.scale, format=format)
    assert torch.equal(again.indices, require(layer.indices))
    assert (again.signs is None) == (layer.signs is None)
    if again.signs is not None:
        assert torch.equal(again.signs, require(layer.signs))


@pytest.mark.parametrize("format", CODED)
def test_assignment_is_the_nearest_codeword(format: WeightFormat) -> None:
    weight = weights(8, 32)
    layer = encode(weight, coded(format, 16, 4))
    target = (weight / layer.scale[:, None]).view(8, 1, 8, 4)
    if format is WeightFormat.SSVQ:
        target = target.abs()
    table = (target[..., None, :] - require(layer.codebook).float()).square().sum(-1)
    found = table.gather(3, require(layer.indices).long()[..., None])[..., 0]
    torch.testing.assert_close(found, table.amin(3), atol=1e-2, rtol=1e-4)


def test_assign_needs_a_codebook_format() -> None:
    with pytest.raises(ValueError, match="format must be ssvq, vq or mvq to assign codewords, not int8"):
        assign(weights(2, 2), torch.zeros(2, 2, dtype=torch.int8), torch.ones(1), format=WeightFormat.INT8)


def test_zero_is_positive_and_a_zero_channel_decodes_to_zero() -> None:
    weight = weights(4, 16)
    weight[1] = 0
    weight[2, 3] = 0
    weight[3] = -0.0
    layer = encode(weight, coded(WeightFormat.SSVQ, 4, 8))
    assert not require(layer.signs)[1].any()
    assert not require(layer.signs)[2, 0, 3]
    assert not require(layer.signs)[3].any()
    assert layer.scale[1] == 0
    assert torch.equal(layer.decode()[1], torch.zeros(16))


@pytest.mark.parametrize("format", [WeightFormat.SSVQ, WeightFormat.VQ, WeightFormat.INT8])
@pytest.mark.parametrize("scale", ["channel", "layer"])
def test_all_zero_weights(format: WeightFormat, scale: Any) -> None:
    config = coded(format, 4, 4, scale=scale) if format.has_codebook else QuantizeConfig(format=format, scale=scale)
    layer = encode(torch.zeros(4, 8), config)
    assert torch.equal(layer.decode(), torch.zeros(4, 8))
    assert sqnr_db(torch.zeros(4, 8), layer.decode()) == math.inf


def test_few_distinct_subvectors_are_exact() -> None:
    words = torch.tensor([[1.0, 127, 3, 5], [100, 0, 0, 50]])
    picked = torch.randint(2, (16, 6), generator=torch.Generator().manual_seed(0))
    weight = words[picked].flatten(1) * (1 - 2 * torch.randint(2, (16, 24), generator=torch.Generator().manual_seed(1)))
    layer = encode(weight, coded(WeightFormat.SSVQ, 2, 4, scale="layer"))
    assert sqnr_db(weight, layer.decode()) > 120


def test_int8() -> None:
    weight = weights(6, 10, 3, 3)
    layer = encode(weight, QuantizeConfig(format=WeightFormat.INT8))
    assert layer.bits_per_weight == 8 + 32 * 6 / weight.numel()
    assert (layer.integer_weight().abs().amax((1, 2)) == 127).all()
    assert ((layer.decode() - weight).abs() <= layer.scale[:, None, None, None] * 0.5001).all()
    again = encode(layer.decode(), QuantizeConfig(format=WeightFormat.INT8))
    assert torch.equal(again.integer_weight(), layer.integer_weight())


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


def test_large_layer_approaches_one_and_a_half_bits() -> None:
    layer = encode(weights(1024, 512), coded(WeightFormat.SSVQ, 16, 8, scale="layer", iterations=2, refine_rounds=1))
    assert 1.5 < layer.bits_per_weight < 1.503


def test_channel_scales_are_better_when_channels_differ() -> None:
    weight = weights(64, 64) * torch.logspace(-2, 0, 64)[:, None]
    found = {
        s: sqnr_db(weight, encode(weight, coded(WeightFormat.SSVQ, scale=s)).decode()) for s in ("channel", "layer")
    }
    assert found["channel"] > found["layer"] + 1
    assert found["channel"] > 6.5


def test_more_codewords_are_better() -> None:
    weight = weights(128, 128)
    found = [sqnr_db(weight, encode(weight, coded(WeightFormat.SSVQ, size, 4)).decode()) for size in (2, 16, 256)]
    assert found[0] + 2 < found[1] < found[2] - 2


def test_training_on_a_sample_still_assigns_everything() -> None:
    weight = weights(256, 256)
    full, sampled = (
        sqnr_db(weight, encode(weight, coded(WeightFormat.SSVQ, train_subvectors=n)).decode()) for n in (10**6, 2048)
    )
    assert abs(full - sampled) < 0.2


def test_same_arguments_give_the_same_layer() -> None:
    first, same, other = (encode(weights(32, 32), coded(WeightFormat.SSVQ, seed=n)) for n in (5, 5, 6))
    assert torch.equal(require(first.indices), require(same.indices))
    assert torch.equal(require(first.codebook), require(same.codebook))
    assert torch.equal(first.scale, same.scale)
    assert not torch.equal(require(first.codebook), require(other.codebook))


def test_encode_leaves_its_arguments_alone() -> None:
    weight = torch.nn.Parameter(weights(8, 8))
    bias = weights(8)
    layer = encode(weight, QuantizeConfig(format=WeightFormat.FLOAT), bias=bias)
    require(layer.weight_float).zero_()
    require(layer.bias).zero_()
    assert torch.equal(weight, weights(8, 8))
    assert torch.equal(bias, weights(8))


@pytest.mark.parametrize(
    ("weight", "error", "text"),
    [
        (torch.ones(2, 4, dtype=torch.int8), TypeError, "fc: weight must be floating point, not torch.int8"),
        (torch.ones(4), ValueError, r"fc: weight must be a non-empty \(N, K\) or \(N, K, kh, kw\), not \(4,\)"),
        (torch.ones(0, 4), ValueError, "fc: weight must be a non-empty"),
        (torch.tensor([[1.0, torch.nan, torch.inf]]), ValueError, "fc: weight must be finite, 2 of 3 values are not"),
        (torch.full((4, 8), 1e31), ValueError, r"fc: weight must be at most 1e\+30 in magnitude"),
        (torch.ones(3, 16), ValueError, "fc: codebook_size must be at most the layer's 6 subvectors, not 16"),
    ],
)
def test_encode_refuses(weight: Tensor, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        encode(weight, coded(WeightFormat.SSVQ), name="fc")


def test_encode_refuses_a_bias_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="fc: bias must be finite, 1 of 2 values are not"):
        encode(weights(2, 8), QuantizeConfig(format=WeightFormat.INT8), bias=torch.tensor([1.0, torch.nan]), name="fc")


@pytest.mark.parametrize(
    ("change", "text"),
    [
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


def test_sqnr() -> None:
    assert sqnr_db(torch.tensor([10.0]), torch.tensor([9.0])) == pytest.approx(20)
    assert sqnr_db(torch.tensor([0.0]), torch.tensor([1.0])) == -math.inf

"""encode and assign: nearest codewords, signs, scales, masks and importance."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from ssvq.quantize import CompressedLayer, QuantizeConfig, WeightFormat, assign, encode, sqnr_db

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


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_assigning_decoded_weights_gives_the_same_representation(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(CODED))
    linear = data.draw(st.booleans())
    sizes = st.integers(1, 24)
    shape = (data.draw(sizes), data.draw(sizes)) + (() if linear else (data.draw(st.integers(1, 3)), 3))
    group = data.draw(st.integers(2, 16)) if format is WeightFormat.MVQ else 1
    dim = group * data.draw(st.integers(-(-2 // group), 32 // group))
    count = math.prod(shape) // shape[1] * math.ceil(shape[1] / dim)
    if count < 2:
        return
    size = 2 ** data.draw(st.integers(1, min(12, int(math.log2(count)))))
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    weight = torch.randn(shape, generator=random) * 10.0 ** data.draw(st.integers(-12, 12))
    sparsity = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    weight[torch.rand(shape, generator=random) < sparsity] = 0
    importance = None
    if data.draw(st.booleans()):
        importance = torch.rand(shape[1], generator=random) ** data.draw(st.sampled_from([1, 8, 40]))
        importance[data.draw(st.integers(0, shape[1] - 1))] = data.draw(st.sampled_from([0.0, 1.0, 1e3]))
        importance[0] += 1
    more = {"keep": data.draw(st.integers(1, group - 1)), "group": group} if group > 1 else {}
    config = coded(format, size, dim, scale=data.draw(st.sampled_from(["channel", "layer"])), **more)
    layer = encode(weight, config, importance)
    codebook = require(layer.codebook)
    again = assign(layer.decode(), codebook, layer.scale, format=format, importance=importance, mask=layer.mask)
    assert torch.equal(again.indices, require(layer.indices))
    assert (again.signs is None) == (layer.signs is None)
    if again.signs is not None:
        assert torch.equal(again.signs, require(layer.signs))


@pytest.mark.parametrize("format", CODED)
@pytest.mark.parametrize("important", [False, True])
def test_assignment_is_the_nearest_codeword(format: WeightFormat, important: bool) -> None:
    weight = weights(8, 32)
    importance = torch.rand(32, generator=torch.Generator().manual_seed(1)) if important else torch.ones(32)
    layer = encode(weight, coded(format, 16, 4), importance if important else None)
    target = (weight / layer.scale[:, None]).view(8, 1, 8, 4)
    if format is WeightFormat.SSVQ:
        target = target.abs()
    counts = importance.view(8, 4).expand(8, 1, 8, 4)
    if layer.mask is not None:
        counts = counts * layer.mask.view(8, 1, 8, 4)
    table = (counts[..., None, :] * (target[..., None, :] - require(layer.codebook).float()).square()).sum(-1)
    found = table.gather(3, require(layer.indices).long()[..., None])[..., 0]
    torch.testing.assert_close(found, table.amin(3), atol=1e-2, rtol=1e-4)


def test_assign_needs_a_codebook_format() -> None:
    with pytest.raises(ValueError, match="format must be ssvq, vq or mvq to assign codewords, not int8"):
        assign(weights(2, 2), torch.zeros(2, 2, dtype=torch.int8), torch.ones(1), format=WeightFormat.INT8)


@pytest.mark.parametrize("format", [WeightFormat.SSVQ, WeightFormat.MVQ])
def test_assign_needs_a_mask_where_there_is_one(format: WeightFormat) -> None:
    mask = torch.ones(2, 1, 2, dtype=torch.bool) if format is WeightFormat.SSVQ else None
    rule = "be None" if format is WeightFormat.SSVQ else "be given"
    with pytest.raises(ValueError, match=f"mask must {rule} for format {format.value}"):
        assign(weights(2, 2), torch.zeros(2, 2, dtype=torch.int8), torch.ones(1), format=format, mask=mask)


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


@pytest.mark.parametrize("format", [f for f in WeightFormat if f is not WeightFormat.FLOAT])
@pytest.mark.parametrize("scale", ["channel", "layer"])
@pytest.mark.parametrize("importance", [None, torch.rand(8)])
def test_all_zero_weights(format: WeightFormat, scale: Any, importance: Tensor | None) -> None:
    config = coded(format, 4, 4, scale=scale) if format.has_codebook else QuantizeConfig(format=format, scale=scale)
    layer = encode(torch.zeros(4, 8), config, importance)
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


def weighted_db(weight: Tensor, layer: CompressedLayer, importance: Tensor) -> float:
    root = importance.sqrt().view(-1, *[1] * (weight.ndim - 2))
    return sqnr_db(weight * root, layer.decode() * root)


@pytest.mark.parametrize("format", CODED)
@pytest.mark.parametrize("shape", [(128, 96), (64, 20, 3, 3)])
def test_importance_lowers_the_error_that_counts(format: WeightFormat, shape: tuple[int, ...]) -> None:
    weight = weights(*shape)
    importance = torch.rand(shape[1], generator=torch.Generator().manual_seed(1)) ** 4
    plain, important = (encode(weight, coded(format), given) for given in (None, importance))
    assert weighted_db(weight, important, importance) > weighted_db(weight, plain, importance) + 0.5
    assert sqnr_db(weight, important.decode()) < sqnr_db(weight, plain.decode())


@pytest.mark.parametrize("format", CODED)
def test_equal_importance_changes_next_to_nothing(format: WeightFormat) -> None:
    weight = weights(128, 64)
    plain, equal = (sqnr_db(weight, encode(weight, coded(format), given).decode()) for given in (None, torch.ones(64)))
    assert equal == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize("format", CODED)
def test_channels_that_are_never_active(format: WeightFormat) -> None:
    """Half the channels do not count: those that do are as good as alone, and the others harm nothing."""
    weight = weights(128, 64)
    importance = torch.zeros(64)
    importance[:32] = 1
    both = encode(weight, coded(format), importance)
    alone = encode(weight[:, :32].contiguous(), coded(format))
    assert torch.isfinite(both.decode()).all()
    assert sqnr_db(weight[:, :32], both.decode()[:, :32]) > sqnr_db(weight[:, :32], alone.decode()) - 0.1


def test_importance_decides_the_mask() -> None:
    config = coded(WeightFormat.MVQ, 2, 4, keep=2, group=4)
    layer = encode(torch.tensor([[4.0, 3, 2, 1]]).expand(4, 4), config, torch.tensor([1.0, 1, 1, 100]))
    assert require(layer.mask)[0, 0].tolist() == [True, False, False, True]


def test_masked_vectors_are_better_than_pruned_ones() -> None:
    """Of codewords that ignore what the mask removes there is more to gain than of conventional ones for zeros."""
    weight = weights(128, 128)
    masked = encode(weight, coded(WeightFormat.MVQ, 64, 8, keep=2, group=8))
    pruned = weight * require(masked.mask)[:, 0]
    plain = encode(pruned, coded(WeightFormat.VQ, 64, 8))
    assert torch.equal(masked.decode() != 0, (masked.decode() != 0) & require(masked.mask)[:, 0])
    assert sqnr_db(pruned, masked.decode()) > sqnr_db(pruned, plain.decode()) + 1


@pytest.mark.parametrize("format", CODED)
def test_depthwise_convolutions(format: WeightFormat) -> None:
    """One weight in each subvector: as many codewords as there are magnitudes, whatever the padding."""
    weight = torch.tensor([1.0, -2, 3, -4]).repeat(9)[:, None, None, None].expand(36, 1, 3, 3)
    importance = torch.rand(36) + 0.1
    layer = encode(weight, coded(format, 8, 8, scale="layer"), importance, groups=36)
    assert sqnr_db(weight, layer.decode()) > 30


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


@pytest.mark.parametrize("format", [WeightFormat.SSVQ, WeightFormat.INT4])
def test_encode_refuses_a_wrong_importance(format: WeightFormat) -> None:
    config = coded(format, 2, 4) if format.has_codebook else QuantizeConfig(format=format)
    with pytest.raises(ValueError, match=r"fc: importance must have the shape \(8,\) or \(1, 8\), not \(4,\)"):
        encode(weights(4, 8), config, torch.ones(4), name="fc")
    with pytest.raises(TypeError, match="fc: importance must be floating point, not torch.int64"):
        encode(weights(4, 8), config, torch.ones(8, dtype=torch.int64), name="fc")


def test_encode_refuses_a_bias_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="fc: bias must be finite, 1 of 2 values are not"):
        encode(weights(2, 8), QuantizeConfig(format=WeightFormat.INT8), bias=torch.tensor([1.0, torch.nan]), name="fc")


def test_sqnr() -> None:
    assert sqnr_db(torch.tensor([10.0]), torch.tensor([9.0])) == pytest.approx(20)
    assert sqnr_db(torch.tensor([0.0]), torch.tensor([1.0])) == -math.inf

"""Gradients of the trainable weights against plain autograd of their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ssvq.quantize import encode
from ssvq.quantize.formats import QuantizeConfig, ScaleKind, WeightFormat
from ssvq.train.parametrization import CODEWORD_STEP, ScaleParameter
from ssvq.train.ssvq_weight import SsvqWeight
from ssvq.train.uniform_weight import FlexRoundWeight, LearnedStepWeight


def _weight(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)) * 0.05


def _plain_decode(form: SsvqWeight, latent_sign: Tensor, codebook: Tensor, gain: Tensor, channels: int) -> Tensor:
    """W = scale * codebook[index] * sign, with the sign as a tensor of its own; (N, P, K)."""
    words = (codebook / CODEWORD_STEP)[form.codes.indices.long()].flatten(2)[..., :channels]
    scale = form.scale.initial * gain.exp() * CODEWORD_STEP
    return scale[:, None, None] * words * latent_sign


@pytest.mark.parametrize("scale", ["channel", "layer"])
@pytest.mark.parametrize("channels", [16, 14])
def test_gradients_of_ssvq_are_those_of_the_paper(scale: ScaleKind, channels: int) -> None:
    weight = _weight(6, channels)
    config = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=4, vector_dim=4, scale=scale)
    form = SsvqWeight(encode(weight, config))
    latent = nn.Parameter(form.right_inverse(weight))
    upstream = torch.randn(6, channels, generator=torch.Generator().manual_seed(4))
    (form(latent) * upstream).sum().backward()

    sign = torch.where(latent < 0, -1.0, 1.0).requires_grad_()
    # the codebook starts on the integer grid, where rounding changes nothing and its gradient passes
    codebook = form.codebook.detach().clone().requires_grad_()
    gain = torch.zeros_like(form.scale.log_gain).requires_grad_()
    rows = _plain_decode(form, sign[:, None, :], codebook, gain, channels)
    (rows[:, 0] * upstream).sum().backward()
    assert latent.grad is not None
    assert torch.allclose(latent.grad, sign.grad)  # straight through: dL/dL_s is dL/dsign
    assert torch.allclose(form.codebook.grad, codebook.grad, atol=1e-6)
    assert torch.allclose(form.scale.log_gain.grad, gain.grad, rtol=1e-4, atol=1e-6)


def test_negative_zero_in_a_weight_is_positive() -> None:
    weight = _weight(4, 8)
    weight[0, 0] = -0.0
    form = SsvqWeight(encode(weight, QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=4, vector_dim=4)))
    latent = form.right_inverse(weight)
    layer = form.compress(latent)
    assert layer.signs is not None
    assert not layer.signs[0, 0, 0]
    assert torch.equal(form(latent), layer.decode())


def test_codewords_stay_in_their_range_and_the_gradient_stops_there() -> None:
    weight = _weight(4, 8)
    form = SsvqWeight(encode(weight, QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=4, vector_dim=4)))
    with torch.no_grad():
        form.codebook[0] = -1.0
        form.codebook[1] = 100.0
    latent = form.right_inverse(weight)
    layer = form.compress(latent)
    assert layer.codebook is not None
    assert layer.codebook[0].tolist() == [0] * 4
    assert layer.codebook[1].tolist() == [127] * 4
    form(latent).sum().backward()
    assert not form.codebook.grad[:2].any()


def test_a_scale_learns_relative_to_itself_and_a_dead_one_stays_dead() -> None:
    scale = ScaleParameter(torch.tensor([2.0, 0.0]), learn=True)
    with torch.no_grad():
        scale.log_gain += 1.0
    assert torch.allclose(scale(), torch.tensor([2.0 * torch.e, 0.0]))


def test_a_learned_step_has_lsq_s_gradient() -> None:
    weight = _weight(2, 8)
    layer = encode(weight, QuantizeConfig(format=WeightFormat.INT2, clip="mse"))
    form = LearnedStepWeight(layer)
    original = nn.Parameter(form.right_inverse(weight))
    form(original).sum().backward()
    ratio = weight / layer.scale[:, None]
    inside = (ratio > -2) & (ratio < 1)
    # d/ds of s * round(w / s): the rounding error inside, the bound outside; times s for the logarithm
    slope = torch.where(inside, ratio.round() - ratio, ratio.clamp(-2, 1))
    assert torch.allclose(original.grad, inside.float())
    assert torch.allclose(form.scale.log_gain.grad, (slope * layer.scale[:, None]).sum(1), atol=1e-6)


def test_flexround_starts_at_round_to_nearest_and_divides_by_element() -> None:
    weight = _weight(4, 8)
    layer = encode(weight, QuantizeConfig(format=WeightFormat.INT4))
    form = FlexRoundWeight(layer)
    assert torch.equal(form(form.right_inverse(weight)), layer.decode())
    with torch.no_grad():
        form.element[0, 0, 0] += 10.0
    assert form(weight)[0, 0] == 0


def test_dead_channels_decode_to_zero_in_every_form() -> None:
    weight = _weight(4, 8)
    weight[1] = 0
    for format in (WeightFormat.INT4, WeightFormat.SSVQ):
        codes = {"codebook_size": 4, "vector_dim": 4} if format is WeightFormat.SSVQ else {}
        layer = encode(weight, QuantizeConfig(format=format, **codes))
        form = SsvqWeight(layer) if codes else LearnedStepWeight(layer)
        decoded = form(form.right_inverse(weight))
        assert torch.equal(decoded, layer.decode())
        assert not decoded[1].any()

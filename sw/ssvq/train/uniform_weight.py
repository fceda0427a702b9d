"""The trainable forms of uniform quantization: a learned step (after LSQ), and learnable rounding (FlexRound)."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from ssvq.quantize.layer import CompressedLayer
from ssvq.train.parametrization import ScaleParameter, WeightParametrization


class _UniformWeight(WeightParametrization):
    """`W = scale * clamp(round(ratio))`; the original is a float weight, in the layout of the module.

    The gradient passes the rounding, and stops at the clamp as in LSQ (Esser et al. 2020, section 2.1).

    Members:
        scale: of the output channels, (N,), or of the layer, (1,).
    """

    def __init__(self, layer: CompressedLayer, *, learn_scale: bool = True) -> None:
        super().__init__(layer)
        self.low, self.high = layer.format.integer_range
        self.scale = ScaleParameter(layer.scale, learn=learn_scale)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The weight itself."""
        return weight.detach().clone()

    @abstractmethod
    def _ratio(self, original: Tensor, scale: Tensor) -> Tensor:
        """What is rounded, (N, P, K); scale is (N, 1, 1) or (1, 1, 1) and positive."""

    def _integers(self, original: Tensor, scale: Tensor) -> Tensor:
        """float32 integers (N, P, K); they have no meaning where the scale is zero."""
        ratio = self._ratio(original, torch.where(scale > 0, scale, 1.0)).clamp(self.low, self.high)
        return ratio + (ratio.round() - ratio).detach()

    def forward(self, original: Tensor) -> Tensor:
        """The quantized weight, in the layout of the module."""
        scale = self.scale()[:, None, None]
        return self._from_rows(self._integers(original, scale) * scale)

    @torch.no_grad()
    def compress(self, original: Tensor) -> CompressedLayer:
        """See `WeightParametrization`."""
        scale = self.scale()
        integers = self._integers(original, scale[:, None, None]).to(torch.int8)
        return self._compressed(weight_int8=integers * (scale > 0)[:, None, None], scale=scale)


class LearnedStepWeight(_UniformWeight):
    """Quantization-aware training with a learned step, after LSQ: float weight and step sizes learn together."""

    def _ratio(self, original: Tensor, scale: Tensor) -> Tensor:
        return self._rows(original) / scale


class FlexRoundWeight(_UniformWeight):
    """Learnable rounding by element-wise division, after FlexRound (Lee et al. 2023, equation 2).

    The float weight is constant; each of its elements is divided by `scale * exp(log_division)` before it is rounded,
    where the divisor has a factor for every element, one for every output channel and one for every input channel.
    In reconstruction a large weight moves by more steps than a small one at the same learning rate.

    Members:
        element: float32 parameter (N, P, K), logarithm of the element's factor.
        output_channel, input_channel: float32 parameters (N, 1, 1) and (1, 1, K), logarithms.
    """

    def __init__(self, layer: CompressedLayer, *, learn_scale: bool = True) -> None:
        super().__init__(layer, learn_scale=learn_scale)
        shape = layer.integer_weight().shape
        self.element = nn.Parameter(torch.zeros(shape))
        self.output_channel = nn.Parameter(torch.zeros(shape[0], 1, 1))
        self.input_channel = nn.Parameter(torch.zeros(1, 1, shape[2]))

    def _ratio(self, original: Tensor, scale: Tensor) -> Tensor:
        division = self.element + self.output_channel + self.input_channel
        return self._rows(original.detach()) / (scale * division.exp())

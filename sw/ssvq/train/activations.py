"""Fake quantization of activations to int8, with the integer reference's rounding, and scales that may learn.

A value is stored as `q = clamp(floor(x / scale + 1/2) + zero_point, -128, 127)`, as `ssvq.reference.ActivationScale`
defines it, and means `scale * (q - zero_point)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ssvq.quantize.layer import Activation
from ssvq.reference import ActivationScale
from ssvq.train.parametrization import ScaleParameter
from ssvq.train.ranges import RangeKind, RangeObserver
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN


def activation_steps(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """`q - zero_point` of real values, any shape, as float32 integers; scale and zero point have one element.

    The one place where training, conversion and the integer model turn real activations into integers. It computes in
    float32; `ActivationScale.quantize` does in float64, and differs only where `x / scale` is within rounding of a tie.
    """
    return _nearest_steps(x, scale).clamp_(*_step_limits(zero_point))


def _nearest_steps(x: Tensor, scale: Tensor) -> Tensor:
    half = torch.full_like(scale, 0.5)
    return torch.addcmul(half, x, scale.reciprocal()).floor_()


def _step_limits(zero_point: Tensor) -> tuple[Tensor, Tensor]:
    return (ACTIVATION_MIN - zero_point).to(torch.float32), (ACTIVATION_MAX - zero_point).to(torch.float32)


class _FakeQuantize(torch.autograd.Function):
    """Gradient: straight through inside the range, none outside; for the scale that of LSQ (Esser et al. 2020).

    Between forward and backward it keeps one byte for each value, and the value itself only where the scale learns.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        nearest = _nearest_steps(x, scale)
        steps = nearest.clamp(*_step_limits(zero_point))
        inside = nearest == steps
        ctx.save_for_backward(inside, scale, zero_point, x if ctx.needs_input_grad[1] else None)
        return steps.mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        inside, scale, zero_point, x = ctx.saved_tensors
        for_scale = None
        if ctx.needs_input_grad[1]:
            slope = activation_steps(x, scale, zero_point).sub_(inside * x / scale)
            for_scale = slope.mul_(gradient).sum().view_as(scale)
        return gradient * inside, for_scale, None


@dataclass(frozen=True, kw_only=True)
class ActivationConfig:
    """How activations become int8.

    Attributes:
        range: how calibration finds the range.
        symmetric: zero point 0, which the core's PRODUCT needs.
        learn: whether the scale learns after calibration; the zero point stays.
    """

    range: RangeKind = RangeKind.MSE
    symmetric: bool = False
    learn: bool = False


class ActivationQuantizer(nn.Module):
    """Fake-quantizes what passes through it, once it has a range; until then values pass as they are.

    Args:
        config: how the range is found.
        activation: the clamp that follows. "relu" and "relu6" make the range begin at zero, so that quantizing clamps
            negative values, as the core does.

    Members:
        scale: one element; NaN as long as there is no range.
        zero_point: int32 buffer, one element.
        active: whether there is a range.
        observer: while calibration runs, what it has seen; else None.
    """

    zero_point: Tensor

    def __init__(self, config: ActivationConfig, *, activation: Activation = "none") -> None:
        super().__init__()
        self.config = config
        self.activation: Activation = activation
        self.active = False
        self.observer: RangeObserver | None = None
        self.scale = ScaleParameter(torch.full((1,), torch.nan), learn=config.learn)
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.int32))
        self.register_load_state_dict_post_hook(_activate)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Values of any shape, on the int8 grid."""
        if self.observer is not None:
            self.observer.update(clamped(x, self.activation))
        if self.observer is not None or not self.active:
            return x
        quantized: Tensor = _FakeQuantize.apply(x, self.scale(), self.zero_point)  # type: ignore[no-untyped-call]
        return quantized

    def set_range(self, scale: ActivationScale) -> None:
        """Quantize with this scale from now on."""
        with torch.no_grad():
            self.scale.initial.fill_(scale.scale)
            self.scale.log_gain.zero_()
            self.zero_point.fill_(scale.zero_point)
        self.active = True

    def activation_scale(self) -> ActivationScale:
        """The range in use.

        Raises:
            ValueError: there is none yet.
        """
        if not self.active:
            raise ValueError("activations have no range yet: calibrate first")
        return ActivationScale(scale=float(self.scale().detach()), zero_point=int(self.zero_point))


def clamped(x: Tensor, activation: Activation) -> Tensor:
    """x after the activation function."""
    if activation == "relu6":
        return functional.relu6(x)
    return functional.relu(x) if activation == "relu" else x


def _activate(quantizer: nn.Module, _keys: object) -> None:
    """A state that was loaded holds a range, or not."""
    if isinstance(quantizer, ActivationQuantizer):
        quantizer.active = bool(torch.isfinite(quantizer.scale.initial).all())

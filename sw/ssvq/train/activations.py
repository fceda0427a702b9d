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

Limits = tuple[float, float]
"""Least and greatest `q - zero_point`. Numbers and not tensors: PyTorch's clamp takes a tenth of the time with them."""


def step_limits(zero_point: int) -> Limits:
    """The limits for a zero point."""
    return float(ACTIVATION_MIN - zero_point), float(ACTIVATION_MAX - zero_point)


def activation_steps(x: Tensor, scale: Tensor, limits: Limits) -> Tensor:
    """`q - zero_point` of real values, any shape, as float32 integers; scale has one element.

    The one place where training, conversion and the integer model turn real activations into integers. It computes in
    float32; `ActivationScale.quantize` does in float64, and differs only where `x / scale` is within rounding of a tie.
    """
    return _nearest_steps(x, scale).clamp_(*limits)


def _nearest_steps(x: Tensor, scale: Tensor) -> Tensor:
    return (x * scale.reciprocal()).add_(0.5).floor_()


class _FakeQuantize(torch.autograd.Function):
    """Gradient: straight through inside the range, none outside; for the scale that of LSQ (Esser et al. 2020).

    Between forward and backward it keeps the rounded values, from which one pass gives the gradient; a mask of one byte
    for each value would cost several times as long. The values themselves are kept only where the scale learns.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, limits: Limits) -> Tensor:
        nearest = _nearest_steps(x, scale)
        ctx.save_for_backward(nearest, scale, x if ctx.needs_input_grad[1] else None)
        ctx.limits = limits
        return nearest.clamp(*limits).mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        nearest, scale, x = ctx.saved_tensors
        low, high = ctx.limits
        for_x = torch.ops.aten.hardtanh_backward(gradient, nearest, low - 0.5, high + 0.5)  # the bounds are outside
        for_scale = None
        if ctx.needs_input_grad[1]:
            # a value inside moves with its rounding error, one outside with its limit
            slope = nearest.clamp(low, high).mul_(gradient).sum() - (for_x * x).sum() / scale
            for_scale = slope.view_as(scale)
        return for_x, for_scale, None


@dataclass(frozen=True, kw_only=True)
class ActivationConfig:
    """How activations become int8.

    Attributes:
        range: how calibration finds the range.
        symmetric: zero point 0, which the core's PRODUCT needs.
        learn: whether the scale learns after calibration; the zero point stays.
        output_gains: give each channel of an output its own range where the host alone reads it, so that channels of
            small values are not lost beside those of large ones. The core multiplies each channel by its own factor
            anyway. Layers with an activation function, or whose output another layer reads, stay as they are.
    """

    range: RangeKind = RangeKind.MSE
    symmetric: bool = False
    learn: bool = False
    output_gains: bool = False


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Where the channels of a tensor are.

    Attributes:
        count: of the channels.
        axis: of the channels, negative, from the last.
    """

    count: int
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what goes with the tensor, one value for each channel."""
        return (self.count, *[1] * (-1 - self.axis))


class ActivationQuantizer(nn.Module):
    """Fake-quantizes what passes through it, once it has a range; until then values pass as they are.

    Args:
        config: how the range is found.
        activation: the clamp that follows. "relu" and "relu6" make the range begin at zero, so that quantizing clamps
            negative values, as the core does.
        channels: of the tensor, for gains; None without gains.

    Members:
        scale: one element; NaN as long as there is no range.
        zero_point: int32 buffer, one element.
        gains: float32 buffer that goes with the tensor's shape, ones as long as there is no range; None without gains.
        active: whether there is a range.
        observer: while calibration runs, what it has seen; else None.
    """

    zero_point: Tensor
    gains: Tensor | None

    def __init__(
        self, config: ActivationConfig, *, activation: Activation = "none", channels: Channels | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.activation: Activation = activation
        self.active = False
        self._limits = step_limits(0)
        self.observer: RangeObserver | None = None
        self.scale = ScaleParameter(torch.full((1,), torch.nan), learn=config.learn)
        self.channels = channels
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("gains", None if channels is None else torch.ones(channels.shape))
        self.register_load_state_dict_post_hook(_refresh)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Values of any shape, on the int8 grid."""
        if self.observer is not None:
            self.observer.update(clamped(x, self.activation))
        if self.observer is not None or not self.active:
            return x
        even = x if self.gains is None else x / self.gains
        quantized: Tensor = _FakeQuantize.apply(even, self.scale(), self._limits)  # type: ignore[no-untyped-call]
        return quantized if self.gains is None else quantized * self.gains

    def set_range(self, scale: ActivationScale) -> None:
        """Quantize with this scale from now on."""
        with torch.no_grad():
            self.scale.initial.fill_(scale.scale)
            self.scale.log_gain.zero_()
            self.zero_point.fill_(scale.zero_point)
            if self.gains is not None:
                self.gains.copy_(torch.tensor(scale.gains).view_as(self.gains))
        self.refresh()

    def refresh(self) -> None:
        """Follow buffers that were changed from outside, as when a state dict is loaded."""
        self.active = bool(torch.isfinite(self.scale.initial).all())
        self._limits = step_limits(int(self.zero_point))

    def activation_scale(self) -> ActivationScale:
        """The range in use.

        Raises:
            ValueError: there is none yet.
        """
        if not self.active:
            raise ValueError("activations have no range yet: calibrate first")
        gains = () if self.gains is None else tuple(self.gains.flatten().tolist())
        return ActivationScale(scale=float(self.scale().detach()), zero_point=int(self.zero_point), gains=gains)


def clamped(x: Tensor, activation: Activation) -> Tensor:
    """x after the activation function."""
    if activation == "relu6":
        return functional.relu6(x)
    return functional.relu(x) if activation == "relu" else x


def _refresh(quantizer: nn.Module, _keys: object) -> None:
    if isinstance(quantizer, ActivationQuantizer):
        quantizer.refresh()

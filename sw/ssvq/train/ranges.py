"""Choosing the int8 range of an activation from values that calibration has seen."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import torch
from torch import Tensor

from ssvq.reference import ActivationScale
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN

SAMPLES_PER_UPDATE = 1 << 14
SHRINK_CANDIDATES = 40
SHRINK_MIN = 0.2
GAIN_MIN = 2.0**-8
"""Of the largest gain: a channel that calibration has hardly seen moving may move later."""


class RangeKind(StrEnum):
    """How a range is found: the extremes that were seen, or the part of them with the least mean squared error."""

    MINMAX = "minmax"
    MSE = "mse"


class RangeObserver:
    """Extremes of all values seen, and an evenly spaced sample of at most `SAMPLES_PER_UPDATE` of each batch.

    Args:
        name: of what is observed, for errors.
        axis: of the channels, where each has a gain; None without gains.
    """

    def __init__(self, name: str, *, axis: int | None = None) -> None:
        self.name, self.axis = name, axis
        self.low, self.high = torch.inf, -torch.inf
        self.peaks: Tensor | None = None
        self.samples: list[Tensor] = []

    def update(self, values: Tensor) -> None:
        """Look at values of any shape.

        Raises:
            ValueError: some are not finite.
        """
        flat = values.detach().flatten()
        low, high = (float(bound) for bound in flat.aminmax())
        if not (abs(low) < torch.inf and abs(high) < torch.inf):  # NaN compares false, too
            wrong = int((~torch.isfinite(flat)).sum())
            raise ValueError(f"{self.name}: activations must be finite, {wrong} of {flat.numel()} are not")
        self.low, self.high = min(self.low, low), max(self.high, high)
        # with gains the samples stay together by token, (tokens, channels)
        rows = flat if self.axis is None else values.detach().movedim(self.axis, -1).flatten(0, -2)
        if self.axis is not None:
            peaks = rows.abs().amax(0).to(torch.float32).cpu()
            self.peaks = peaks if self.peaks is None else torch.maximum(self.peaks, peaks)
        self.samples.append(rows[:: -(-flat.numel() // SAMPLES_PER_UPDATE)].to(torch.float32).cpu())

    def choose(self, kind: RangeKind, *, symmetric: bool) -> ActivationScale:
        """The scale of what was seen.

        Raises:
            ValueError: nothing was seen.
        """
        if not self.samples:
            raise ValueError(f"{self.name}: the batches never reach it")
        values = torch.cat(self.samples)
        if self.peaks is None:
            return _range(kind, self.low, self.high, values, symmetric=symmetric)
        gains = _gains(self.peaks)
        scale = _range(kind, -1.0, 1.0, values / gains, symmetric=symmetric)
        return replace(scale, gains=tuple(gains.tolist()))


def _gains(peaks: Tensor) -> Tensor:
    """(N,), of channels with these largest magnitudes."""
    largest = float(peaks.max())
    return peaks.clamp(min=GAIN_MIN * largest) if largest > 0 else torch.ones_like(peaks)


def _range(kind: RangeKind, low: float, high: float, values: Tensor, *, symmetric: bool) -> ActivationScale:
    """The scale for sampled values in low..high."""
    if kind is RangeKind.MINMAX:
        return _scale(low, high, symmetric=symmetric)
    shrunk = [
        _scale(low * factor, high * factor, symmetric=symmetric)
        for factor in torch.linspace(SHRINK_MIN, 1.0, SHRINK_CANDIDATES).tolist()
    ]
    errors = [_squared_error(values, scale) for scale in shrunk]
    return shrunk[errors.index(min(errors))]


def _scale(low: float, high: float, *, symmetric: bool) -> ActivationScale:
    if symmetric:
        reach = max(-low, high, ActivationScale.from_range(0.0, 0.0).scale * ACTIVATION_MAX)
        return ActivationScale(scale=reach / ACTIVATION_MAX)
    return ActivationScale.from_range(low, high)


def _squared_error(values: Tensor, scale: ActivationScale) -> float:
    steps = (values / scale.scale + 0.5).floor() + scale.zero_point
    decoded = (steps.clamp(ACTIVATION_MIN, ACTIVATION_MAX) - scale.zero_point) * scale.scale
    return float((values - decoded).square().sum())

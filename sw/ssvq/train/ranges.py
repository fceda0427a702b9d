"""Choosing the int8 range of an activation from values that calibration has seen."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor

from ssvq.reference import ActivationScale
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN

SAMPLES_PER_UPDATE = 1 << 14
SHRINK_CANDIDATES = 40
SHRINK_MIN = 0.2


class RangeKind(StrEnum):
    """How a range is found: the extremes that were seen, or the part of them with the least mean squared error."""

    MINMAX = "minmax"
    MSE = "mse"


class RangeObserver:
    """Extremes of all values seen, and an evenly spaced sample of at most `SAMPLES_PER_UPDATE` of each batch.

    Args:
        name: of what is observed, for errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.low, self.high = torch.inf, -torch.inf
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
        self.samples.append(flat[:: -(-flat.numel() // SAMPLES_PER_UPDATE)].to(torch.float32).cpu())

    def choose(self, kind: RangeKind, *, symmetric: bool) -> ActivationScale:
        """The scale of what was seen.

        Raises:
            ValueError: nothing was seen.
        """
        if not self.samples:
            raise ValueError(f"{self.name}: the batches never reach it")
        whole = _scale(self.low, self.high, symmetric=symmetric)
        if kind is RangeKind.MINMAX:
            return whole
        values = torch.cat(self.samples)
        shrunk = [
            _scale(self.low * factor, self.high * factor, symmetric=symmetric)
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

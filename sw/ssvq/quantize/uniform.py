"""Uniform formats: every weight is an integer times its channel's scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssvq.quantize.description import to_rows
from ssvq.quantize.formats import ClipKind, ScaleKind, WeightFormat
from ssvq.quantize.importance import expand_importance
from ssvq.quantize.search import wide_dtype
from ssvq.quantize.target import MAGNITUDE_MIN, normalised

COARSE_RATIOS = tuple(0.9**n for n in range(40))
"""Scales that are tried first, as parts of the one that reaches every weight; the last one is 0.016."""
FINE_RATIOS = tuple(0.9 ** (n / 8) for n in range(-7, 8) if n)
"""Scales that are tried next, as parts of the best so far."""
FIT_ROUNDS = 3
"""Rounds of rounding and least squares from the best of them."""


def round_uniform(weight: Tensor, scale: Tensor, format: WeightFormat) -> Tensor:
    """Integers for given scales: `weight / scale`, rounded half to even, saturating; 0 where the scale is 0.

    Args:
        weight: float32, canonical, (N, K) or (N, K, kh, kw).
        scale: float32 (N,) or (1,).
        format: a uniform one.

    Returns:
        int8 (N, P, K).

    Raises:
        ValueError: the format is not uniform.
    """
    return _rounded(to_rows(weight), scale, format.integer_range).to(torch.int8).contiguous()


def uniform_scale(
    weight: Tensor,
    format: WeightFormat,
    *,
    scale: ScaleKind = "channel",
    clip: ClipKind = "max",
    importance: Tensor | None = None,
    groups: int = 1,
) -> Tensor:
    """Scales of a uniform format.

    Args:
        weight: float32, canonical, (N, K) or (N, K, kh, kw).
        format: a uniform one.
        scale: one for every output channel, or one for the layer.
        clip: "max": the least scale at which no weight saturates. "mse": the scale with the least squared error of the
            weights, searched among parts of that one and then fitted by least squares.
        importance, groups: as in `expand_importance`; how much the squared errors of "mse" count.

    Returns:
        float32 (N,) or (1,), 0 for a channel of zeros.

    Raises:
        TypeError, ValueError: an argument is not so.
    """
    low, high = format.integer_range
    rows = to_rows(weight)
    over: tuple[int, ...] = (1, 2) if scale == "channel" else (0, 1, 2)
    reach = torch.maximum(rows.amax(over) / high, rows.amin(over) / low).view(-1)
    reach = torch.where(reach >= MAGNITUDE_MIN, reach, 0.0)
    if clip == "max":
        return reach
    wide = wide_dtype(rows.device)
    counts = rows.new_ones((1, 1, 1), dtype=wide)
    if importance is not None:
        counts = expand_importance(importance, weight, groups).to(wide)
    # weights relative to the reach: their squares neither overflow nor vanish
    values = normalised(rows, reach)
    fit = _Fit(values=values, weighted=values * counts, counts=counts, over=over, limits=(low, high))
    best = fit.best_of(torch.ones_like(reach), COARSE_RATIOS)
    best = fit.best_of(best, (1.0, *FINE_RATIOS))
    for _ in range(FIT_ROUNDS):
        best, _ = fit.least_squares(best)
    return torch.where(best * reach >= MAGNITUDE_MIN, best * reach, 0.0)


def _rounded(rows: Tensor, scale: Tensor, limits: tuple[int, int]) -> Tensor:
    return normalised(rows, scale).round().clamp(*limits)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    """Search of the scales, float32 (N,) or (1,), of weights `values` (N, P, K) whose squared errors count `counts`.

    `weighted` is their product in a wide type, `over` the dimensions that share a scale, `limits` the integers' range.
    """

    values: Tensor
    weighted: Tensor
    counts: Tensor
    over: tuple[int, ...]
    limits: tuple[int, int]

    def best_of(self, scale: Tensor, ratios: tuple[float, ...]) -> Tensor:
        """The best of the least-squares fits from parts of `scale`."""
        best, best_gain = scale, torch.full_like(scale, -1.0, dtype=self.weighted.dtype)
        for ratio in ratios:
            fitted, gain = self.least_squares(scale * ratio)
            best = torch.where(gain > best_gain, fitted, best)
            best_gain = torch.maximum(gain, best_gain)
        return best

    def least_squares(self, scale: Tensor) -> tuple[Tensor, Tensor]:
        """The best scale for the integers that `scale` gives, and by how much they lower the error from that of zeros.

        The error of integers q at their best scale is `sum h w^2 - (sum h w q)^2 / sum h q^2`.
        """
        integers = _rounded(self.values, scale, self.limits).to(self.weighted.dtype)
        product = (self.weighted * integers).sum(self.over).view(-1)
        norm = (self.counts * integers.square()).sum(self.over).view(-1)
        fits = (product > 0) & (norm > 0)
        fitted = torch.where(fits, product / norm.clamp(min=1e-30), 0.0)
        return torch.where(fits, fitted, scale).to(torch.float32), product * fitted

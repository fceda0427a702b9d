"""How much the squared error of each weight counts.

A layer's output error is, to second order and with input channels that do not correlate, the sum of its weights'
squared errors, each times the second moment E[x^2] of the activation that the weight multiplies. These moments are the
*importance* that `encode` and `assign` take.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

IMPORTANCE_MIN = 1e-6
"""Least importance of a weight, as a part of the mean: what is never active counts next to nothing, but is still
decided by its own weights rather than by rounding errors."""


def expand_importance(importance: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    """Importance of every weight.

    Args:
        importance: floating point, >= 0: (C,) for the input channels of the layer, or (P, C) for the channels at every
            kernel position. C is `groups * K`, all input channels, or K when each group has the same.
        weight: canonical, (N, K) or (N, K, kh, kw); only its shape and device matter.
        groups: of a convolution.

    Returns:
        float32 with mean 1 over the layer's weights, at least `IMPORTANCE_MIN`: (1 or N, 1 or P, K), on the device of
        `weight`.

    Raises:
        TypeError: `importance` is not floating point.
        ValueError: wrong shape, values that are negative or not finite, or no value above zero.
    """
    rows, channels, *kernel = weight.shape
    positions, all_channels = math.prod(kernel), channels * groups
    if not importance.is_floating_point():
        raise TypeError(f"importance must be floating point, not {importance.dtype}")
    shapes = [(all_channels,), (channels,), (positions, all_channels), (positions, channels)]
    if tuple(importance.shape) not in shapes:
        known = " or ".join(dict.fromkeys(str(shape) for shape in shapes))
        raise ValueError(f"importance must have the shape {known}, not {tuple(importance.shape)}")
    if not bool((torch.isfinite(importance) & (importance >= 0)).all()):
        raise ValueError("importance must be finite and at least 0")
    largest = importance.max()
    if float(largest) == 0:
        raise ValueError("importance must be above 0 for at least one channel")
    # divided before it is converted: a large float64 would be infinite in float32, a small one 0
    relative = (importance.detach() / largest).to(weight.device, torch.float32)
    relative = relative.view(1, -1, importance.shape[-1])
    if importance.shape[-1] != channels:
        relative = relative.view(-1, groups, channels).transpose(0, 1).repeat_interleave(rows // groups, dim=0)
    return (relative / relative.mean()).clamp(min=IMPORTANCE_MIN)

"""Folding a batch norm into the layer before it."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from ssvq.quantize.rules import Layer

L = TypeVar("L", bound=Layer)


@torch.no_grad()
def folded(layer: L, norm: nn.Module) -> L:
    """A copy of a layer that also does what the batch norm after it does in evaluation mode.

    `y = gain * (W x + b - mean) / sqrt(variance + eps) + shift` is `y = W' x + b'` with a weight of the same shape.

    Raises:
        ValueError: the batch norm has no running statistics.
    """
    mean, variance = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
    if not (isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) and mean is not None and variance is not None):
        raise ValueError(f"a batch norm without running statistics cannot be folded: {norm}")
    gain = (variance + norm.eps).rsqrt() * (norm.weight if norm.affine else 1.0)
    shift = norm.bias if norm.affine else torch.zeros_like(gain)
    result = copy.deepcopy(layer)
    if isinstance(result, nn.ConvTranspose2d):  # (Cin, Cout / groups, kh, kw): the outputs of one group after another
        grouped = result.weight.view(result.groups, -1, *result.weight.shape[1:])
        result.weight.copy_((grouped * gain.view(result.groups, 1, -1, 1, 1)).view_as(result.weight))
    else:
        result.weight.mul_(gain.view(-1, *[1] * (result.weight.ndim - 1)))
    bias = 0.0 if result.bias is None else result.bias
    result.bias = nn.Parameter((bias - mean) * gain + shift)
    return result

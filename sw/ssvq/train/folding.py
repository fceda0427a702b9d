"""Folding a batch norm into the layer before it, and what is left in its place."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from ssvq.quantize.rules import Layer

L = TypeVar("L", bound=Layer)
Norm = nn.BatchNorm1d | nn.BatchNorm2d


@torch.no_grad()
def folded(layer: L, norm: nn.Module) -> L:
    """A copy of a layer that also does what the batch norm after it does in evaluation mode.

    `y = gain * (W x + b - mean) / sqrt(variance + eps) + shift` is `y = W' x + b'` with a weight of the same shape.

    Raises:
        ValueError: the batch norm has no running statistics, or a `forward` of its own; the layer has a `forward` that
            does not add its bias.
    """
    mean, variance = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
    if not (isinstance(norm, Norm) and mean is not None and variance is not None):
        raise ValueError(f"a batch norm without running statistics cannot be folded: {norm}")
    if type(norm).forward is not nn.BatchNorm2d.forward:  # of 1d as well; what else it does would be lost
        kind = type(norm).__name__
        raise ValueError(f"a batch norm must do nothing else to be folded, and {kind} has a forward of its own: {norm}")
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
    if not _adds(result, result.bias):
        kind = type(layer).__name__
        raise ValueError(f"a layer must add its bias to take in a batch norm, and {kind} does not: {layer}")
    return result


def _adds(layer: Layer, bias: Tensor) -> bool:
    """Whether inputs of zeros give the bias; a class may have a `forward` of its own that was written without one."""
    if isinstance(layer, nn.Linear):
        shape: tuple[int, ...] = (1, layer.in_features)
    else:
        extents = zip(layer.kernel_size, layer.dilation, strict=True)
        shape = (1, layer.in_channels, *(dilation * (size - 1) + 1 for size, dilation in extents))
    outputs = layer(layer.weight.new_zeros(shape))
    return torch.equal(outputs, bias.view(-1, *[1] * (outputs.ndim - 2)).expand_as(outputs[0])[None])


class FoldedNorm(nn.Identity):
    """What is left of a batch norm that a layer has taken in: its values pass as they are.

    Args:
        norm: the batch norm, with running statistics.
        layer: name of the layer.
        moves_bias: whether the layer had no bias before, so that the batch norm has it in the state dict of the model
            as it was.
    """

    def __init__(self, norm: Norm, layer: str, *, moves_bias: bool) -> None:
        super().__init__()
        self.layer, self.moves_bias = layer, moves_bias
        self._channels, self._epsilon, self._affine = norm.num_features, norm.eps, norm.affine

    def state(self, bias: Tensor) -> dict[str, Tensor]:
        """State dict of a batch norm that only adds (N,) values, in evaluation mode."""
        ones = torch.ones(self._channels)
        found = {"running_mean": -bias, "running_var": ones - self._epsilon, "num_batches_tracked": torch.tensor(0)}
        return found | ({"weight": ones.clone(), "bias": torch.zeros(self._channels)} if self._affine else {})

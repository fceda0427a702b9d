"""Batch norms as part of the layers before them."""

from __future__ import annotations

import torch
from torch import Tensor

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Conv2d, ConvTranspose2d, Linear, Reshape, ScaleShift

LAYERS = (Linear, Conv2d, ConvTranspose2d)


def fold_batch_norm(graph: Graph) -> Graph:
    """A ScaleShift of the output channels goes into weight and bias of the layer that it alone follows.

    A Reshape may be between a Linear and it, as where tokens of a batch are rows of one matrix for the batch norm.
    """
    rewrite = Rewrite(graph)
    for node in rewrite.each():
        if not isinstance(node.operator, ScaleShift):
            continue
        before = rewrite.producer(node.operands[0])
        layer, reshape = before, None
        if before is not None and isinstance(before.operator, Reshape) and rewrite.is_used_once(before.name):
            layer, reshape = rewrite.producer(before.operands[0]), before.operator
        if layer is not None and isinstance(layer.operator, LAYERS) and rewrite.is_used_once(layer.name):
            channels = _channel_axis(layer) if reshape is None else _kept_channel_axis(layer, node)
            if node.operator.axis == channels:
                _fold(rewrite, node, layer, reshape)
    return rewrite.graph()


def _channel_axis(layer: Node) -> int:
    return len(layer.type.shape) - 1 if isinstance(layer.operator, Linear) else 1


def _kept_channel_axis(layer: Node, node: Node) -> int | None:
    """The axis of a Linear's channels after a Reshape that leaves them alone."""
    keeps = isinstance(layer.operator, Linear) and layer.type.shape[-1:] == node.type.shape[-1:]
    return len(node.type.shape) - 1 if keeps else None


def _fold(rewrite: Rewrite, node: Node, layer: Node, reshape: Reshape | None) -> None:
    tensors = [rewrite.constant(name) for name in (*layer.operands[1:], *node.operands[1:])]
    weight, *bias, scale, shift = (tensor for tensor in tensors if tensor is not None)
    if isinstance(layer.operator, ConvTranspose2d):
        scaled = _scaled(weight, scale, layer.operator.groups)
    else:
        scaled = _scaled_rows(weight, scale)
    # in float64, as the sum of two large terms may be small
    moved = shift if not bias else (bias[0].double() * scale.double() + shift.double()).to(torch.float32)
    operands = (
        layer.operands[0],
        rewrite.add_constant(scaled, f"{layer.operands[1]}.folded"),
        rewrite.add_constant(moved, f"{layer.operands[1].removesuffix('.weight')}.bias.folded"),
    )
    origin = {"scope": layer.scope, "module": layer.module, "folded": (*layer.folded, node.scope)}
    if reshape is None:
        rewrite.replace(node, layer.operator, *operands, **origin)
    else:
        rewrite.replace(node, reshape, rewrite.insert_before(node, layer.operator, *operands, **origin))


def _scaled_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """(N, ...) times (N,)."""
    return weight * scale.view(-1, *[1] * (weight.ndim - 1))


def _scaled(weight: Tensor, scale: Tensor, groups: int) -> Tensor:
    """(K, N / groups, kh, kw) times (N,): the outputs of one group after another."""
    grouped = weight.view(groups, -1, *weight.shape[1:]) * scale.view(groups, 1, -1, 1, 1)
    return grouped.view_as(weight)

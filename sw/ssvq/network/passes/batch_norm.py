"""Batch norms as part of the layers before them."""

from __future__ import annotations

import torch
from torch import Tensor

from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Conv2d, ConvTranspose2d, Linear, ScaleShift
from ssvq.network.rewrite import Rewrite

LAYERS = (Linear, Conv2d, ConvTranspose2d)


def fold_batch_norm(graph: Graph) -> Graph:
    """A ScaleShift of the output channels goes into weight and bias of the layer that it alone follows."""
    rewrite = Rewrite(graph)
    for old in rewrite.nodes:
        node = rewrite.current(old)
        if isinstance(node.operator, ScaleShift):
            layer = rewrite.producer(node.operands[0])
            if layer is not None and isinstance(layer.operator, LAYERS) and rewrite.is_used_once(layer.name):
                _fold(rewrite, node, node.operator.axis, layer)
    return rewrite.graph()


def _fold(rewrite: Rewrite, node: Node, axis: int, layer: Node) -> None:
    channel_axis = len(layer.type.shape) - 1 if isinstance(layer.operator, Linear) else 1
    tensors = [rewrite.constant(name) for name in (*layer.operands[1:], *node.operands[1:])]
    if axis != channel_axis or any(tensor is None for tensor in tensors):
        return
    weight, *bias, scale, shift = (tensor for tensor in tensors if tensor is not None)
    groups = 1 if isinstance(layer.operator, Linear) else getattr(layer.operator, "groups", 1)
    scaled = (
        _scaled(weight, scale, groups) if isinstance(layer.operator, ConvTranspose2d) else _scaled_rows(weight, scale)
    )
    # in float64, as the sum of two large terms may be small
    moved = shift if not bias else (bias[0].double() * scale.double() + shift.double()).to(torch.float32)
    names = (
        rewrite.add_constant(scaled, f"{layer.operands[1]}.folded"),
        rewrite.add_constant(moved, f"{layer.operands[1].removesuffix('.weight')}.bias.folded"),
    )
    origin = {"scope": layer.scope, "module": layer.module, "folded": (*layer.folded, node.scope)}
    rewrite.replace(node, layer.operator, layer.operands[0], *names, **origin)


def _scaled_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """(N, ...) times (N,)."""
    return weight * scale.view(-1, *[1] * (weight.ndim - 1))


def _scaled(weight: Tensor, scale: Tensor, groups: int) -> Tensor:
    """(K, N / groups, kh, kw) times (N,): the outputs of one group after another."""
    grouped = weight.view(groups, -1, *weight.shape[1:]) * scale.view(groups, 1, -1, 1, 1)
    return grouped.view_as(weight)

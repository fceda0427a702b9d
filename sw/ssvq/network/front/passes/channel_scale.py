"""Factors of a linear layer's output channels, such as a vision transformer's layer scale."""

from __future__ import annotations

import torch

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Linear, Multiply, ScaleShift


def scale_channels(graph: Graph) -> Graph:
    """A Multiply by a constant for each channel of a Linear becomes a ScaleShift, which the Linear takes in."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Multiply):
        _scale(rewrite, node)
    return rewrite.graph()


def _scale(rewrite: Rewrite, node: Node) -> None:
    channels = node.type.shape[-1]
    for value, factors in (node.operands, node.operands[::-1]):
        constant, layer = rewrite.constant(factors), rewrite.producer(value)
        if constant is None or layer is None or not isinstance(layer.operator, Linear) or layer.type != node.type:
            continue
        is_of_channels = constant.shape[-1:] == (channels,) and constant.numel() == channels > 1
        if is_of_channels and rewrite.is_used_once(layer.name):
            scale = rewrite.add_constant(constant.flatten(), f"{node.name}.scale")
            shift = rewrite.add_constant(torch.zeros(channels), f"{node.name}.shift")
            rewrite.replace(node, ScaleShift(axis=len(node.type.shape) - 1), layer.name, scale, shift)
            return
